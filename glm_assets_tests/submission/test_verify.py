"""The submission read back: each rule found broken alone, with its figure."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from glm_assets.errors import SubmissionError
from glm_assets.submission.verify import verify_submission
from glm_assets.submission.write import write_submission

TEST = pl.DataFrame({"ID": ["a", "b", "c"]})
GOOD = "ID,emb_0000,emb_0001\na,0.6,0.8\nb,1.0,0.0\nc,-0.8,0.6\n"


def audit(folder, text, **options):
    path = folder / "submission.csv"
    path.write_text(text, encoding="utf-8")
    return verify_submission(path, TEST, **options)


def broken(result) -> dict[str, str]:
    assert [finding.rule for finding in result.findings] == ["header", "rows", "order", "finite", "unit_norm"]
    assert result.passed == all(finding.passed for finding in result.findings)
    return {finding.rule: finding.detail for finding in result.findings if not finding.passed}


def test_right_submission_passes_with_its_figures(tmp_path):
    result = audit(tmp_path, GOOD)
    assert broken(result) == {}
    assert (result.rows, result.dimensions, result.misplaced_ids, result.not_finite) == (3, 2, 0, 0)
    assert result.max_norm_deviation < 1e-15
    assert result.findings[0].detail == "ID, emb_0000 to emb_0001"


def test_what_the_writer_writes_passes(tmp_path):
    vectors = np.random.default_rng(1).standard_normal((500, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [f'id "{row}", {row}' for row in range(500)]
    write_submission(names, vectors, tmp_path / "submission.csv")
    result = verify_submission(tmp_path / "submission.csv", pl.DataFrame({"ID": names}))
    assert result.passed
    exact = np.abs(np.linalg.norm(vectors.astype(np.float64), axis=1) - 1).max()
    # The shortest text of a float32 differs from it by up to half of its last bit.
    assert result.max_norm_deviation == pytest.approx(exact, abs=1e-7)


@pytest.mark.parametrize(
    ("old", "new", "rules", "detail"),
    [
        ("ID,", "id,", {"header"}, "'id' should be 'ID'"),
        ("emb_0001", "emb_1", {"header"}, "'emb_1' should be 'emb_0001'"),
        ("emb_0000,emb_0001", "emb_0001,emb_0000", {"header"}, "'emb_0001' should be 'emb_0000'"),
        ("c,-0.8,0.6\n", "", {"rows", "order"}, "2 rows for 3 sequences"),
        ("c,-0.8,0.6\n", "c,-0.8,0.6\nd,1,0\n", {"rows", "order"}, "4 rows for 3 sequences"),
        ("b,1.0", "x,1.0", {"order"}, "1 rows with another ID, first row 2: 'x' instead of 'b'"),
        ("a,0.6,0.8\nb,1.0,0.0", "b,1.0,0.0\na,0.6,0.8", {"order"}, "2 rows with another ID, first row 1"),
        ("b,1.0", "b,NaN", {"finite"}, "1 rows"),
        ("b,1.0", "b,-inf", {"finite"}, "1 rows"),
        ("b,1.0", "b,", {"finite"}, "1 rows"),
        ("b,1.0", "b,one", {"finite"}, "1 rows"),
        ("b,1.0,0.0", "b,1.0", {"finite"}, "1 rows"),
        ("b,1.0", "b,1.001", {"unit_norm"}, "at most 0.001 away"),
        ("a,0.6,0.8", "a,0,0", {"unit_norm"}, "at most 1 away"),
    ],
)
def test_broken_rule_is_found_alone(tmp_path, old, new, rules, detail):
    assert old in GOOD
    found = broken(audit(tmp_path, GOOD.replace(old, new)))
    assert set(found) == rules
    assert detail in next(iter(found.values()))


def test_more_columns_than_allowed_are_found(tmp_path):
    assert broken(audit(tmp_path, GOOD, max_dimensions=1)) == {"header": "2 columns are more than 1"}


def test_submission_without_a_finite_row_fails_both_number_rules(tmp_path):
    result = audit(tmp_path, "ID,emb_0000\na,NaN\nb,NaN\nc,NaN\n")
    assert set(broken(result)) == {"finite", "unit_norm"}
    assert result.not_finite == 3
    assert np.isnan(result.max_norm_deviation)


def test_header_without_rows_fails(tmp_path):
    assert set(broken(audit(tmp_path, "ID,emb_0000\n"))) == {"rows", "order", "unit_norm"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no embedding columns"),
        ("ID\na\n", "no embedding columns"),
        ("ID,emb_0000\na,1,2\n", "cannot be read as CSV"),
    ],
)
def test_file_that_is_no_submission_is_an_error(tmp_path, text, message):
    with pytest.raises(SubmissionError, match=message):
        audit(tmp_path, text)


def test_a_folders_name_is_no_pattern(tmp_path):
    folder = tmp_path / "[a]*?"
    folder.mkdir()
    assert audit(folder, GOOD).passed


def test_absent_file_is_an_error(tmp_path):
    with pytest.raises(SubmissionError, match=r"absent\.csv cannot be read"):
        verify_submission(tmp_path / "absent.csv", TEST)
