"""Samples with phenotypes: what is read of a table, what is refused, and what becomes of genes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glm_assets.errors import FormatError, GlmError, SettingsError
from glm_assets.studies.plant.phenotypes import make_phenotypes as make
from glm_assets.studies.plant.phenotypes import open_phenotypes
from glm_assets.studies.plant.study import PlantStudy
from glm_assets_tests.studies.plant.phenotype_toys import toy_study, write_table

HEADER = ("Sample_ID", "Phenotype", "geneType1", "geneType2", "note")
LONG = "ACGTAC" + "AAAAAA" + "TTTTTT" + "CCCCCC"
ROWS = [
    HEADER,
    ("a", "tall", LONG, "acgtacGGG", "seen"),
    ("b", "", LONG, LONG, ""),
    ("c", "dwarf", "", "AAAAAANCCCCCTTTTTT", ""),
    ("d", "NA", LONG, "", ""),
    ("e", "tall", "NA", "ACGTA", ""),
]


def _made(folder: Path, rows: list[tuple[str, ...]], delimiter: str = ";", **values) -> PlantStudy:
    table = write_table(folder / "samples.txt", rows, delimiter)
    study = toy_study(folder / "root", table, **({"segment_tokens": 3} | values))
    make(study, lambda _: None)
    return study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> PlantStudy:
    return _made(tmp_path_factory.mktemp("phenotypes"), ROWS)


def test_genes_become_the_tokens_of_their_first_kmers(study: PlantStudy) -> None:
    data = open_phenotypes(study.files("phenotypes"))
    assert data.tokens.dtype == np.uint16
    assert data.tokens.shape == (3, 2, 3)
    assert isinstance(data.tokens, np.memmap)
    assert data.tokens[0, 0].tolist() == [433, 0, 4095]
    # Short: read again and again. With an N: the k-mer is left out, and the next one takes its place.
    assert data.tokens[0, 1].tolist() == [433, 433, 433]
    assert data.tokens[1, 1].tolist() == [0, 4095, 0]


def test_a_missing_gene_is_masked_and_no_run_of_a(study: PlantStudy) -> None:
    data = open_phenotypes(study.files("phenotypes"))
    assert data.mask.tolist() == [[True, True], [False, True], [False, False]]


def test_table_and_facts_count_what_was_left_out(study: PlantStudy) -> None:
    table = open_phenotypes(study.files("phenotypes")).table
    assert table.rows() == [
        ("a", "tall", 2, 0, 1, 0),
        ("c", "dwarf", 1, 1, 1, 1),
        ("e", "tall", 0, 2, 0, 0),
    ]
    facts = study.main.require(study.phenotypes()).facts
    assert facts["samples_without_phenotype"] == 2
    assert facts["samples_without_genes"] == 1
    assert facts["samples_of_a_phenotype"] == {"tall": 2, "dwarf": 1}
    assert "samples.png" in study.main.require(study.phenotypes()).files


@pytest.mark.parametrize("delimiter", ["\t", ","])
def test_finds_out_what_divides_the_fields(tmp_path: Path, study: PlantStudy, delimiter: str) -> None:
    other = open_phenotypes(_made(tmp_path, ROWS, delimiter).files("phenotypes"))
    assert other.table.equals(open_phenotypes(study.files("phenotypes")).table)


def test_columns_are_chosen_by_their_names(tmp_path: Path) -> None:
    rows = [("id", "trait", "X_geneType", "geneType9", "geneType1"), ("a", "tall", LONG, LONG, "AAAAAA")]
    names = {"sample": "ID", "phenotype": "Trait"}
    one = _made(tmp_path, rows, **names, max_genes=1)
    assert open_phenotypes(one.files("phenotypes")).tokens[0].tolist() == [[433, 0, 4095]]
    assert (one.files("phenotypes") / "genes.json").read_text().split() == ["[", '"geneType9"', "]"]


@pytest.mark.parametrize(
    ("rows", "values", "said", "error"),
    [
        ([("Sample_ID", "geneType1"), ("a", LONG)], {}, "no column Phenotype", FormatError),
        ([("Sample_ID", "Phenotype", "gene"), ("a", "tall", LONG)], {}, "no column with sequences", FormatError),
        ([*ROWS, ("a", "dwarf", LONG, LONG, "")], {}, "line 7: the sample a is on line 2 too", FormatError),
        ([HEADER, ("", "tall", LONG, LONG, "")], {}, "line 2: Sample_ID is empty", FormatError),
        ([HEADER, ("a", "NA", LONG, LONG, "")], {}, "no sample of samples.txt has a phenotype", FormatError),
        (ROWS, {"genes": "(geneType"}, "no regular expression", SettingsError),
    ],
)
def test_refuses_tables_that_cannot_be_read(
    tmp_path: Path, rows: list, values: dict, said: str, error: type[GlmError]
) -> None:
    with pytest.raises(error, match=said):
        _made(tmp_path, rows, **values)


def test_a_damaged_array_is_named(tmp_path: Path) -> None:
    study = _made(tmp_path, ROWS)
    folder = study.files("phenotypes")
    (folder / "mask.npy").write_bytes(b"no array")
    with pytest.raises(FormatError, match="cannot be read"):
        open_phenotypes(folder)
