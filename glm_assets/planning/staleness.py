"""What is up to date, what is not, and why: what a manifest says against what the product would be made from today."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from glm_assets.errors import GlmError
from glm_assets.lineage.study import HEADS, Study
from glm_assets.planning import graph
from glm_assets.sources.clinvar import ClinvarRelease, latest_release
from glm_assets.sources.location import public_url
from glm_assets.sources.patience import within
from glm_assets.sources.web import RetryPolicy
from glm_assets.storage.products import Manifest, Product, read_whole

State = Literal["current", "absent", "stale", "damaged", "follows", "blocked"]
"""`follows`: something that it is made from will be made anew. `blocked`: something is lacking that is not planned."""

Key = tuple[str, str]

_GLANCE = RetryPolicy(attempts=1, timeout_s=6)
_PATIENCE_S = 10.0
_SHOWN = 4


@dataclass(frozen=True)
class Finding:
    """One asset, or one partition of it.

    Attributes:
        asset: Its name.
        partition: Chromosome; empty where there are no partitions.
        state: How it stands.
        reason: Why, for people; empty where it is current.
    """

    asset: str
    partition: str
    state: State
    reason: str = ""

    @property
    def to_make(self) -> bool:
        """Whether materialising it would make it anew."""
        return self.state != "current"


@dataclass(frozen=True)
class Offer:
    """What the source offers.

    Attributes:
        release: The release at or before the cutoff, and its MD5; None where the source was not or cannot be asked.
        note: Why not.
    """

    release: tuple[ClinvarRelease, str] | None = None
    note: str = ""


def ask_source(study: Study) -> Offer:
    """Look once, for a few seconds at most, which release the source offers; nothing is downloaded or made."""
    if study.settings.uses_demo_tree and not study.settings.demo_tree.exists():
        return Offer(note="the generated tree is not there yet")
    try:
        source, cutoff, offline = study.settings.source_url, study.profile.clinvar_cutoff, study.settings.offline
        found = within(
            _PATIENCE_S,
            lambda: latest_release(source, cutoff, offline=offline, policy=_GLANCE),
            source=public_url(source),
        )
    except GlmError as error:
        return Offer(note=f"the source was not asked for a newer release: {error.problem}")
    return Offer(found)


def examine(study: Study, names: Collection[str], offer: Offer) -> list[Finding]:
    """Judge assets and, of partitioned ones, every chromosome that the profile expects.

    Args:
        study: The main study.
        names: Assets in the order of `graph.ASSETS`, as `graph.selected` gives them.
        offer: What the source offers.
    """
    found: dict[Key, Finding] = {}
    for name in names:
        for chrom in graph.partitions(study, name):
            found[name, chrom] = _judge(study, name, chrom, offer, found)
    return list(found.values())


def _judge(study: Study, name: str, chrom: str, offer: Offer, found: Mapping[Key, Finding]) -> Finding:
    if name in graph.SOURCES:
        return Finding(name, chrom, *_judge_source(study, name, offer))
    keys = graph.upstream_keys(study, name, chrom)
    if makes := [key for key in keys if key in found and found[key].to_make]:
        folder = graph.folder_of(study, name, chrom)
        there = study.recorded(folder) is not None
        return Finding(name, chrom, "follows" if there else "absent", f"after {_listed(study, makes)}")
    return Finding(name, chrom, *standing(study, name, chrom))


def standing(study: Study, name: str, chrom: str = "") -> tuple[State, str]:
    """How one asset's partition stands, and why; `blocked` where something that it is made from is not up to date."""
    asset = graph.ASSETS[name]
    try:
        # The files of a study may be generated when they are asked for, so one that was never made is not asked.
        if asset.product is None or (asset.folder and study.recorded(asset.folder(study, chrom)) is None):
            return _judge_by_inputs(study, name, chrom)
        return judge(asset.product(study, chrom))
    except GlmError as error:
        return "blocked", error.problem


def judge(product: Product) -> tuple[State, str]:
    """How a product stands, and why."""
    manifest = product.remote.manifest() if product.remote else Manifest.read(product.folder)
    if manifest is None:
        return _without_manifest(product)
    if reasons := list(_differences(manifest, product)):
        return "stale", "; ".join(reasons)
    if product.current() is None:
        return "damaged", _damage(product, manifest)
    return "current", ""


def _without_manifest(product: Product) -> tuple[State, str]:
    if product.has_files():
        return "damaged", "its manifest is lacking, cannot be read or is marked as damaged"
    return "absent", "never made"


