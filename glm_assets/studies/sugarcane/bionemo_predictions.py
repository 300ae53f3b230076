"""The prediction files of BioNeMo's Evo2: `predictions__rank_N.pt` of any number of ranks, and `seq_idx_map.json`.

A file holds `seq_idx`, the number of each sequence in that map, and either `log_probs_seqs` (a sum or mean of each
sequence, or a row of terms) or `token_logits` with `pad_mask`. Logits at a place are of the token after it: they are
shifted here. Files are mapped into memory and looked at one by one, a sequence at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import FormatError, IntegrityError

if TYPE_CHECKING:
    from torch import Tensor

Collapse = Literal["mean", "sum"]

INDEX: Final = "seq_idx_map.json"
_FILES = "predictions__rank_*.pt"
_NUMBERS, _SCORES, _LOGITS, _MASK = "seq_idx", "log_probs_seqs", "token_logits", "pad_mask"
_BASES = np.frombuffer(b"ACGT", np.uint8)


@dataclass(frozen=True)
class BionemoScore:
    """Of one sequence.

    Attributes:
        name: Of the sequence in the FASTA that was predicted.
        logprob_sum: Sum of natural logarithms.
        n_tokens: Bases that it is a sum of.
    """

    name: str
    logprob_sum: float
    n_tokens: int


def prediction_files(folder: Path) -> list[Path]:
    """The prediction files in a folder and the folders in it, by name.

    Raises:
        FormatError: There are none.
    """
    if found := sorted(folder.rglob(_FILES)):
        return found
    raise FormatError(
        f"{folder} holds no predictions",
        expected=f"files {_FILES}, as predict_evo2 --output-dir writes them",
        fix="name that folder with --from",
    )


def read_names(folder: Path) -> dict[int, str]:
    """The name of each sequence by its number.

    Raises:
        FormatError: The map is absent, or no map of names to numbers that are each there once.
    """
    path = folder / INDEX
    try:
        numbers = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatError(
            f"{path} cannot be read ({error})",
            expected="the map that predict_evo2 writes last",
            fix="let it finish, or copy the file beside the predictions",
        ) from error
    if not isinstance(numbers, dict) or not all(type(number) is int for number in numbers.values()):
        raise FormatError(f"{path} is no map of names to numbers", fix="copy it anew")
    names = {number: name for name, number in numbers.items()}
    if len(names) < len(numbers):
        raise FormatError(f"{path} gives one number to several sequences", fix="predict anew")
    return names


def read_predictions(
    path: Path,
    names: Mapping[int, str],
    sequence_of: Callable[[str], str],
    *,
    collapse: Collapse,
    start_token: bool,
) -> Iterator[BionemoScore]:
    """Score the sequences of a file.

    Args:
        path: The file.
        names: As `read_names` gives them.
        sequence_of: Bases of a sequence by its name.
        collapse: What a file of one number a sequence holds.
        start_token: Whether such a file, or one of terms, has a term for the first base; logits tell it themselves.

    Yields:
        Scores in the order of the file. Bases other than A, C, G and T are counted by a mean or sum alone.

    Raises:
        IntegrityError: The file is damaged.
        FormatError: It is another file, a number is not in the map, a sequence has another length, or a score is no
            number.
    """
    tensors = _read(path)
    for row, number in enumerate(tensors[_NUMBERS].tolist()):
        if number not in names:
            raise FormatError(
                f"{path} has a sequence number {number}, which {INDEX} lacks",
                expected=f"one of its {len(names):,} numbers",
                fix="take the map of the same prediction",
            )
        name = names[number]
        bases = np.frombuffer(sequence_of(name).encode("ascii"), np.uint8)
        if _LOGITS in tensors:
            score = _of_logits(tensors[_LOGITS][row], tensors[_MASK][row], bases)
        elif tensors[_SCORES].ndim == 1:
            tokens = len(bases) - (not start_token)
            value = float(tensors[_SCORES][row])
            score = (value * tokens if collapse == "mean" and tokens else value, tokens)
        else:
            score = _of_terms(tensors[_SCORES][row].double().numpy(), bases[int(not start_token) :])
        if score is None:
            raise FormatError(
                f"{path} has another number of tokens for {name} than its {len(bases):,} bases",
                expected="predictions of the exported units, and predict_evo2 with --prepend-bos where"
                " scoring.start_token says so",
                fix="export and predict anew",
            )
        if not np.isfinite(score[0]):
            raise FormatError(f"{path} has no finite score for {name}", fix="predict it anew")
        yield BionemoScore(name, *score)


def _of_logits(logits: Tensor, mask: Tensor, bases: NDArray[np.uint8]) -> tuple[float, int] | None:
    """Of logits (L, V) and mask (L,); None if they are of a sequence of another length."""
    import torch

    counted = int(mask[1:].sum())
    targets = bases[len(bases) - counted :]
    # Behind the token of a beginning every base has a term; without one the first base has none.
    if counted not in (len(bases), len(bases) - 1) or not bool(mask[1 : counted + 1].all()):
        return None
    shifted = logits[:counted].float()
    drawn = torch.from_numpy(targets.astype(np.int64)).unsqueeze(1)
    terms = shifted.gather(1, drawn).squeeze(1) - shifted.logsumexp(dim=1)
    return _sum(terms.double().numpy(), targets)


def _of_terms(terms: NDArray[np.float64], targets: NDArray[np.uint8]) -> tuple[float, int] | None:
    """Of terms (L,), 0 after the end; None if they are of a sequence of another length."""
    if len(terms) < len(targets) or terms[len(targets) :].any():
        return None
    return _sum(terms[: len(targets)], targets)


def _sum(terms: NDArray[np.float64], targets: NDArray[np.uint8]) -> tuple[float, int]:
    known = np.isin(targets, _BASES)
    return float(terms[known].sum()), int(known.sum())


def _read(path: Path) -> dict[str, Tensor]:
    import torch

    try:
        held: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # a damaged pickle or archive fails in any way
        raise IntegrityError(
            f"{path} cannot be read ({str(error).splitlines()[0] if str(error) else type(error).__name__})",
            expected="a whole file of tensors alone",
            fix="copy it anew, or predict anew",
        ) from error
    if not _is_prediction(held):
        raise FormatError(
            f"{path} is no prediction of Evo2",
            expected=f"{_NUMBERS} (n), and {_SCORES} (n) or (n, L), or {_LOGITS} (n, L, 512) and {_MASK} (n, L)",
            fix="name the folder of predict_evo2 with --from",
        )
    return held


def _is_prediction(held: Any) -> bool:
    import torch

    if not isinstance(held, dict):
        return False
    shapes = {name: tuple(value.shape) for name, value in held.items() if isinstance(value, torch.Tensor)}
    rows = shapes.get(_NUMBERS, ())
    if len(rows) != 1 or held[_NUMBERS].is_floating_point():
        return False
    if _LOGITS in shapes:
        logits = shapes[_LOGITS]
        return len(logits) == 3 and logits[2] >= 128 and logits[:1] == rows and shapes.get(_MASK) == logits[:2]
    return len(shapes.get(_SCORES, ())) in (1, 2) and shapes[_SCORES][:1] == rows
