import gzip
from collections import Counter

import polars as pl
import pytest

from glm_assets.errors import MissingUpstreamError, ReferenceMismatchError
from glm_assets.genome.indexed_fasta import IndexedFasta
from glm_assets.lineage.study import Study
from glm_assets.settings import Settings
from glm_assets.sources.genome_files import FASTA
from glm_assets.storage.schemas_sugarcane import ANNOTATION, GENOME, REGIONS, UNITS
from glm_assets.storage.tables import read_part
from glm_assets.studies.configuration import read_configuration
from glm_assets.studies.sugarcane.annotation import make_annotation
from glm_assets.studies.sugarcane.configuration import SugarcaneConfiguration
from glm_assets.studies.sugarcane.genome import make_genome
from glm_assets.studies.sugarcane.leaks import find_leaks
from glm_assets.studies.sugarcane.splitting import split_regions
from glm_assets.studies.sugarcane.study import SugarcaneStudy
from glm_assets.studies.sugarcane.units import make_units

VARIETY = "SYN570"
MERGED = {"units", "split", "training", "scoring", "experiment"}


def quiet(_):
    """Progress that nobody reads."""


def study_in(folder, built_in="demo", **changes):
    package = "glm_assets.studies.sugarcane"
    values = read_configuration(SugarcaneConfiguration, package, "GLM_SUGARCANE", built_in).model_dump()
    for section, change in changes.items():
        values[section] = values[section] | change if section in MERGED else change
    main = Study(Settings(data_root=str(folder), device="cpu"))
    return SugarcaneStudy(main, SugarcaneConfiguration.model_validate(values))


def make_all(study, variety):
    return [make(study, variety, quiet) for make in (make_genome, make_annotation, make_units)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    study = study_in(tmp_path_factory.mktemp("study"))
    return study, make_all(study, VARIETY)


def test_facts_are_those_of_the_generator(made):
    study, (genome, annotation, units) = made
    truth = study.demo.counts[VARIETY]
    for name in ("contigs", "bases", "unknown"):
        assert genome.facts[name] == truth[name]
    assert genome.facts["soft_masked_share"] == truth["soft_masked"] / truth["bases"]
    assert annotation.facts["genes"] == truth["genes"]
    types = annotation.facts["types"]
    assert (types["exon"], types["CDS"], types["promoter"]) == (
        truth["exons"],
        truth["coding"],
        truth["promoters"],
    )
    assert units.facts["regulatory_elements"] == truth["promoters"] + truth["enhancers"]
    assert sum(units.facts["types"].values()) == sum(units.facts["splits"].values()) == units.facts["rows"]
    assert set(units.facts["types"]) == {"gene_with_regulatory", "gene_only", "gene_cluster", "regulatory"}
    assert units.facts["split_faults"] == units.facts["across_splits"] == 0
    assert 0 <= max(units.facts["leak"].values()) < units.facts["max_leak"]
    assert set(units.files) >= {"part.parquet", "regions.parquet", "unit_lengths.png", "regions.png"}


def test_tables_are_as_declared_and_every_gene_is_in_one_unit(made):
    study, _ = made
    for name, table in (("genome", GENOME), ("annotation", ANNOTATION), ("units", UNITS)):
        table.check(read_part(study.files(name, VARIETY)))
    REGIONS.check(pl.read_parquet(study.files("units", VARIETY) / "regions.parquet"))
    genes = read_part(study.files("annotation", VARIETY)).filter(type="gene")["feature_id"]
    units = read_part(study.files("units", VARIETY))
    assert units["unit_id"].is_unique().all()
    held = Counter(name for names in units["gene_ids"] for name in names.split(",") if name)
    assert held == Counter(genes)


def test_the_indexed_genome_is_the_sequence_of_the_file(made):
    study, _ = made
    with gzip.open(study.fasta(VARIETY), "rt") as stream:
        records = stream.read().split(">")[1:]
    genome = IndexedFasta(study.files("genome", VARIETY) / FASTA)
    for record in records:
        name, *lines = record.split("\n")
        assert genome.fetch(name.split()[0]).tobytes().decode() == "".join(lines)
    assert len(genome.names) == len(records)


def test_copies_of_a_chromosome_leak_when_they_are_on_two_sides(made):
    study, _ = made
    genome = IndexedFasta(study.files("genome", VARIETY) / FASTA)
    letters = {name: name[-1] for name in genome.names}
    split = study.values.split.model_copy(update={"groups": letters})
    found = find_leaks(genome, split_regions(genome.lengths, split, 0))
    # A substitution in 17 bases leaves one k-mer of 32 in seven.
    assert min(found["val"].share or 0, found["test"].share or 0) > split.max_leak


def test_what_is_out_of_date_is_told(made):
    study, (_, _, units) = made
    assert make_units(study, VARIETY, quiet).reused
    other = study_in(study.main.root, units={"upstream": 150})
    assert other.units(VARIETY).input_digest != units.input_digest
    elsewhere = study_in(study.main.root.parent / "elsewhere")
    with pytest.raises(MissingUpstreamError):
        make_units(elsewhere, VARIETY, quiet)


def test_an_annotation_of_another_genome_is_refused(made, tmp_path):
    demo = made[0].demo
    study = study_in(
        tmp_path, varieties={"x": {"fasta": str(demo.fasta("SYN22")), "gff3": str(demo.gff3("SYN570"))}}
    )
    make_genome(study, "x", quiet)
    with pytest.raises(ReferenceMismatchError, match="contig Chr1C is not in the genome"):
        make_annotation(study, "x", quiet)


@pytest.mark.system
@pytest.mark.real_data
def test_real_genes_are_cut_into_units(real_data, tmp_path):
    files = real_data / "plants" / "arabidopsis_thaliana"
    varieties = {"thaliana": {"fasta": str(files / "chr1.fna.gz"), "gff3": str(files / "chr1.gff3.gz")}}
    blocks = {"by": "block", "block_bases": 100_000, "gap_bases": 10_000}
    study = study_in(tmp_path, "full", varieties=varieties, split=blocks)
    genome, annotation, units = make_all(study, "thaliana")
    assert (genome.facts["bases"], genome.facts["unknown"]) == (2_000_000, 0)
    assert genome.facts["gc"] == pytest.approx(0.3711, abs=5e-5)
    assert annotation.facts["genes"] == 728
    assert units.facts["splits"]["val"] > 5
    assert units.facts["splits"]["test"] > 5
    table = read_part(study.files("units", "thaliana"))
    assert sum(len(names.split(",")) for names in table["gene_ids"]) == 728
    assert table.filter(pl.col("unit_type") == "gene_cluster")["length"].max() <= 20_000
    assert max(units.facts["leak"].values()) < 0.01
    assert units.facts["split_faults"] == 0
