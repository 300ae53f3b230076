"""The sensors of a weekly refresh, off by default: a new release, its chromosomes, then heads and submission.

What each waits for is decided in `glm_assets.lineage.refresh`, from manifests and never from Dagster's event log.
"""

import dagster as dg

from glm_assets.defs import jobs
from glm_assets.errors import GlmError, ImplausibleReleaseError
from glm_assets.lineage.refresh import EMBED, SUBMIT, TRAIN, Stage, offer_key, wish_key
from glm_assets.lineage.study import Study

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
        seen, md5 = offer_key(study)
    except (GlmError, OSError) as error:  # of a folder that may not be read, too
        return dg.SkipReason(f"The release listing cannot be used now. {error}")
    if seen == context.cursor:
        return dg.SkipReason(f"Release {seen.partition(':')[0]} was already requested.")
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
    return _follow(context, study, EMBED)


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
    return _follow(context, study, TRAIN)


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
    return _follow(context, study, SUBMIT)


def _follow(context: dg.SensorEvaluationContext, study: Study, stage: Stage) -> dg.SensorResult | dg.SkipReason:
    """Request a job once per release and set of chromosomes, when what it needs is ready.

    As a whole, or a run a chromosome.
    """
    try:
        if reason := stage.left_to_you(study):
            return dg.SkipReason(reason)
        wish = wish_key(study)
        if wish is None:
            return dg.SkipReason("There is no release yet.")
        if wish == context.cursor:
            return dg.SkipReason("This release was already requested.")
        stage.require_ready(study)
    except ImplausibleReleaseError as error:
        return dg.SkipReason(str(error))
    except GlmError as error:
        return dg.SkipReason(error.problem)
    keys = study.profile.chromosomes if stage.partitioned else ()
    md5 = wish.partition(":")[0]
    requests = [dg.RunRequest(run_key=f"{md5}:{key}", partition_key=key) for key in keys]
    return dg.SensorResult(run_requests=requests or [dg.RunRequest(run_key=wish)], cursor=wish)
