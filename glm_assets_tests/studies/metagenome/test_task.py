"""What a classifier learns from and is judged by, against plain NumPy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from glm_assets.studies.metagenome.task import ClassifierTask, Reads, VectorInputs  # noqa: E402
from glm_assets.training.sequence_classifier import VectorClassifier  # noqa: E402

NAMES = ("archaea", "bacteria", "virus")


def some_reads(count: int, seed: int) -> Reads:
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(count + 5, 4)).astype(np.float32)
    rows = generator.permutation(count + 5)[:count]
    return Reads(VectorInputs(vectors), rows, generator.integers(0, 3, count))


def make_task(batch_size: int = 4, **options) -> ClassifierTask:
    torch.manual_seed(0)
    model = VectorClassifier(4, classes=3, pooling="mean", dropout=0.0)
    return ClassifierTask(
        model, some_reads(23, 1), some_reads(17, 2), names=NAMES, batch_size=batch_size, **options
    )


def log_probabilities(task: ClassifierTask, reads: Reads) -> np.ndarray:
    head = {name.rpartition(".")[2]: value.detach().numpy() for name, value in task.model.named_parameters()}
    logits = reads.inputs.vectors[reads.rows].astype(np.float64) @ head["weight"].T + head["bias"]
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_smoothing_takes_its_share_of_the_label_and_spreads_it_over_all(smoothing):
    task = make_task(label_smoothing=smoothing)
    reads, places = task.train, np.arange(7)
    wanted = np.eye(3)[reads.labels[places]] * (1 - smoothing) + smoothing / 3
    expected = -(wanted * log_probabilities(task, reads)[places]).sum(axis=1).mean()
    found = task.loss(reads.batch(places, "cpu"), 1)
    assert found["loss"].item() == pytest.approx(expected, rel=1e-5)
    assert found["weight"] == 7


def test_validation_is_of_all_reads_and_knows_no_smoothing():
    task = make_task(label_smoothing=0.4)
    logs, labels = log_probabilities(task, task.val), task.val.labels
    found = task.validate(1)
    assert found["loss"] == pytest.approx(-logs[np.arange(17), labels].mean(), rel=1e-5)
    assert found["accuracy"] == pytest.approx((logs.argmax(axis=1) == labels).mean())
    assert (
        found["score"]
        == found["macro_f1"]
        == pytest.approx(f1_score(labels, logs.argmax(axis=1), average="macro"))
    )


def test_an_epoch_has_every_read_once_in_another_order_each_time():
    task = make_task(batch_size=4)
    seen = []
    for epoch in (1, 2):
        batches = list(task.batches(epoch))
        assert sorted(len(labels) for _, labels in batches) == [3, 4, 4, 4, 4, 4]
        seen.append(torch.cat([vectors for (vectors,), _ in batches]).numpy())
    expected = task.train.inputs.vectors[task.train.rows]
    for rows in seen:
        assert np.array_equal(np.sort(rows, axis=0), np.sort(expected, axis=0))
    assert not np.array_equal(*seen)
