"""Real ClinVar rows and real GRCh38 against the plain per-record loop of `oracle`."""

import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pysam
import pytest

from glm_assets.genome.splits import SplitRule
from glm_assets.genome.windows import WindowRecipe
from glm_assets.sources.vcf import parse_records
from glm_assets.variants.labels import FAITHFUL, LabelPolicy
from glm_assets.variants.leakage import audit_splits, measure_leakage
from glm_assets.variants.variants import build_variants
from glm_assets.variants.windows import build_variant_windows

from . import oracle

pytestmark = pytest.mark.real_data

ASSEMBLY = "GCF_000001405.40_GRCh38.p14"
CONTIGS = {"13": "NC_000013.11", "17": "NC_000017.11"}


@pytest.fixture(scope="module")
def vcf(real_data: Path) -> Path:
    return real_data / "ncbi_mirror/pub/clinvar/vcf_GRCh38/weekly/clinvar_20260226.vcf.gz"


@pytest.fixture(scope="module")
def records(vcf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("records") / "records.parquet"
    parse_records(vcf, path, progress=lambda _: None)
    return path


@pytest.fixture(scope="module")
def fasta(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> pysam.FastaFile:
    """The reference as plain text, which pysam can index."""
    source = real_data / f"ncbi_mirror/genomes/all/GCF/000/001/405/{ASSEMBLY}/{ASSEMBLY}_genomic.fna.gz"
    plain = tmp_path_factory.mktemp("reference") / "genomic.fna"
    plain.write_bytes(gzip.decompress(source.read_bytes()))
    return pysam.FastaFile(str(plain))


def contig_bytes(fasta: pysam.FastaFile, contig: str) -> np.ndarray:
    return np.frombuffer(fasta.fetch(contig).upper().encode(), np.uint8)


@pytest.mark.parametrize("chrom", CONTIGS)
def test_every_row_agrees_with_the_plain_loop(chrom, vcf, records, fasta):
    contig = CONTIGS[chrom]
    counters: Counter[str] = Counter()
    expected = pl.DataFrame(list(oracle.select(vcf, fasta, chrom, contig, counters)))

    variants, variant_counts = build_variants(records, chrom, policy=FAITHFUL, indel_max=50)
    windows, window_counts = build_variant_windows(
        variants, contig_bytes(fasta, contig), contig, WindowRecipe(), SplitRule("faithful")
    )

    found = windows.select(expected.columns).cast(dict(expected.schema))
    assert expected.height > 2000
    assert found.equals(expected.sort("pos", maintain_order=True))

    dropped = variant_counts.dropped
    label_reasons = {"excluded_term", "mixed_significance", "no_label_term", "no_significance", "review_status"}
    apply_reasons = {"ref_longer_than_window", "ref_mismatch"}
    assert counters["total_alt"] == variant_counts.rows - dropped["no_alt"]
    assert counters["fail_ref_dna4"] == dropped.get("not_acgt_ref", 0)
    assert counters["fail_alt_dna4"] == dropped.get("not_acgt_alt", 0)
    assert counters["fail_same_allele"] == dropped.get("same_allele", 0)
    assert counters["fail_len"] == dropped["equal_length"] + dropped["over_indel_max"]
    assert counters["fail_label"] == sum(dropped.get(reason, 0) for reason in label_reasons)
    assert counters["fail_window"] == window_counts.dropped["window_outside_contig"]
    assert counters["fail_apply"] == sum(window_counts.dropped[reason] for reason in apply_reasons)
    assert counters["kept"] == window_counts.kept


@pytest.mark.parametrize(
    ("min_stars", "kept"),
    [
        (
            1,
            {
                (0, "del"): 158,
                (0, "ins"): 82,
                (0, "snv"): 5383,
                (1, "del"): 2744,
                (1, "ins"): 1287,
                (1, "snv"): 1282,
            },
        ),
        (
            2,
            {
                (0, "del"): 75,
                (0, "ins"): 46,
                (0, "snv"): 2853,
                (1, "del"): 1808,
                (1, "ins"): 818,
                (1, "snv"): 1000,
            },
        ),
    ],
)
def test_strict_counts_are_those_of_awk(records, min_stars, kept):
    """The expected counts were made from the file with awk."""
    variants, counts = build_variants(records, "13", policy=LabelPolicy("strict", min_stars=min_stars))
    found = variants.filter("keep").group_by("label", "kind").len()
    assert {(label, kind): number for label, kind, number in found.iter_rows()} == kept
    assert (counts.records, counts.rows, counts.kept) == (21033, 21033, sum(kept.values()))
    assert counts.rows == counts.kept + sum(counts.dropped.values())
    assert counts.unknown_words == {}


def test_a_wrong_build_shows_as_ref_mismatches(records, fasta):
    """Positions shifted by one stand for another build: most REF alleles disagree with known sequence."""
    variants, _ = build_variants(records, "13", policy=FAITHFUL)
    contig = contig_bytes(fasta, "NC_000013.11")
    right = build_variant_windows(variants, contig, "NC_000013.11", WindowRecipe(), SplitRule())[1]
    shifted = variants.with_columns(pl.col("pos") + 1)
    wrong = build_variant_windows(shifted, contig, "NC_000013.11", WindowRecipe(), SplitRule())[1]
    assert right.mismatch_share == 0.0
    assert right.compared == right.rows
    assert wrong.mismatch_share > 0.5


def test_faithful_splits_leak_and_locus_splits_do_not(records, fasta):
    variants, _ = build_variants(records, "13", policy=LabelPolicy("strict", min_stars=1))
    contig = contig_bytes(fasta, "NC_000013.11")
    recipe = WindowRecipe(length=256, anchor=128)  # at 1024 the gene's windows form two loci only
    shares = {}
    for rule in ("faithful", "locus"):
        windows, _ = build_variant_windows(variants, contig, "NC_000013.11", recipe, SplitRule(rule))
        assert set(windows["split"]) == {"train", "val", "test"}
        shares[rule] = audit_splits(measure_leakage(windows))["overlapping_share"].to_list()
    assert min(shares["faithful"]) > 0.99
    assert shares["locus"] == [0.0] * 4
