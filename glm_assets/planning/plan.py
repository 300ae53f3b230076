"""A plan: what would be made, why, and what that takes. Nothing is run and nothing written."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from glm_assets.encoders.device import resolve_device
from glm_assets.errors import GlmError
from glm_assets.lineage.capacity import Throughput
from glm_assets.lineage.study import Study
from glm_assets.planning import graph
from glm_assets.planning.cost import Cost, WorkCost, card, total_cost, work_cost
from glm_assets.planning.expectation import expected_rows
from glm_assets.planning.staleness import Finding, Offer, ask_source, examine
from glm_assets.planning.stored import StoredKeys
from glm_assets.planning.windows import EMBEDDED, Work, count_work, lost_vectors
from glm_assets.storage.disk_space import free_bytes


@dataclass(frozen=True)
class Plan:
    """What bringing a selection up to date means.

    Attributes:
        findings: Every asset and partition of the selection, in the order in which they are made.
        works: The embedding among what is to be made, each with its cost.
        cost: All together.
        gpus: Cards that embed at once.
        throughput: What one of them keeps up.
        device: What vectors are planned for: a CPU's differ from a GPU's.
        free: Bytes free in the data root and in the store of vectors; None for a store at a URL.
        notes: What the numbers leave out.
        price_per_hour: Of a card.
    """

    findings: list[Finding]
    works: list[tuple[Work, WorkCost]]
    cost: Cost
    gpus: int
    throughput: Throughput
    device: str
    free: dict[str, int | None]
    notes: list[str]
    price_per_hour: float | None = None

    @property
    def money(self) -> float | None:
        """What the GPU hours cost, where they and the price are known."""
        if self.price_per_hour is None or self.cost.gpu_hours is None:
            return None
        return self.cost.gpu_hours * self.price_per_hour

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON-able values."""
        works = {(work.asset, work.partition): (work, cost) for work, cost in self.works}
        return {
            "assets": [
                asdict(finding) | _work_values(works.get((finding.asset, finding.partition)))
                for finding in self.findings
            ],
            "total": asdict(self.cost) | {"money": self.money, "free_bytes": self.free},
            "gpus": self.gpus,
            "card": asdict(self.throughput),
            "device": self.device,
            "price_per_hour": self.price_per_hour,
            "notes": self.notes,
        }


def make_plan(
    study: Study,
    names: Collection[str] = (),
    *,
    gpus: int = 1,
    card_name: str | None = None,
    price_per_hour: float | None = None,
) -> Plan:
    """Plan what is needed to bring a selection up to date.

    Args:
        study: The main study; its data root need not exist.
        names: Assets and jobs; nothing for all that is not optional or was made before.
        gpus: Cards that embed at once.
        card_name: A card whose speed is known. Where the device is left open, vectors are then planned for a GPU.
        price_per_hour: Of a card.

    Raises:
        SettingsError: A name or card is unknown.
        StorageError: The store of vectors cannot be reached.
    """
    throughput = card(card_name or "h100")
    if card_name and study.settings.device == "auto":
        study = Study(study.settings.model_copy(update={"device": "cuda:0"}))
    selection = graph.selected(names) if names else _everything(study)
    offer = ask_source(study)
    findings, works = _with_work(study, examine(study, selection, offer), offer)
    costed = [(work, work_cost(study, work, throughput, gpus)) for work in works]
    to_make = [finding for finding in findings if finding.to_make]
    return Plan(
        findings=findings,
        works=costed,
        cost=total_cost(study, to_make, costed, _training_rows(study, offer)),
        gpus=gpus,
        throughput=throughput,
        device=resolve_device(study.settings.device),
        free=_free(study),
        notes=_notes(study, offer, findings, works, throughput),
        price_per_hour=price_per_hour,
    )


def _everything(study: Study) -> list[str]:
    """All that is not optional, and what is and was made before."""
    made = [name for name, asset in graph.ASSETS.items() if asset.optional and _was_made(study, name)]
    wanted = {*graph.selected(()), *made}
    return [name for name in graph.ASSETS if name in wanted]


def _was_made(study: Study, name: str) -> bool:
    folders = (graph.folder_of(study, name, chrom) for chrom in graph.partitions(study, name))
    return any(study.recorded(folder) is not None for folder in folders)


def _with_work(study: Study, findings: list[Finding], offer: Offer) -> tuple[list[Finding], list[Work]]:
    """Findings, those with lost vectors corrected, and the embedding that they mean."""
    if not any(finding.asset in EMBEDDED for finding in findings):
        return findings, []
    stored = StoredKeys(study)
    judged = {(finding.asset, finding.partition): finding for finding in findings}
    works = []
    for key in [key for key in judged if key[0] in EMBEDDED]:
        if not judged[key].to_make and (lost := lost_vectors(study, judged[key], stored)):
            judged[key] = replace(judged[key], state="damaged", reason=f"{lost:,} vectors are lost")
        if judged[key].to_make:
            ready = _is_ready(study, judged[key], judged)
            works.append(count_work(study, judged[key], stored, offer, ready=ready))
    return list(judged.values()), works


def _is_ready(study: Study, finding: Finding, judged: dict[tuple[str, str], Finding]) -> bool:
    """Whether everything that it is made from is up to date and stays as it is."""
    if finding.state == "blocked":
        return False
    keys = graph.upstream_keys(study, finding.asset, finding.partition)
    return not any(key in judged and judged[key].to_make for key in keys)


def _training_rows(study: Study, offer: Offer) -> int:
    """Variants with windows over all chromosomes, found or expected."""
    rows = 0
    for chrom in study.profile.chromosomes:
        try:
            rows += study.require(study.variant_windows(chrom)).facts["rows"]
        except GlmError:
            rows += expected_rows(study, chrom, offer).rows
    return rows


def _free(study: Study) -> dict[str, int | None]:
    place = study.store_place
    local = None if isinstance(place, str) and "://" in place else Path(place)
    return {"data_root": free_bytes(study.root), "vectors": free_bytes(local) if local else None}


def _notes(
    study: Study, offer: Offer, findings: list[Finding], works: list[Work], throughput: Throughput
) -> list[str]:
    notes = [offer.note] if offer.note else []
    if estimated := [work for work in works if not work.exact and work.rows]:
        bases = "; ".join(dict.fromkeys(work.basis for work in estimated))
        notes.append(f"~ marks estimates, from {bases}. Make the windows, which needs no GPU, and plan again.")
    notes += [f"{work.asset} is left out: {work.basis}" for work in works if not work.exact and not work.rows]
    if resolve_device(study.settings.device) == "cpu" and works:
        notes.append("vectors are planned for the CPU of this machine, --card h100 plans those of a GPU")
    if works:
        notes.append(f"a GPU keeps up {throughput.tflops:g} TFLOP/s: {throughput.source}")
    if any(finding.asset.startswith("head_v") and finding.to_make for finding in findings):
        notes.append("training is scaled from the 10 to 15 hours that the original reports for its four heads")
    if any(finding.asset == "scored_variants" and finding.to_make for finding in findings):
        notes.append("the windows of scored_variants are not counted")
    return notes


def _work_values(found: tuple[Work, WorkCost] | None) -> dict[str, Any]:
    if found is None:
        return {}
    work, cost = found
    shown = ("rows", "pairs", "references", "windows", "exact", "basis")
    return {name: getattr(work, name) for name in shown} | asdict(cost)
