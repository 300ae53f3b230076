import pytest

from glm_assets.errors import FormatError
from glm_assets.genome.indexed_fasta import IndexedFasta
from glm_assets.lineage.study import Study
from glm_assets.settings import Settings
from glm_assets.sources.genome_files import FASTA
from glm_assets.storage.schemas_plant import GENOME
from glm_assets.storage.tables import read_part
from glm_assets.studies.configuration import read_configuration
from glm_assets.studies.plant.configuration import PlantConfiguration
from glm_assets.studies.plant.genome import make_genome
from glm_assets.studies.plant.study import PlantStudy
from glm_assets_tests.studies.genomes import random_sequence, write_fasta


def quiet(_):
    """Progress that nobody reads."""


def study_of(folder, files):
    demo = read_configuration(PlantConfiguration, "glm_assets.studies.plant", "GLM_PLANT", "demo")
    paths = [str(write_fasta(folder / name, records)) for name, records in files.items()]
    values = demo.model_dump() | {"species": {"thistle": {"files": paths}}}
    main = Study(Settings(data_root=str(folder / "data"), device="cpu"))
    return PlantStudy(main, PlantConfiguration.model_validate(values))


def test_the_files_of_a_species_are_one_genome(tmp_path):
    first, second = random_sequence(1, 700, ((10, "NNNN"),)), random_sequence(2, 300)
    study = study_of(tmp_path, {"1.fa": {"c1": first}, "2.fna.gz": {"c2": second, "c3": "ACGt"}})
    facts = make_genome(study, "thistle", quiet).facts
    folder = study.files("genome", "thistle")
    table = read_part(folder)
    GENOME.check(table)
    assert table.select("species", "contig", "length", "unknown").rows() == [
        ("thistle", "c1", 700, 4),
        ("thistle", "c2", 300, 0),
        ("thistle", "c3", 4, 0),
    ]
    genome = IndexedFasta(folder / FASTA)
    assert "".join(genome.fetch(name).tobytes().decode() for name in genome.names) == first + second + "ACGt"
    text = (first + second + "ACGt").replace("N", "")
    assert facts["gc"] == pytest.approx(sum(base in "CGcg" for base in text) / len(text))
    assert facts["soft_masked_share"] == sum(map(str.islower, text)) / 1_004
    assert (facts["contigs"], facts["bases"], facts["unknown"]) == (3, 1_004, 4)


def test_a_name_in_two_files_is_refused_and_nothing_is_left(tmp_path):
    study = study_of(tmp_path, {"1.fa": {"c1": "ACGT"}, "2.fa": {"c1": "ACGT"}})
    with pytest.raises(FormatError, match=r"2\.fa .*contig c1 occurs there and in 1\.fa"):
        make_genome(study, "thistle", quiet)
    assert study.genome("thistle").current() is None
