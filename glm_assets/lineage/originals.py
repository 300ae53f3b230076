"""What the original pipeline leaves behind: its files, whether they belong together, and what their rows are.

The original (GitHub Shim-Min-Kyoung/Dacon-2-Medical-AI-MAI-) writes its windows to one archive and their vectors, in
the same order but without positions, to another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.encoders.progress import ProgressLine
from glm_assets.errors import FormatError
from glm_assets.storage.npz import NpzFile
from glm_assets.variants.windows import digests

Progress = Callable[[str], None]
Block = tuple[NDArray[np.floating], NDArray[np.floating]]

_WINDOWS = frozenset({"ref", "var", "label", "var_len"})
_VECTORS = frozenset({"ref_emb", "var_emb", "label", "var_len"})
_SHARED = ("label", "var_len", "group")  # `split` is rewritten between the two files
_LETTERS = np.frombuffer(b"ACGTN", np.uint8)  # by id
_ROWS_AT_A_TIME = 8192


@dataclass(frozen=True)
class Originals:
    """Vectors, and their windows where those are there too.

    Attributes:
        vectors: Holds `ref_emb` and `var_emb`.
        windows: Holds `ref` and `var`; the same file, another one, or None.
        rows: Pairs in each.
        dimension: Of the vectors.
    """

    vectors: NpzFile
    windows: NpzFile | None
    rows: int
    dimension: int

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, each once, by name."""
        paths = {self.vectors.path} | ({self.windows.path} if self.windows else set())
        return tuple(sorted(paths))

    def blocks(self, rows: int, progress: Progress) -> Iterator[tuple[int, Block]]:
        """Stream the vectors.

        Args:
            rows: In a block.
            progress: Called with a line now and then.

        Yields:
            The block's first row, and its reference and variant vectors, (rows, dimension) each.
        """
        line, start = ProgressLine(progress, "pairs of vectors", self.rows), 0
        streams = (self.vectors.blocks(name, rows) for name in ("ref_emb", "var_emb"))
        for ref, var in zip(*streams, strict=True):
            yield start, (ref, var)
            start += len(ref)
            line.advance(len(ref))

    def digests(self, progress: Progress) -> pl.DataFrame:
        """Digests of the windows as the table `variant_windows` has them.

        Returns:
            `ref_digest` and `var_digest` of each row in order.

        Raises:
            FormatError: A base is none of the five ids.
        """
        assert self.windows
        line, parts = ProgressLine(progress, "pairs of windows", self.rows), []
        streams = (self.windows.blocks(name, _ROWS_AT_A_TIME) for name in ("ref", "var"))
        for ref, var in zip(*streams, strict=True):
            both = (digests(_as_ascii(ids, self.windows.path)) for ids in (ref, var))
            parts.append(pl.DataFrame(dict(zip(("ref_digest", "var_digest"), both, strict=True))))
            line.advance(len(ref))
        return (
            pl.concat(parts) if parts else pl.DataFrame(schema={"ref_digest": pl.String, "var_digest": pl.String})
        )


def find_originals(path: Path) -> Originals:
    """Recognise the files by their arrays, and check that they belong together.

    Args:
        path: A folder with both files, a file with all arrays, or one with the vectors alone.

    Raises:
        FormatError: There are no such files, or several; one is damaged; or their rows are not the same.
    """
    if not path.exists():
        raise FormatError(f"{path} does not exist", expected="a folder or an .npz file")
    files = [NpzFile(file) for file in (sorted(path.glob("*.npz")) if path.is_dir() else [path])]
    vectors = _one_of([file for file in files if file.names >= _VECTORS], path)
    windows = _one_of([file for file in files if file.names >= _WINDOWS], path)
    if vectors is None:
        raise FormatError(
            f"{path} holds no vectors",
            expected=f"an .npz file with the arrays {', '.join(sorted(_VECTORS))}",
            fix="name the file that the original's embedding step wrote, or the folder with it",
        )
    rows, dimension = _pair_shape(vectors, ("ref_emb", "var_emb"), np.floating)
    _check_length(vectors, rows)
    if windows and windows is not vectors:
        found, _ = _pair_shape(windows, ("ref", "var"), np.uint8)
        _check_length(windows, found)
        if found != rows:
            raise _differ(vectors, windows, f"{rows} and {found} rows")
        for name in _SHARED:
            if name in vectors.names & windows.names:
                _check_equal(name, vectors, windows)
    elif windows and _pair_shape(windows, ("ref", "var"), np.uint8)[0] != rows:
        raise FormatError(
            f"{path}: its windows and its vectors are not as many", expected="one pair of each a row"
        )
    return Originals(vectors, windows, rows, dimension)


def first_difference(one: NDArray[Any], other: NDArray[Any]) -> int | None:
    """Index of the first row where two columns of one length differ; None where they do not."""
    rows = np.flatnonzero(one != other)
    return int(rows[0]) if rows.size else None


def _one_of(files: list[NpzFile], path: Path) -> NpzFile | None:
    if len(files) > 1:
        names = ", ".join(file.path.name for file in files)
        raise FormatError(
            f"{path} holds several files of one kind: {names}",
            expected="one with windows and one with vectors",
            fix="put the two that belong together into a folder of their own; links will do",
        )
    return files[0] if files else None


def _pair_shape(file: NpzFile, names: tuple[str, str], kind: type[np.generic]) -> tuple[int, int]:
    """The common shape of two matrices."""
    headers = [file.header(name) for name in names]
    for name, header in zip(names, headers, strict=True):
        if len(header.shape) != 2 or not np.issubdtype(header.dtype, kind) or header.shape != headers[0].shape:
            raise FormatError(
                f"{file.path}: array {name!r} is {header.dtype} of shape {header.shape}",
                expected=f"{kind.__name__}, two axes, and {names[0]} and {names[1]} of one shape",
            )
    return headers[0].shape[0], headers[0].shape[1]


def _check_length(file: NpzFile, rows: int) -> None:
    for name in ("label", "var_len"):
        if (shape := file.header(name).shape) != (rows,):
            raise FormatError(
                f"{file.path}: array {name!r} has the shape {shape}", expected=f"({rows},), one a row"
            )


def _check_equal(name: str, vectors: NpzFile, windows: NpzFile) -> None:
    columns = vectors.array(name), windows.array(name)
    if (row := first_difference(*columns)) is not None:
        raise _differ(vectors, windows, f"{name} of row {row} is {columns[0][row]} and {columns[1][row]}")


def _differ(vectors: NpzFile, windows: NpzFile, how: str) -> FormatError:
    return FormatError(
        f"{vectors.path.name} and {windows.path.name} do not belong together: {how}",
        expected="vectors in the order of the windows that they were computed from",
        fix="find the windows' file of the same run",
    )


def _as_ascii(ids: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
    if ids.max(initial=0) >= _LETTERS.size:
        raise FormatError(f"{path}: a base has the id {ids.max()}", expected="0 to 4 for A, C, G, T and all else")
    return _LETTERS[ids]
