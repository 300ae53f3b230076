"""A language model with a classifier on its pooled last hidden states.

Importing this module imports torch.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from glm_assets.errors import TrainingError
from glm_assets.training.masked_pooling import check_pooling, pool

DROPOUT = 0.1


class SequenceClassifier(nn.Module):
    """Tokens to class scores: language model, pooling, dropout, linear layer.

    The classifier itself is float32 also where the language model is not. A language model with nothing to train
    stays in evaluation mode.

    Args:
        backbone: From `load_backbone`: causal or bidirectional.
        classes: How many.
        pooling: `mean`, `max`, `last` or `cls`.
        dropout: Rate on the pooled vector while training.
        hidden_layer: Width of a layer before the last one; None for none.

    Raises:
        TrainingError: An argument is out of range.
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        classes: int,
        pooling: str = "mean",
        dropout: float = DROPOUT,
        hidden_layer: int | None = None,
    ) -> None:
        super().__init__()
        check_pooling(pooling)
        self.backbone = backbone
        self.pooling = pooling
        self.classes = classes
        self.dropout = dropout
        self.hidden_layer = hidden_layer
        self.width = int(backbone.config.hidden_size)  # pyright: ignore - transformers' config
        device = next(backbone.parameters()).device
        self.head = classifier_head(self.width, classes, dropout, hidden_layer).to(device)
        self._frozen = not any(parameter.requires_grad for parameter in backbone.parameters())

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Score classes.

        Args:
            input_ids: (b, L) token ids.
            attention_mask: (b, L), 0 where there is padding.

        Returns:
            (b, classes) float32 logits.

        Raises:
            TrainingError: A sequence has no token, seen where the mask is on the CPU.
        """
        return self.classify(self.embed(input_ids, attention_mask))

    def embed(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Pooled last hidden states; arguments and errors as of `forward`.

        Returns:
            (b, width) float32.
        """
        # Asking a GPU would wait for it at every batch; `pad_batch` refuses such sequences before.
        if attention_mask.device.type == "cpu" and not bool(attention_mask.any(dim=1).all()):
            row = int((~attention_mask.any(dim=1)).long().argmax())
            raise TrainingError(f"sequence {row} of a batch has no token", expected="at least one")
        hidden = self.backbone(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return pool(self.pooling, hidden, attention_mask)

    def classify(self, vectors: Tensor) -> Tensor:
        """Score classes of vectors as `embed` gives them, or of aggregates of such.

        Args:
            vectors: (b, width).

        Returns:
            (b, classes) float32 logits.
        """
        return _score(self.head, vectors)

    def train(self, mode: bool = True) -> SequenceClassifier:
        """Set training mode, from which a language model that is not trained is spared."""
        super().train(mode)
        if self._frozen:
            self.backbone.eval()
        return self


class VectorClassifier(nn.Module):
    """The classifier alone, on vectors of a language model that is not trained and need not be here.

    Args:
        width: Length of a vector.
        classes: How many.
        pooling: That the vectors were made with.
        dropout: Rate on the vector while training.
        hidden_layer: Width of a layer before the last one; None for none.
    """

    def __init__(
        self, width: int, *, classes: int, pooling: str, dropout: float = DROPOUT, hidden_layer: int | None = None
    ) -> None:
        super().__init__()
        self.backbone = nn.Identity()
        self.pooling = pooling
        self.classes = classes
        self.dropout = dropout
        self.hidden_layer = hidden_layer
        self.width = width
        self.head = classifier_head(width, classes, dropout, hidden_layer)

    def forward(self, vectors: Tensor) -> Tensor:
        """Score classes; (b, width) to (b, classes) float32 logits."""
        return _score(self.head, vectors)


def classifier_head(width: int, classes: int, dropout: float, hidden_layer: int | None) -> nn.Sequential:
    """Vectors (b, width) to logits (b, classes): dropout, perhaps a hidden layer, a linear layer.

    Raises:
        TrainingError: There are too few classes, or the hidden layer is empty.
    """
    if classes < 2:
        raise TrainingError(f"{classes} classes", expected="at least 2")
    if hidden_layer is not None and hidden_layer < 1:
        raise TrainingError(f"a hidden layer of width {hidden_layer}", expected="at least 1, or none")
    layers: list[tuple[str, nn.Module]] = [("dropout", nn.Dropout(dropout))]
    if hidden_layer is not None:
        layers += [
            ("hidden", nn.Linear(width, hidden_layer)),
            ("gelu", nn.GELU()),
            ("dropout_2", nn.Dropout(dropout)),
        ]
    layers.append(("out", nn.Linear(hidden_layer or width, classes)))
    return nn.Sequential(OrderedDict(layers))


def _score(head: nn.Module, vectors: Tensor) -> Tensor:
    """Logits in float32 also under autocast, in whose types many classes would tie."""
    with torch.autocast(vectors.device.type, enabled=False):
        return head(vectors.float())
