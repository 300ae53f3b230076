"""Two hundred real ClinVar variants of BRCA2 on real GRCh38, from the release to a submission."""

from __future__ import annotations

import gzip
import hashlib
import shutil
from pathlib import Path

import polars as pl
import pytest

from glm_assets.lineage.embeddings import make_test_embeddings, make_variant_embeddings
from glm_assets.lineage.heads import make_head
from glm_assets.lineage.ladders import make_mutation_ladders
from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
from glm_assets.lineage.submission import make_submission, make_test_sequences
from glm_assets.lineage.variants import make_clinvar_variants, make_split_audit, make_variant_windows
from glm_assets.storage.tables import read_part
from glm_assets.tracking import NullTracker
from glm_assets_tests.lineage.studies import tiny_study

WEEKLY = "pub/clinvar/vcf_GRCh38/weekly"
LABELS = ("Pathogenic", "Likely_pathogenic", "Benign", "Likely_benign")
WANTED, CLUSTER = 200, 5


def is_labelled(line: str) -> bool:
    """Whether a record of chromosome 13 has a plain label and a review star."""
    fields = line.split("\t")
    info = dict(part.partition("=")[::2] for part in fields[7].strip().split(";"))
    starred = info.get("CLNREVSTAT", "").startswith(("criteria_provided", "reviewed_by_expert_panel"))
    return fields[0] == "13" and info.get("CLNSIG") in LABELS and starred and len(fields[3]) < 40


@pytest.fixture(scope="module")
def mirror(tmp_path_factory, real_data) -> Path:
    """A mirror with the real reference and a release of 200 real records, in clusters over the gene."""
    import pysam

    source, mirror = real_data / "ncbi_mirror", tmp_path_factory.mktemp("real") / "mirror"
    shutil.copytree(source / "genomes", mirror / "genomes")
    with gzip.open(source / WEEKLY / "clinvar_20260226.vcf.gz", "rt") as stream:
        lines = list(stream)
    header = [line for line in lines if line.startswith("#")]
    records = [line for line in lines if not line.startswith("#") and is_labelled(line)]
    step = len(records) // (WANTED // CLUSTER)
    clusters = (records[start : start + CLUSTER] for start in range(0, len(records), step))
    chosen = [record for cluster in clusters for record in cluster][:WANTED]
    vcf = mirror / WEEKLY / "clinvar_20260226.vcf.gz"
    vcf.parent.mkdir(parents=True)
    with pysam.BGZFile(str(vcf), "wb") as out:
        out.write("".join(header + chosen).encode())
    vcf.with_name(f"{vcf.name}.md5").write_text(f"{hashlib.md5(vcf.read_bytes()).hexdigest()}  {vcf.name}\n")
    return mirror


@pytest.mark.system
@pytest.mark.real_data
def test_real_variants_reach_a_submission(tmp_path, mirror, tiny_tree):
    study = tiny_study(
        tmp_path,
        mirror,
        profile={"chromosomes": ["13"]},
        clinvar_cutoff="2026-03-01",
        test_csv=tiny_tree / "test.csv",
    )
    lines: list[str] = []
    assert make_clinvar_release(study, lines.append).facts["records_in_file"] == WANTED
    assert make_reference_genome(study, lines.append).facts["chromosomes"]["13"] == 114_364_328
    make_glm_checkpoint(study, lines.append)
    assert make_clinvar_variants(study, "13").facts["kept"] > 190
    windows = make_variant_windows(study, "13").facts
    assert windows["reference_mismatches"] == 0
    assert windows["rows"] == windows["labelled_variants"]
    assert make_variant_embeddings(study, "13", lines.append).facts["zero_delta_share"] == 0
    assert make_split_audit(study).facts["overlapping_rows"] == 0
    make_mutation_ladders(study, lines.append)
    for name in ("head_v0", "head_v1", "head_v2", "head_v3"):
        make_head(study, name, NullTracker(), lines.append, dagster_run_id="test")
    make_test_sequences(study)
    make_test_embeddings(study, lines.append)
    make_submission(study, NullTracker().registry)

    submission = pl.read_csv(study.submission_csv)
    asked = pl.read_csv(tiny_tree / "test.csv")
    assert submission["ID"].to_list() == asked["ID"].to_list()
    norms = submission.select(pl.sum_horizontal(pl.exclude("ID") ** 2).sqrt()).to_series()
    assert (norms - 1).abs().max() < 1e-5
    genes = read_part(study.variant_windows("13").folder, ["gene"])["gene"].unique().to_list()
    assert "BRCA2" in genes
