"""The sensors of a weekly refresh, off by default: a new release, its chromosomes, then heads and submission.

Each step follows from the manifests of the one before, never from Dagster's event log.
"""

from collections.abc import Callable, Sequence

import dagster as dg

from glm_assets.defs import jobs
from glm_assets.errors import GlmError, MissingUpstreamError
from glm_assets.lineage.sources import offered_release
from glm_assets.lineage.study import SUBMITTED_HEAD, Study

_HOUR = 3600
_FIVE_MINUTES = 300


@dg.sensor(
    job=jobs.sources,
    minimum_interval_seconds=_HOUR,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Requests `sources` when the source lists a release that was not seen before.",
)
def clinvar_release_sensor(
    context: dg.SensorEvaluationContext, study: dg.ResourceParam[Study]
) -> dg.SensorResult | dg.SkipReason:
    """See a new weekly release; a source that is down or odd is a skip with its reason."""
    try:
        release, md5 = offered_release(study)
    except GlmError as error:
        return dg.SkipReason(f"The release listing cannot be used now. {error}")
    seen = f"{release.date}:{md5}"
    if seen == context.cursor:
        return dg.SkipReason(f"Release {release.date} was already requested.")
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=md5)], cursor=seen)


@dg.sensor(
    job=jobs.embed,
    minimum_interval_seconds=_FIVE_MINUTES,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Requests `embed` for every expected chromosome of a release that is new here.",
)
def embed_sensor(
    context: dg.SensorEvaluationContext, study: dg.ResourceParam[Study]
) -> dg.SensorResult | dg.SkipReason:
    """See a release that was fetched, and ask for a run a chromosome once the other sources are there too."""
    return _follow(
        context,
        study,
        wanted=True,
        ready=lambda: (study.reference(), study.checkpoint()),
        partitions=study.profile.chromosomes,
    )


@dg.sensor(
    job=jobs.train,
    minimum_interval_seconds=_FIVE_MINUTES,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Requests `train` when every expected chromosome has the release's embeddings, if the profile does.",
)
def train_sensor(
    context: dg.SensorEvaluationContext, study: dg.ResourceParam[Study]
) -> dg.SensorResult | dg.SkipReason:
    """See that all chromosomes are embedded."""
    return _follow(
        context,
        study,
        wanted=study.profile.refresh.train,
        ready=lambda: study.every_chromosome(study.variant_embeddings),
    )


@dg.sensor(
    job=jobs.submit,
    minimum_interval_seconds=_FIVE_MINUTES,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Requests `submit` when the last head is trained on the release, if the profile does.",
)
def submit_sensor(
    context: dg.SensorEvaluationContext, study: dg.ResourceParam[Study]
) -> dg.SensorResult | dg.SkipReason:
    """See that the last head is trained."""
    return _follow(
        context,
        study,
        wanted=study.profile.refresh.submit,
        ready=lambda: study.require(study.head(SUBMITTED_HEAD)),
    )


def _follow(
    context: dg.SensorEvaluationContext,
    study: Study,
    *,
    wanted: bool,
    ready: Callable[[], object],
    partitions: Sequence[str] = (),
) -> dg.SensorResult | dg.SkipReason:
    """Request a job once per release and set of chromosomes, when what it needs is ready.

    As a whole, or a run a partition.
    """
    if not wanted:
        return dg.SkipReason(f"Profile {study.profile.name} leaves this to you.")
    md5 = _release_md5(study)
    if md5 is None:
        return dg.SkipReason("There is no release yet.")
    wish = ":".join([md5, *study.profile.chromosomes])
    if wish == context.cursor:
        return dg.SkipReason("This release was already requested.")
    try:
        ready()
    except GlmError as error:
        return dg.SkipReason(error.problem)
    requests = [dg.RunRequest(run_key=f"{md5}:{key}", partition_key=key) for key in partitions]
    return dg.SensorResult(run_requests=requests or [dg.RunRequest(run_key=wish)], cursor=wish)


def _release_md5(study: Study) -> str | None:
    try:
        return study.release().data_version
    except MissingUpstreamError:
        return None
