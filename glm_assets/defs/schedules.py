"""The schedule: for installations that would rather look once a week than run the release sensor."""

import dagster as dg

from glm_assets.defs.jobs import sources

# NCBI publishes the weekly release on Mondays, American time.
weekly_sources = dg.ScheduleDefinition(
    name="weekly_sources",
    job=sources,
    cron_schedule="0 6 * * 2",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every Tuesday at 06:00 UTC, look for a new ClinVar release.",
)
