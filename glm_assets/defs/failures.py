"""How a run says what stopped it: what is wrong, what was expected and what to do, before any traceback."""

import dagster as dg
from dagster._core.execution.plan.objects import StepFailureData

from glm_assets.errors import GlmError

_KIND = "kind"


def failure_of(error: GlmError) -> dg.Failure:
    """The failure that Dagster shows for an error, which trying again would not mend."""
    parts = {"problem": error.problem, "expected": error.expected, "fix": error.fix, _KIND: type(error).__name__}
    metadata = {name: dg.MetadataValue.text(text) for name, text in parts.items() if text}
    return dg.Failure(str(error), metadata=metadata, allow_retries=False)


def in_brief(event: dg.DagsterEvent) -> dg.DagsterEvent:
    """The event as the run's last message quotes it: of an error that explains itself no traceback.

    The step's own event, which is stored already, keeps it.
    """
    found = event.event_specific_data
    if not isinstance(found, StepFailureData) or not found.error or not found.user_failure_data:
        return event
    explanation = found.user_failure_data
    if _KIND not in explanation.metadata:
        return event
    message = f"{explanation.metadata[_KIND].value}: {explanation.description}\n"
    error = found.error._replace(message=message, stack=[], cause=None, context=None)
    return event._replace(event_specific_data=found._replace(error=error))
