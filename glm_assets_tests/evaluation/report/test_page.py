"""The page of a comparison, read back: its numbers are the tables', its text is escaped, it needs nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from glm_assets.evaluation.comparison import compare
from glm_assets.evaluation.recommendation import recommend
from glm_assets.evaluation.report import ReportData, write_report
from glm_assets.evaluation.scores import SealedTest
from glm_assets_tests.evaluation import comparisons

VOID = {"meta", "br", "wbr", "hr", "img", "link", "input"}
HOSTILE = "<script>alert('x')</script>"
OPPOSITE = {"better": "worse", "worse": "better", "open": "open"}
MINUS = "\N{MINUS SIGN}"


class Node:
    """An element of the page."""

    def __init__(self, tag: str, attributes: dict[str, str | None], parent: Node | None) -> None:
        self.tag, self.attributes, self.parent = tag, attributes, parent
        self.children: list[Node | str] = []

    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text() for child in self.children)

    def all(self, tag: str = "", **attributes: str) -> list[Node]:
        found = []
        for child in self.children:
            if isinstance(child, Node):
                wanted = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
                if tag in ("", child.tag) and all(child.attributes.get(k) == v for k, v in wanted.items()):
                    found.append(child)
                found += child.all(tag, **attributes)
        return found

    def one(self, tag: str = "", **attributes: str) -> Node:
        found = self.all(tag, **attributes)
        assert len(found) == 1, f"{len(found)} elements {tag} {attributes}"
        return found[0]

    def cells(self) -> list[Node]:
        return [child for child in self.children if isinstance(child, Node)]


class Page(HTMLParser):
    """A page as a tree; refuses elements that are closed in another order than they were opened."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self.at = Node("", {}, None)
        self.feed(text)
        assert self.at is self.root, f"{self.at.tag} is never closed"

    def handle_starttag(self, tag, attrs):
        node = Node(tag, dict(attrs), self.at)
        self.at.children.append(node)
        if tag not in VOID:
            self.at = node

    def handle_endtag(self, tag):
        assert tag == self.at.tag, f"</{tag}> closes <{self.at.tag}>"
        assert self.at.parent is not None
        self.at = self.at.parent

    def handle_data(self, data):
        self.at.children.append(data)


def make(test: SealedTest, resamples: int = 100, **more) -> ReportData:
    comparison = compare(test, resamples=resamples, seed=1, small_class=20)
    return ReportData(comparison, test, **more)


def written(tmp_path: Path, data: ReportData) -> str:
    write_report(tmp_path / "report.html", data)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def full() -> ReportData:
    heads = [f"head_v{version}" for version in range(4)]
    return make(
        comparisons.sealed_test(),
        facts=comparisons.FACTS,
        histories={name: comparisons.history(seed=seed) for seed, name in enumerate(heads)},
        soups=dict.fromkeys(heads, comparisons.SOUP),
        absent={"alphamissense": "GLM_PREDICTORS does not name it"},
    )


@pytest.fixture(scope="module")
def text(full, tmp_path_factory) -> str:
    return written(tmp_path_factory.mktemp("report"), full)


@pytest.fixture(scope="module")
def page(text) -> Node:
    return Page(text).root


def shown(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}".replace("-", MINUS)


def interval(row: dict, name: str, digits: int = 3) -> str:
    return f"[{shown(row[f'{name}_low'], digits)}, {shown(row[f'{name}_high'], digits)}]"


def test_main_table_shows_every_scorer_s_figures(page, full):
    table = page.one("table", id="scoreboard")
    for row in full.comparison.scorers.iter_rows(named=True):
        name, _, auroc, auprc, macro, brier, ece, rows = table.one("tr", data_scorer=row["name"]).cells()
        assert row["name"] in name.text()
        assert auroc.text() == shown(row["auroc"]) + interval(row, "auroc")
        assert auprc.text() == shown(row["auprc"]) + interval(row, "auprc")
        assert macro.text() == shown(row["macro_auroc"]) + interval(row, "macro_auroc")
        assert rows.text().startswith(f"{row['rows']:,}")
        assert float(auroc.attributes["data-value"] or "") == pytest.approx(row["auroc"], rel=1e-9)
        if row["brier"] is None:
            assert (brier.text(), ece.text()) == ("–", "–")  # noqa: RUF001
        else:
            assert (brier.text(), ece.text()) == (shown(row["brier"]) + interval(row, "brier"), shown(row["ece"]))


