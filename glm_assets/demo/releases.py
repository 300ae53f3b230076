"""Two weekly releases of the same records: what came, went and was judged anew between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from glm_assets.demo.classifications import IN_CONFLICT, SINGLE, UNCERTAIN, Classification
from glm_assets.demo.records import Record

OLDER_DATE, NEWER_DATE = "20251102", "20251109"


@dataclass(frozen=True)
class Releases:
    """The records of both releases in VCF order, and the number of changes by kind."""

    older: list[Record]
    newer: list[Record]
    changes: dict[str, int]


@dataclass(frozen=True)
class _Event:
    """A kind of change between the releases.

    Attributes:
        kind: `added`, `withdrawn`, `relabelled` or `reviewed`.
        share: Part of the fitting records it happens to; at least one.
        fits: Whether it can happen to a record, judged by its classification in the newer release.
        before: The classification in the older release; None where the record was absent.
    """

    kind: str
    share: float
    fits: Callable[[Record], bool]
    before: Callable[[Classification], Classification | None]


_PLAIN = ("Pathogenic", "Likely_pathogenic", "Benign", "Likely_benign")


def _is_plain(record: Record) -> bool:
    """Whether a record lies in a gene and has its label by one term."""
    said = record.classification
    return record.gene is not None and said.label is not None and said.significance in _PLAIN


_EVENTS = (
    _Event("added", 0.04, _is_plain, lambda _: None),
    _Event("withdrawn", 0.03, lambda record: record.classification == UNCERTAIN, lambda said: said),
    # Doubt became a judgement, a judgement became a conflict, and a splice-site loss was once held to be harmless.
    _Event("relabelled", 0.03, _is_plain, lambda _: UNCERTAIN),
    _Event(
        "relabelled",
        0.03,
        lambda record: record.classification == IN_CONFLICT,
        lambda _: Classification("Likely_pathogenic", SINGLE, 1),
    ),
    _Event(
        "relabelled",
        0.02,
        lambda record: _is_plain(record) and (record.consequence or "").startswith("splice"),
        lambda _: Classification("Likely_benign", SINGLE, 0),
    ),
    _Event(
        "reviewed",
        0.06,
        lambda record: _is_plain(record) and record.classification.review != SINGLE,
        lambda said: replace(said, review=SINGLE),
    ),
)


def two_releases(records: list[Record], rng: np.random.Generator) -> Releases:
    """Derive the older release from the newer; no record changes in more than one way.

    Args:
        records: Every record of either release, as the newer one has it, in VCF order.
        rng: Source of randomness.
    """
    happened: dict[int, _Event] = {}
    for event in _EVENTS:
        fitting = [r.variation_id for r in records if event.fits(r) and r.variation_id not in happened]
        number = min(len(fitting), max(1, round(event.share * len(fitting))))
        happened |= {int(chosen): event for chosen in rng.choice(fitting, size=number, replace=False)}
    older, newer = [], []
    for record in records:
        event = happened.get(record.variation_id)
        said = event.before(record.classification) if event else record.classification
        if said is not None:
            older.append(replace(record, classification=said))
        if event is None or event.kind != "withdrawn":
            newer.append(record)
    return Releases(older, newer, dict(Counter(event.kind for event in happened.values())))
