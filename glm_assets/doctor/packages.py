"""Python and the packages: which are there, of which version, and which the settings need."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from glm_assets.doctor.findings import Check, Finding, Status
from glm_assets.encoders.device import CPU, resolve_device
from glm_assets.encoders.evo2.config import EVO2_MODELS
from glm_assets.encoders.registry import is_transformers
from glm_assets.lineage.study import Study

_OURS: Final = "glm_assets"
_CUDA = re.compile(r"^cuda\b.*=\s*(?:'([^']*)'|\"([^\"]*)\"|None)", re.MULTILINE)


@dataclass(frozen=True)
class Need:
    """A package beyond the core.

    Attributes:
        package: Its name on the package index.
        extra: The extra of ours that brings it.
        needed: Whether a study needs it.
        purpose: What it is for.
    """

    package: str
    extra: str
    needed: Callable[[Study], bool]
    purpose: str


def _uses_evo2(study: Study) -> bool:
    return study.profile.encoder.name in EVO2_MODELS


def _uses_transformers(study: Study) -> bool:
    return is_transformers(study.profile.encoder.name)


def _needs_fp8(study: Study) -> bool:
    encoder, model = study.profile.encoder, EVO2_MODELS.get(study.profile.encoder.name)
    on_gpu = resolve_device(study.settings.device) != CPU
    return model is not None and (model.needs_fp8 or (encoder.fp8 and on_gpu))


def _uses_s3(study: Study) -> bool:
    places = (study.settings.data_root, study.settings.embeddings_url or "")
    return any(place.startswith("s3://") for place in places)


NEEDS: Final = (
    Need("evo2", "evo2", _uses_evo2, "the Evo2 models"),
    Need("vtx", "evo2", _uses_evo2, "the Evo2 models' layers"),
    Need("flash-attn", "gpu", lambda _: False, "faster attention on a GPU"),
    Need("transformer-engine", "gpu", _needs_fp8, "FP8 projections, which evo2_1b_base, 20b and 40b need"),
    Need("transformers", "hf", _uses_transformers, "encoders hf: and METAGENE-1"),
    Need("dnaio", "studies", lambda _: False, "FASTA and FASTQ in the studies"),
    Need("peft", "studies", lambda _: False, "adapters of metagenome/classifier"),
    Need("bitsandbytes", "studies", lambda _: False, "4-bit weights (qlora)"),
    Need("mlflow", "tracking", lambda _: True, "recording trainings"),
    Need("optuna", "search", lambda _: False, "head_search"),
    Need("ray", "ray", lambda study: "ray" in (study.settings.engine, study.settings.executor), "GLM_ENGINE=ray"),
    Need("dagster-k8s", "k8s", lambda study: study.settings.executor == "k8s", "GLM_EXECUTOR=k8s"),
    Need("s3fs", "s3", _uses_s3, "addresses s3://"),
)


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Whether this Python is one that the package is made for."""
    from packaging.specifiers import SpecifierSet

    shown = ".".join(map(str, version))
    wanted = metadata.metadata(_OURS)["Requires-Python"]
    if SpecifierSet(wanted).contains(shown):
        return Finding("Python", "ok", f"{shown}, {sys.executable}")
    fix = "make the environment with such a Python: python3.11 -m venv .venv"
    return Finding("Python", "missing", f"{shown}; needed: {wanted}", fix)


def check_torch(study: Study, version: str | None = None, cuda: str | None = None) -> Finding:
    """Whether torch is there, of the pinned version, and built for the device; it is not imported.

    Args:
        study: Says the device.
        version: Its version; looked up by default.
        cuda: The CUDA version that it is built for; looked up by default.
    """
    version = version or _version("torch")
    pip = "pip install -c constraints.txt -e '.[evo2]'"
    if version is None:
        return Finding("torch", "missing", "not installed", pip)
    cuda = cuda or _cuda_of_torch()
    build = f"CUDA {cuda}" if cuda else "CPU"
    shown = f"{version}, a {build} build"
    if resolve_device(study.settings.device) != CPU and not cuda:
        return Finding(
            "torch", "missing", f"{shown}, but the device is a GPU", f"{pip}, from an index with CUDA builds"
        )
    return _judged_version("torch", "torch", version, shown, pip)


def package_checks(study: Study) -> dict[str, Check]:
    """A check for each package beyond the core."""
    return {need.package: lambda need=need: check_package(study, need) for need in NEEDS}


def check_package(study: Study, need: Need) -> Finding:
    """Whether a package is there in a fitting version, and needed."""
    version, pip = _version(need.package), f"pip install -c constraints.txt -e '.[{need.extra}]'"
    if version:
        return _judged_version(need.package, need.package, version, version, pip)
    if need.needed(study):
        return Finding(need.package, "missing", f"not installed; needed for {need.purpose}", pip)
    return Finding(need.package, "ok", f"not installed, and not needed ({need.purpose})")


def _judged_version(name: str, package: str, version: str, shown: str, fix: str) -> Finding:
    status: Status = "ok"
    if (wanted := pinned(package)) and not Requirement(f"{package}{wanted}").specifier.contains(
        version, prereleases=True
    ):
        status, shown = "warning", f"{shown}; tested with {package}{wanted}"
    return Finding(name, status, shown, fix if status != "ok" else "")


def pinned(package: str) -> str:
    """The versions of a package that ours asks for, such as `==2.13.0`; empty where it asks for none."""
    for text in metadata.requires(_OURS) or ():
        requirement = Requirement(text)
        if requirement.name == package and requirement.specifier:
            return str(requirement.specifier)
    return ""


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cuda_of_torch() -> str | None:
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).with_name("version.py")
    match = _CUDA.search(file.read_text(encoding="utf-8")) if file.is_file() else None
    return (match[1] or match[2]) if match else None
