from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from glm_assets.errors import CheckpointError, MissingUpstreamError
from glm_assets.heads.apply import embed, load_head
from glm_assets.heads.data import HeadData
from glm_assets.heads.metrics import contrast
from glm_assets.heads.recipes import ORIGINAL_RECIPES, HeadRecipe
from glm_assets.heads.train import HeadResult, train_head
from glm_assets.heads.weights import read_state
from glm_assets.storage.atomic import file_digest
from glm_assets.tracking import NullRun, TrackedRun
from glm_assets_tests.heads.planted import DIM, planted_data

TEACHERS = {"v0": None, "v1": "v0", "v2": "v1", "v3": "v2"}


def small_recipe(version: str, epochs: int = 4) -> HeadRecipe:
    recipe = ORIGINAL_RECIPES[version].scaled(in_dim=DIM, widths=(16, 12), epochs=epochs, batch_size=64)
    return replace(recipe, learning_rate=3e-3)


class RecordingRun(NullRun):
    """Keeps what a training says."""

    def __init__(self) -> None:
        self.params: dict[str, object] = {}
        self.epochs: dict[int, dict[str, float]] = {}
        self.metrics: dict[str, float] = {}
        self.tags: dict[str, str] = {}
        self.artifacts: list[str] = []

    def log_params(self, params):
        self.params |= params

    def log_epoch(self, epoch, metrics):
        self.epochs[epoch] = dict(metrics)

    def log_metrics(self, metrics):
        self.metrics |= metrics

    def set_tags(self, tags):
        self.tags |= tags

    def log_artifact(self, path, folder=None):
        self.artifacts.append(f"{folder}/{path.name}")


def train(
    recipe: HeadRecipe, root: Path, *, data: HeadData | None = None, name: str = "", run: TrackedRun | None = None
) -> HeadResult:
    out = root / (name or recipe.version)
    return train_head(
        recipe,
        data or planted_data(),
        root / recipe.teacher if recipe.teacher else None,
        out / ".work",
        out,
        device="cpu",
        run=run or NullRun(),
        progress=lambda line: None,
    )


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> tuple[Path, dict[str, HeadResult], dict[str, RecordingRun]]:
    """All four heads, each distilled from the one before."""
    root = tmp_path_factory.mktemp("heads")
    runs = {version: RecordingRun() for version in TEACHERS}
    results = {version: train(small_recipe(version, 12), root, run=runs[version]) for version in TEACHERS}
    return root, results, runs


@pytest.mark.parametrize("version", TEACHERS)
def test_the_written_model_has_the_reported_figures(chain, version):
    root, results, _ = chain
    val = planted_data().val
    head = load_head(root / version)
    ref, var = embed(head, val.ref), embed(head, val.ref + val.delta)
    distance = 0.5 * ((ref - var) ** 2).sum(1)
    np.testing.assert_allclose(distance, results[version].val_distance, rtol=1e-4, atol=1e-6)
    expected = contrast(distance, val.label, val.var_len, val.group)
    assert results[version].metrics.score == pytest.approx(expected.score, abs=1e-4)
    assert results[version].metrics.score == pytest.approx(results[version].soup["score"], abs=1e-6)


@pytest.mark.parametrize("version", TEACHERS)
def test_the_soup_is_at_least_as_good_as_every_epoch(chain, version):
    _, results, _ = chain
    best = max(record["validation"]["score"] for record in results[version].history)
    assert results[version].metrics.score >= best - 1e-6


