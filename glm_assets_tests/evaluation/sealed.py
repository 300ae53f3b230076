"""Made-up sealed tests: rows in loci, labels that depend on nothing but the seed."""

from __future__ import annotations

import numpy as np
import polars as pl

from glm_assets.evaluation.scores import Scored, SealedTest

CONSEQUENCES = ("missense_variant", "synonymous_variant", "intron_variant", None)
GENES = ("A", "B", "C", None)


def sealed_variants(rows: int = 400, loci: int = 60, seed: int = 0) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    kind = generator.choice(["snv", "ins", "del"], rows, p=[0.7, 0.1, 0.2])
    gene = [GENES[place] for place in generator.integers(0, len(GENES), rows)]
    consequence = [CONSEQUENCES[place] for place in generator.choice(4, rows, p=[0.4, 0.3, 0.28, 0.02])]
    return pl.DataFrame(
        {
            "chrom": generator.choice(["2", "13", "X"], rows),
            "pos": np.arange(1, rows + 1),
            "ref": ["A"] * rows,
            "alt": ["C"] * rows,
            "kind": kind,
            "var_len": np.where(kind == "snv", 1, generator.integers(1, 40, rows)).astype(np.int16),
            "label": (generator.random(rows) < 0.35).astype(np.int8),
            "review_stars": generator.integers(0, 4, rows).astype(np.int8),
            "gene": gene,
            "genes": gene,
            "consequence": consequence,
            "locus": generator.integers(0, loci, rows),
            "group": generator.integers(0, 40, rows),
            "train_rows_of_gene": generator.choice([0, 1, 9, 10, 99, 100, 5000], rows),
        }
    )


def ladders(number: int = 12) -> pl.DataFrame:
    return pl.DataFrame(
        {"ladder": np.repeat(np.arange(number) + 100, 10), "substitutions": np.tile(2 ** np.arange(10), number)}
    )


def head(name: str, variants: pl.DataFrame, signal: float = 1.0, seed: int = 0, rungs: int = 120) -> Scored:
    """A head whose distance grows with the label by `signal`, with noise of standard deviation 1."""
    generator = np.random.default_rng(seed)
    label = variants["label"].to_numpy()
    raw = generator.normal(size=len(label)) + signal * label
    distance = 2 / (1 + np.exp(-raw))
    return Scored(
        name,
        "head",
        distance,
        distance,
        1 / (1 + np.exp(-raw)),
        "open",
        np.abs(generator.normal(size=rungs)).clip(0, 2),
    )


def plain(name: str, kind, score) -> Scored:
    return Scored(name, kind, np.asarray(score, dtype=np.float64), None, None)


def sealed_test(*scored: Scored, variants: pl.DataFrame | None = None) -> SealedTest:
    return SealedTest(sealed_variants() if variants is None else variants, ladders(), scored)
