"""The page of the plant model: the baselines are on it, what did not help is said, and what is missing too."""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from glm_assets.errors import MissingUpstreamError
from glm_assets.evaluation.figures import new_figure, save_figure
from glm_assets.lineage.study import Study
from glm_assets.settings import Settings
from glm_assets.storage.products import Facts, Product
from glm_assets.storage.schemas_plant import EVALUATION, GENERATIONS, PHENOTYPE_HEAD, PHENOTYPES
from glm_assets.storage.tables import PART
from glm_assets.studies.plant.configuration import PlantConfiguration
from glm_assets.studies.plant.report import make_report
from glm_assets.studies.plant.report_sentences import answer
from glm_assets.studies.plant.study import PlantStudy
from glm_assets.studies.report_parts import Part
from glm_assets_tests.studies.plant.phenotype_toys import toy_study

JUDGED: dict[str, Any] = {
    "test_tokens": 2_521,
    "metrics": {"bits_per_base_all": 1.85},
    "baseline": {"markov_0": 1.99, "markov_1": 1.98, "markov_2": 1.97, "markov_3": 1.9},
    "best_markov_order": 3,
    "over_best_markov": 0.05,
    "over_markov_2": 0.12,
    "over_markov_2_low": 0.1,
    "over_markov_2_high": 0.14,
    "memory_saves": 0.01,
    "memory_saves_low": 0.005,
    "memory_saves_high": 0.015,
    "memory": "helps: it saves bits on test sequence",
}
VERDICT = "the head does not beat the commonest class: accuracy 0.510 against 0.500 on held-out samples"
FACTS: dict[str, dict[str, Any]] = {
    "lm": {"parameters": 662_208, "steps": 120, "best_step": 80},
    "evaluation": JUDGED,
    "phenotype_head": {"verdict": VERDICT, "folds": 3},
}
PICTURES = {
    "lm": ["training"],
    "evaluation": ["bits_per_base", "context"],
    "generations": ["gc", "logo_fictaria"],
    "phenotypes": ["samples"],
    "phenotype_head": ["baseline", "confusion"],
}
PREDICTORS = {"model": 1.85, "model_without_memory": 1.86, "uniform": 2.0, "markov_2": 1.97}
TABLES = {
    "evaluation": (
        EVALUATION,
        [
            (
                species,
                name,
                figure,
                bits if figure == "bits_per_base" else 2 ** (6 * bits),
                bits - 0.1,
                bits + 0.1,
                9,
            )
            for species in ("fictaria", "<b>", "all")
            for name, bits in PREDICTORS.items()
            for figure in ("bits_per_base", "perplexity")
        ],
    ),
    "generations": (GENERATIONS, [("fictaria", 0, "ACGTAC", "GGGTTT" * 20, 0.5, 120, -7.0)]),
    "phenotypes": (PHENOTYPES, [("s", "tall", 8, 0, 0, 0)]),
    "phenotype_head": (
        PHENOTYPE_HEAD,
        [
            (fold, predictor, "accuracy", value, None, None, 20)
            for fold in (-1, 0)
            for predictor, value in (("head", 0.51), ("majority", 0.4999))
        ],
    ),
}


def _products(study: PlantStudy) -> dict[str, Product]:
    made = {}
    for species in study.species:
        for each in (study.genome, study.tokens):
            _make(each(species), "")
    for name in ("lm", "evaluation", "generations", "phenotypes", "phenotype_head"):
        if study.values.phenotypes is not None or not name.startswith("phenotype"):
            made[name] = getattr(study, name)()
            _make(made[name], name)
    return made


def _make(product: Product, name: str) -> None:
    def build(work: Path) -> Facts:
        (work / "placeholder").write_text("nothing", encoding="ascii")
        for picture in PICTURES.get(name, []):
            save_figure(new_figure((0.5, 0.5)), work / f"{picture}.png")
        if name in TABLES:
            table, rows = TABLES[name]
            table.write(pl.DataFrame(rows, table.schema, orient="row"), work / PART)
        return dict(FACTS.get(name, {}))

    product.make(build)


def _page(study: PlantStudy) -> str:
    make_report(study)
    return html.unescape((study.files("report") / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> PlantStudy:
    study = toy_study(tmp_path_factory.mktemp("report"))
    _products(study)
    return study


def test_the_page_shows_every_figure_and_fetches_nothing(study: PlantStudy) -> None:
    text = _page(study)
    pictures = [name for names in PICTURES.values() for name in names]
    embedded = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", text)
    assert len(embedded) == len(pictures)
    assert all(base64.b64decode(each).startswith(b"\x89PNG") for each in embedded)
    assert "Sequence logo of what was drawn as fictaria." in text
    assert not re.search(r"(?:src|href)=\"https?:", text)
    facts = study.main.require(study.report()).facts
    assert facts["figures"] == len(pictures)
    assert facts["missing"] == []


def test_the_baselines_are_on_the_page(study: PlantStudy) -> None:
    text = _page(study)
    assert "It beats the Markov model of order 2, which needs 1.970: it saves +0.120 bits per base" in text
    assert "of order 3 is best, with 1.900; the language model needs 0.050 fewer" in text
    assert "Its memory helps: it saves bits on test sequence (+0.0100 bits per base, [0.0050, 0.0150])" in text
    assert "commonest class" in text
    assert VERDICT in text
    assert re.search(r"<th[^>]*>Markov, order 2</th><td[^>]*>1\.970</td>", text)
    assert re.search(r"<td[^>]*>commonest class</td><td[^>]*>0\.4999</td>", text)


def test_names_are_text_and_no_markup(study: PlantStudy) -> None:
    make_report(study)
    raw = (study.files("report") / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;" in raw


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"over_markov_2": -0.1, "over_markov_2_low": -0.2}, "It does NOT beat the Markov model of order 2"),
        ({"over_markov_2_low": -0.01}, "is ahead of, but not for sure, the Markov model of order 2"),
        ({"over_markov_2_low": None, "over_markov_2_high": None}, "(too few blocks for an interval)"),
        ({"over_best_markov": -0.2}, "the language model needs 0.200 MORE, and does not beat it"),
        ({"memory": "harms: test sequence costs more bits with it"}, "Its memory harms: test sequence costs more"),
    ],
)
def test_says_what_did_not_help(change: dict[str, Any], said: str) -> None:
    part = Part(JUDGED | change, Path(), (), "")
    assert said in " ".join(answer({"evaluation": part}))


def test_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither samples nor a memory nor an order-2 baseline, and a figure that was not drawn."""
    without = {name: fact for name, fact in JUDGED.items() if not re.match("memory|over_markov_2", name)}
    monkeypatch.setitem(FACTS, "evaluation", without)
    monkeypatch.setitem(PICTURES, "lm", [])
    values = toy_study(tmp_path).values.model_dump() | {"phenotypes": None}
    main = Study(Settings(data_root=str(tmp_path), device="cpu"))
    study = PlantStudy(main, PlantConfiguration.model_validate(values))
    _products(study)
    text = _page(study)
    assert "There are no phenotypes to tell." in text
    assert "The model has no memory to judge." in text
    assert study.main.require(study.report()).facts["missing"] == [
        "Missing: lm has no figure.",
        "Missing: what the memory is worth, for the model has none.",
        "Missing: phenotypes, for the study's values name no samples.",
        "Missing: phenotype head, for the study's values name no samples.",
    ]


def test_waits_for_what_it_shows(tmp_path: Path) -> None:
    study = toy_study(tmp_path)
    with pytest.raises(MissingUpstreamError):
        make_report(study)
