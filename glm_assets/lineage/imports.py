"""Importing vectors that the original's procedure has computed already, after a check on a recomputed sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.encoders.agreement import (
    Agreement,
    Pairs,
    check_agreement,
    measure_agreement,
    require_importable,
)
from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.keys import pair_keys
from glm_assets.encoders.shards import window_matrix
from glm_assets.errors import EncoderError, FormatError
from glm_assets.lineage.embeddings import load_encoder
from glm_assets.lineage.import_records import FOLDER, ImportRecord
from glm_assets.lineage.originals import Block, Originals, find_originals, first_difference
from glm_assets.lineage.study import Study
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets.storage.tables import read_part

Progress = Callable[[str], None]

_KEY_COLUMNS = ["ref_digest", "var_digest", "variant_offset", "ref", "alt"]
_ROW_COLUMNS = [*_KEY_COLUMNS, "chrom", "pos", "kind", "label", "var_len"]
_PAIR_COLUMNS = ["ref_seq", "var_seq", "variant_offset"]
_SMALLEST_SHARE = 1 / 8  # of a sample, for each kind of variant


@dataclass(frozen=True)
class ImportReport:
    """What became of the rows of the files and of the data root.

    Attributes:
        rows: In the files.
        unmatched: Rows whose windows the data root lacks; they are not imported.
        first_unmatched: The first of these, counted from 0; None without one.
        vectors: Variants of the data root that the rows have vectors for.
        skipped: Those of them that the store had already.
        imported: Those of them that were stored now; 0 of a mere check.
        left: Variants of the data root that have no vectors yet.
        agreement: The recomputed sample; None where nothing had to be imported.
        record: Where the import is recorded; None of a mere check.
    """

    rows: int
    unmatched: int
    first_unmatched: int | None
    vectors: int
    skipped: int
    imported: int
    left: int
    agreement: Agreement | None
    record: Path | None


def import_embeddings(
    study: Study, path: Path, *, sample: int, dry_run: bool = False, progress: Progress
) -> ImportReport:
    """Bring the vectors of the original's files into the study's store.

    The files are streamed: once for the windows, once to check every vector and the sample, and once to store. An
    import that was killed goes on where it was; one that is finished is found so without reading the vectors.

    Args:
        study: Its windows are the rows that can be imported, its encoder the judge of them.
        path: See `find_originals`.
        sample: Pairs to recompute, about.
        dry_run: Check and report only.
        progress: Called with a line now and then.

    Raises:
        FormatError: The files are damaged or do not belong together, or their rows are not those of this study.
        EncoderError: The vectors are not finite, or not those that the study's encoder makes; or the study's pooling
            or windows are not the original's. Nothing has been stored then.
        MissingUpstreamError: A chromosome that the profile expects has no windows.
    """
    spec, store = study.encoder_spec, study.store()
    require_importable(spec, study.profile.windows.layout)
    originals, own = find_originals(path), _own_rows(study, spec)
    if originals.dimension != spec.dimension:
        raise EncoderError(
            f"the vectors in {originals.vectors.path} have {originals.dimension} dimensions",
            expected=f"{spec.dimension}, as encoder {spec.name} makes them",
            fix="choose the profile and the encoder that the vectors were made with",
        )
    matches, unmatched = _match(originals, own, study, progress)
    todo = matches.filter(store.missing(matches["key"]))
    agreement, record = None, None
    if todo.height:
        progress(f"{todo.height:,} vectors to import; checking them all, and a sample against {spec.name}")
        agreement = _check(originals, matches, sample, study, spec, progress)
    if todo.height and not dry_run:
        study.small_files(FOLDER)
        record = ImportRecord.begin(study.root, originals, spec, agreement)
        study.share(record.path)
        _store_all(originals, todo, store, study.profile.encoder.shard_rows, progress)
    report = ImportReport(
        rows=originals.rows,
        unmatched=unmatched.size,
        first_unmatched=int(unmatched[0]) if unmatched.size else None,
        vectors=matches.height,
        skipped=matches.height - todo.height,
        imported=0 if dry_run else todo.height,
        left=int(store.missing(own["key"]).sum()),
        agreement=agreement,
        record=record.path if record else None,
    )
    if record:
        counts = ("rows", "unmatched", "vectors", "skipped", "imported", "left")
        record.finish({name: getattr(report, name) for name in counts})
        study.share(record.path)
    return report


def _own_rows(study: Study, spec: EncoderSpec) -> pl.DataFrame:
    """The data root's variants in order, each with its key and its row `at` in its chromosome."""
    study.every_chromosome(study.variant_windows)
    folders = [study.variant_windows(chrom).files() for chrom in study.profile.chromosomes]
    own = pl.concat([read_part(folder, _ROW_COLUMNS).with_row_index("at") for folder in folders])
    return own.with_columns(pair_keys(own, spec.fingerprint, study.profile.windows.as_dict()))


def _match(
    originals: Originals, own: pl.DataFrame, study: Study, progress: Progress
) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """Find the variants that the files have vectors for.

    Equal windows have equal vectors under a mean, wherever they lie, so a row serves every variant with its windows.

    Returns:
        Variants of the data root, each once, with their `row` in the files, by row; and the rows that match none.
    """
    if originals.windows is None:
        _check_aligned(originals, own, study)
        return own.with_row_index("row").unique("key", keep="first", maintain_order=True), np.empty(0, np.int64)
    digests = originals.digests(progress).with_row_index("row")
    matches = digests.join(own, on=["ref_digest", "var_digest"], how="inner", maintain_order="left_right")
    unmatched = np.setdiff1d(np.arange(originals.rows), matches["row"].to_numpy())
    if not matches.height:
        raise FormatError(
            f"none of the {originals.rows} pairs of windows in {originals.windows.path} is in this data root",
            expected=f"windows of {study.profile.windows.length} bases with the variant at index "
            f"{study.profile.windows.anchor}, of chromosome {', '.join(study.profile.chromosomes)}",
            fix="use the profile `faithful`, or one with the windows and chromosomes that the vectors are of",
        )
    return matches.unique("key", keep="first", maintain_order=True), unmatched


