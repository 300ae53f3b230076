"""A made comparison: variants with genes, consequences and stars, scorers of known quality, ladders, histories."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from glm_assets.evaluation.baselines import rate_baselines
from glm_assets.evaluation.scores import Scored, SealedTest

SUBSTITUTIONS = tuple(2**power for power in range(10))

# Term: share of rows, share of pathogenic ones among them.
CONSEQUENCES = {
    "synonymous_variant": (0.35, 0.01),
    "intron_variant": (0.27, 0.02),
    "missense_variant": (0.2, 0.3),
    "nonsense": (0.07, 0.97),
    "frameshift_variant": (0.06, 0.98),
    "splice_donor_variant": (0.02, 0.96),
    "5_prime_UTR_variant": (0.02, 0.05),
    "initiator_codon_variant": (0.006, 0.9),
    "inframe_deletion": (0.004, 0.4),
}
GENES = ("BRCA2", "ATP7B", "RB1", "GJB2", "COL4A1", "SACS", "FBN9", "PCDH17")


def variants(rows: int = 3000, seed: int = 0, genes: tuple[str, ...] = GENES) -> pl.DataFrame:
    """Rows as the sealed test has them."""
    rng = np.random.default_rng(seed)
    terms = list(CONSEQUENCES)
    shares = np.array([CONSEQUENCES[term][0] for term in terms])
    term = rng.choice(len(terms), rows, p=shares / shares.sum())
    rate = np.array([CONSEQUENCES[name][1] for name in terms])[term]
    gene = rng.integers(0, len(genes), rows)
    label = (rng.random(rows) < rate).astype(np.int8)
    locus = np.sort(rng.integers(0, max(2, rows // 6), rows)) * 2000
    kind = np.where(term == 4, rng.choice(["ins", "del"], rows), np.where(term == 8, "del", "snv"))
    return pl.DataFrame(
        {
            "chrom": rng.choice(["7", "13", "X"], rows, p=[0.3, 0.6, 0.1]),
            "pos": locus + 1 + rng.integers(0, 900, rows),
            "ref": rng.choice(list("ACGT"), rows),
            "alt": rng.choice(list("ACGT"), rows),
            "kind": kind,
            "var_len": np.where(kind == "snv", 1, rng.integers(1, 30, rows)).astype(np.int16),
            "label": label,
            "review_stars": rng.choice([0, 1, 2, 3], rows, p=[0.1, 0.5, 0.35, 0.05]).astype(np.int8),
            "gene": [genes[g] for g in gene],
            "genes": [genes[g] for g in gene],
            "consequence": [terms[t] for t in term],
            "locus": locus,
            "group": locus // 20_000,
            "train_rows_of_gene": np.array([0, 3, 40, 400, 900, 12, 70, 5000])[gene % 8],
        }
    )


def ladders(count: int = 40) -> pl.DataFrame:
    """Every ladder with 1, 2, 4 .. 512 substitutions."""
    return pl.DataFrame(
        {
            "ladder": np.repeat(np.arange(count), len(SUBSTITUTIONS)),
            "substitutions": np.tile(SUBSTITUTIONS, count),
        }
    )


def scorer(
    name: str, kind: str, table: pl.DataFrame, skill: float, seed: int, rungs: pl.DataFrame | None
) -> Scored:
    """Scores that know the label as well as `skill` says; heads get distances, zero-shot ones no probability."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=table.height) + skill * (table["label"].to_numpy() - 0.5)
    distance = 1.9 / (1 + np.exp(6 - 1.5 * latent)) if kind == "head" or name == "distance" else None
    probability = None if kind in ("predictor", "zero_shot") else 1 / (1 + np.exp(-(skill * latent - 1.6)))
    steps = None
    if distance is not None and rungs is not None:
        n = rungs["substitutions"].to_numpy()
        steps = np.minimum(1.9, 1e-4 * n**0.8 * np.exp(rng.normal(scale=0.35, size=len(n))))
    score = distance if distance is not None else latent
    if kind == "predictor":
        score = np.where(rng.random(table.height) < 0.4, np.nan, score)
    recipe = "open" if kind == "head" else None
    return Scored(name, kind, score, distance, probability, recipe, steps)  # type: ignore[arg-type]


ALL = (
    ("head_v0", "head", 2.2),
    ("head_v1", "head", 2.5),
    ("head_v2", "head", 2.75),
    ("head_v3", "head", 2.8),
    ("covariance_probe", "probe", 2.85),
    ("distance", "zero_shot", 0.7),
    ("log_likelihood_ratio", "zero_shot", 1.1),
    ("cadd", "predictor", 2.6),
)


def sealed_test(
    rows: int = 3000,
    scorers: tuple[tuple[str, str, float], ...] = ALL,
    *,
    with_ladders: bool = True,
    with_baselines: bool = True,
    **more: Any,
) -> SealedTest:
    """A sealed test of some scorers and of the sequence-blind baselines."""
    table = variants(rows, **more)
    rungs = ladders() if with_ladders else ladders(0)
    scored = [
        scorer(name, kind, table, skill, seed, rungs if with_ladders else None)
        for seed, (name, kind, skill) in enumerate(scorers)
    ]
    if with_baselines:
        labelled = table.with_columns(pl.lit("test").alias("split"))
        scored += rate_baselines(labelled)
    return SealedTest(table, rungs, tuple(scored))


def history(epochs: int = 20, seed: int = 0) -> list[dict[str, Any]]:
    """Epoch records as a head's result has them."""
    rng = np.random.default_rng(seed)
    records = []
    for epoch in range(1, epochs + 1):
        rise = 1 - np.exp(-epoch / 6)
        cd, cdd, pcc = 0.4 * rise, 0.6 * rise + rng.normal(scale=0.01), 0.5 * rise + rng.normal(scale=0.02)
        records.append(
            {
                "epoch": epoch,
                "learning_rate": 1e-3 / epoch,
                "train": {"loss": 2 - rise + rng.normal(scale=0.02)},
                "validation": {"score": cd + cdd + pcc, "cd": cd, "cdd": cdd, "pcc": pcc, "loss": 2 - rise},
                "sha256": f"{epoch:064x}",
                "kept": epoch > epochs * 0.6,
            }
        )
    return records


SOUP = {
    "score": 1.4312,
    "cd": 0.39,
    "cdd": 0.58,
    "pcc": 0.4612,
    "ingredients": [{"epoch": 19, "weight": 0.75}, {"epoch": 16, "weight": 0.25}],
    "steps": [
        {"epoch": 17, "alpha": 0.25, "score": 1.42, "accepted": False},
        {"epoch": 16, "alpha": 0.25, "score": 1.4312, "accepted": True},
        {"epoch": 14, "alpha": 0.25, "score": 1.4298, "accepted": False},
    ],
}

FACTS = {
    "Releases": {
        "ClinVar": "clinvar_20260906.vcf.gz, MD5 0a1b2c3d4e5f60718293a4b5c6d7e8f9",
        "reference": "GCF_000001405.40, GRCh38.p14",
    },
    "Encoder": {
        "name": "demo",
        "fingerprint": "5fcb9a3e17aa64c1d8df3cbd9a4f7f0af5fcb9a3e17aa64c1d8df3cbd9a4f7f0",
    },
    "Split": {
        "rule": "gene",
        "rows": "24,101 train, 3,012 val, 3,000 test",
        "audit": "0 shared bases, 0 shared genes",
    },
    "MLflow": {"head_v3": ("run 4f1a2b", "http://127.0.0.1:5000/#/experiments/1/runs/4f1a2b")},
    "Reproduce": {"command": "dg launch --assets head_comparison"},
}
