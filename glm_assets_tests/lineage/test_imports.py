"""Importing the original's vectors: what is brought in, how a killed import goes on, and what is said about it.

Tolerances: float16 keeps 11 bits, so a vector is within 2^-11 = 0.0005 of its norm; a difference of two of them,
here 0.1 of the norm, within 0.01 of its own. A mean in bfloat16 (8 bits, rounded thrice) is eight times coarser.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glm_assets.errors import FormatError
from glm_assets.lineage.embeddings import load_encoder, make_variant_embeddings, read_embeddings
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets.storage.tables import read_part
from glm_assets_tests.lineage import original
from glm_assets_tests.lineage.pasts import (
    CHROMOSOMES,
    LAYER,
    ORIGINAL_LABELS,
    Past,
    assert_nothing_stored,
    copy_of,
    of_chromosomes,
    save,
    silent,
)
from glm_assets_tests.lineage.studies import write_tiny_profile


def relative(found: np.ndarray, expected: np.ndarray, norm: np.ndarray) -> float:
    return float((np.linalg.norm(found - expected, axis=1) / np.linalg.norm(norm, axis=1)).max())


def assert_materialises_without_computing(past: Past, reference: float, delta: float) -> None:
    """Every variant is a cache hit, and its vectors are within these relative errors of computed ones."""
    encoder = load_encoder(past.study, past.study.encoder_spec)
    for chrom in CHROMOSOMES:
        facts = make_variant_embeddings(past.study, chrom, silent).facts
        rows = read_part(past.study.variant_windows(chrom).folder)
        assert facts["windows_computed"] == 0
        assert facts["cache_hits"] == facts["rows"] == rows.height > 20
        matrices = [
            np.array([list(text.encode()) for text in rows[name]], np.uint8) for name in ("ref_seq", "var_seq")
        ]
        computed = encoder.embed_pairs(*matrices, rows["variant_offset"].to_numpy())
        found = read_embeddings(past.study, chrom)
        assert relative(found[0], computed[0], computed[0]) <= reference
        assert relative(found[1], computed[1], computed[1]) <= delta


def test_what_is_imported_is_never_computed_again(past):
    foreign = int((~np.isin(past.windows["chrom"].astype(str), CHROMOSOMES)).sum())
    report = past.bring(save(past))
    rows = past.rows()
    assert report.rows == len(past.windows["label"]) == rows.height + foreign
    assert report.unmatched == foreign > 0
    assert report.first_unmatched == rows.height  # the original takes such contigs last
    assert (report.vectors, report.imported, report.skipped, report.left) == (rows.height, rows.height, 0, 0)
    assert_materialises_without_computing(past, reference=0.0005, delta=0.02)


def test_every_vector_is_the_file_s_own(past):
    past.bring(save(past))
    rows = past.rows()
    place = {
        (chrom, pos, start, window.tobytes()): number
        for number, (chrom, pos, start, window) in enumerate(
            zip(*(past.windows[name] for name in ("chrom", "pos", "window_start", "var")), strict=True)
        )
    }
    numbers = [
        place[row["chrom"], row["pos"], row["window_start"] + 1, bytes(original.encode(row["var_seq"]))]
        for row in rows.iter_rows(named=True)
    ]
    ref, var = (past.vectors[name][numbers].astype(np.float32) for name in ("ref_emb", "var_emb"))
    for chrom in CHROMOSOMES:
        make_variant_embeddings(past.study, chrom, silent)
    found = [np.concatenate(parts) for parts in zip(*(read_embeddings(past.study, c) for c in CHROMOSOMES))]  # noqa: B905
    assert np.array_equal(found[0], ref)
    assert np.array_equal(found[1], var - ref)


def test_the_original_s_mean_in_bfloat16_is_taken_by_a_study_that_has_it(made_past, tmp_path):
    past = copy_of(made_past, tmp_path, pooling="mean_bf16", store_dtype="float16")
    model = load_encoder(past.study, past.study.encoder_spec)._model
    past.vectors = original.embed(past.windows, model, LAYER, in_bfloat16=True)
    report = past.bring(save(past))
    assert report.agreement.delta_correlation_mean > 0.99
    assert report.imported == past.rows().height
    assert_materialises_without_computing(past, reference=0.004, delta=0.16)


def test_one_file_with_all_arrays_will_do(past):
    file = past.folder / "all.npz"
    np.savez(file, **(past.windows | past.vectors))
    assert past.bring(file).imported == past.rows().height


def test_files_are_found_by_their_arrays_beside_others(past):
    folder = save(past)
    (folder / original.WINDOWS).rename(folder / "b.npz")
    (folder / original.VECTORS).rename(folder / "a.npz")
    np.savez(folder / "c.npz", label=np.zeros(3))
    assert past.bring(folder).imported == past.rows().height
    shutil.copy(folder / "a.npz", folder / "d.npz")
    with pytest.raises(FormatError, match=r"several files of one kind: a\.npz, d\.npz"):
        past.bring(folder)


def test_vectors_alone_are_taken_in_the_data_root_s_own_order(past):
    folder = save(of_chromosomes(past))
    report = past.bring(folder / original.VECTORS)
    assert (report.imported, report.unmatched) == (past.rows().height, 0)
    assert_materialises_without_computing(past, reference=0.0005, delta=0.02)


class Malicious:
    """Unpickling it makes a folder."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.makedirs, (str(self.marker),)