def _check_aligned(originals: Originals, own: pl.DataFrame, study: Study) -> None:
    """Without windows a row is known by its place alone: refuse unless every row could be the data root's."""
    path, windows = originals.vectors.path, study.profile.windows
    fix = "name the folder that holds the file with the windows too (arrays ref and var): rows are found by them"
    if windows.anchor != windows.length // 2:
        raise FormatError(
            f"{path} has no windows, and this study's have the variant at index {windows.anchor}",
            expected=f"{windows.length // 2}, where the original has it",
            fix=fix,
        )
    if originals.rows != own.height:
        raise FormatError(
            f"{path} has {originals.rows} rows", expected=f"{own.height}, as this data root has", fix=fix
        )
    for name in ("label", "var_len"):
        column = originals.vectors.array(name)
        if (row := first_difference(column, own[name].to_numpy())) is not None:
            place = own.row(row, named=True)
            raise FormatError(
                f"{path} is not in the order of this data root: {name} of row {row} is {column[row]}",
                expected=f"{place[name]}, that of {place['chrom']}:{place['pos']} {place['ref']}>{place['alt']}",
                fix=fix,
            )


def _check(
    originals: Originals, matches: pl.DataFrame, sample: int, study: Study, spec: EncoderSpec, progress: Progress
) -> Agreement:
    """Look at every vector and recompute some."""
    chosen = matches[_spread_places(matches["kind"], sample)]
    ref, var = _checked_vectors(originals, chosen["row"].to_numpy(), study.profile.encoder.shard_rows, progress)
    encoder = load_encoder(study, spec)
    progress(f"recomputing {chosen.height} pairs on {encoder.device_name}")
    pairs = _windows_of(study, chosen)
    recomputed = encoder.embed_pairs(
        window_matrix(pairs["ref_seq"]), window_matrix(pairs["var_seq"]), pairs["variant_offset"].to_numpy()
    )
    agreement = measure_agreement(_as_pairs(ref, var), recomputed)
    check_agreement(agreement, spec)
    return agreement


def _spread_places(kinds: pl.Series, size: int) -> NDArray[np.int64]:
    """About `size` places, the same every time, spread over the rows; of every kind an eighth if there are as many."""
    chosen = []
    for kind in kinds.unique().sort():
        places = np.flatnonzero((kinds == kind).to_numpy())
        share = max(math.ceil(size * _SMALLEST_SHARE), round(size * places.size / len(kinds)))
        chosen.append(places[np.linspace(0, places.size - 1, min(share, places.size)).round().astype(np.int64)])
    return np.sort(np.concatenate(chosen))


def _checked_vectors(originals: Originals, rows: NDArray[np.integer], block: int, progress: Progress) -> Block:
    """Reference and variant vectors of some rows, while every row is checked.

    Args:
        originals: The files.
        rows: Ascending; a row may be there twice.
        block: Rows to read at a time.
        progress: Called with a line now and then.
    """
    bad, first, kept = 0, None, []
    for start, (ref, var) in originals.blocks(block, progress):
        if (faulty := np.flatnonzero(~(_is_sound(ref) & _is_sound(var)))).size:
            bad, first = bad + faulty.size, start + int(faulty[0]) if first is None else first
        here = rows[(rows >= start) & (rows < start + len(ref))] - start
        kept.append((ref[here], var[here]))
    if bad:
        raise EncoderError(
            f"{bad} of {originals.rows} rows of {originals.vectors.path} have vectors with NaN or infinity, or of "
            f"zeros alone, row {first} first",
            expected="finite numbers",
            fix="leave these rows out of both files, or compute the vectors here",
        )
    ref, var = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    return ref, var


def _is_sound(vectors: NDArray[np.floating]) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(vectors).all(axis=1) & vectors.any(axis=1))


def _windows_of(study: Study, chosen: pl.DataFrame) -> pl.DataFrame:
    """The windows of chosen rows, in their order."""
    parts = []
    for part in chosen.select("chrom", "at").with_row_index("place").partition_by("chrom"):
        table = read_part(study.variant_windows(part["chrom"][0]).files(), _PAIR_COLUMNS)
        parts.append(table[part["at"]].with_columns(part["place"]))
    return pl.concat(parts).sort("place")


def _store_all(
    originals: Originals, todo: pl.DataFrame, store: EmbeddingStore, shard_rows: int, progress: Progress
) -> None:
    store.sweep()
    for keys, (ref, delta) in _shards(originals, todo, shard_rows, progress):
        store.append(keys, ref, delta)


def _shards(
    originals: Originals, todo: pl.DataFrame, shard_rows: int, progress: Progress
) -> Iterator[tuple[pl.Series, Pairs]]:
    """Keys and vectors of a shard each: those that have their rows in one block of the files."""
    rows = todo["row"].to_numpy()  # ascending
    for start, (ref, var) in originals.blocks(shard_rows, progress):
        first, end = np.searchsorted(rows, (start, start + len(ref)))
        if first < end:
            here = rows[first:end] - start
            yield todo["key"][int(first) : int(end)], _as_pairs(ref[here], var[here])


def _as_pairs(ref: NDArray[np.floating], var: NDArray[np.floating]) -> Pairs:
    """Reference vectors and differences in float32."""
    vectors = ref.astype(np.float32)
    return vectors, var.astype(np.float32) - vectors
