import pytest

from glm_assets.genome.contigs import CHROMOSOMES, GRCH38_REFSEQ, ContigMap, chromosome_key

# GRCh38.p14's primary assembly, from NCBI's assembly report.
ACCESSIONS = """
NC_000001.11 1   NC_000010.11 10  NC_000019.10 19
NC_000002.12 2   NC_000011.10 11  NC_000020.11 20
NC_000003.12 3   NC_000012.12 12  NC_000021.9  21
NC_000004.12 4   NC_000013.11 13  NC_000022.11 22
NC_000005.10 5   NC_000014.9  14  NC_000023.11 X
NC_000006.12 6   NC_000015.10 15  NC_000024.10 Y
NC_000007.14 7   NC_000016.10 16  NC_012920.1  MT
NC_000008.11 8   NC_000017.11 17
NC_000009.12 9   NC_000018.10 18
"""
WORDS = ACCESSIONS.split()
CHROM_OF = dict(zip(WORDS[::2], WORDS[1::2], strict=True))
OTHERS = ["NT_187361.1", "NW_009646194.1", "NT_012920.1"]


def grch38():
    names = [*CHROM_OF, *OTHERS]
    return ContigMap.from_fasta(names, [16_569 if name == "NC_012920.1" else 1_000 for name in names])


def test_there_are_25_chromosomes_and_each_has_its_accession():
    assert (*map(str, range(1, 23)), "X", "Y", "MT") == CHROMOSOMES
    assert {accession: chrom for chrom, accession in GRCH38_REFSEQ.items()} == CHROM_OF
    assert tuple(GRCH38_REFSEQ) == CHROMOSOMES


@pytest.mark.parametrize(("accession", "chrom"), CHROM_OF.items())
def test_every_grch38_name_is_known_both_ways(accession, chrom):
    assert chromosome_key(accession) == chromosome_key(chrom) == chromosome_key(f"chr{chrom}") == chrom
    assert grch38().resolve(chrom) == accession
    assert grch38().resolve(accession) == accession


@pytest.mark.parametrize("name", ["M", "chrM", "MT", "chrMT", "NC_012920.1", "NC_012920"])
def test_the_mitochondrion_has_many_names(name):
    assert chromosome_key(name) == "MT"


def test_any_version_of_an_accession_is_the_same_chromosome():
    assert chromosome_key("NC_000013.10") == "13"


@pytest.mark.parametrize(
    "name",
    [
        *OTHERS,
        "NC_000025.1",
        "NC_000000.1",
        "NC_000013",
        "NC_000013.11x",
        "NC_001807.4",
        "0",
        "23",
        "chr",
        "",
        "x",
        "CHR1",
    ],
)
def test_other_contigs_have_no_key(name):
    assert chromosome_key(name) is None


def test_exactly_the_25_chromosomes_get_aliases():
    contigs = grch38()
    assert contigs.chromosomes() == GRCH38_REFSEQ
    assert set(contigs.aliases) == {*CHROM_OF, *OTHERS, *CHROMOSOMES, "M", "chrM"}


@pytest.mark.parametrize("alias", ["MT", "M", "chrM"])
def test_mitochondrial_aliases_lead_to_the_mitochondrion(alias):
    assert grch38().resolve(alias) == "NC_012920.1"


def test_unknown_names_stay_as_they_are():
    assert grch38().resolve("NT_999999.1") == "NT_999999.1"
    assert grch38().resolve("chr13") == "chr13"  # only names of the FASTA's own style are registered


def test_ucsc_names_are_known_without_the_prefix():
    contigs = ContigMap.from_fasta(["chr13", "chrX", "chrM", "chrUn_1"], [9, 9, 16_569, 9])
    assert contigs.chromosomes() == {"13": "chr13", "X": "chrX", "MT": "chrM"}
    assert contigs.resolve("Un_1") == "chrUn_1"


@pytest.mark.parametrize("names", [["MT"], ["M"], ["chrM"], ["contig7"], ["old_NC_012920_copy"]])
def test_the_mitochondrion_is_found_by_name_or_length(names):
    length = 16_569 if "NC_012920" not in names[0] else 5
    contigs = ContigMap.from_fasta(["1", *names], [9, length])
    assert {contigs.resolve(alias) for alias in ("MT", "M", "chrM")} - {"M", "MT", "chrM"} <= set(names)
    assert contigs.resolve("MT") == names[0]


def test_the_first_mitochondrion_counts():
    contigs = ContigMap.from_fasta(["a", "NC_012920.1"], [16_569, 16_569])
    assert contigs.resolve("MT") == "a"


def test_the_first_registration_of_a_name_wins():
    names = ["NC_000013.11", "chr13", "NC_000013.10", "chr7", "NC_000007.14"]
    contigs = ContigMap.from_fasta(names, [9] * 5)
    assert contigs.resolve("13") == "NC_000013.11"
    assert contigs.resolve("7") == "chr7"


def test_a_contig_of_the_fasta_always_means_itself():
    contigs = ContigMap.from_fasta(["chr13", "13"], [9, 9])
    assert contigs.resolve("13") == "13"


def test_accessions_of_other_species_are_not_chromosomes():
    contigs = ContigMap.from_fasta(["NC_000067.7", "NC_000025.1", "NC_001807.4"], [9, 9, 9])  # mouse, old human MT
    assert contigs.chromosomes() == {}
