"""Fine-tuning: better than before and than chance, adapters alone kept, gone on with, told to the tracker."""

from __future__ import annotations

import json
import math
from contextlib import contextmanager

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("vortex")
pytest.importorskip("peft")

from safetensors.torch import load_file  # noqa: E402

from glm_assets.errors import EncoderError, IntegrityError, TrainingError  # noqa: E402
from glm_assets.language.evo2_files import read_card  # noqa: E402
from glm_assets.studies.sugarcane.adapter import open_models  # noqa: E402
from glm_assets.studies.sugarcane.configuration import TrainingSettings  # noqa: E402
from glm_assets.studies.training_runs import require_gpus, without_folders  # noqa: E402
from glm_assets.tracking.protocol import NullRun, NullTracker  # noqa: E402
from glm_assets_tests.studies.sugarcane.tiny_training import VARIETY, shallow_evo2, toy_study, train  # noqa: E402

FULL = {"method": "full", "lora": None, "also_train": ()}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def shallow(request, monkeypatch):
    if "system" not in request.keywords:  # other processes would build it whole
        shallow_evo2(monkeypatch)


class Noted(NullRun):
    def __init__(self) -> None:
        self.params, self.epochs, self.artifacts = {}, [], []

    def log_params(self, params):
        self.params |= params

    def log_epoch(self, epoch, metrics):
        self.epochs.append((epoch, metrics))

    def log_artifact(self, path, folder=None):
        self.artifacts.append(path.name)


class NotingTracker(NullTracker):
    def __init__(self) -> None:
        self.run_made = Noted()

    @contextmanager
    def run(self, name, *, tags, resume_file):
        self.tags = {"name": name, **tags}
        yield self.run_made


