"""HG00096's reads over BRCA1 and ClinVar, against pysam's pileup."""

from __future__ import annotations

from collections import Counter, defaultdict

import polars as pl
import pysam
import pytest

from glm_assets.sources.vcf import parse_records
from glm_assets.studies.impact.carried import individual_variants
from glm_assets.studies.impact.configuration import SplitSettings
from glm_assets.studies.impact.reads import read_examples
from glm_assets.studies.impact.sightings import ALTERNATE, Alleles, ReadThresholds, seen_reads
from glm_assets.studies.impact.splitting import leaks, split_examples
from glm_assets_tests.studies.impact.toys import carried_settings, opened, read_settings

pytestmark = pytest.mark.real_data

READS = "reads/HG00096.brca1.bam"


@pytest.fixture(scope="module")
def records(real_data, tmp_path_factory) -> pl.DataFrame:
    vcf = real_data / "ncbi_mirror/pub/clinvar/vcf_GRCh38/weekly/clinvar_20260226.vcf.gz"
    out = tmp_path_factory.mktemp("records") / "records.parquet"
    parse_records(vcf, out)
    return pl.read_parquet(out).filter(chrom="17")


@pytest.fixture(scope="module")
def snvs(records) -> pl.DataFrame:
    single = (pl.col("ref").str.len_bytes() == 1) & (pl.col("alt").str.len_bytes() == 1) & (pl.col("alt") != ".")
    return records.filter(single).sort("pos", "alt")


@pytest.fixture(scope="module")
def without_flags(real_data, tmp_path_factory):
    """The reads with duplicates not marked, as the pileup without any filter sees them."""
    out = tmp_path_factory.mktemp("reads") / "reads.bam"
    with (
        pysam.AlignmentFile(real_data / READS) as source,
        pysam.AlignmentFile(out, "wb", template=source) as target,
    ):
        for read in source:
            read.is_duplicate = False
            target.write(read)
    return out


def piled_up(path, snvs: pl.DataFrame, stepper: str) -> tuple[set[int], set[int]]:
    """Rows of the variants with a read, and with a read of the alternate base."""
    bases = defaultdict(set)
    with pysam.AlignmentFile(path) as file:
        columns = file.pileup(
            "chr17",
            stepper=stepper,
            min_base_quality=0,
            ignore_overlaps=False,
            ignore_orphans=False,
            max_depth=100_000,
        )
        for column in columns:
            for read in column.pileups:
                if read.query_position is not None:
                    bases[column.reference_pos].add(read.alignment.query_sequence[read.query_position])
    rows = list(enumerate(snvs.select("pos", "alt").iter_rows()))
    return {row for row, (pos, _) in rows if bases[pos - 1]}, {
        row for row, (pos, alt) in rows if alt in bases[pos - 1]
    }


def seen(path, snvs: pl.DataFrame) -> set[int]:
    alleles = Alleles(snvs["pos"].to_numpy() - 1, snvs["ref"].to_list(), snvs["alt"].to_list())
    with opened(path) as alignments:
        reads = seen_reads(alignments, "17", alleles, ReadThresholds(0, 0), Counter())
        return {s.variant for read in reads for s in read.sightings if s.allele == ALTERNATE}


def test_the_83_substitutions_that_a_read_shows(real_data, without_flags, snvs):
    covered, shown = piled_up(real_data / READS, snvs, "nofilter")
    assert (snvs.height, len(covered), len(shown)) == (4506, 4484, 83)
    assert seen(without_flags, snvs) == shown
    # One of them is in a duplicate alone.
    marked = piled_up(real_data / READS, snvs, "all")[1]
    assert len(marked) == 82
    assert seen(real_data / READS, snvs) == marked


def test_from_reads_to_splits(real_data, records, tmp_path):
    settings = read_settings(length=100, absent_variants=500)
    with opened(real_data / READS) as alignments:
        variants, counts = individual_variants(
            records,
            individual="HG00096",
            chrom="17",
            carried=carried_settings(require_dbsnp=True),
            consequences="accession",
            vcf=None,
            alignments=alignments,
            reads=settings,
            work=tmp_path,
        )
        examples, dropped = read_examples(variants, alignments, settings, chrom="17")
    assert (counts["clinvar_records"], counts["reads"], counts["dropped_reads:duplicate"]) == (5500, 2025, 26)
    assert counts["excluded:no_dbsnp"] == 276
    assert counts["carried"] == 44
    for row in examples.iter_rows(named=True):
        allele = {"alternate": row["alt"], "reference": row["ref"]}[row["allele_in_read"]]
        assert row["sequence"][row["variant_offset"] :].startswith(allele)
    by_impact = examples.filter(allele_in_read="alternate").group_by("impact", "target").len().sort("target")
    assert by_impact["target"].to_list() == [0.1, 0.2, 0.5]
    assert dropped["dropped:low_base_quality"] > 0
    for by in ("variant", "locus"):
        split = split_examples(examples, SplitSettings(by=by, val=20, test=20), chrom="17", length=100)
        assert leaks(split) == {"groups": 0, "reads": 0, "sequences": 0}
        assert split["split"].n_unique() == 3
