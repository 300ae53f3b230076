import gzip
from collections import Counter

import pytest

from glm_assets.errors import FormatError
from glm_assets.studies.metagenome.configuration import PredictSettings
from glm_assets.studies.metagenome.inputs import SCHEMA, read_inputs

SETTINGS = PredictSettings(
    files=(), sample_column="who", sequence_column="dna", top_k=1, batch_size=1, min_confidence=0
)


@pytest.fixture
def read(tmp_path):
    def _read(left_out=None, /, **files):
        paths = []
        for name, content in files.items():
            paths.append(tmp_path / name)
            paths[-1].write_bytes(content)
        batches = list(read_inputs(paths, SETTINGS, left_out=left_out))
        assert all(batch.schema == SCHEMA for batch in batches)
        return [row for batch in batches for row in batch.iter_rows()]

    return _read


def test_reads_of_every_kind_have_one_shape_and_need_no_grammar(read):
    assert read(
        fa=b">any name|x/1 more\nACGT\nac\n",
        fq=gzip.compress(b"@q\nGGU\n+\nIII\n"),
        csv=b"who;dna\nme;ACR\nyou;T\n",
        empty=b"",
    ) == [
        ("fa", "any", "fa", "ACGTAC", 6),
        ("fq", "q", "fq", "GGT", 3),
        ("csv", "me:0", "me", "ACN", 3),
        ("csv", "you:1", "you", "T", 1),
    ]


def test_reads_without_bases_are_left_out_and_counted(read):
    left_out = Counter()
    assert read(left_out, fa=b">a\n\n>b\nMKQ*\n>c\nA\n") == [("fa", "c", "fa", "A", 1)]
    assert left_out == {"empty": 1, "no_bases": 1}


def test_a_table_without_the_columns_is_refused(read):
    with pytest.raises(FormatError, match="no column who"):
        read(csv=b"sample_id,sequence\na,A\n")
