import json

import pytest

from glm_assets.errors import FormatError
from glm_assets.studies.metagenome.label_map import read_label_map, write_labels

TEXT = (
    "class_id\tlabel_name\ttax_id\tgroup\tnotes\n"
    "30\tvirus\t10239\tv\t\n10\tArchaea\t2157\t\tfirst\n20\tvirus\t\t\t\n"
)


@pytest.fixture
def read(tmp_path):
    def _read(text, encoding="utf-8"):
        path = tmp_path / "mapping"
        path.write_bytes(text.encode(encoding))
        return read_label_map(path)

    return _read


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_labels_are_sorted_and_may_have_several_ids(read, delimiter, ends, mark):
    labels = read(mark + TEXT.replace("\t", delimiter).replace("\n", ends))
    assert labels.labels == ("Archaea", "virus")
    assert labels.label2id == {"Archaea": 0, "virus": 1}
    assert labels.id2label == {0: "Archaea", 1: "virus"}
    assert labels.tax_ids == {"Archaea": 2157, "virus": 10239}
    assert labels.frame.rows() == [
        (30, "virus", 1, 10239, "v", None),
        (10, "Archaea", 0, 2157, None, "first"),
        (20, "virus", 1, None, None, None),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "notes;label_name;class_id\nx;b;1\n;a;2\n",
        "sep=;\nclass_id;label_name\n1;b\n2;a\n",
        '"class_id","label_name"\n"1","b"\n"2","a"\n',
        "Class_ID, Label_Name ,,\n1, b ,,\n2,a,,\n,,,\n",
        "class_id,label_name,tax_id\n1.0,b,7.0\n2.0,a,\n",
        "class_id,label_name\n1,b\n1,b\n2,a\n",
        'class_id;label_name;notes\n1;b;"a, b; c"\n2;a;"two\nlines"\n',
    ],
)
def test_the_quirks_of_spreadsheets_are_understood(read, text):
    assert dict(read(text).frame.select("class_id", "label").rows()) == {1: "b", 2: "a"}


def test_a_label_may_hold_what_divides_others(read):
    assert read('class_id,label_name\n1,"Bacteria; ""other"", unknown"\n').labels == (
        'Bacteria; "other", unknown',
    )


def test_a_label_of_two_taxa_has_no_taxon(read):
    assert read("class_id,label_name,tax_id\n1,a,5\n2,a,6\n").tax_ids == {"a": None}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("class_id,name\n1,a\n", "no column label_name"),
        ("class_id,label_name\n", "no row below"),
        ("class_id,label_name\n1,a\n1,b\n", "line 3: class id 1 is 'b', and 'a' before"),
        ("class_id,label_name\none,a\n", "line 2: class_id is 'one'"),
        ("class_id,label_name\n1,\n", "line 2: label_name is empty"),
        ("class_id,label_name\n,a\n", "line 2: class_id is empty"),
        ("class_id,label_name,tax_id\n1,a,1.5\n", "line 2: tax_id is '1.5'"),
        ("class_id,label_name\n1,a\n-2,b\n", "line 3: class_id is '-2'"),
    ],
)
def test_a_wrong_mapping_is_refused_with_its_line(read, text, named):
    with pytest.raises(FormatError, match=named):
        read(text)


def test_a_mapping_in_utf16_is_refused(read):
    with pytest.raises(FormatError, match="UTF-8"):
        read(TEXT, "utf-16")


def test_labels_survive_json_with_whole_numbers_for_indices(tmp_path):
    # The original turned label names into numbers here, and stopped.
    labels = ("10", "Archaea", "Gruppe ä", "virus, other")
    write_labels(labels, tmp_path)
    assert json.loads((tmp_path / "label2id.json").read_text())["Archaea"] == 1
    assert json.loads((tmp_path / "id2label.json").read_text())["3"] == "virus, other"


def test_more_than_ten_labels_keep_their_order(tmp_path):
    labels = tuple(f"l{number:02d}" for number in range(25))
    write_labels(labels, tmp_path)
    by_index = json.loads((tmp_path / "id2label.json").read_text())
    assert [by_index[str(number)] for number in range(25)] == list(labels)
