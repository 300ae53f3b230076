"""The contest's figures of a submission, as far as its structure and ClinVar tell them: CD, CDD and PCC."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import SubmissionError
from glm_assets.evaluation.ranking import auroc
from glm_assets.heads.distances import unit_distances
from glm_assets.heads.metrics import pearson_by_group
from glm_assets.submission.layout import ID_COLUMN
from glm_assets.submission.reading import read_header

ASSUMPTIONS = (
    "The contest's formulas and its labels are not published; these are what participants and the test CSV suggest.",
    "Pairs that differ by one letter are ClinVar's reference and alternate; CD is the mean cosine distance over them.",
    "Sequences 1, 2, 4 .. substitutions from a base are the set of PCC; the base itself is no point of it.",
    "PCC is the mean over ladders of Pearson's r of substitutions and distance; that over all rungs is given too.",
    "CDD is the mean distance of pathogenic minus that of benign pairs, over the pairs found in this study's ClinVar.",
    "A pair is found by the 32 bases on either side of its variant; one whose rows disagree on the label has no label.",
    "Without any windows of ClinVar no pair has a label; CD and PCC need none.",
    "Pairs found in the train split flatter a head; CDD over those of the test split is given beside it.",
    "They are not where the study trains on its test rows; of a head from elsewhere the split is not known.",
    "Raw sum is CD + CDD + PCC; the normalised mean is that of CD / 2, (CDD / 2 + 1) / 2 and (PCC + 1) / 2.",
    "Only sequences of one length are compared; N is a letter of its own; equal sequences count once.",
    "Where the reference of several alleles of one site is not known, all their pairs count.",
)


@dataclass(frozen=True)
class Figure:
    """One figure: its name, value (None where there is nothing to take it of), what it is of, and a remark."""

    name: str
    value: float | None
    pairs: int = 0
    ladders: int = 0
    note: str = ""


def read_submission(csv: Path, ids: pl.Series) -> NDArray[np.float64]:
    """Vectors of a submission, in the order of the test CSV.

    Args:
        csv: `ID,emb_0000,...`.
        ids: The test CSV's identifiers.

    Returns:
        (n, dimensions), of length 1 in float64.

    Raises:
        SubmissionError: The file cannot be read, its IDs are others, or a vector is not finite or has no length.
    """
    try:
        columns = dict.fromkeys(read_header(csv), pl.Float64) | {ID_COLUMN: pl.String}
        frame = pl.read_csv(csv, schema=columns, glob=False)
        values = frame.drop(ID_COLUMN).to_numpy()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SubmissionError(f"the submission {csv} cannot be read ({error})") from error
    if frame[ID_COLUMN].to_list() != ids.to_list():
        raise SubmissionError(
            f"the submission {csv} is not of these test sequences",
            expected="the IDs of the test CSV, in its order",
            fix="materialise submission again",
        )
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise SubmissionError(f"the submission {csv} has a vector that is not finite or zero")
    return values / lengths


def distances(vectors: NDArray[np.float64], first: pl.Series, second: pl.Series) -> NDArray[np.float64]:
    """Cosine distance of pairs of rows, half the squared distance in float64, (m,).

    Args:
        vectors: (n, dimensions) of length 1.
        first: Rows (m,).
        second: Rows (m,).
    """
    return np.asarray(unit_distances(vectors[first.to_numpy()], vectors[second.to_numpy()]), np.float64)


@dataclass(frozen=True)
class Circumstances:
    """What bears on the labels and splits of pairs, besides the pairs.

    Attributes:
        no_labels: Why no pair can have a label; empty where ClinVar was looked at.
        no_held_out: Why no pair is held out; empty where those of the test split are.
        held_out_remark: What to know of figures of held-out pairs.
    """

    no_labels: str = ""
    no_held_out: str = ""
    held_out_remark: str = ""


PLAIN = Circumstances()


def score(pairs: pl.DataFrame, ladders: pl.DataFrame, circumstances: Circumstances = PLAIN) -> list[Figure]:
    """All figures, those that cannot be had with the reason.

    Args:
        pairs: One row for each pair: `distance`, `label` (null where unknown) and `split` (likewise).
        ladders: One row for each rung: `ladder`, `substitutions` and `distance`.
        circumstances: Why labels or held-out pairs are lacking, and what to say of the latter.
    """
    no_labels = circumstances.no_labels
    cd, cdd, pcc = _cd(pairs), _cdd("CDD", pairs, no_labels), _pcc(ladders)
    cdd_held_out, auroc_held_out = _held_out(pairs, circumstances)
    return [
        cd,
        cdd,
        cdd_held_out,
        pcc,
        _pcc_at_once(ladders),
        *_scores(cd, cdd, pcc),
        _auroc("AUROC", pairs, no_labels),
        auroc_held_out,
    ]


def _held_out(pairs: pl.DataFrame, circumstances: Circumstances) -> list[Figure]:
    """CDD and AUROC of the pairs of the test split, unless a head has trained on it."""
    names = ("CDD_held_out", "AUROC_held_out")
    if circumstances.no_held_out:
        return [Figure(name, None, note=circumstances.no_held_out) for name in names]
    held_out = pairs.filter(pl.col("split") == "test")
    figures = [
        figure(name, held_out, circumstances.no_labels) for name, figure in zip(names, (_cdd, _auroc), strict=True)
    ]
    remark = circumstances.held_out_remark
    return [replace(figure, note=f"{figure.note}; {remark}" if remark else figure.note) for figure in figures]


def _cd(pairs: pl.DataFrame) -> Figure:
    if pairs.is_empty():
        return Figure("CD", None, note="there are no pairs")
    return Figure("CD", float(pairs["distance"].to_numpy().mean()), len(pairs), note="mean over all pairs")


def _cdd(name: str, pairs: pl.DataFrame, no_labels: str) -> Figure:
    distance, label = _labelled(pairs)
    if not (label == 1).any() or not (label == 0).any():
        return Figure(name, None, len(label), note=no_labels or _one_class(label))
    value = float(distance[label == 1].mean() - distance[label == 0].mean())
    return Figure(name, value, len(label), note=_classes(label))


def _auroc(name: str, pairs: pl.DataFrame, no_labels: str) -> Figure:
    distance, label = _labelled(pairs)
    value = auroc(distance, label)
    lacking = no_labels or _one_class(label)
    return Figure(name, value, len(label), note=lacking if value is None else _classes(label))


def _pcc(ladders: pl.DataFrame) -> Figure:
    substitutions, distance, ladder = _rungs(ladders)
    r = pearson_by_group(substitutions, distance, ladder)
    if not len(r):
        return Figure("PCC", None, note="there are no ladders whose distances vary")
    return Figure("PCC", float(r.mean()), ladders=len(r), note="mean over ladders")


def _pcc_at_once(ladders: pl.DataFrame) -> Figure:
    substitutions, distance, ladder = _rungs(ladders)
    r = pearson_by_group(substitutions, distance, np.zeros(len(ladder), np.int64))
    if not len(r):
        return Figure("PCC_global", None, note="there are no ladders whose distances vary")
    return Figure("PCC_global", float(r[0]), ladders=len(np.unique(ladder)), note="over all rungs at once")


def _scores(cd: Figure, cdd: Figure, pcc: Figure) -> list[Figure]:
    pairs, ladders = cd.pairs, pcc.ladders
    if cd.value is None or cdd.value is None or pcc.value is None:
        lacking = ", ".join(figure.name for figure in (cd, cdd, pcc) if figure.value is None)
        note = f"{lacking} cannot be had"
        return [Figure(name, None, pairs, ladders, note) for name in ("raw_sum", "normalised_mean")]
    terms = (cd.value / 2, (cdd.value / 2 + 1) / 2, (pcc.value + 1) / 2)
    return [
        Figure("raw_sum", cd.value + cdd.value + pcc.value, pairs, ladders, "CD + CDD + PCC"),
        Figure("normalised_mean", sum(terms) / 3, pairs, ladders, "of CD / 2, (CDD / 2 + 1) / 2, (PCC + 1) / 2"),
    ]


def _labelled(pairs: pl.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    known = pairs.filter(pl.col("label").is_not_null())
    return known["distance"].to_numpy(), known["label"].to_numpy()


def _rungs(ladders: pl.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    substitutions = ladders["substitutions"].to_numpy().astype(np.float64)
    return substitutions, ladders["distance"].to_numpy(), ladders["ladder"].to_numpy()


def _classes(label: NDArray[np.int8]) -> str:
    return f"{int((label == 1).sum()):,} pathogenic and {int((label == 0).sum()):,} benign pairs"


def _one_class(label: NDArray[np.int8]) -> str:
    return f"{_classes(label)}: at least one of each is needed"