def test_blocks_that_cannot_move_decay_as_they_do_in_the_original(chain):
    """Their norm scales are the product of 1 - rate * decay over all steps: about 0.995 at full length."""
    root, results, _ = chain
    result = results["v3"]
    steps = -(-len(planted_data().train) // result.recipe.batch_size)
    decayed, expected = 1.0, {}
    for record in result.history:
        decayed *= (1 - record["learning_rate"] * result.recipe.weight_decay) ** steps
        expected[record["epoch"]] = decayed
    soup = sum(item["weight"] * expected[item["epoch"]] for item in result.soup["ingredients"])
    scale = read_state(root / "v3")["head.high.7.norm.scale"]
    torch.testing.assert_close(scale, torch.full_like(scale, soup), rtol=1e-6, atol=0)
    assert soup < 1 - 1e-6


def test_warm_starts_and_parameters_are_reported(chain):
    root, results, _ = chain
    assert [results[version].warm_started for version in TEACHERS] == [0, 0, 42, 30]
    for version, teacher in TEACHERS.items():
        expected = file_digest(root / teacher / "model.safetensors") if teacher else None
        assert results[version].teacher_sha256 == expected
        head = load_head(root / version)
        assert results[version].parameters == sum(p.numel() for p in head.parameters())


@pytest.mark.parametrize(("version", "kept"), [("v0", 12), ("v1", 10), ("v2", 10), ("v3", 10)])
def test_the_best_checkpoints_are_kept_and_their_digests_recorded(chain, version, kept):
    root, results, _ = chain
    history = results[version].history
    by_score = sorted(history, key=lambda record: -record["validation"]["score"])
    assert {record["epoch"] for record in history if record["kept"]} == {r["epoch"] for r in by_score[:kept]}
    work = root / version / ".work"
    on_disk = {path.name for path in work.glob("epoch_*.safetensors")}
    assert on_disk == {f"epoch_{record['epoch']:03d}.safetensors" for record in history if record["kept"]}
    for record in history:
        if record["kept"]:
            assert file_digest(work / f"epoch_{record['epoch']:03d}.safetensors") == record["sha256"]


def test_a_planted_direction_is_learned(tmp_path):
    history = train(small_recipe("v0", 30), tmp_path).history
    assert history[0]["validation"]["cdd"] < 0.1
    assert history[-1]["validation"]["cdd"] > 0.3


def test_distillation_moves_the_student_towards_its_teacher(chain, tmp_path):
    root, _, _ = chain
    (tmp_path / "v0").symlink_to(root / "v0")
    recipe = small_recipe("v1", 30)
    only_distillation = replace(recipe, phases=(replace(recipe.phases[0], until=30),))
    history = train(only_distillation, tmp_path).history
    assert history[-1]["train"]["distil"] < 0.5 * history[0]["train"]["distil"]


def test_only_the_terms_of_a_phase_are_computed_and_they_add_up(chain):
    _, results, _ = chain
    terms = [set(record["train"]) - {"loss"} for record in results["v2"].history]
    assert terms[0] == {"distil"}
    assert terms[1] == {"cdd", "pcc", "cd_floor", "distil"}
    assert terms[2:] == [{"cdd", "pcc", "cd_floor"}] * 10
    for record in results["v2"].history:
        parts = sum(value for name, value in record["train"].items() if name != "loss")
        assert record["train"]["loss"] == pytest.approx(parts, rel=1e-5)


def test_validation_loss_weighs_pcc_by_phase_only_in_v0(chain):
    """In the first phase of v0 the PCC weight is 0, so the loss is 2 - CDD of the single validation batch."""
    _, results, _ = chain
    first = results["v0"].history[0]["validation"]
    assert first["loss"] == pytest.approx(2 - first["cdd"], rel=1e-5)
    assert (
        results["v1"].history[0]["validation"]["loss"] > 2 - results["v1"].history[0]["validation"]["cdd"] + 0.01
    )


@pytest.mark.parametrize(("version", "stem", "score"), [("v0", "v0_full", "score"), ("v3", "v3", "score_lb")])
def test_side_files_have_the_original_names(chain, version, stem, score):
    root, results, _ = chain
    folder = root / version / "summaries"
    contents = {path.stem: json.loads(path.read_text()) for path in folder.iterdir()}
    assert set(contents) == {
        f"{stem}_best_single_val_summary",
        f"{stem}_epoch_val_metrics",
        f"{stem}_best_single_val_final_summary",
        f"{version}_epoch_soup_val_summary",
    }
    epochs = contents[f"{stem}_epoch_val_metrics"]
    assert [epoch[score] for epoch in epochs] == [r["validation"]["score"] for r in results[version].history]
    best = contents[f"{stem}_best_single_val_summary"]
    assert best == max(epochs, key=lambda epoch: epoch[score])
    assert contents[f"{stem}_best_single_val_final_summary"] == pytest.approx(best)
    assert contents[f"{version}_epoch_soup_val_summary"][score] == results[version].metrics.score


def test_the_tracker_hears_everything(chain):
    _, results, runs = chain
    run = runs["v2"]
    assert run.params["shape.version"] == "v2"
    assert run.params["learning_rate"] == 3e-3
    assert run.params["rows.train"] == len(planted_data().train)
    assert list(run.epochs) == list(range(1, 13))
    record = results["v2"].history[4]
    assert run.epochs[5]["val/score"] == record["validation"]["score"]
    assert run.epochs[5]["train/loss"] == record["train"]["loss"]
    assert run.epochs[5]["learning_rate"] == record["learning_rate"]
    assert run.metrics["soup/score"] == results["v2"].metrics.score
    assert set(run.tags) == {"parameters", "soup_ingredients"}
    assert "training/history.json" in run.artifacts
    assert len(run.artifacts) == 5


def test_the_result_is_json(chain):
    root, results, _ = chain
    stored = json.loads(json.dumps(results["v3"].as_dict()))
    assert stored["recipe"]["shape"]["version"] == "v3"
    assert json.loads((root / "v3" / "history.json").read_text()) == stored["history"]


@pytest.mark.parametrize("teacher", [None, "absent"])
def test_a_missing_teacher_is_an_error(tmp_path, teacher):
    with pytest.raises(MissingUpstreamError, match="v0"):
        train_head(
            small_recipe("v1"),
            planted_data(),
            tmp_path / teacher if teacher else None,
            tmp_path / "work",
            tmp_path / "out",
            device="cpu",
            run=NullRun(),
            progress=lambda line: None,
        )
    assert not (tmp_path / "out").exists()


def test_a_teacher_of_another_version_or_width_is_refused(chain, tmp_path):
    root, _, _ = chain
    (tmp_path / "v0").symlink_to(root / "v1")
    with pytest.raises(CheckpointError, match="teacher is a v1"):
        train(small_recipe("v1"), tmp_path)
    (tmp_path / "v1").symlink_to(root / "v1")
    wider = small_recipe("v2").scaled(widths=(16, 20))
    with pytest.raises(CheckpointError, match="to 12 dimensions"):
        train(wider, tmp_path)


def test_embeddings_of_another_width_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match=f"{DIM} dimensions"):
        train(small_recipe("v0").scaled(in_dim=99), tmp_path)


def test_half_precision_embeddings_train_as_their_float32_values(tmp_path):
    data = planted_data()

    def cast(kind: type) -> HeadData:
        def half(pairs):
            return replace(
                pairs, ref=pairs.ref.astype("f2").astype(kind), delta=pairs.delta.astype("f2").astype(kind)
            )

        return HeadData(half(data.train), half(data.val))

    train(small_recipe("v0"), tmp_path, data=cast(np.float16), name="half")
    train(small_recipe("v0"), tmp_path, data=cast(np.float32), name="full")
    assert (tmp_path / "half/model.safetensors").read_bytes() == (tmp_path / "full/model.safetensors").read_bytes()


def test_training_leaves_the_generators_as_they_were(tmp_path):
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(5)
    np.random.seed(5)
    train(small_recipe("v0", 1), tmp_path)
    assert torch.equal(torch.rand(3), expected[0])
    assert (np.random.rand(3) == expected[1]).all()
