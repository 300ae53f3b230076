"""From one tokenizer's ids to another's, by the text of each token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glm_assets.encoders.tokenizers.base import Ids, Tokenizer, vocabulary
from glm_assets.encoders.tokenizers.fit import merged_tokens
from glm_assets.errors import EncoderError

ABSENT = -1


@dataclass(frozen=True)
class IdBridge:
    """Ids of a target for those of a source.

    A bridged sequence has the source's cuts: the target itself may cut the same text otherwise, and a model is best
    read with the cuts that it was trained with.

    Attributes:
        source: Name of the source.
        target: Name of the target.
        ids: (source's vocabulary size,) the target's id of each source id, `ABSENT` where no token has that text.
        missing: Merged tokens of the source that the target lacks, in the order of their ids.
        merged: How many merged tokens the source has.
    """

    source: str
    target: str
    ids: NDArray[np.int32]
    missing: tuple[str, ...]
    merged: int

    def apply(self, ids: Sequence[int] | Ids) -> Ids:
        """The target's ids of a sequence.

        Raises:
            EncoderError: It has a token that the target lacks.
        """
        bridged = self.ids[np.asarray(ids, np.int64)]
        if (absent := np.unique(np.asarray(ids)[bridged == ABSENT])).size:
            raise EncoderError(
                f"{self.target} has no token for {absent.size} ids of {self.source}, such as {int(absent[0])}",
                expected="a sequence of tokens that both have",
                fix=f"encode the text itself with {self.target}",
            )
        return bridged


def bridge_ids(source: Tokenizer, target: Tokenizer) -> IdBridge:
    """Map ids by their tokens' texts; padding becomes padding, and the unknown token the unknown one."""
    known = vocabulary(target)
    ids = np.array([known.get(text, ABSENT) if text else ABSENT for text in source.token_strings], np.int32)
    ids[source.pad_id] = target.pad_id
    if source.unk_id is not None:
        ids[source.unk_id] = ABSENT if target.unk_id is None else target.unk_id
    merged = merged_tokens(source)
    missing = tuple(text for text in merged if text not in known)
    return IdBridge(source.name, target.name, ids, missing, len(merged))
