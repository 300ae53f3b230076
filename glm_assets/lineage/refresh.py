"""What a refresh wants next: decided here once, for the sensors and for `glm-assets refresh`.

Every decision follows from the manifests in the data root and a glance at the source, never from a history of runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from glm_assets.errors import MissingUpstreamError, OfflineError, RunFailedError
from glm_assets.lineage.probes import probe_product
from glm_assets.lineage.release_diff import release_diff_product
from glm_assets.lineage.release_plausibility import judge_release, require_plausible
from glm_assets.lineage.sources import offered_release
from glm_assets.lineage.study import HEADS, SUBMITTED_HEAD, TEST_VECTORS, Study
from glm_assets.lineage.submission_score import submission_score_product
from glm_assets.storage.products import Manifest, Product

SOURCES = "sources"
_DIFF = "clinvar_release_diff"
_LEFT = "profile {} leaves {} to you"


@dataclass(frozen=True)
class Stage:
    """A job of the refresh that follows from what is in the data root.

    Attributes:
        job: Its name; what it makes has no partitions unless `partitioned`.
        left_to_you: Why it is not the refresh's to request; empty where it is.
        require_ready: Raises a `GlmError` that says what is still lacking.
        stale: What of it is absent or out of date: chromosomes, or else assets. Only asked when it is ready.
        partitioned: Whether it is a run a chromosome.
    """

    job: str
    left_to_you: Callable[[Study], str]
    require_ready: Callable[[Study], object]
    stale: Callable[[Study], list[str]]
    partitioned: bool = False


def _require_sources(study: Study) -> None:
    require_plausible(study)
    study.reference()
    study.checkpoint()


def _stale_chromosomes(study: Study) -> list[str]:
    done = study.present_chromosomes(study.variant_embeddings)
    return [chrom for chrom in study.profile.chromosomes if chrom not in done]


def _stale_training(study: Study) -> list[str]:
    products: dict[str, Callable[[], Product]] = {
        "split_audit": study.split_audit,
        "mutation_ladders": study.mutation_ladders,
        **{name: lambda name=name: study.head(name) for name in HEADS},
        "linear_probe": lambda: probe_product(study, "linear_probe"),
    }
    return _stale(products)


def _train_left_to_you(study: Study) -> str:
    return "" if study.profile.refresh.train else _LEFT.format(study.profile.name, "train")


def _submit_left_to_you(study: Study) -> str:
    if not study.profile.refresh.submit:
        return _LEFT.format(study.profile.name, "submit")
    head = chosen_head(study)
    return f"the submission is of {head}, which was asked for: submit is left to you" if head else ""


def chosen_head(study: Study) -> str | None:
    """Label of the head of the submission that is there, where a person asked for another than the last one.

    The job `submit` would replace it by the last head's.
    """
    found = study.recorded(study.submission_csv.parent)
    is_chosen = found is not None and found.inputs.keys() - {TEST_VECTORS, SUBMITTED_HEAD}
    return found.facts["head"] if found and is_chosen else None


def _stale_submission(study: Study) -> list[str]:
    return _stale({"submission": study.submission, "submission_score": lambda: submission_score_product(study)})


def _stale(products: Mapping[str, Callable[[], Product]]) -> list[str]:
    return [name for name, product in products.items() if current_or_none(product) is None]


def current_or_none(product: Callable[[], Product]) -> Manifest | None:
    """The manifest of a product that is up to date, as is everything above it; else None."""
    try:
        return product().current()
    except MissingUpstreamError:
        return None


EMBED = Stage("embed", lambda _: "", _require_sources, _stale_chromosomes, partitioned=True)
TRAIN = Stage(
    "train",
    _train_left_to_you,
    lambda study: study.every_chromosome(study.variant_embeddings),
    _stale_training,
)
SUBMIT = Stage(
    "submit",
    _submit_left_to_you,
    lambda study: study.require(study.head(SUBMITTED_HEAD)),
    _stale_submission,
)
STAGES = (EMBED, TRAIN, SUBMIT)
"""After `sources`, in their order."""


def offer_key(study: Study) -> tuple[str, str]:
    """What the source offers, as a sensor remembers it: `<date>:<md5>`, and the MD5 alone.

    Raises:
        OfflineError, DownloadError, FormatError: The listing cannot be used.
    """
    release, md5 = offered_release(study)
    return f"{release.date}:{md5}", md5


def wish_key(study: Study) -> str | None:
    """The release and the expected chromosomes, which a stage is requested once for; None without a release."""
    release = release_or_none(study)
    return ":".join([release.data_version, *study.profile.chromosomes]) if release else None


def release_or_none(study: Study) -> Manifest | None:
    """The release that is there."""
    try:
        return study.release()
    except MissingUpstreamError:
        return None


def stale_sources(study: Study) -> list[str]:
    """What the job `sources` would bring or make, in words; one glance at the source.

    Raises:
        OfflineError: Downloads are off and there is no release yet.
        DownloadError, FormatError: The listing cannot be used.
    """
    stale = []
    here = release_or_none(study)
    try:
        offer, md5 = offered_release(study)
    except OfflineError:
        if here is None:
            raise
    else:
        is_newer = here is not None and here.inputs["date"] > offer.folder_name
        if not is_newer and (here is None or here.inputs["md5"] != md5):
            stale.append(f"clinvar_release of {offer.date}")
    if study.reference_or_none() is None:
        stale.append("reference_genome")
    try:
        study.checkpoint()
    except MissingUpstreamError:
        stale.append("glm_checkpoint")
    if here is None or release_diff_product(study).current() is None:
        stale.append(_DIFF)
    return stale


Run = Callable[[str, str | None, str], None]
"""Runs a job, for a chromosome or as a whole, and tells why."""


@dataclass
class RefreshReport:
    """What a refresh did, or would do.

    Attributes:
        runs: Each run in its order, such as `embed 21`.
        news: What is new now, a line each.
    """

    runs: list[str] = field(default_factory=list)
    news: list[str] = field(default_factory=list)


def refresh(
    study: Study,
    execute: Callable[[str, str | None], None],
    progress: Callable[[str], None],
    *,
    dry_run: bool = False,
) -> RefreshReport:
    """Bring everything up to date that the profile leaves to a refresh, in its order.

    Args:
        study: The main study.
        execute: Runs a job, for a chromosome or as a whole; raises when the run fails, which ends the refresh.
        progress: Told what is run and why.
        dry_run: Only say what would be run, as far as that is known before the release is here.

    Raises:
        GlmError: The source cannot be used, the release is implausible, or a run failed.
    """
    report, before = RefreshReport(), release_or_none(study)

    def run(job: str, partition: str | None, reason: str) -> None:
        name = f"{job} {partition}" if partition else job
        progress(f"{'would run' if dry_run else 'running'} {name}: {reason}")
        report.runs.append(name)
        if not dry_run:
            execute(job, partition)

    if stale := stale_sources(study):
        # All that is lacking once a release was refused; the run would fail as it did then.
        if stale == [_DIFF] and judge_release(study).drops:
            progress(f"{SOURCES} is not run again: the release that is here was refused, and there is no other")
            require_plausible(study)
        _run_sources(study, run, stale, progress)
        report.news += [] if dry_run else _release_news(study, before)
    for stage in STAGES:
        if reason := stage.left_to_you(study):
            progress(reason)
        elif dry_run and report.runs:
            parts = study.profile.chromosomes if stage.partitioned else (None,)
            for part in parts:
                run(stage.job, part, "unless it is up to date then")
        else:
            stage.require_ready(study)
            _run_stage(study, stage, run, [] if dry_run else report.news)
    return report


def _run_sources(study: Study, run: Run, stale: list[str], progress: Callable[[str], None]) -> None:
    """Run `sources`; where the check of the release's rows ended it, raise with what that found."""
    try:
        run(SOURCES, None, ", ".join(stale))
    except RunFailedError as error:
        if release_or_none(study):
            progress(error.problem)
            require_plausible(study)
        raise


