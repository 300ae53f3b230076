"""All checks of the domain; Dagster's own are in `defs.instance_health`."""

from __future__ import annotations

from functools import partial

from glm_assets.doctor import gpu, packages, places
from glm_assets.doctor.findings import Check, Finding
from glm_assets.errors import GlmError
from glm_assets.lineage.study import Study
from glm_assets.settings import Settings


def domain_checks() -> dict[str, Check]:
    """Name to check. Settings that cannot be used leave only what needs none of them."""
    try:
        settings = Settings.from_environment()
        study = Study(settings)
        profile = study.profile
    except GlmError as error:
        wrong = Finding("settings", "missing", error.problem, error.fix or error.expected or "")
        return {"settings": lambda: wrong, "Python": packages.check_python}
    found = Finding("settings", "ok", f"profile {profile.name}, encoder {profile.encoder.name}")
    return {
        "settings": lambda: found,
        "Python": packages.check_python,
        "torch": partial(packages.check_torch, study),
        "CUDA": partial(gpu.check_cuda, study),
        "GPU": partial(gpu.check_gpu, study),
        **packages.package_checks(study),
        "data root": partial(places.check_data_root, study),
        "disk": partial(places.check_disk, study),
        "source": partial(places.check_source, study),
        "DuckDB": partial(places.check_duckdb, study),
        "MLflow": partial(places.check_mlflow, study),
    }
