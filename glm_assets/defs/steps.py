"""What every step does before its work."""

from glm_assets.defs.ownership import end_with_parent
from glm_assets.lineage.study import Study


def begin_step(study: Study) -> None:
    """Tie this process to its run's, and check that the data root belongs to this study."""
    end_with_parent()
    study.claim()
