"""Scoring through Dagster: what is shown, and what the checks say."""

from __future__ import annotations

import dagster as dg
import duckdb
import pytest

from glm_assets.genome.fasta import ReferenceGenome
from glm_assets.sources.reference import FASTA
from glm_assets_tests.defs.conftest import open_lineage

CONFIG = {"ops": {"scored_variants": {"config": {"head": "none", "probe": "none", "likelihood": False}}}}


def write_vcf(path, lines) -> None:
    path.write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + "".join(lines))


@pytest.fixture
def sources(tmp_path, tiny_tree):
    pytest.importorskip("vortex")
    with dg.DagsterInstance.ephemeral() as instance:
        lineage = open_lineage(tmp_path, tiny_tree, instance, user_vcf=tmp_path / "my.vcf")
        lineage.run("reference_genome", "glm_checkpoint")
        yield lineage


def materialise(lineage):
    job = lineage.defs.get_implicit_global_asset_job_def()
    return job.execute_in_process(
        asset_selection=[dg.AssetKey("scored_variants")], instance=lineage.instance, run_config=CONFIG
    )


def answers(result) -> dict[str, dg.AssetCheckEvaluation]:
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def test_a_vcf_is_scored_without_any_clinvar_and_the_checks_speak(sources, tmp_path):
    text = ReferenceGenome(sources.study.reference_folder / FASTA).sequence("22").tobytes().decode()
    change = {"A": "C", "C": "A", "G": "T", "T": "G"}
    lines = [f"22\t{at + 1}\t.\t{text[at]}\t{change[text[at]]}\t.\t.\t.\n" for at in range(12_000, 12_004)]
    write_vcf(tmp_path / "my.vcf", [*lines, "22\t12010\t.\tA\t<DUP>\t.\t.\t.\n"])
    result = materialise(sources)
    checks = answers(result)
    assert checks["reference_matches"].passed
    assert not checks["all_scored"].passed
    assert checks["all_scored"].severity == dg.AssetCheckSeverity.WARN
    assert checks["all_scored"].metadata["symbolic_alt"].value == 1
    shown = sources.metadata("scored_variants")
    assert shown["scored"].value == 4
    assert shown["dagster/row_count"].value == 5
    assert shown["scores"].value.startswith("![scores](data:image/png;base64,")
    with duckdb.connect(str(sources.study.warehouse), read_only=True) as warehouse:
        assert warehouse.sql("select count(raw_distance), count(*) from scored_variants").fetchall() == [(4, 5)]
    assert materialise(sources).get_asset_materialization_events()[0].materialization.metadata["reused"].value


def test_a_vcf_of_another_build_is_told(sources, tmp_path):
    text = ReferenceGenome(sources.study.reference_folder / FASTA).sequence("22").tobytes().decode()
    change = {"A": "C", "C": "A", "G": "T", "T": "G"}
    lines = [f"22\t{at + 1}\t.\t{change[text[at]]}\t{text[at]}\t.\t.\t.\n" for at in range(12_000, 12_004)]
    write_vcf(tmp_path / "my.vcf", lines)
    check = answers(materialise(sources))["reference_matches"]
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.ERROR
    assert check.metadata["share"].value == 1.0