def test_objects_in_a_file_are_not_unpickled(past):
    marker = past.folder / "it ran"
    past.windows["chrom"][:] = Malicious(marker)
    folder = save(past)
    assert past.bring(folder).imported == past.rows().height
    assert not marker.exists()
    with np.load(folder / original.WINDOWS, allow_pickle=True) as archive:
        archive["chrom"]
    assert marker.exists()  # the file really was one that runs code


def test_rows_that_the_data_root_lacks_are_counted_and_rows_that_the_file_lacks_are_left(past):
    kept = np.arange(0, len(past.windows["label"]), 2)
    past.windows = {name: array[kept] for name, array in past.windows.items()}
    past.vectors = {name: array[kept] for name, array in past.vectors.items()}
    past.windows["ref"][1, 5] = past.windows["var"][1, 5] = 4
    own = {(row["ref_seq"], row["var_seq"]) for row in past.rows().iter_rows(named=True)}
    letters = np.array(list("ACGTN"))
    theirs = ["".join(window) for window in letters[past.windows["ref"]]]
    changed = ["".join(window) for window in letters[past.windows["var"]]]
    unknown = [row for row, pair in enumerate(zip(theirs, changed, strict=True)) if pair not in own]
    report = past.bring(save(past))
    assert (report.unmatched, report.first_unmatched) == (len(unknown), unknown[0]) == (len(unknown), 1)
    assert report.vectors == report.imported == past.rows().height - report.left > 0
    hits = [make_variant_embeddings(past.study, chrom, silent).facts["cache_hits"] for chrom in CHROMOSOMES]
    assert sum(hits) == report.imported


def test_a_second_import_stores_nothing_and_reads_no_vector(past, monkeypatch):
    folder = save(past)
    first = past.bring(folder)
    files = {path: path.stat().st_mtime_ns for path in past.study.root.rglob("*") if path.is_file()}
    monkeypatch.setattr("glm_assets.lineage.originals.Originals.blocks", None)
    monkeypatch.setattr("glm_assets.lineage.imports.load_encoder", None)
    again = past.bring(folder)
    assert (again.imported, again.skipped, again.left) == (0, first.imported, 0)
    assert {path: path.stat().st_mtime_ns for path in past.study.root.rglob("*") if path.is_file()} == files


