"""Scoring a user's VCF, region and experiment in a tiny study, against the encoder and the head called by hand."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pysam
import pytest

from glm_assets.encoders.engines.job import EmbedJob
from glm_assets.errors import MissingUpstreamError, SettingsError
from glm_assets.heads.apply import load_head
from glm_assets.heads.probes import load_probe
from glm_assets.lineage.embeddings import load_encoder
from glm_assets.lineage.scored_results import region_grid
from glm_assets.lineage.scored_variants import make_scored_variants
from glm_assets.lineage.scoring_plan import Choices
from glm_assets.lineage.study import Study
from glm_assets.tracking import NullTracker
from glm_assets.variants.region import parse_region
from glm_assets_tests.lineage.user_scoring import (
    HEADER,
    PLACE,
    asking,
    genome,
    other_base,
    score,
    scoring_study,
    silent,
)

LENGTH, ANCHOR = 128, 64


@pytest.fixture(scope="module")
def root(tmp_path_factory, tiny_tree) -> Study:
    return scoring_study(tmp_path_factory.mktemp("scored"), tiny_tree)


def write_vcf(study: Study, folder: Path) -> tuple[Path, list[str]]:
    """A VCF with every kind of record; 21 is no chromosome of the study."""
    own, far = genome(study, "22"), genome(study, "21")
    a, b, c, d = (own[PLACE + step] for step in (0, 10, 20, 21))
    records = [
        f"chr22\t{PLACE + 1}\trs1\t{a}\t{other_base(a)},<DEL>\t50.0\tPASS\tNOTE=<i>x</i>",
        f"chr22\t{PLACE + 11}\t.\t{b}\t{b}GA\t.\t.\t.",
        f"chr22\t{PLACE + 21}\t.\t{c}{d}\t{c}\t.\t.\t.",
        f"chr22\t{PLACE + 21}\t.\t{other_base(c)}\t{c}\t.\t.\t.",
        f"chr22\t{PLACE + 31}\t.\tN\tA\t.\t.\t.",
        f"chr21\t{PLACE + 1}\t.\t{far[PLACE]}\t{other_base(far[PLACE])}\t.\t.\t.",
        "un\t5\t.\tA\tC\t.\t.\t.",
    ]
    path = folder / "my.vcf"
    path.write_text(HEADER + "\n".join(records) + "\n")
    return path, records


REASONS = [None, "symbolic_alt", None, None, "ref_mismatch", "not_acgt_ref", None, "unknown_contig"]


@pytest.fixture(scope="module")
def scored(root, tmp_path_factory):
    path, records = write_vcf(root, tmp_path_factory.mktemp("vcf"))
    study = asking(root, user_vcf=path)
    manifest, table, folder = score(study)
    kept = tmp_path_factory.mktemp("kept")
    for name in manifest.files:
        (kept / name).write_bytes((folder / name).read_bytes())
    return study, manifest, table, kept, records


def by_hand(study: Study, chrom: str, pos: int, ref: str, alt: str) -> tuple[bytes, bytes]:
    """Reference and variant window, from the rules in words."""
    text, start = genome(study, chrom), pos - 1 - ANCHOR
    before, after = text[start : pos - 1], text[pos - 1 + len(ref) :]
    assert text[pos - 1 : pos - 1 + len(ref)] == ref
    return text[start : start + LENGTH].encode(), (before + alt + after[:LENGTH])[:LENGTH].encode()


def numbers(values) -> list[float]:
    return [np.nan if value is None else value for value in values]


def as_rows(*windows: bytes) -> np.ndarray:
    return np.stack([np.frombuffer(window, np.uint8) for window in windows])


def cosine_distance(pair: np.ndarray) -> float:
    u, v = (vector.astype(np.float64) / np.linalg.norm(vector.astype(np.float64)) for vector in pair)
    return float(0.5 * ((u - v) ** 2).sum())


def test_scores_are_those_of_the_encoder_and_the_head_called_by_hand(scored, root):
    import torch

    study, _, table, _, _ = scored
    encoder, likelihood = load_encoder(study, study.encoder_spec), load_encoder(study, study.likelihood_spec)
    head, probe = load_head(root.root / "head_1.safetensors"), load_probe(root.head_folder("linear_probe"))
    complement = bytes.maketrans(b"ACGT", b"TGCA")
    usable = table.filter(pl.col("reason").is_null())
    assert usable.height == 4
    for row in usable.iter_rows(named=True):
        windows = by_hand(study, row["chrom"], row["pos"], row["ref"], row["alt"])
        vectors = encoder.embed(as_rows(*windows))
        assert row["raw_distance"] == pytest.approx(cosine_distance(vectors), rel=1e-3, abs=1e-9)
        with torch.inference_mode():
            unit = head(torch.tensor(vectors)).numpy()
        assert row["head_distance"] == pytest.approx(cosine_distance(unit), rel=1e-3, abs=1e-9)
        expected = probe.probability(vectors[:1], vectors[1:] - vectors[:1])[0]
        assert row["probe_probability"] == pytest.approx(expected, rel=1e-3)
        if len(row["ref"]) == len(row["alt"]):
            other = [window.translate(complement)[::-1] for window in windows]
            logs = [likelihood.embed(as_rows(*strand))[:, 0].astype(np.float64) for strand in (windows, other)]
            mean = (logs[0] + logs[1]) / 2
            assert row["log_likelihood_ratio"] == pytest.approx(mean[1] - mean[0], rel=1e-3, abs=1e-3)


def test_every_alt_keeps_its_place_and_its_reason(scored):
    _, manifest, table, _, _ = scored
    assert table.select("record", "alt_index").rows() == [
        (0, 0), (0, 1), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0)
    ]  # fmt: skip
    assert table["reason"].to_list() == REASONS
    assert table["chrom"].to_list() == ["22"] * 6 + ["21", "un"]
    scores = table.select(pl.col(pl.Float64))
    assert scores.width == 4
    for column in scores:
        assert column.is_null().to_list() == [reason is not None for reason in REASONS]
        assert not column.is_nan().any()
    facts = manifest.facts
    assert (facts["rows"], facts["scored"], facts["records"]) == (8, 4, 7)
    assert facts["unscored"] == {reason: 1 for reason in REASONS if reason}
    assert (facts["reference_compared"], facts["reference_mismatches"]) == (5, 1)


def test_the_annotated_vcf_has_every_record_as_it_was_with_the_table_s_numbers(scored):
    study, manifest, table, folder, records = scored
    lines = gzip.decompress((folder / "scored.vcf.gz").read_bytes()).decode().splitlines()
    found = [line.split("\t") for line in lines if not line.startswith("#")]
    assert [fields[:7] for fields in found] == [record.split("\t")[:7] for record in records]
    assert found[0][7].startswith("NOTE=<i>x</i>;GLM_DISTANCE=")
    with (
        pysam.VariantFile(str(folder / "scored.vcf.gz")) as file,
        pysam.VariantFile(str(study.settings.user_vcf)) as old,
    ):
        for number, (new, before) in enumerate(zip(file, old, strict=True)):
            assert (new.pos, new.id, new.ref, new.alts, new.qual) == (
                (before.pos, before.id, before.ref, before.alts, before.qual)
            )
            expected = table.filter(record=number)["head_distance"].to_list()
            shown = new.info.get("GLM_DISTANCE", (None,) * len(expected))
            assert numbers(shown) == pytest.approx(numbers(expected), rel=1e-5, nan_ok=True)
    meta = next(line for line in lines if line.startswith("##glm_assets"))
    assert study.encoder_spec.fingerprint in meta
    assert "head_1.safetensors" in meta
    assert study.reference().facts["md5"] in meta
    assert manifest.facts["index"] == "scored.vcf.gz.tbi"


def test_another_head_or_a_second_run_computes_no_vector(scored, monkeypatch):
    study, manifest, table, _, _ = scored
    monkeypatch.setattr(EmbedJob, "load", lambda _: pytest.fail("encoder loaded"))
    assert score(study)[0].reused or score(study)[0].data_version == manifest.data_version
    other, changed, _ = score(study, head=2)
    assert not other.reused
    assert sum(other.facts["windows_computed"].values()) == 0
    assert changed["raw_distance"].equals(table["raw_distance"])
    assert not changed["head_distance"].equals(table["head_distance"])


def test_parts_that_are_lacking_are_null_with_their_reason_and_the_rest_is_there(scored, root):
    study = scored[0]
    manifest, table, _ = score(study, head=None, probe="covariance_probe", likelihood=False)
    assert table["raw_distance"].count() == 4
    for name in ("head_distance", "probe_probability", "log_likelihood_ratio"):
        assert table[name].null_count() == table.height
    absent = "; ".join(manifest.facts["absent_scores"])
    assert "head_distance: no head was asked for" in absent
    assert "covariance" in absent
    assert "likelihoods were not asked for" in absent
    with pytest.raises(MissingUpstreamError, match=r"the head head_v3 cannot be used.*head: none"):
        make_scored_variants(study, Choices("head_v3"), NullTracker.registry, silent)
    with pytest.raises(SettingsError, match="unknown probe 'none_such'"):
        score(study, probe="none_such")


def test_a_region_has_every_substitution_and_an_experiment_is_joined(root, tmp_path):
    first, bases = PLACE + 1, 6
    text = genome(root, "22")[PLACE : PLACE + bases]
    path = tmp_path / "mine.tsv"
    rows = [f"chr22\t{first + i}\t{base}\t{other_base(base)}\t{i}\t{i % 2}" for i, base in enumerate(text)]
    path.write_text("\n".join(["CHROM\tPOS\tREF\tALT\tSCORE\tCLASS", *rows]))
    region = f"chr22:{first}-{first + bases - 1}"
    manifest, table, folder = score(asking(root, region=region, experiment=path))
    assert table.height == 3 * bases
    assert table.filter(pl.col("reason").is_not_null()).is_empty()
    assert set(table.select("pos", "ref", "alt").rows()) == {
        (first + i, base, alt) for i, base in enumerate(text) for alt in "ACGT" if alt != base
    }
    grid = region_grid(table, parse_region(region), "head_distance")
    for row in table.iter_rows(named=True):
        assert grid.values["ACGT".index(row["alt"]), row["pos"] - first] == row["head_distance"]
    assert [("ACGT")[row] for row in grid.reference] == list(text)
    assert {"distance.png", "likelihood.png", "agreement.png", "experiment.parquet"} <= manifest.files.keys()
    facts = manifest.facts
    assert facts["experiment_joined"] == bases
    assert facts["experiment_classes"] == ["0 is negative", "1 is positive"]
    joined = table.join(
        pl.DataFrame({"pos": range(first, first + bases), "alt": [other_base(base) for base in text]}),
        on=["pos", "alt"],
    ).sort("pos")
    expected = np.corrcoef(joined["head_distance"].to_numpy(), np.arange(bases))[0, 1]
    assert facts["experiment"]["head_distance/pearson"] == pytest.approx(expected)
    figures = pl.read_parquet(folder / "experiment.parquet")
    assert figures.filter(figure="auroc", score="raw_distance")["positives"].to_list() == [3]


def test_what_to_score_must_be_said_once(root, tmp_path):
    for settings, message in (
        ({}, "nothing to score.*GLM_USER_VCF=/path"),
        ({"user_vcf": tmp_path / "a.vcf", "region": "22:1-2"}, "are both set"),
        ({"user_vcf": tmp_path / "a.vcf"}, "GLM_USER_VCF names .*a.vcf, which does not exist"),
        ({"region": "22:1-2", "experiment": tmp_path / "e.tsv"}, "GLM_EXPERIMENT names"),
        ({"region": "22:5-2"}, "begins at 5 and ends at 2"),
    ):
        with pytest.raises(SettingsError, match=message):
            score(asking(root, **settings))


def test_blocks_of_windows_change_nothing_and_load_one_encoder(scored, monkeypatch, tmp_path):
    study, _, table, _, _ = scored
    loads = []
    load = EmbedJob.load
    monkeypatch.setattr(EmbedJob, "load", lambda job: loads.append(job.spec.pooling) or load(job))
    monkeypatch.setattr("glm_assets.variants.user_windows._WINDOW_BASES", 1)
    fresh = asking(study, embeddings_url=str(tmp_path / "vectors"))
    (study.tables / "scored_variants" / "manifest.json").unlink(missing_ok=True)
    _, again, _ = score(fresh)
    assert loads == ["mean", "log_likelihood"]
    names = [name for name in table.columns if table[name].dtype == pl.Float64]
    for name in names:
        assert numbers(again[name]) == pytest.approx(numbers(table[name]), rel=1e-3, abs=1e-6, nan_ok=True), name
    assert again.drop(names).equals(table.drop(names))
