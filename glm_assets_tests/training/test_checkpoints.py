from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

from glm_assets.errors import CheckpointError
from glm_assets.storage.atomic import file_digest
from glm_assets.training.checkpoints import CheckpointFolder, EpochRecord, ranked
from glm_assets.training.seeding import restore_rng_state, rng_state, seeded


def advance(
    folder: CheckpointFolder, model: nn.Module, optimizer, history: list[EpochRecord], score: float
) -> None:
    """One made-up epoch."""
    model(torch.randn(2, 3)).sum().backward()
    optimizer.step()
    epoch = len(history) + 1
    digest = folder.save_weights(folder.weights(epoch), model.state_dict())
    history.append(EpochRecord(epoch, 0.1, {"loss": 1.0}, {"score": score}, digest))
    folder.commit(history, {"optimizer": optimizer.state_dict()})


def parts() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(1)
    model = nn.Linear(3, 2)
    return model, torch.optim.AdamW(model.parameters())


def go_on(folder: CheckpointFolder) -> list[EpochRecord]:
    saved = folder.read()
    assert saved
    folder.read_weights(saved)
    return saved.history


def names(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_best_are_kept_and_the_newest_until_the_end(tmp_path):
    folder, (model, optimizer), history = CheckpointFolder(tmp_path, key="k", keep=2), parts(), []
    for score in (0.3, 0.9, 0.5, 0.9, 0.1):
        advance(folder, model, optimizer, history, score)
    assert names(tmp_path) == {
        "resume.pt", "epoch_002.safetensors", "epoch_004.safetensors", "epoch_005.safetensors"
    }  # fmt: skip
    folder.finish(history)
    assert names(tmp_path) == {"resume.pt", "epoch_002.safetensors", "epoch_004.safetensors"}
    assert [record.epoch for record in folder.kept(history)] == [2, 4]
    assert file_digest(folder.weights(4)) == history[3].sha256


def test_all_are_kept_without_a_limit(tmp_path):
    folder, (model, optimizer), history = CheckpointFolder(tmp_path, key="k"), parts(), []
    for score in (0.3, 0.1, 0.2):
        advance(folder, model, optimizer, history, score)
    folder.finish(history)
    assert [record.epoch for record in folder.kept(history)] == [1, 3, 2]
    assert len(names(tmp_path)) == 4


def test_equal_scores_rank_in_order_of_epoch():
    records = [
        EpochRecord(epoch, 0.1, {}, {"score": score}, "") for epoch, score in ((1, 1.0), (2, 2.0), (3, 2.0))
    ]
    assert [record.epoch for record in ranked(records)] == [2, 3, 1]


def test_everything_comes_back(tmp_path):
    folder, (model, optimizer), history = CheckpointFolder(tmp_path, key="k"), parts(), []
    advance(folder, model, optimizer, history, 0.3)
    advance(folder, model, optimizer, history, 0.4)
    drawn = random.random(), np.random.rand(), torch.rand(1).item()

    fresh_model, fresh_optimizer = parts()
    again = CheckpointFolder(tmp_path, key="k")
    saved = again.read()
    assert saved
    assert saved.history == history
    fresh_model.load_state_dict(again.read_weights(saved))
    fresh_optimizer.load_state_dict(saved.state["optimizer"])
    restore_rng_state(saved.rng)
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == drawn
    for key, value in model.state_dict().items():
        assert torch.equal(fresh_model.state_dict()[key], value)
    for number, moments in optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            assert torch.equal(fresh_optimizer.state_dict()["state"][number][name], value)


def test_leftovers_of_a_killed_write_are_removed_and_other_files_are_not(tmp_path):
    for name in (".a1b2.epoch_003.safetensors", ".c3d4.resume.pt", "tracked_run.json"):
        (tmp_path / name).write_bytes(b"x")
    CheckpointFolder(tmp_path, key="k")
    assert names(tmp_path) == {"tracked_run.json"}


def test_an_epoch_without_its_commit_does_not_count(tmp_path):
    folder, (model, optimizer), history = CheckpointFolder(tmp_path, key="k"), parts(), []
    advance(folder, model, optimizer, history, 0.3)
    folder.save_weights(folder.weights(2), model.state_dict())
    assert [record.epoch for record in go_on(folder)] == [1]


def test_a_folder_of_another_training_is_refused(tmp_path):
    folder, (model, optimizer) = CheckpointFolder(tmp_path, key="k"), parts()
    advance(folder, model, optimizer, [], 0.3)
    with pytest.raises(CheckpointError, match="another recipe"):
        CheckpointFolder(tmp_path, key="other").read()


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(b"x")])
@pytest.mark.parametrize("epoch", [1, 2])  # the best and the newest
def test_weights_that_are_lost_or_damaged_are_named(tmp_path, harm, epoch):
    folder, (model, optimizer), history = CheckpointFolder(tmp_path, key="k", keep=1), parts(), []
    advance(folder, model, optimizer, history, 0.4)
    advance(folder, model, optimizer, history, 0.3)
    harm(folder.weights(epoch))
    with pytest.raises(CheckpointError, match=rf"epoch_00{epoch}\.safetensors is missing or damaged"):
        go_on(folder)


def test_a_state_from_a_host_with_more_gpus_is_restored_as_far_as_there_are_gpus(monkeypatch):
    restored = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: restored.append((state, device)))
    restore_rng_state(rng_state() | {"cuda": ["first", "second"]})
    assert restored == [("first", 0)]


def test_seeding_is_repeatable_and_local():
    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()

    before = rng_state()
    undisturbed = draw()
    restore_rng_state(before)
    with seeded(2025):
        first = draw()
    assert draw() == undisturbed
    with seeded(2025):
        assert draw() == first
    with seeded(2026):
        assert draw() != first
