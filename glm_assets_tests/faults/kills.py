"""Every stage of the lineage, and processes that are killed in the middle of one."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from glm_assets.lineage import comparison, embeddings, ladders, likelihoods, probes, search
from glm_assets.lineage import layer_comparison as layers
from glm_assets.lineage import scored_variants as scoring
from glm_assets.lineage import submission as submitting
from glm_assets.lineage import submission_score as judging
from glm_assets.lineage.heads import make_head
from glm_assets.lineage.scoring_plan import Choices
from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
from glm_assets.lineage.study import Study
from glm_assets.lineage.variants import make_clinvar_variants, make_split_audit, make_variant_windows
from glm_assets.settings import Settings
from glm_assets.storage.products import Manifest
from glm_assets.tracking import NullTracker

TRACKER, REGISTRY, RUN = NullTracker(), NullTracker.registry, {"dagster_run_id": "test"}
CHOICES = Choices("head_v3", "linear_probe", False)
TEMPORARY = re.compile(r"\.partial$|\.part$|\.part\.json$|\.new$|^\.[0-9a-f]{12}\.|^\.building")


def silent(line: str) -> None:
    """Progress that nobody reads."""


@dataclass(frozen=True)
class Stage:
    """A stage: how it is made and where it lies."""

    make: Callable[[Study], Manifest]
    folder: Callable[[Study], Path]


def of_table(make: Callable[[Study], Manifest], name: str, chrom: str | None = None) -> Stage:
    part = f"{name}/chrom={chrom}" if chrom else name
    return Stage(make, lambda study: study.tables / part)


def of_head(name: str) -> Stage:
    return Stage(
        lambda study: make_head(study, name, TRACKER, silent, **RUN), lambda study: study.head_folder(name)
    )


def of_probe(name: str) -> Stage:
    return Stage(
        lambda study: probes.make_probe(study, name, TRACKER, silent, **RUN), lambda study: study.head_folder(name)
    )


def of_chromosome(chrom: str) -> dict[str, Stage]:
    return {
        f"clinvar_variants/{chrom}": of_table(
            lambda study: make_clinvar_variants(study, chrom), "clinvar_variants", chrom
        ),
        f"variant_windows/{chrom}": of_table(
            lambda study: make_variant_windows(study, chrom), "variant_windows", chrom
        ),
        f"variant_embeddings/{chrom}": of_table(
            lambda study: embeddings.make_variant_embeddings(study, chrom, silent), "variant_embeddings", chrom
        ),
        f"variant_likelihoods/{chrom}": of_table(
            lambda study: likelihoods.make_variant_likelihoods(study, chrom, silent), "variant_likelihoods", chrom
        ),
        f"covariance_embeddings/{chrom}": of_table(
            lambda study: embeddings.make_covariance_embeddings(study, chrom, silent),
            "covariance_embeddings",
            chrom,
        ),
    }


# In the order in which they can be made.
STAGES: dict[str, Stage] = {
    "clinvar_release": Stage(
        lambda study: make_clinvar_release(study, silent), lambda study: study.release_folder
    ),
    "reference_genome": Stage(
        lambda study: make_reference_genome(study, silent), lambda study: study.reference_folder
    ),
    "glm_checkpoint": Stage(
        lambda study: make_glm_checkpoint(study, silent), lambda study: study.checkpoint_folder
    ),
    **of_chromosome("21"),
    **of_chromosome("22"),
    "split_audit": of_table(make_split_audit, "split_audit"),
    "layer_comparison": of_table(lambda study: layers.make_layer_comparison(study, silent), "layer_comparison"),
    "mutation_ladders": of_table(lambda study: ladders.make_mutation_ladders(study, silent), "mutation_ladders"),
    "head_v0": of_head("head_v0"),
    "head_v1": of_head("head_v1"),
    "head_v2": of_head("head_v2"),
    "head_v3": of_head("head_v3"),
    "linear_probe": of_probe("linear_probe"),
    "covariance_probe": of_probe("covariance_probe"),
    "head_search": of_table(lambda study: search.make_head_search(study, TRACKER, silent, **RUN), "head_search"),
    "test_sequences": of_table(submitting.make_test_sequences, "test_sequences"),
    "test_embeddings": of_table(lambda study: embeddings.make_test_embeddings(study, silent), "test_embeddings"),
    "submission": Stage(
        lambda study: submitting.make_submission(study, REGISTRY), lambda study: study.submission_csv.parent
    ),
    "submission_score": of_table(lambda study: judging.make_submission_score(study, silent), "submission_score"),
    "head_comparison": of_table(
        lambda study: comparison.make_head_comparison(study, REGISTRY, silent)[0], "head_comparison"
    ),
    "scored_variants": of_table(
        lambda study: scoring.make_scored_variants(study, CHOICES, REGISTRY, silent), "scored_variants"
    ),
}


def die_in(stage: str, settings: Settings, moment: str, count: int) -> None:
    """Make a stage, but kill this process by SIGKILL when something is called for the `count`th time.

    Args:
        stage: One of `STAGES`.
        settings: Of the study.
        moment: `module:name` or `module:Class.name` of what is called.
        count: From 1 on.
    """
    module, _, path = moment.partition(":")
    *owners, name = path.split(".")
    owner = importlib.import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    original, calls = getattr(owner, name), []

    def deadly(*arguments, **options):
        calls.append(1)
        if len(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)

    setattr(owner, name, deadly)
    STAGES[stage].make(Study(settings))


def leftovers(study: Study) -> list[Path]:
    """What writers that were killed have left in a data root."""
    return [path for path in study.root.rglob("*") if TEMPORARY.search(path.name)]


def begin(stage: str, settings: Settings) -> multiprocessing.process.BaseProcess:
    """A process of its own that makes a stage."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([__name__, "torch", "glm_assets.heads.networks"])
    process = server.Process(target=make, args=(stage, settings), daemon=True)
    process.start()
    return process


def make(stage: str, settings: Settings) -> None:
    """Make a stage of the study that the settings describe."""
    STAGES[stage].make(Study(settings))


def kill_in(stage: str, study: Study, moment: str, count: int) -> int | None:
    """Let a process die in a stage; gives its exit status. Forked from a server that has the imports done."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([__name__, "torch", "glm_assets.heads.networks"])
    process = server.Process(target=die_in, args=(stage, study.settings, moment, count))
    process.start()
    process.join(120)
    return process.exitcode
