"""What a model of bytes expects at each position of a sequence: logits of the four bases, and how sure it is.

Row i is the prediction of base i, from those before it. Of the logits those of A, C, G and T are kept, in this order,
as float16: over the whole vocabulary they would take 128 times the space. A float16 has 11 bits, so that a logit of 64
to 128 is rounded by 1/32 at most, and one of 8 to 16 by 1/256; beyond 65,504 there is none, and a model with such
logits is refused. The entropy is that of the softmax over the four, before any rounding, in bits: 2 where they are
equally likely, 0 where one is certain; kept as float16 it is off by 1/2,048 at most.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import EncoderError
from glm_assets.language.model import LanguageModel
from glm_assets.language.tiling import Tiling, predict
from glm_assets.storage.atomic import digest_of, write_json

BASES: Final = "ACGT"
LOGITS, ENTROPY = "logits.npy", "entropy.npy"

_DONE = ".profiles.json"

Profile = tuple[NDArray[np.float32], NDArray[np.float64]]


def profile_sequence(model: LanguageModel, sequence: str, tiling: Tiling) -> Profile:
    """The profile of one sequence of any length.

    Args:
        model: A model of single bases.
        sequence: L bases; lower case is read as upper case.
        tiling: How it is read.

    Returns:
        (L, 4) logits and (L,) entropies in bits. The first row is NaN where no token of a beginning predicts it.

    Raises:
        EncoderError: The model's tokens are no single bases.
        SettingsError: The model cannot read in this way.
    """
    if model.bases_per_token != 1:
        raise EncoderError(
            f"{model.name} predicts {model.bases_per_token} bases at once, and not each base",
            expected="a model whose tokens are single bases",
        )
    ids = model.encode(sequence.upper())
    logits = np.full((len(ids), len(BASES)), np.nan, np.float32)
    for batch in predict(model, [ids], tiling):
        of_bases = batch.logits[:, :, model.sequence_ids].cpu().numpy()
        for row, of_row in zip(batch.rows, of_bases, strict=True):
            logits[row.tile.first : row.tile.end] = of_row[row.skipped : len(row.inputs)]
        del batch  # else its logits would be there until the next ones are
    return logits, entropy_bits(logits)


def entropy_bits(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Entropy in bits (..,) of the softmax over the last axis of logits (.., c)."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    weights = np.exp(shifted)
    total = weights.sum(axis=-1)
    # log(total) - sum(p * shifted): no logarithm of a probability that is rounded to 0.
    mean = np.where(weights > 0, weights * np.where(weights > 0, shifted, 0.0), 0.0).sum(axis=-1) / total
    return np.where(np.isnan(total), np.nan, np.maximum(0.0, np.log(total) - mean) / math.log(2))


class ProfileFiles:
    """Profiles of sequences one after another in `logits.npy` (n, 4) and `entropy.npy` (n,), both float16.

    They are written through memory maps, a sequence at a time. How many are finished is kept beside them, so that a
    writer that was killed goes on after the last finished one.

    Args:
        folder: Where they lie, or are made.
        lengths: Positions of each sequence.
        key: What else the numbers are a function of; files of another key or of other lengths are written anew.
    """

    def __init__(self, folder: Path, lengths: Sequence[int], key: str) -> None:
        self.starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        self._note = folder / _DONE
        self._key = digest_of([key, list(lengths)])
        self.done = self._finished()
        if not self.done:
            # Or the next writer might take new files that were never filled for those that an old note tells of.
            self._note.unlink(missing_ok=True)
        mode = "r+" if self.done else "w+"
        rows = int(self.starts[-1])
        self._arrays = (
            _mapped(folder / LOGITS, (rows, len(BASES)), mode),
            _mapped(folder / ENTROPY, (rows,), mode),
        )

    def read(self, number: int) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        """Logits (L, 4) and entropies (L,) of a sequence, as they are kept."""
        logits, entropy = (np.array(array[self._rows(number)]) for array in self._arrays)
        return logits, entropy

    def append(self, profile: Profile) -> None:
        """Write the profile of the next sequence that is not finished.

        Raises:
            EncoderError: A logit is beyond float16.
        """
        for array, values in zip(self._arrays, profile, strict=True):
            largest = np.abs(values[np.isfinite(values)]).max(initial=0.0)
            if largest > np.finfo(np.float16).max:
                raise EncoderError(
                    f"a logit of {largest:,.0f} cannot be kept as float16",
                    expected=f"{np.finfo(np.float16).max:,.0f} at most",
                    fix="look at the model's weights and its precision",
                )
            array[self._rows(self.done)] = values
            array.flush()
        self.done += 1
        write_json(self._note, {"key": self._key, "done": self.done})

    def _rows(self, number: int) -> slice:
        return slice(int(self.starts[number]), int(self.starts[number + 1]))

    def _finished(self) -> int:
        """Sequences that the note tells of, if it and the files are whole."""
        folder, rows = self._note.parent, int(self.starts[-1])
        half = np.dtype(np.float16).itemsize
        try:
            stored = json.loads(self._note.read_text(encoding="utf-8"))
            sizes = [(folder / name).stat().st_size for name in (LOGITS, ENTROPY)]
            # Each has a header besides.
            is_whole = sizes[0] > rows * len(BASES) * half and sizes[1] > rows * half
            return stored["done"] if is_whole and stored["key"] == self._key else 0
        except (OSError, ValueError, KeyError, TypeError):
            return 0


def write_profiles(
    model: LanguageModel, sequences: Sequence[str], files: ProfileFiles, tiling: Tiling, *, first: int = 0
) -> Iterator[int]:
    """Write those of a model's profiles that are not finished.

    Args:
        model: A model of single bases.
        sequences: Bases of each.
        files: Where they go.
        tiling: How they are read.
        first: Number of the first of them in the files.

    Yields:
        The number of the sequence that is finished now.

    Raises:
        EncoderError: The model's tokens are no single bases.
        SettingsError: The model cannot read in this way.
    """
    for number in range(files.done, first + len(sequences)):
        files.append(profile_sequence(model, sequences[number - first], tiling))
        yield number


def _mapped(path: Path, shape: tuple[int, ...], mode: str) -> np.memmap:
    return np.lib.format.open_memmap(path, mode=mode, dtype=np.float16, shape=shape)
