"""The study from a person's files to predictions, on two chromosomes and for two people."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import polars as pl
import pytest

from glm_assets.errors import MissingUpstreamError, SettingsError
from glm_assets.lineage.study import Study
from glm_assets.settings import Settings
from glm_assets.storage.schemas_impact import READ_EXAMPLES, REPORT, TRAINING_SET
from glm_assets.storage.tables import read_part
from glm_assets.studies.impact.embeddings import make_read_embeddings
from glm_assets.studies.impact.examples import make_read_examples
from glm_assets.studies.impact.individual import make_individual_alignments, make_individual_variants
from glm_assets.studies.impact.predictions import CSV, make_predictions
from glm_assets.studies.impact.predictors import Predictors
from glm_assets.studies.impact.report import FIGURES, make_report
from glm_assets.studies.impact.study import ImpactStudy
from glm_assets.studies.impact.training_set import make_training_set
from glm_assets.tracking import NullTracker
from glm_assets.tracking.protocol import NullRun
from glm_assets_tests.studies.impact.persons import another_of, copy_of, embed, silent

SPLITS = {"train", "val", "test"}


def another(made, **changes) -> ImpactStudy:
    return another_of(made.study, **changes)


def examples_of(made, chrom: str) -> pl.DataFrame:
    return read_part(made.study.read_examples(chrom).files())


def test_examples_show_what_they_are_said_to_show_and_splits_share_nothing(made):
    examples = pl.concat([examples_of(made, chrom) for chrom in made.study.chromosomes])
    READ_EXAMPLES.check(examples)
    assert set(examples["split"]) == SPLITS
    for row in examples.iter_rows(named=True):
        allele = row["alt"] if row["allele_in_read"] == "alternate" else row["ref"]
        assert row["sequence"][row["variant_offset"] :].startswith(allele)
        assert len(row["sequence"]) == 150
        assert row["target"] == (row["score"] / 10 if row["allele_in_read"] == "alternate" else 0)
    for column in ("group", "read_name", "sequence"):
        assert examples.group_by("chrom", column).agg(pl.col("split").n_unique())["split"].max() == 1


def test_equal_reads_are_embedded_once(made):
    for chrom in made.study.chromosomes:
        facts = made.study.main.require(made.study.read_embeddings(chrom)).facts
        examples = examples_of(made, chrom)
        assert facts["windows_computed"] == examples["sequence"].n_unique() < examples.height
        index = read_part(made.study.read_embeddings(chrom).files())
        assert index["sequence_digest"].equals(examples["sequence_digest"])
        assert index["key"].n_unique() == examples["sequence"].n_unique()
    assert facts["dimension"] == 150 * 16


def test_vectors_are_the_encoders_at_every_base(made):
    """Against the encoder itself, asked again without any store."""
    from glm_assets.encoders.registry import make_encoder

    study, examples = made.study, examples_of(made, "21")
    encoder = make_encoder(study.encoder_spec, weights=study.weights.path, device="cpu")
    sequence = examples["sequence"][3]
    expected = encoder.embed(np.frombuffer(sequence.encode(), np.uint8)[None])[0]
    key = read_part(study.read_embeddings("21").files())["key"][3:4]
    assert np.allclose(study.store().read_sequences(key)[0], expected, atol=1e-3, rtol=1e-3)


def test_the_training_set_has_every_example_and_balances_train_alone(made):
    table = read_part(made.study.training_set().files())
    TRAINING_SET.check(table)
    assert table.height == sum(examples_of(made, chrom).height for chrom in made.study.chromosomes)
    held_out = table.filter(pl.col("split") != "train")
    assert held_out["copies_in_training"].unique().to_list() == [1]
    assert held_out["weight"].unique().to_list() == [1.0]
    train = table.filter(split="train")
    chances = train.group_by("target").agg(pl.sum("weight"))["weight"]
    assert chances.max() == pytest.approx(chances.min())
    assert made.training_set.facts["in_several_splits"] == {"groups": 0, "reads": 0, "sequences": 0}


def test_the_report_is_what_numpy_says_of_the_predictions(made):
    from glm_assets.studies.impact.activations import Activations
    from glm_assets.studies.impact.predictors import Predictors

    study = made.study
    table = read_part(study.report().files())
    REPORT.check(table)
    training = read_part(study.training_set().files())
    test = training.with_row_index("at").filter(split="test")
    activations = Activations.open(study.store(), training["key"], "positions:150")
    scores = Predictors.load(study.head_folder, "cpu").scores(activations, test["at"].to_numpy())
    scores["mean"] = np.full(test.height, 10 * training.filter(split="train")["target"].mean())
    target = 10 * test["target"].to_numpy()
    overall = table.filter(split="test", slice="all")
    assert set(overall["figure"]) == set(FIGURES)
    for name, values in scores.items():
        rmse = overall.filter(predictor=name, figure="rmse").row(0, named=True)
        assert rmse["value"] == pytest.approx(np.sqrt(((values - target) ** 2).mean()))
        assert (rmse["rows"], rmse["groups"]) == (test.height, test["group"].n_unique())
    pearson = overall.filter(predictor="linear", figure="pearson")["value"][0]
    assert pearson == pytest.approx(np.corrcoef(scores["linear"], target)[0, 1])
    assert overall.filter(predictor="mean", figure="pearson")["value"][0] is None
    assert {path.name for path in study.report().files().glob("*.png")} >= {
        *(f"scatter_{name}.png" for name in ("conv", "linear")),
        *(f"consequences_{name}.png" for name in ("conv", "linear")),
        *(f"distribution_{name}.png" for name in ("conv", "linear")),
    }


def test_predictions_are_impacts_of_0_to_10_with_reasons_for_what_has_none(made):
    table = read_part(made.study.predictions_folder)
    assert set(table["kind"]) == {"read", "variant"}
    scored = table.filter(pl.col("reason").is_null())
    for column in ("score_conv", "score_linear"):
        assert scored[column].is_between(0, 10).all()
        assert table.filter(pl.col("reason").is_not_null())[column].null_count() == table["reason"].count()
    assert table["reason"].count() > 0
    plain = pl.read_csv(made.study.predictions_folder / CSV, infer_schema_length=None)
    assert plain.columns == table.columns
    assert plain["score_conv"].to_numpy() == pytest.approx(table["score_conv"].to_numpy(), nan_ok=True)


def test_reads_of_the_training_get_the_impact_that_the_head_gave_them(made, tmp_path):
    """Round trip: through a FASTA, the same vectors and the same scale."""
    from glm_assets.studies.impact.activations import Activations
    from glm_assets.studies.impact.predictors import Predictors

    study, examples = copy_of(made.study, tmp_path), examples_of(made, "22")
    fasta = tmp_path / "again.fa"
    fasta.write_text("".join(f">r{row}\n{text}\n" for row, text in enumerate(examples["sequence"])))
    manifest = make_predictions(study, silent, reads=str(fasta))
    assert manifest.facts["windows_computed"] == 0
    found = read_part(study.predictions_folder).filter(kind="read")
    keys = read_part(study.read_embeddings("22").files())["key"]
    activations = Activations.open(study.store(), keys, "positions:150")
    expected = Predictors.load(study.head_folder, "cpu").scores(activations, np.arange(len(keys)))
    assert found["score_conv"].to_numpy() == pytest.approx(expected["conv"], abs=1e-5)
    assert found["score_linear"].to_numpy() == pytest.approx(expected["linear"], abs=1e-5)


def test_what_is_there_is_reused(made):
    study = another(made)
    for chrom in study.chromosomes:
        assert make_individual_alignments(study, chrom).reused
        assert make_individual_variants(study, chrom, silent).reused
        assert make_read_examples(study, chrom, silent).reused
        assert make_read_embeddings(study, chrom, silent).reused
    assert make_training_set(study).reused
    assert make_report(study, silent).reused


def test_another_head_leaves_the_training_set_and_other_reads_do_not(made):
    head = another(made, head={"hidden": 3})
    assert head.training_set().current()
    assert head.head().current() is None
    reads = another(made, reads={"per_variant": 2})
    with pytest.raises(MissingUpstreamError, match=r"impact/read_embeddings .* for chromosome 21, 22"):
        reads.training_set()


class Killed(BaseException):
    """As a kill: nothing but finally blocks runs."""


class KillingTracker(NullTracker):
    """Stops the training as its second epoch is recorded."""

    def run(self, name, *, tags, resume_file):
        run = NullRun()
        run.log_epoch = self._log_epoch
        return nullcontext(run)

    def _log_epoch(self, epoch, metrics):
        if epoch == 2:
            raise Killed


def test_a_killed_training_goes_on_where_it_stopped(made, tmp_path):
    from glm_assets.studies.impact.head import make_head

    study = copy_of(made.study, tmp_path, head={"hidden": 5})
    with pytest.raises(Killed):
        make_head(study, KillingTracker(), silent, dagster_run_id="test")
    assert study.head().current() is None
    lines: list[str] = []
    manifest = make_head(study, NullTracker(), lines.append, dagster_run_id="test")
    assert any("continuing after epoch 2" in line for line in lines)
    assert manifest.facts["epochs"] == 4
    assert not [name for name in manifest.files if "epoch" in name]


@pytest.mark.system
def test_an_encoder_that_pools_positions_has_the_linear_head_alone(made, tmp_path):
    from glm_assets.studies.impact.head import make_head

    study = copy_of(made.study, tmp_path, encoder={"pooling": "mean"})
    for chrom in study.chromosomes:
        embed(study, chrom)
    make_training_set(study)
    facts = make_head(study, NullTracker(), silent, dagster_run_id="test").facts
    assert facts["convolution"] == "none: mean has no positions"
    make_report(study, silent)
    assert set(read_part(study.report().files())["predictor"]) == {"linear", "mean"}
    assert make_predictions(study, silent).facts["by"] == "linear"
    table = read_part(study.predictions_folder)
    assert table["score_conv"].null_count() == table.height
    assert table["score_linear"].is_between(0, 10).sum() > 0


def test_two_people_and_two_chromosomes_share_a_data_root_without_collisions(made):
    main = made.study.main
    second = another(made, individual="DEMO2", chromosomes=["22"])
    embed(second, "22")
    facts = main.require(second.read_embeddings("22")).facts
    assert facts["windows_computed"] == 0  # the same reads: their vectors are there
    main.refresh_warehouse()
    with main.open_warehouse() as warehouse:
        found = warehouse.execute(
            "select individual, chrom, count(*) from impact_read_examples group by all order by all"
        ).fetchall()
    own = {chrom: examples_of(made, chrom).height for chrom in ("21", "22")}
    assert found == [("DEMO1", "21", own["21"]), ("DEMO1", "22", own["22"]), ("DEMO2", "22", own["22"])]
    assert made.study.read_examples("22").current()


def test_a_wrong_configuration_is_told_when_it_is_needed(tmp_path):
    study = ImpactStudy(Study(Settings(profile="demo", data_root=str(tmp_path), impact="nowhere.yaml")))
    with pytest.raises(SettingsError, match=r"GLM_IMPACT='nowhere\.yaml' cannot be read"):
        _ = study.chromosomes


@pytest.mark.parametrize(("profile", "expected"), [("demo", "DEMO1"), ("full", "HG00553")])
def test_without_a_name_the_configuration_is_the_profiles_namesake(tmp_path, profile, expected):
    study = ImpactStudy(Study(Settings(profile=profile, data_root=str(tmp_path))))
    assert study.individual == expected


def test_generated_files_are_refused_beside_real_sources(tmp_path, tiny_tree):
    study = ImpactStudy(Study(Settings(data_root=str(tmp_path), ncbi_url=str(tiny_tree))))
    with pytest.raises(SettingsError, match="set GLM_IMPACT"):
        study.individual_alignments("21")


def test_a_file_that_does_not_exist_is_named(made):
    study = another(made, alignments="/no/reads.bam")
    with pytest.raises(SettingsError, match=r"no file /no/reads\.bam, which alignments names.*GLM_IMPACT"):
        study.individual_alignments("21")


def test_carried_alleles_found_in_reads_depend_on_the_thresholds_alone(made):
    def recipe(**reads):
        return another(made, variants=None, reads=reads).individual_variants("21").input_digest

    assert recipe(per_variant=2, absent_variants=3) == recipe()
    assert recipe(min_base_quality=21) != recipe()


def test_predictions_depend_on_the_longest_indel_that_is_judged(made):
    recipe = made.study.predictions(None, made.study.files.new_variants()).recipe
    assert recipe["indel_max"] == made.study.main.profile.labels.indel_max


def test_the_facts_name_the_persons_file_without_its_folder(made):
    facts = made.study.main.require(made.study.individual_alignments("21")).facts
    assert facts["file"] == "DEMO1.bam"


def test_the_report_which_holds_no_gpu_asks_for_none(made, tmp_path, monkeypatch):
    study, load, devices = copy_of(made.study, tmp_path, resamples=101), Predictors.load, []
    monkeypatch.setattr("glm_assets.studies.impact.report.resolve_device", lambda _: "cuda:7", raising=False)
    monkeypatch.setattr(Predictors, "load", lambda folder, device: devices.append(device) or load(folder, "cpu"))
    make_report(study, silent)
    assert devices == ["cpu"]


def test_reads_and_positions_of_other_lengths_are_refused(made):
    with pytest.raises(ValueError, match=r"positions:100.*reads\.length 150"):
        another(made, encoder={"pooling": "positions:100"})


def test_nothing_to_predict_is_said_with_what_to_name(made):
    study = another(made, new={"reads": None, "variants": None})
    with pytest.raises(SettingsError, match="nothing to predict"):
        make_predictions(study, silent)