def _differences(manifest: Manifest, product: Product) -> Iterator[str]:
    """What a product was made from then and would be made from now."""
    if manifest.code_version != product.code_version:
        yield f"code version {manifest.code_version} then, {product.code_version} now"
    yield from _input_changes(manifest.inputs, product.inputs)
    then, now = _flat(manifest.recipe), _flat(product.recipe)
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            yield f"{name} {then.get(name, 'not set')} then, {now.get(name, 'not set')} now"


def _input_changes(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    changes = {
        "changed": [name for name in now if name in then and now[name] != then[name]],
        "new": [name for name in now if name not in then],
        "gone": [name for name in then if name not in now],
    }
    for what, names in changes.items():
        if names:
            yield f"input {_shortened(names)} {what}"


def _damage(product: Product, manifest: Manifest) -> str:
    return f"{_shortened(product.lost(manifest)) or 'a file'} lost or not as its checksum says"


def _judge_by_inputs(study: Study, name: str, chrom: str) -> tuple[State, str]:
    """Compare what a manifest names with the versions that are there now; what a registry says is not asked."""
    folder = graph.folder_of(study, name, chrom)
    manifest = study.recorded(folder)
    if manifest is None:
        return _without_manifest(study.product(name, folder, {}, {}))
    now = {key: version for key in manifest.inputs if (version := _version_now(study, key)) is not None}
    then = {key: manifest.inputs[key] for key in now}
    product = study.product(name, folder, then, {})
    reasons = [f"code version {manifest.code_version} then, {product.code_version} now"]
    reasons = reasons if manifest.code_version != product.code_version else []
    reasons += list(_input_changes(then, now))
    if reasons:
        return "stale", "; ".join(reasons)
    whole = product.remote.whole() if product.remote else read_whole(folder)
    return ("current", "") if whole else ("damaged", _damage(product, manifest))


def _version_now(study: Study, key: str) -> str | None:
    """Data version of what an input's name means; None for what is not this study's. `absent` where it is not there."""
    # What follows an unpartitioned asset's name is a registered version, such as `head_v3/4`.
    part = graph.part_of(study, key)
    if part is None:
        return None
    name, chrom = part
    asset = graph.ASSETS[name]
    if name == "glm_checkpoint":
        return study.checkpoint().data_version
    if name == "reference_genome":
        return study.reference().data_version
    if asset.product is None:
        manifest = study.recorded(graph.folder_of(study, name, chrom))
    elif name in HEADS:
        manifest = study.head(name, allow_partial=True).current()
    else:
        manifest = asset.product(study, chrom).current()
    return manifest.data_version if manifest else "absent"


def _judge_source(study: Study, name: str, offer: Offer) -> tuple[State, str]:
    if name == "clinvar_release":
        return _judge_release(study, offer)
    folder = study.reference_folder if name == "reference_genome" else study.checkpoint_folder
    manifest = study.recorded(folder)
    if manifest is None:
        return _without_manifest(study.product(name, folder, {}, {}))
    if name == "reference_genome":
        return judge(study.reference_genome(manifest.inputs["md5"]))
    state, reason = judge(study.glm_checkpoint(manifest.inputs["sha256"]))
    if state == "current":
        try:
            study.checkpoint()
        except GlmError as error:
            return "damaged", error.problem
    return state, reason


def _judge_release(study: Study, offer: Offer) -> tuple[State, str]:
    try:
        here = study.release()
    except GlmError as error:
        return "absent", error.problem
    if offer.release:
        release, md5 = offer.release
        is_newer = here.inputs["date"] > release.folder_name
        if md5 != here.inputs["md5"] and not is_newer:
            return "stale", f"the source offers {release.date:%Y%m%d}, {here.inputs['date']} is here"
    return "current", ""


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Nested values by dotted names."""
    if isinstance(value, Mapping):
        inner = [_flat(item, f"{name}.{key}" if name else str(key)) for key, item in value.items()]
        return {key: item for part in inner for key, item in part.items()}
    return {name: list(value) if isinstance(value, tuple) else value}


def _listed(study: Study, keys: list[Key]) -> str:
    """Names of assets, with the partitions where these are some of several only."""
    shown = []
    for name in dict.fromkeys(name for name, _ in keys):
        chroms = [chrom for other, chrom in keys if other == name and chrom]
        whole = len(chroms) in (0, 1, len(graph.partitions(study, name)))
        shown.append(name if whole else f"{name} ({_shortened(chroms)})")
    return _shortened(shown)


def _shortened(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
