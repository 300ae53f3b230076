"""Drawn sequences of a study: prompts, columns that follow from the sequence, FASTA, and the same again."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from glm_assets.errors import EvaluationError
from glm_assets.storage.tables import read_part
from glm_assets.studies.sugarcane import generations
from glm_assets.studies.sugarcane.generations import make_generations
from glm_assets_tests.studies.sugarcane.tiny_units import (
    CONTIGS,
    VARIETY,
    quiet,
    sequence_of,
    tiny_study,
    two_models,
)


@pytest.fixture(autouse=True)
def models(monkeypatch):
    monkeypatch.setattr(generations, "open_models", two_models)


@pytest.fixture
def without_figures(monkeypatch):
    monkeypatch.setattr(generations, "_save_figures", lambda *_: None)


def drawn(study):
    manifest = make_generations(study, VARIETY, quiet)
    folder = study.files("generations", VARIETY)
    return manifest, read_part(folder), (folder / "generations.fa").read_text()


def records(fasta: str) -> dict[str, str]:
    parts = [part.split("\n", 1) for part in fasta.split(">")[1:]]
    return {header.split()[0]: body.replace("\n", "") for header, body in parts}


def test_drawn_sequences_go_on_from_the_first_bases_of_test_units(tmp_path):
    manifest, table, fasta = drawn(tiny_study(tmp_path))
    assert table.height == 2 * 2 * 2
    models = two_models()
    for row in table.iter_rows(named=True):
        assert row["prompt_sequence"] == sequence_of(row["prompt_name"])[:50]
        assert (row["length"], len(row["sequence"])) == (100, 100)
        assert set(row["sequence"]) <= set("ACGT")
        assert row["gc"] == pytest.approx(sum(base in "GC" for base in row["sequence"]) / 100)
        whole = row["prompt_sequence"] + row["sequence"]
        terms = models[row["model"]].expected(whole, start_token=False)[50:]
        assert row["logprob_mean"] == pytest.approx(terms.mean(), rel=1e-5)
    assert list(records(fasta).values()) == table["sequence"].to_list()
    assert table["sequence"].n_unique() == 8
    assert manifest.facts["gc"]["fine_tuned"] == pytest.approx(table.filter(model="fine_tuned")["gc"].mean())
    assert {"gc.png", "lengths.png", "logo_zero_shot.png", "logo_fine_tuned.png"} <= set(manifest.files)


@pytest.mark.usefixtures("without_figures")
def test_prompts_can_be_named_and_draws_be_free(tmp_path):
    generation = {"prompts": ["acgt", "GGATT"], "samples": 3, "only_bases": False}
    _, table, fasta = drawn(tiny_study(tmp_path, generation=generation))
    assert table["prompt_sequence"].unique(maintain_order=True).to_list() == ["ACGT", "GGATT"]
    assert table["prompt_name"].unique(maintain_order=True).to_list() == ["0", "1"]
    free = "".join(table["sequence"])
    assert not set(free) <= set("ACGT")
    known = [sum(base in "ACGT" for base in sequence) for sequence in table["sequence"]]
    strong = [sum(base in "GC" for base in sequence) for sequence in table["sequence"]]
    shares = [many / all_of if all_of else None for many, all_of in zip(strong, known, strict=True)]
    assert table["gc"].to_list() == pytest.approx(shares)
    assert all(sequence.isalpha() for sequence in records(fasta).values())


@pytest.mark.usefixtures("without_figures")
def test_the_same_seed_draws_the_same_and_another_does_not(tmp_path):
    first, again, other = (
        drawn(tiny_study(tmp_path / name, seed=seed))[1]["sequence"].to_list()
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert first == again
    assert not set(first) & set(other)


def test_prompts_that_no_unit_is_long_enough_for_are_refused(tmp_path):
    with pytest.raises(EvaluationError, match="no test unit of 5,000 bases"):
        drawn(tiny_study(tmp_path, generation={"prompt_bases": 5_000}))


def test_the_genome_s_composition_is_that_of_its_known_bases(tmp_path):
    text = "".join(CONTIGS.values()).upper()
    expected = sum(base in "GC" for base in text) / sum(base in "ACGT" for base in text)
    assert generations._genome_gc(tiny_study(tmp_path), VARIETY) == pytest.approx(expected)