def test_an_interrupted_import_goes_on(past, monkeypatch):
    folder, append, shards = save(past), EmbeddingStore.append, []

    def dies(self, keys, *vectors):
        if len(shards) == 2:
            raise KeyboardInterrupt
        shards.append(len(keys))
        append(self, keys, *vectors)

    monkeypatch.setattr(EmbeddingStore, "append", dies)
    with pytest.raises(KeyboardInterrupt):
        past.bring(folder)
    monkeypatch.undo()
    report = past.bring(folder)
    total = past.rows().height
    assert (report.skipped, report.imported) == (sum(shards), total - sum(shards))
    assert 0 < sum(shards) < total
    assert_materialises_without_computing(past, reference=0.0005, delta=0.02)
    (record,) = (past.study.root / "imports").glob("*.json")
    killed, finished = json.loads(record.read_text())["imports"]
    assert killed["finished"] is None
    assert finished["imported"] == report.imported


KILLED = """
import os, signal, sys
from glm_assets.cli import main
from glm_assets.storage.embeddings import EmbeddingStore
append, done = EmbeddingStore.append, []
def dies(self, *shard):
    if len(done) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    append(self, *shard)
    done.append(1)
EmbeddingStore.append = dies
main(["import", "embeddings", sys.argv[1]])
"""


@pytest.mark.system
def test_a_killed_import_goes_on_from_the_command_line(past):
    folder = save(past)
    environment = os.environ | {
        "GLM_PROFILE": str(write_tiny_profile(past.folder, **ORIGINAL_LABELS)),
        "GLM_DATA_ROOT": str(past.study.root),
        "GLM_NCBI_URL": str(past.tree),
    }
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False, env=environment)
    assert killed.returncode == -signal.SIGKILL
    command = [sys.executable, "-c", "from glm_assets.cli import main; raise SystemExit(main())"]
    done = subprocess.run(
        [*command, "import", "embeddings", str(folder)],
        check=True,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "were imported" in done.stdout
    assert not done.stdout.splitlines()[1].endswith(" 0 were in the store already")
    assert_materialises_without_computing(past, reference=0.0005, delta=0.02)


def test_a_dry_run_checks_and_stores_nothing(past):
    report = past.bring(save(past), dry_run=True)
    assert (report.imported, report.skipped, report.left) == (0, 0, past.rows().height)
    assert report.vectors == past.rows().height
    assert report.agreement.reference_error_max < 0.0005
    assert_nothing_stored(past)


def test_the_sample_holds_every_kind_and_is_the_same_every_time(past, monkeypatch):
    seen = []
    from glm_assets.lineage import imports

    windows_of = imports._windows_of
    monkeypatch.setattr(
        imports, "_windows_of", lambda study, chosen: seen.append(chosen) or windows_of(study, chosen)
    )
    folder = save(past)
    for _ in range(2):
        past.bring(folder, sample=12, dry_run=True)
    assert seen[0].equals(seen[1])
    rows = past.rows()
    assert set(seen[0]["kind"]) == set(rows["kind"]) == {"snv", "ins", "del"}
    assert 12 <= seen[0].height <= 14
    assert set(seen[0]["chrom"]) == set(CHROMOSOMES)
    assert past.bring(folder, sample=10_000, dry_run=True).agreement.rows == rows.height


def test_where_vectors_came_from_is_recorded(past):
    folder = save(past)
    report = past.bring(folder)
    record = json.loads(report.record.read_text())
    assert report.record.parent == past.study.root / "imports"
    assert len(report.record.stem) == 16
    assert [(source["name"], source["bytes"]) for source in record["sources"]] == [
        (name, (folder / name).stat().st_size) for name in sorted([original.WINDOWS, original.VECTORS])
    ]
    (entry,) = record["imports"]
    assert entry["fingerprint"] == past.study.encoder_spec.fingerprint
    assert (entry["rows"], entry["imported"], entry["unmatched"]) == (
        report.rows,
        report.imported,
        report.unmatched,
    )
    assert entry["sample"]["rows"] == report.agreement.rows >= 24
    assert entry["versions"]["numpy"] == np.__version__
    assert entry["started"] <= entry["finished"]
