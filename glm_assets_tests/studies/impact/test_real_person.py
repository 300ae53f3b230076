"""The reads of HG00096 over BRCA1, real ClinVar and real GRCh38, from the files to a report and predictions."""

from __future__ import annotations

import pytest

from glm_assets.storage.tables import read_part
from glm_assets_tests.studies.impact.persons import embed, person, silent

CHROM = "17"


@pytest.mark.system
@pytest.mark.real_data
def test_real_reads_reach_a_report(tmp_path, real_data):
    torch = pytest.importorskip("torch")
    pytest.importorskip("vortex")
    torch.set_num_threads(1)
    from glm_assets.studies.impact.head import make_head
    from glm_assets.studies.impact.predictions import make_predictions
    from glm_assets.studies.impact.report import make_report
    from glm_assets.studies.impact.training_set import make_training_set
    from glm_assets.tracking import NullTracker

    reads = real_data / "reads" / "HG00096.brca1.bam"
    vcf = tmp_path / "new.vcf"
    vcf.write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        + "".join(f"chr17\t{line}\t.\t.\t.\n" for line in _new_variants(real_data))
    )
    study = person(
        tmp_path,
        real_data / "ncbi_mirror",
        {"profile": {"chromosomes": [CHROM]}, "clinvar_cutoff": "2026-03-01", "test_csv": None},
        individual="HG00096",
        alignments=str(reads),
        variants=None,
        chromosomes=[CHROM],
        reads={"length": 100, "absent_variants": 60, "per_variant": 2},
        encoder={"pooling": "positions:100"},
        head={"epochs": 3},
        new={"reads": None, "variants": str(vcf)},
        resamples=100,
    )
    embed(study, CHROM)
    manifests = {
        name: study.main.require(product).facts
        for name, product in (
            ("reads", study.individual_alignments(CHROM)),
            ("variants", study.individual_variants(CHROM)),
            ("examples", study.read_examples(CHROM)),
        )
    }
    assert manifests["reads"]["contig"] == "chr17"
    assert manifests["reads"]["counts"]["reads"] == 2025
    assert manifests["variants"]["rows"] == 5500
    assert manifests["variants"]["unknown_terms"] == {}
    # Of 83 SNVs with a read that shows ALT, those that two reads of quality and a fifth of all show; and indels.
    assert 30 <= manifests["variants"]["carried"] <= 83
    assert manifests["examples"]["known_allele_share"] > 0.99
    assert manifests["examples"]["allele_agreement"] == 1
    examples = read_part(study.read_examples(CHROM).files())
    assert set(examples["split"]) == {"train", "val", "test"}
    assert examples.filter(allele_in_read="alternate").height > 30
    make_training_set(study)
    make_head(study, NullTracker(), silent, dagster_run_id="test")
    report = make_report(study, silent)
    table = read_part(study.report().files())
    rmse = table.filter(slice="all", split="test", figure="rmse")
    assert set(rmse["predictor"]) == {"conv", "linear", "mean"}
    assert rmse["value"].is_between(0, 10).all()
    assert "rmse_saved" in report.facts
    make_predictions(study, silent)
    scored = read_part(study.predictions_folder)
    assert scored["score_conv"].is_between(0, 10).all()
    assert scored["reason"].null_count() == scored.height == 5


def _new_variants(real_data) -> list[str]:
    """Five substitutions of the release, as the columns POS to ALT."""
    import gzip

    release = real_data / "ncbi_mirror/pub/clinvar/vcf_GRCh38/weekly/clinvar_20260226.vcf.gz"
    with gzip.open(release, "rt") as stream:
        fields = [line.split("\t")[:5] for line in stream if line.startswith("17\t")]
    snvs = [field for field in fields if len(field[3]) == len(field[4]) == 1 and field[4] != "."]
    return ["\t".join(field[1:5]) for field in snvs[1000:1050:10]]
