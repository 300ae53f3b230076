"""The records of one chromosome: labelled ones in shared places, and doubtful, awkward and odd ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import cycle, islice

import numpy as np

from glm_assets.demo.changes import Change
from glm_assets.demo.classifications import IN_CONFLICT, UNCERTAIN, UNCLASSIFIED, Classification, draw_labelled
from glm_assets.demo.consequences import Effect
from glm_assets.demo.genome import Contig
from glm_assets.demo.oddities import HALF_WINDOW, odd_records
from glm_assets.demo.records import Record
from glm_assets.demo.sites import SITE_OF, SITES
from glm_assets.errors import SettingsError

_PATHOGENIC_SHARE = 0.4
_UNLABELLED_SHARES = ((UNCERTAIN, 0.15), (IN_CONFLICT, 0.08), (UNCLASSIFIED, 0.01))
_TRIES = 400  # sites drawn for one record of a given kind before giving up
_TRIES_PER_LABEL = 10


def collect_records(
    contig: Contig, labelled: int, awkward: Iterable[tuple[Classification, str]], rng: np.random.Generator
) -> list[Record]:
    """Collect the records of a chromosome in VCF order.

    Args:
        contig: A contig with genes.
        labelled: How many records shall have a label; four of ten are pathogenic.
        awkward: Classifications to include, each with what its change does.
        rng: Source of randomness.

    Raises:
        SettingsError: The genes have too few places for so many records.
    """
    collection = _Collection(contig, rng)
    for record in odd_records(contig, rng):
        collection.add(record)
    for classification, consequence in awkward:
        collection.add_one(classification, consequence)
    collection.add_labelled(labelled)
    for classification, share in _UNLABELLED_SHARES:
        for _ in range(max(1, round(share * labelled))):
            collection.add_one(classification, "missense_variant")
    return sorted(collection.records.values(), key=lambda record: record.change)


class _Collection:
    """The records found so far; a change enters once."""

    def __init__(self, contig: Contig, rng: np.random.Generator) -> None:
        self.contig = contig
        self.rng = rng
        self.records: dict[Change, Record] = {}
        self.labels: Counter[int | None] = Counter()

    def add(self, record: Record) -> bool:
        """Take a record unless its change is there already."""
        if record.change in self.records:
            return False
        self.records[record.change] = record
        self.labels[record.classification.label] += 1
        return True

    def add_one(self, classification: Classification, consequence: str) -> None:
        """Add one record whose change does what `consequence` says."""
        for _ in range(_TRIES):
            gene = self.contig.genes[int(self.rng.integers(len(self.contig.genes)))]
            effects = SITE_OF[consequence](gene, self.contig.sequence, self.rng)
            fitting = (effect for effect in effects if effect.consequence == consequence)
            if any(self._add_effect(effect, classification) for effect in fitting):
                return
        raise self._exhausted(consequence)

    def add_labelled(self, total: int) -> None:
        """Go round the genes and take what breaks or spares them until the numbers are reached."""
        wanted = {1: round(_PATHOGENIC_SHARE * total)}
        wanted[0] = total - wanted[1]
        sites, weights = zip(*SITES, strict=True)
        for gene in islice(cycle(self.contig.genes), _TRIES_PER_LABEL * total):
            if all(self.labels[label] >= number for label, number in wanted.items()):
                return
            site = sites[int(self.rng.choice(len(sites), p=weights))]
            for effect in site(gene, self.contig.sequence, self.rng):
                if self.labels[effect.label] < wanted[effect.label]:
                    self._add_effect(effect, draw_labelled(effect.label, self.rng))
        raise self._exhausted(f"{total} labelled records")

    def _add_effect(self, effect: Effect, classification: Classification) -> bool:
        """Add a change whose window of 1,024 fits; the odd records have the others."""
        if effect.change.pos + HALF_WINDOW > len(self.contig.sequence):
            return False
        return self.add(Record(self.contig, effect.change, classification, effect.gene, effect.consequence))

    def _exhausted(self, sought: str) -> SettingsError:
        return SettingsError(
            f"demo recipe: chromosome {self.contig.name} has no room for {sought}",
            fix="ask for fewer labelled records or for more genes",
        )