def logits(models, name):
    ids = torch.from_numpy(models[name].encode("ACGTTGCAACGTAGGT" * 3))[None]
    with torch.no_grad():
        return models[name].logits(ids)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A study, the facts of its training, and who was told of it."""
    study, tracker = toy_study(tmp_path_factory.mktemp("trained")), NotingTracker()
    with pytest.MonkeyPatch.context() as patch:
        shallow_evo2(patch)
        yield study, train(study, tracker).facts, tracker


def test_training_keeps_what_was_trained_and_says_what_it_was(trained):
    study, facts, tracker = trained
    folder = study.files("lora_adapter", VARIETY)
    assert {path.name for path in folder.iterdir()} == {
        *(
            "adapter_config.json",
            "adapter_model.safetensors",
            "trained_modules.safetensors",
            "language_model.json",
        ),
        *("history.json", "training.png", "manifest.json"),
    }
    adapters, whole = (load_file(folder / f"{name}.safetensors") for name in ("adapter_model", "trained_modules"))
    assert all("lora_" in name for name in adapters)
    assert set(whole) == {"embedding_layer.weight", "norm.scale"}
    assert facts["adapter_parameters"] == sum(each.numel() for each in adapters.values())
    assert facts["trained_parameters"] == facts["adapter_parameters"] + sum(
        each.numel() for each in whole.values()
    )
    assert facts["adapter_tensors_in_optimiser"] == facts["adapter_tensors"] == len(adapters)
    assert facts["trained_tensors"] == len(adapters) + len(whole)
    assert facts["unchanged_tensors"] == 0
    assert facts["uniform_loss"] == math.log(4)
    assert facts["best_loss"] < facts["zero_shot_loss"]
    history = json.loads((folder / "history.json").read_text())
    assert facts["best_loss"] == min(record["validation"]["loss"] for record in history)
    assert facts["steps"] == 4
    assert facts["tokens_trained"] == 4 * 2 * 128
    assert facts["tokens_per_second"] > 0
    assert facts["peak_memory_bytes"] > 10**7
    assert tracker.tags == {
        "name": f"sugarcane/lora_adapter/{VARIETY}",
        "dagster/run_id": "run",
        "dagster/asset_key": "sugarcane/lora_adapter",
        "variety": VARIETY,
    }
    assert [epoch for epoch, _ in tracker.run_made.epochs] == [1, 2]
    assert "validation/bits_per_base" in tracker.run_made.epochs[0][1]
    assert {"training.png", "history.json"} <= set(tracker.run_made.artifacts)
    assert read_card(folder, encoder_sha256=study.weights().sha256).context == 128
    with pytest.raises(IntegrityError, match="SHA-256 other"):
        read_card(folder, encoder_sha256="other")


def test_both_models_open_as_they_were_judged(trained):
    """The loss of the validation windows, computed anew from the opened models, is that of the facts."""
    from glm_assets.language.loss import token_losses
    from glm_assets.language.token_store import TokenStore
    from glm_assets.language.windows import TokenWindows

    study, facts, _ = trained
    models = open_models(study, VARIETY)
    windows = TokenWindows(TokenStore(study.files("token_shards", VARIETY)), "val", 128)
    rows = [number * len(windows) // 8 for number in range(8)]
    batch = windows.take(torch.tensor(rows).numpy())
    for name, key in (("zero_shot", "zero_shot_loss"), ("fine_tuned", "best_loss")):
        with torch.no_grad():
            losses = token_losses(
                models[name].logits(torch.from_numpy(batch.inputs)), torch.from_numpy(batch.targets)
            )
        loss = (losses * torch.from_numpy(batch.weights)).sum() / batch.weights.sum()
        assert loss.item() == pytest.approx(facts[key], abs=1e-4)


def test_all_weights_can_be_trained(tmp_path):
    study = toy_study(tmp_path, model=FULL)
    facts = train(study).facts
    folder = study.files("lora_adapter", VARIETY)
    assert facts["trained_parameters"] == facts["model_parameters"]
    assert (facts["adapter_tensors"], facts["unchanged_tensors"]) == (0, 0)
    assert not (folder / "adapter_config.json").exists()
    models = open_models(study, VARIETY)
    assert not torch.allclose(logits(models, "fine_tuned"), logits(models, "zero_shot"), atol=0.1)


@pytest.mark.system
def test_a_killed_training_goes_on_and_ends_as_if_it_had_not_been(tmp_path, monkeypatch):
    shallow_evo2(monkeypatch)
    whole = toy_study(tmp_path / "whole", training={"checkpoint_steps": 1})
    train(whole)
    from glm_assets.language.task import LanguageTask

    killed, plain, seen = toy_study(tmp_path / "killed", training={"checkpoint_steps": 1}), LanguageTask.loss, []

    def loss(self, batch, epoch):
        seen.append(epoch)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return plain(self, batch, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(LanguageTask, "loss", loss)
        with pytest.raises(KeyboardInterrupt):
            train(killed)
    lines: list[str] = []
    train(killed, progress=lines.append)
    assert any("continuing after step 1 of the epoch after epoch 1" in line for line in lines)
    one, other = (
        load_file(each.files("lora_adapter", VARIETY) / "adapter_model.safetensors") for each in (whole, killed)
    )
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_model_of_fp8_is_refused_before_its_weights_are_read(tmp_path):
    study = toy_study(tmp_path, model={"encoder": "evo2_1b_base", "checkpoint": str(tmp_path / "weights.pt")})
    (tmp_path / "weights.pt").write_bytes(b"none")
    with pytest.raises(EncoderError, match=r"low accuracy in bfloat16"):
        train(study)


def test_windows_of_one_token_are_refused_with_the_reason():
    values = toy_values() | {"context": 1}
    with pytest.raises(ValueError, match="sees nothing before"):
        TrainingSettings.model_validate(values)


def toy_values() -> dict:
    return {
        "steps": 1,
        "validate_steps": 1,
        "validation_windows": 1,
        "batch_size": 1,
        "accumulation": 1,
        "learning_rate": 0.1,
        "weight_decay": 0,
        "warmup_steps": 0,
        "clip_norm": 1,
    }


def test_too_few_gpus_are_told_before_anything_is_computed(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    require_gpus(3, "cpu", "GLM_SUGARCANE")
    with pytest.raises(TrainingError, match=r"processes is 3, and this step sees 1 GPU.*to 1 in GLM_SUGARCANE"):
        require_gpus(3, "cuda:0", "GLM_SUGARCANE")


def test_the_tracker_hears_of_no_folder():
    values = {
        "checkpoint": "/home/me/weights.pt",
        "tokenizer": {"path": "/home/me/vocabulary.json", "kind": "bpe"},
    }
    assert without_folders(values) == {
        "checkpoint": "weights.pt",
        "tokenizer": {"path": "vocabulary.json", "kind": "bpe"},
    }


LEARNING = {
    "steps": 240,
    "validate_steps": 120,
    "batch_size": 8,
    "warmup_steps": 10,
    "validation_windows": 40,
}


WIDE = {
    "lora": {
        "rank": 32,
        "alpha": 32,
        "dropout": 0.0,
        "targets": ("projections", "Wqkv", "out_proj", "l1", "l2", "l3", "out_filter_dense"),
    },
    "also_train": ("embedding_layer", "norm", "pre_norm", "post_norm", "filter"),
}


@pytest.mark.system
@pytest.mark.parametrize(("model", "rate"), [(FULL, 0.02), (WIDE, 0.01)], ids=["full", "lora"])
def test_fine_tuning_learns_an_order_3_chain(tmp_path, monkeypatch, model, rate):
    """Its entropy is about 0.88 nats; each base alone has that of chance, and after one other hardly less."""
    shallow_evo2(monkeypatch)
    training = LEARNING | {"learning_rate": rate}
    facts = train(toy_study(tmp_path, bases=120_000, model=model, training=training)).facts
    assert facts["best_loss"] < 1.0 < facts["uniform_loss"] < facts["zero_shot_loss"]


@pytest.mark.system
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_train_as_one_does(tmp_path, strategy):
    """Two micro-batches a step, of one process or of two; whole weights where each has a part of them."""
    model = FULL if strategy == "fsdp" else {}
    alone = toy_study(tmp_path / "one", training={"accumulation": 2}, model=model)
    both = toy_study(tmp_path / "two", training={"processes": 2, "strategy": strategy}, model=model)
    first, second = train(alone).facts, train(both).facts
    assert second["best_loss"] == pytest.approx(first["best_loss"], abs=2e-3)
    assert second["zero_shot_loss"] == pytest.approx(first["zero_shot_loss"], abs=1e-4)
    assert second["unchanged_tensors"] == 0
