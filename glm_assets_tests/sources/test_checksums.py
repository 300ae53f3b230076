import pytest

from glm_assets.errors import FormatError
from glm_assets.sources.checksums import find_md5

A, B = "a" * 32, "b" * 32


@pytest.mark.parametrize(
    "line",
    [f"{A}  x.gz", f"{A}\tx.gz\r", f"{A} *x.gz", f"{A}  ./x.gz", f"{A.upper()}  /panfs/pan1/out/x.gz  "],
)
def test_the_sum_of_a_file_is_found(line):
    assert find_md5(f"{B}  y.gz\n{line}\n{B}  x.gz.tbi\n", "x.gz", where="list") == A


def test_a_repeated_line_is_no_contradiction():
    assert find_md5(f"{A}  x.gz\n{A}  sub/x.gz\n", "x.gz", where="list") == A


@pytest.mark.parametrize("text", ["", f"{A}  y.gz", f"{A}", f"{A[1:]}  x.gz", f"{A}0  x.gz", "<html>x.gz</html>"])
def test_a_list_without_the_file_is_refused(text):
    with pytest.raises(FormatError, match=r"list states no md5 sum for x\.gz.*<md5>  x\.gz"):
        find_md5(text, "x.gz", where="list")


def test_a_contradiction_is_refused():
    with pytest.raises(FormatError, match="2 md5 sums"):
        find_md5(f"{A}  x.gz\n{B}  ./x.gz\n", "x.gz", where="list")