def _run_stage(study: Study, stage: Stage, run: Run, news: list[str]) -> None:
    """Run what of a stage is stale, and note what is new then."""
    stale = stage.stale(study)
    if stage.partitioned:
        for chrom in stale:
            run(stage.job, chrom, "absent or out of date")
            news += _embedded(study, chrom)
    elif stale:
        run(stage.job, None, f"{', '.join(stale)} absent or out of date")
        news.append(f"made anew: {', '.join(stale)}")


def _release_news(study: Study, before: Manifest | None) -> list[str]:
    release = study.release()
    if before and before.data_version == release.data_version:
        return []
    since = f" (before: {before.facts['release']})" if before else ""
    lines = [f"ClinVar release {release.facts['release']}{since}: {release.facts['rows']:,} records"]
    diff = release_diff_product(study).current()
    if diff and "release_before" in diff.facts:
        counts = ", ".join(f"{diff.facts[name]:,} {name}" for name in ("added", "removed", "moved", "changed"))
        lines.append(f"against {diff.facts['release_before']}: {counts}, {diff.facts['label_changed']:,} labels")
    return lines


def _embedded(study: Study, chrom: str) -> list[str]:
    manifest = current_or_none(lambda: study.variant_embeddings(chrom))
    if manifest is None:  # a dry run
        return []
    facts = manifest.facts
    rows, known, computed = (facts[name] for name in ("rows", "cache_hits", "windows_computed"))
    done = f"{rows - known:,} of {rows:,} variants embedded, {known:,} were there; {computed:,} windows computed"
    return [f"chromosome {chrom}: {done}"]
