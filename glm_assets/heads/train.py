"""Training one head from its recipe to its souped checkpoint. torch is imported when a training starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from glm_assets.errors import CheckpointError, MissingUpstreamError, TrainingError
from glm_assets.heads.data import HeadData
from glm_assets.heads.files import MODEL_FILE, weights_file
from glm_assets.heads.recipes import HeadRecipe
from glm_assets.heads.result import HeadResult, dead_shares, report
from glm_assets.storage.atomic import digest_of, file_digest
from glm_assets.tracking import TrackedRun
from glm_assets.tracking.parameters import flat

if TYPE_CHECKING:
    import torch

    from glm_assets.heads.networks import Head
    from glm_assets.heads.soup import Soup
    from glm_assets.heads.task import HeadTask
    from glm_assets.training.checkpoints import CheckpointFolder, EpochRecord


def train_head(
    recipe: HeadRecipe,
    data: HeadData,
    teacher: Path | None,
    work: Path,
    out: Path,
    *,
    device: str,
    run: TrackedRun,
    progress: Callable[[str], None],
) -> HeadResult:
    """Train a head, soup its checkpoints and write the result.

    A killed training goes on from its last finished epoch when called again with the same arguments, and ends with
    the same weights. `out` receives `model.safetensors` (the soup), `history.json` and the folder `summaries`.

    Args:
        recipe: What to train and how.
        data: Training and validation pairs, and mutation ladders where the recipe takes them.
        teacher: Folder or file of the head it is distilled from; None only if the recipe has no teacher.
        work: Folder for the epochs' checkpoints, kept between attempts.
        out: Folder for the result.
        device: `cpu` or `cuda:N`.
        run: Receives parameters, the epochs' figures, the soup and the JSON files.
        progress: Told the newest figures every few seconds.

    Raises:
        MissingUpstreamError: The recipe's teacher is absent.
        CheckpointError: Teacher or embeddings do not fit the recipe, or `work` belongs to another training.
        TrainingError: The loss is no longer finite, or the recipe wants pairs of their own for soups or mutation
            ladders and the data has none.
    """
    import torch

    from glm_assets.heads.dormant import find_dormant
    from glm_assets.heads.networks import parameter_count
    from glm_assets.heads.weights import write_state
    from glm_assets.training.seeding import seeded

    _require_what_the_recipe_takes(recipe, data)
    teacher_file = _teacher_file(recipe, teacher)
    teacher_sha256 = file_digest(teacher_file) if teacher_file else None
    rows = {f"rows.{name}": len(pairs) for name, pairs in data.sets().items()}
    run.log_params(flat(recipe.as_dict()) | {"device": device} | rows)
    with seeded(recipe.seed), _tf32(device):
        task, copied = _prepare(recipe, data, teacher_file, torch.device(device))
        where = task.train_pairs.place
        progress(f"training on {len(data.train):,} pairs, taken from the {where}, {task.steps:,} steps an epoch")
        key = digest_of([recipe.as_dict(), data.digest(), teacher_sha256])
        checkpoints, history = _fit(task, work, key, run, progress)
        best = _evaluate_best(task, checkpoints, history)
        soup = _make_soup(task, checkpoints, history)
        progress(f"soup of {len(soup.ingredients)} checkpoints: score {soup.score:.4f}")
        judged = task.soup_val.judge(task.model)
    write_state(task.model, out / MODEL_FILE)
    kept = {record.epoch for record in checkpoints.kept(history)}
    result = HeadResult(
        recipe=recipe,
        metrics=judged.figures,
        history=[asdict(record) | {"kept": record.epoch in kept} for record in history],
        soup=judged.figures.as_dict() | soup.as_dict(),
        parameters=parameter_count(task.model),
        dead={"start": dead_shares(task.dormant), "end": dead_shares(find_dormant(task.model))},
        warm_started=copied,
        teacher_sha256=teacher_sha256,
        val_distance=judged.distance,
    )
    report(result, best, out, run)
    return result


def _require_what_the_recipe_takes(recipe: HeadRecipe, data: HeadData) -> None:
    if recipe.separate_soup_val and data.soup_val is data.val:
        raise TrainingError(
            f"recipe {recipe.name} chooses soups on pairs of their own, and there are none",
            fix="embed more chromosomes (GLM_CHROMOSOMES), or train with recipe faithful",
        )
    if recipe.ladders and data.ladders is None:
        raise TrainingError(
            f"recipe {recipe.name} trains on mutation ladders, and there are none in the train split",
            fix="raise ladders.windows in the profile and materialise mutation_ladders, or train with recipe faithful",
        )


def _teacher_file(recipe: HeadRecipe, teacher: Path | None) -> Path | None:
    if recipe.teacher is None:
        return None
    fix = f"train head {recipe.teacher} first"
    if teacher is None:
        raise MissingUpstreamError(f"head {recipe.version} was given no teacher {recipe.teacher}", fix=fix)
    try:
        return weights_file(teacher)
    except MissingUpstreamError as error:
        raise MissingUpstreamError(f"teacher {recipe.teacher}: {error.problem}", fix=fix) from error


def _prepare(
    recipe: HeadRecipe, data: HeadData, teacher_file: Path | None, device: torch.device
) -> tuple[HeadTask, int]:
    """Build student and teacher; returns the task and the number of tensors copied."""
    from glm_assets.heads.networks import Head
    from glm_assets.heads.task import HeadTask
    from glm_assets.heads.warm_start import warm_start
    from glm_assets.heads.weights import read_head

    if data.train.dim != recipe.shape.in_dim:
        raise CheckpointError(
            f"the embeddings have {data.train.dim} dimensions", expected=f"{recipe.shape.in_dim}, as in the recipe"
        )
    student = Head(recipe.shape, recipe.dropout, gate=recipe.gate)
    teacher = read_head(teacher_file) if teacher_file else None
    if teacher:
        _require_fitting_teacher(recipe, teacher)
    copied = warm_start(student, teacher.state_dict()) if teacher and recipe.warm_start else []
    return HeadTask(student.to(device), teacher.to(device) if teacher else None, recipe, data, device), len(copied)


def _require_fitting_teacher(recipe: HeadRecipe, teacher: Head) -> None:
    found = (teacher.shape.version, teacher.shape.in_dim, teacher.shape.out_dim)
    expected = (recipe.teacher, recipe.shape.in_dim, recipe.shape.out_dim)
    if found != expected:
        raise CheckpointError(
            f"teacher is a {found[0]} from {found[1]} to {found[2]} dimensions",
            expected=f"{expected[0]} from {expected[1]} to {expected[2]}",
            fix="give both heads the same input and output width and train the teacher again",
        )


def _fit(
    task: HeadTask, work: Path, key: str, run: TrackedRun, progress: Callable[[str], None]
) -> tuple[CheckpointFolder, list[EpochRecord]]:
    from glm_assets.training.checkpoints import CheckpointFolder
    from glm_assets.training.loop import LoopSettings, fit

    recipe = task.recipe
    checkpoints = CheckpointFolder(work, key=key, keep=recipe.keep)
    settings = LoopSettings(
        recipe.epochs,
        recipe.learning_rate,
        recipe.min_learning_rate,
        recipe.weight_decay,
        recipe.clip_norm,
        mixed_precision=recipe.mixed_precision and task.on_gpu,
    )

    def track(record: EpochRecord) -> None:
        train = {f"train/{name}": value for name, value in record.train.items()}
        val = {f"val/{name}": value for name, value in record.validation.items()}
        run.log_epoch(record.epoch, {"learning_rate": record.learning_rate, **train, **val})

    return checkpoints, fit(task, settings, checkpoints, on_epoch=track, progress=progress)


def _evaluate_best(task: HeadTask, checkpoints: CheckpointFolder, history: list[EpochRecord]) -> dict[str, float]:
    """Figures of the best single epoch, read back from its checkpoint."""
    from glm_assets.heads.weights import read_state

    best = checkpoints.kept(history)[0]
    task.model.load_state_dict(read_state(checkpoints.weights(best.epoch)))
    return task.validate(best.epoch) | {"epoch": best.epoch}


def _make_soup(task: HeadTask, checkpoints: CheckpointFolder, history: list[EpochRecord]) -> Soup:
    """Soup the kept checkpoints and leave the soup in the model."""
    from functools import partial

    from glm_assets.heads.soup import Candidate, State, greedy_soup
    from glm_assets.heads.weights import read_state

    def score(state: State) -> float:
        task.model.load_state_dict(state)
        return task.soup_val.judge(task.model).figures.score

    candidates = [
        Candidate(record.epoch, record.score, partial(read_state, checkpoints.weights(record.epoch)))
        for record in checkpoints.kept(history)
    ]
    soup = greedy_soup(candidates, task.recipe.soup, score, trust_recorded=task.soup_val is task.val)
    task.model.load_state_dict(soup.state)
    return soup


@contextmanager
def _tf32(device: str) -> Iterator[None]:
    """Let a GPU multiply float32 matrices in TF32 for the block, as the original does; a CPU is left alone."""
    import torch

    before = torch.get_float32_matmul_precision()
    if device.startswith("cuda"):
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