def test_contest_table_shows_the_figures_of_distances(page, full):
    table = page.one("table", id="contest")
    found = full.comparison.scorers.filter(pl.col("cd").is_not_null())
    assert [row.attributes["data-scorer"] for row in table.all("tr")[1:]] == found["name"].to_list()
    for row in found.iter_rows(named=True):
        _, cd, cdd, ladder, length, raw, normalised, source = table.one("tr", data_scorer=row["name"]).cells()
        for cell, column in ((cd, "cd"), (cdd, "cdd")):
            assert float(cell.attributes["data-value"] or "") == pytest.approx(row[column], rel=1e-9)
        assert ladder.text() == shown(row["pcc_ladder"]) + interval(row, "pcc_ladder")
        assert length.text() == shown(row["pcc_length"]) + interval(row, "pcc_length")
        assert raw.text() == shown(row["raw_sum"]) + interval(row, "raw_sum")
        assert normalised.text() == shown(row["normalised"], 4) + interval(row, "normalised", 4)
        assert source.text() == row["pcc_source"]


def test_forest_places_every_auroc_on_one_scale(page, full):
    """The circle's place is a straight line over AUROC, the same in all rows."""
    table = page.one("table", id="scoreboard")
    rows = list(full.comparison.scorers.iter_rows(named=True))
    at = [
        float(table.one("tr", data_scorer=row["name"]).cells()[1].one("circle").attributes["cx"] or "")
        for row in rows
    ]
    auroc = np.array([row["auroc"] for row in rows])
    slope, start = np.polyfit(auroc, at, 1)
    assert slope > 0
    np.testing.assert_allclose(slope * auroc + start, at, atol=0.1)


def test_answer_is_the_recommendation(page, full):
    said = page.one("div", class_="answer").text()
    for sentence in recommend(full.comparison).sentences:
        assert sentence in said


def test_differences_are_told_from_the_row_s_side(page, full):
    """Also where the table of differences holds the pair the other way round."""
    matrix = page.one("table", id="difference-matrix")
    names = [cell.text() for cell in matrix.one("thead").all("th")][1:]
    own = {row.cells()[0].text().strip(): row.cells()[1:] for row in matrix.one("tbody").all("tr")}
    auroc = full.comparison.differences.filter(pl.col("metric") == "auroc")
    for row in auroc.iter_rows(named=True):
        cell = own[row["first"]][names.index(row["second"])]
        sign = "+" if float(f"{row['difference']:.3f}") > 0 else ""
        assert cell.text() == (sign + shown(row["difference"])).replace(f"{MINUS}0.000", "0.000")
        word = {"first": "better", "second": "worse", "undecided": "open"}[row["verdict"]]
        assert cell.attributes["class"] == f"verdict {word}"
        if row["second"] in own:
            turned = own[row["second"]][names.index(row["first"])].attributes["class"]
            assert turned == f"verdict {OPPOSITE[word]}"


def test_the_line_against_gene_and_consequence_is_there_for_every_own_scorer(page, full):
    table = page.one("table", id="against-baseline")
    pairs = full.comparison.differences.filter(
        (pl.col("metric") == "auroc") & (pl.col("second") == "gene_consequence_rate")
    )
    assert pairs.height == 7
    for row in pairs.iter_rows(named=True):
        _, value, verdict, rows = table.one("tr", data_scorer=row["first"]).cells()
        assert f"[{shown(row['low'])}, {shown(row['high'])}]" in value.text()
        assert verdict.text() == {"first": "better", "second": "worse", "undecided": "undecided"}[row["verdict"]]
        assert rows.text() == f"{row['rows']:,}"


def test_class_tables_show_every_auroc_and_mark_small_classes(page, full):
    names = [one.name for one in full.scored]
    for by in ("consequence", "kind", "length", "stars", "gene_rows", "chromosome"):
        table = page.one("table", id=f"by-{by}")
        part = full.comparison.slices.filter(pl.col("by") == by)
        assert len(table.one("tbody").all("tr")) == part["value"].n_unique()
        for row in part.iter_rows(named=True):
            line = table.one("tr", data_value=row["value"])
            cell = line.cells()[2 + names.index(row["name"])]
            assert ("small" in (cell.attributes.get("class") or "")) == (row["small"] or row["auroc"] is None)
            assert row["auroc"] is None or cell.text().startswith(shown(row["auroc"]))
            if row["rows"] == part.filter(pl.col("value") == row["value"])["rows"].max():
                assert ("small" in line.cells()[0].text()) == row["small"]
                assert line.cells()[1].text().startswith(f"{row['rows']:,}")


def test_small_classes_are_named_among_what_is_not_known(page, full):
    unknown = page.one("ul", class_="unknown").text()
    small = full.comparison.slices.filter((pl.col("by") == "consequence") & pl.col("small"))["value"].unique()
    assert len(small) > 3
    assert all(value in unknown for value in small)


def test_a_scorer_that_is_absent_is_named_with_its_reason(page):
    assert "alphamissense: GLM_PREDICTORS does not name it" in page.one("ul", id="absent").text()


