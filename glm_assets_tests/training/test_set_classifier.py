"""A classifier of sets: members that are missing count nothing, and attention begins as a plain mean."""

from __future__ import annotations

import pytest
import torch

from glm_assets.errors import TrainingError
from glm_assets.training.set_classifier import SetClassifier


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_what_is_missing_changes_nothing(pooling: str) -> None:
    torch.manual_seed(0)
    classifier = SetClassifier(4, classes=3, pooling=pooling)
    if classifier.query is not None:
        torch.nn.init.normal_(classifier.query)
    vectors, mask = torch.randn(2, 5, 4), torch.tensor([[1, 1, 0, 1, 0], [1, 1, 1, 1, 1]]).bool()
    other = torch.where(mask[:, :, None], vectors, 1000.0)
    torch.testing.assert_close(classifier(vectors, mask), classifier(other, mask))
    alone = classifier(vectors[:1, [0, 1, 3]], torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(classifier(vectors, mask)[:1], alone)
    torch.testing.assert_close(classifier.weights(vectors, mask).sum(dim=1), torch.ones(2))


def test_attention_begins_as_the_mean_and_learns_what_to_look_at() -> None:
    torch.manual_seed(0)
    classifier = SetClassifier(4, classes=2, pooling="attention")
    mask = torch.ones(64, 6, dtype=torch.bool)
    vectors, labels = torch.randn(64, 6, 4), torch.arange(64) % 2
    vectors[:, 0] = 0
    vectors[:, 0, 0], vectors[:, 0, 1] = 3.0, (labels * 2 - 1).float()  # the first member tells, and can be told
    vectors[:, 1:, 0] = -3.0
    torch.testing.assert_close(classifier.weights(vectors, mask), torch.full((64, 6), 1 / 6))
    optimizer = torch.optim.Adam(classifier.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(classifier(vectors, mask), labels).backward()
        optimizer.step()
    assert classifier.weights(vectors, mask)[:, 0].min() > 0.9


def test_a_set_without_members_has_no_weights_and_finite_scores_and_gradients() -> None:
    classifier = SetClassifier(4, classes=2, pooling="attention")
    vectors, mask = torch.randn(2, 3, 4), torch.tensor([[0, 0, 0], [1, 0, 1]]).bool()
    assert torch.equal(classifier.weights(vectors, mask)[0], torch.zeros(3))
    scores = classifier(vectors, mask)
    assert scores.isfinite().all()
    scores.sum().backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in classifier.parameters())


def test_refuses_what_cannot_be() -> None:
    with pytest.raises(TrainingError, match="1 classes"):
        SetClassifier(4, classes=1)
    with pytest.raises(TrainingError, match="unknown pooling 'max'"):
        SetClassifier(4, classes=2, pooling="max")
