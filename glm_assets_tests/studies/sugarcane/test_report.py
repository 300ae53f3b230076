"""The page of a variety: complete, honest about what did not help, and in need of nothing else."""

from __future__ import annotations

import base64
import math
import re
from html.parser import HTMLParser

import polars as pl
import pytest

from glm_assets.evaluation.figures import new_figure, save_figure
from glm_assets.storage.schemas_sugarcane import (
    GENERATIONS,
    GENOME_PROFILE,
    MODEL_COMPARISON,
    TOKEN_PROFILES,
    UNIT_SCORES,
)
from glm_assets.storage.tables import PART
from glm_assets.studies.sugarcane.report import make_report
from glm_assets.studies.sugarcane.study import SugarcaneStudy
from glm_assets_tests.studies.sugarcane.tiny_units import VARIETY, tiny_study

COMPARED = {
    "units": 12,
    "judged_split": "test",
    "verdict": "better",
    "better_units": 0.75,
    "logprob_mean": {"zero_shot": -1.4, "fine_tuned": -1.3, "difference": 0.1, "low": 0.05, "high": 0.15},
    "experiment_rows": 25,
    "experiment_pearson": {"zero_shot": 0.1, "fine_tuned": 0.2, "difference": 0.1},
    "experiment_spearman": {"zero_shot": 0.11, "fine_tuned": 0.22, "difference": 0.11, "low": -0.2, "high": 0.3},
}
TRAINED = {"best_loss": 1.2, "zero_shot_loss": 1.5, "uniform_loss": math.log(4)}
PICTURES = {
    "lora_adapter": ("training",),
    "unit_scores": ("histogram", "violins", "ranking"),
    "model_comparison": ("unit_types", "scatter_zero_shot", "scatter_fine_tuned"),
    "token_profiles": ("entropy", "logits_zero_shot", "logits_fine_tuned"),
    "generations": ("gc", "lengths", "logo_fine_tuned"),
    "genome_profile": ("codons", "a_new_figure"),
}
MODELS = ("zero_shot", "fine_tuned")
TABLES = {
    "unit_scores": (
        UNIT_SCORES,
        [
            (VARIETY, f"u{n}", "gene_only", "test", m, -13.0, -1.3 - n / 100, 10, 1)
            for m in MODELS
            for n in range(4)
        ],
    ),
    "model_comparison": (
        MODEL_COMPARISON,
        [(VARIETY, "all", "all", "logprob_mean", -1.4, -1.3, 0.1, 0.05, 0.15, 12)],
    ),
    "token_profiles": (TOKEN_PROFILES, [(VARIETY, "<b>u0", "gene_only", m, 0, 10, 1.5, 0.5) for m in MODELS]),
    "generations": (GENERATIONS, [(VARIETY, m, 0, "u0", 0, "ACGT", "GG", 1.0, 2, -1.2) for m in MODELS]),
    "genome_profile": (GENOME_PROFILE, [(VARIETY, "summary", "bases", "value", 2_000_000.0)]),
}


def made(folder, compared: dict | None = None, trained: dict | None = None, without: str = "") -> SugarcaneStudy:
    """A study whose products have one picture of each kind."""
    study = tiny_study(folder, experiment=None)
    picture = folder / "picture.png"
    save_figure(new_figure((1, 1)), picture)
    facts = {
        "lora_adapter": TRAINED | (trained or {}),
        "model_comparison": COMPARED | (compared or {}),
        "genome_profile": {"missing": ["protein domains"]},
    }

    for name, stems in PICTURES.items():

        def build(work, name=name, stems=stems):
            for stem in stems if name != without else ():
                (work / f"{stem}.png").write_bytes(picture.read_bytes())
            if name in TABLES:
                table, rows = TABLES[name]
                table.write(pl.DataFrame(rows, table.schema, orient="row"), work / PART)
            if name == "model_comparison":
                (work / "ranking.csv").write_text(
                    "rank,unit_id,unit_type,zero_shot,fine_tuned\n1,u7,x,-1.5,-1.2\n"
                )
            return dict(facts.get(name, {}))

        getattr(study, name)(VARIETY).make(build)
    return study


@pytest.fixture(autouse=True)
def weights(monkeypatch):
    class Weights:
        sha256 = "0123abcd" * 8

    monkeypatch.setattr(SugarcaneStudy, "weights", lambda _: Weights)


def page_of(study) -> str:
    make_report(study, VARIETY)
    return (study.files("report", VARIETY) / "report.html").read_text(encoding="utf-8")


class Seen(HTMLParser):
    """Images, headings, and every address that a browser would follow."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[dict] = []
        self.addresses: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.addresses += [found[key] for key in ("src", "href", "action", "data") if key in found]
        if tag == "img":
            self.images.append(found)

    def handle_data(self, data):
        self.words += data


def test_the_page_holds_every_picture_and_fetches_nothing(tmp_path):
    study = made(tmp_path)
    text = page_of(study)
    seen = Seen(text)
    assert len(seen.images) == sum(map(len, PICTURES.values()))
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in seen.addresses)
    # The name of SVG's elements, which the script makes some of, is no address.
    assert not re.search(r"https?:|url\(|@import", text.replace("http://www.w3.org/2000/svg", ""))
    picture = base64.b64decode(seen.images[0]["src"].split(",", 1)[1])
    assert picture == (tmp_path / "picture.png").read_bytes()
    assert all(image["alt"] for image in seen.images)
    assert "a new figure" in {image["alt"] for image in seen.images}
    assert str(tmp_path) not in text
    for expected in ("u7", "2,000,000", "0123abcd" * 8, "tiny.fa", "rank 8, alpha 16", "42"):
        assert expected in seen.words, expected
    assert study.main.require(study.token_profiles(VARIETY)).data_version in seen.words
    assert "<b>u0" in seen.words
    assert "<b>u0" not in text


def test_the_page_says_what_is_missing(tmp_path):
    study = made(tmp_path, without="generations")
    words = Seen(page_of(study)).words
    assert "Missing: protein domains" in words
    assert "Missing: generations has no figure" in words
    assert "name no experiment" in words
    facts = study.main.require(study.report(VARIETY)).facts
    assert len(facts["missing"]) == 3


def test_training_that_helped_is_said_to_have_with_its_numbers(tmp_path):
    answer = make_report(made(tmp_path), VARIETY).facts["answer"]
    assert "Fine-tuning made the model better on 12 test units" in answer
    assert "1.2000 nats per base, below ln 4 = 1.3863" in answer
    assert "below the 1.5000" in answer
    assert "rho 0.110 before and 0.220 after training, a difference of +0.110 [" in answer
    assert "NOT" not in answer


@pytest.mark.parametrize(
    ("compared", "trained", "said"),
    [
        ({"verdict": "worse"}, {}, "Fine-tuning made the model WORSE"),
        ({"verdict": "undecided"}, {}, "Whether fine-tuning made the model better is not decided"),
        ({"judged_split": "train"}, {}, "flatters the fine-tuned model"),
        ({}, {"best_loss": 1.6}, "fine-tuning did NOT help"),
        ({}, {"best_loss": 1.454}, "NOT below ln 4 = 1.3863"),
        ({}, {"best_loss": 1.454}, "no better than guessing"),
    ],
)
def test_training_that_did_not_help_is_said_not_to_have(tmp_path, compared, trained, said):
    assert said in make_report(made(tmp_path, compared, trained), VARIETY).facts["answer"]
