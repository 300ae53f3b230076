"""Places: the data root, its disk, the source, the warehouse, MLflow."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from glm_assets.doctor.findings import Finding
from glm_assets.errors import GlmError
from glm_assets.lineage.study import Study
from glm_assets.planning.plan import make_plan
from glm_assets.sources.clinvar import latest_release
from glm_assets.sources.location import is_remote, public_url
from glm_assets.sources.web import RetryPolicy
from glm_assets.storage.data_root import IDENTITY
from glm_assets.tracking.connection import Connection

_GLANCE = RetryPolicy(attempts=1, timeout_s=6)
_SPARE = 1.1  # of what is needed


def check_data_root(study: Study) -> Finding:
    """Whether the data root is this profile's, or can be made; nothing is written."""
    if study.remote:
        place, mark = study.remote.url, study.remote.read(IDENTITY)
    else:
        nearest = _existing(study.root)
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            fix = "correct the permissions, or set GLM_DATA_ROOT to another folder"
            return Finding("data root", "missing", f"{nearest} is no folder that may be written to", fix)
        file = study.root / IDENTITY
        place, mark = str(study.root), file.read_bytes() if file.exists() else None
    if mark is None:
        return Finding("data root", "ok", f"{place} is new; the first materialisation makes it")
    return _judged_root(study, place, json.loads(mark))


def _judged_root(study: Study, place: str, identity: dict[str, Any]) -> Finding:
    own = {"profile": study.profile.name, "windows": study.profile.windows.as_dict()}
    own["source"] = public_url(study.profile.ncbi_url)
    if odd := [name for name, value in own.items() if identity.get(name) != value]:
        text = f"{place} was made with {odd[0]} {identity.get(odd[0])!r}, the settings say {own[odd[0]]!r}"
        fix = "set GLM_DATA_ROOT to another folder, or GLM_PROFILE to its profile"
        return Finding("data root", "missing", text, fix)
    return Finding("data root", "ok", f"{place}, profile {study.profile.name}")


def check_disk(study: Study) -> Finding:
    """Whether the disks hold what is still to be made."""
    plan = make_plan(study)
    needed, free = plan.cost.disk_bytes, {name: size for name, size in plan.free.items() if size is not None}
    shown = f"{_gb(needed)} to be used; free: " + ", ".join(
        f"{_gb(size)} for {name.replace('_', ' ')}" for name, size in free.items()
    )
    if any(size < needed * _SPARE for size in free.values()):
        fix = "free space (glm-assets prune), or set GLM_DATA_ROOT or GLM_EMBEDDINGS_URL to a larger disk"
        return Finding("disk", "missing", shown, fix)
    return Finding("disk", "ok", shown)


def check_source(study: Study) -> Finding:
    """Whether the source can be reached: one look at its listing."""
    source, settings = study.settings.source_url, study.settings
    if settings.uses_demo_tree:
        return Finding("source", "ok", "the generated tree, which needs no network")
    if settings.offline and is_remote(source):
        return Finding("source", "ok", f"{public_url(source)} is not asked: GLM_OFFLINE")
    try:
        release, _ = latest_release(source, study.profile.clinvar_cutoff, policy=_GLANCE)
    except GlmError as error:
        fix = "check the network, a proxy and GLM_NCBI_URL, or work with what is here: GLM_OFFLINE=true"
        return Finding("source", "missing", error.problem, fix)
    return Finding("source", "ok", f"{public_url(source)} offers ClinVar {release.date}")


def check_duckdb(study: Study) -> Finding:
    """Whether DuckDB works, and opens the warehouse where there is one."""
    import duckdb

    with duckdb.connect() as connection:
        ((shown,),) = connection.sql("select version()").fetchall()
    if study.remote is not None or not study.warehouse.exists():
        return Finding("DuckDB", "ok", f"{shown}; no warehouse yet")
    fix = f"remove {study.warehouse}; the next materialisation of a table makes it anew"
    try:
        with duckdb.connect(str(study.warehouse), read_only=True) as connection:
            views = connection.sql("select view_name from duckdb_views() where not internal").fetchall()
            for (view,) in views:
                connection.view(view).limit(1).fetchall()
    except duckdb.Error as error:
        return Finding("DuckDB", "missing", f"{shown}; the warehouse cannot be read: {error}", fix)
    return Finding("DuckDB", "ok", f"{shown}; {len(views)} views in {study.warehouse}")


def check_mlflow(study: Study) -> Finding:
    """Whether MLflow's server answers, or its database's folder can be written to."""
    connection = Connection(study.settings.tracking_uri)
    if connection.web:
        return _check_server(connection, required=study.settings.tracking == "require")
    if connection.database is None:
        return Finding("MLflow", "ok", f"{connection.shown}, which is not asked")
    place = connection.database if connection.database.exists() else _existing(connection.database.parent)
    if not os.access(place, os.W_OK):
        fix = "correct the permissions, or set MLFLOW_TRACKING_URI"
        return Finding("MLflow", "missing", f"{place} may not be written to", fix)
    if study.remote and not study.settings.mlflow_tracking_uri:
        text = f"{connection.shown} is this machine's alone, while the data root is on an object store"
        return Finding("MLflow", "warning", text, "set MLFLOW_TRACKING_URI to a server that all machines reach")
    return Finding(
        "MLflow", "ok", f"{connection.shown}{'' if connection.database.exists() else ', made on first use'}"
    )


def _check_server(connection: Connection, *, required: bool) -> Finding:
    import httpx

    fix = "start the server (mlflow server), or set MLFLOW_TRACKING_URI"
    try:
        answer: Any = httpx.get(f"{connection.page}/health", timeout=5)
    except httpx.HTTPError as error:
        reason = connection.masked(str(error)) or type(error).__name__
        return Finding("MLflow", "missing" if required else "warning", f"{connection.shown}: {reason}", fix)
    if answer.status_code in (200, 401, 403):
        return Finding("MLflow", "ok", f"{connection.shown} answers")
    text = f"{connection.shown} answers {answer.status_code}"
    return Finding("MLflow", "missing" if required else "warning", text, fix)


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"