def test_cautions_stand_beside_the_answer(full, tmp_path):
    warning = "The encoder has random weights."
    root = Page(written(tmp_path, replace(full, cautions=[warning]))).root
    assert root.one("ul", class_="unknown").all("li")[0].text() == warning


def test_a_test_that_is_not_sealed_is_not_called_so(full, tmp_path, page):
    root = Page(written(tmp_path, replace(full, sealed=False))).root
    said = "neither training nor the choice"
    assert said in page.text()
    assert said not in root.text()
    assert "The test variants are not sealed" in root.text()
    assert "test (not sealed) variants" in root.one("p", class_="lead").text()


def test_facts_and_links_are_shown(page):
    assert comparisons.FACTS["Encoder"]["fingerprint"] in page.text()
    name, url = comparisons.FACTS["MLflow"]["head_v3"]
    assert page.one("a", href=url).text() == name


def test_nothing_is_fetched(text, page):
    """Addresses occur as hyperlinks that a reader clicks, and as the names of XML namespaces."""
    links = [node.attributes["href"] or "" for node in page.all("a")]
    rest = text.replace("http://www.w3.org/2000/svg", "")
    for url in links:
        rest = rest.replace(url, "")
    assert re.findall(r"https?://[^\"' ]+", rest) == []
    assert [
        node for node in page.all() if node.tag in ("link", "img", "iframe", "object") or "src" in node.attributes
    ] == []
    assert "@import" not in text
    assert "url(" not in text
    policy = page.one("meta", http_equiv="Content-Security-Policy").attributes["content"] or ""
    assert policy.startswith("default-src 'none'")


def test_data_cannot_become_markup(tmp_path):
    """Names from users' files, terms from ClinVar and facts go through as text."""
    test = comparisons.sealed_test(400, with_baselines=False)
    variants = test.variants.with_columns(
        pl.lit(HOSTILE).alias("gene"),
        consequence=pl.when(pl.int_range(pl.len()) % 2 == 0)
        .then(pl.lit(HOSTILE))
        .otherwise(pl.col("consequence")),
    )
    scored = tuple(replace(one, name=f'{HOSTILE}"{one.name}') for one in test.scored)
    data = make(
        SealedTest(variants, test.ladders, scored),
        facts={HOSTILE: {HOSTILE: HOSTILE, "run": (HOSTILE, "javascript:alert(1)")}},
        histories={HOSTILE: comparisons.history(3)},
        soups={HOSTILE: comparisons.SOUP},
        absent={HOSTILE: HOSTILE},
        cautions=[HOSTILE],
        title=HOSTILE,
    )
    text = written(tmp_path, data)
    assert "<script>alert" not in text
    root = Page(text).root
    assert len(root.all("script")) == 1
    assert root.text().count(HOSTILE) > 50
    assert [node for node in root.all("a") if "javascript" in (node.attributes["href"] or "")] == []


@pytest.mark.parametrize(
    ("scorers", "more", "said"),
    [
        ([("head_v0", "head", 2.0)], {}, "No published predictor was compared"),
        ([("head_v0", "head", 2.0)], {"with_baselines": False}, "There is one scorer only"),
        ([("probe", "probe", 2.0)], {"with_ladders": False}, "There are no mutation ladders"),
        ([("llr", "zero_shot", 2.0)], {"with_baselines": False}, "No scorer of this comparison has probabilities"),
        ([("probe", "probe", 0.0)], {"rows": 40}, "Nothing is shown to beat"),
    ],
    ids=["one head", "alone", "no ladders", "no probabilities", "few rows"],
)
def test_what_is_missing_is_said(scorers, more, said, tmp_path):
    text = written(tmp_path, make(comparisons.sealed_test(**{"rows": 300, "scorers": tuple(scorers)} | more)))
    assert said in Page(text).root.text()


def test_distances_of_zero_are_counted(tmp_path):
    test = comparisons.sealed_test(300, (("head_v0", "head", 2.0),))
    distance = np.where(np.arange(300) < 7, 0.0, test.scored[0].distance)
    scored = (replace(test.scored[0], distance=distance), *test.scored[1:])
    text = written(tmp_path, make(replace(test, scored=scored)))
    assert "7 distances are exactly 0 and not drawn" in text


def test_a_large_comparison_stays_small(tmp_path):
    """Curves are thinned and histograms binned, so the page does not grow with the test."""
    scorers = tuple((f"head_{number}", "head", 1.0 + number / 10) for number in range(20))
    test = comparisons.sealed_test(20_000, scorers)
    data = make(test, resamples=2, histories={name: comparisons.history(100) for name, _, _ in scorers})
    assert len(written(tmp_path, data)) < 3_000_000
