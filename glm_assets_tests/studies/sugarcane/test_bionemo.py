"""What goes to BioNeMo is the study's own split and units; what comes back is what its files say, by brute force."""

from __future__ import annotations

import json
import math
import shlex
import subprocess
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import yaml

from glm_assets import cli
from glm_assets.errors import FormatError, GlmError, IntegrityError, MissingUpstreamError, SettingsError
from glm_assets.storage.schemas_sugarcane import REGIONS, UNIT_SCORES, UNITS
from glm_assets.storage.tables import PART
from glm_assets.studies.sugarcane.bionemo import export_bionemo, scored_units
from glm_assets.studies.sugarcane.bionemo_import import import_bionemo
from glm_assets_tests.studies.sugarcane.tiny_units import (
    CONTIGS,
    VARIETY,
    quiet,
    sequence_of,
    tiny_study,
    units_table,
)

_REGIONS = [("Chr1", 0, 1_000, "train"), ("Chr1", 1_200, 3_000, "test"), ("Chr2", 0, 1_100, "val")]


def study_in(folder, **changes):
    """The tiny study with units that count as up to date."""
    changes["shards"] = {"min_bases": 5} | changes.get("shards", {})  # the genome has an N every few bases
    study = tiny_study(folder, **changes)

    def build(work):
        UNITS.write(units_table(), work / PART)
        rows = [(VARIETY, contig, start, end, contig[3:], split) for contig, start, end, split in _REGIONS]
        REGIONS.write(pl.DataFrame(rows, REGIONS.schema, orient="row"), work / REGIONS.file_name)
        return {}

    study.units(VARIETY).make(build)
    return study


def records(path):
    """Name to sequence of a FASTA."""
    return dict(record.split("\n", 1) for record in path.read_text().replace("\n>", "\0").strip(">\n").split("\0"))


def commands(folder):
    """Options of each command of the script, by program and number."""
    lines = [line for line in (folder / "commands.sh").read_text().splitlines() if line and line[0] not in "#:"]
    return [shlex.split(line) for line in lines if line.split()[0].split("_")[-1] in {"evo2", "nemo2"}]


def option(words, name):
    return words[words.index(name) + 1]


# Export


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bionemo")
    study = study_in(folder, shards={"soft_mask": "unweighted"}, training={"context": 64})
    return study, export_bionemo(study, VARIETY, folder / "out", quiet)


def test_each_split_is_a_file_with_its_regions_without_unknown_runs(exported):
    _, done = exported
    for split in ("train", "val", "test"):
        regions = [CONTIGS[contig][start:end] for contig, start, end, side in _REGIONS if side == split]
        wanted = [piece for region in regions for piece in region.split("N") if len(piece) >= 5]
        assert [sequence.strip() for sequence in records(done.folder / f"{split}.fa").values()] == wanted
        assert done.records[split] == len(wanted)
        assert done.bases[split] == sum(map(len, wanted))


def test_the_configurations_are_those_of_bionemo_and_draw_nothing_at_random(exported):
    _, done = exported
    entries = yaml.safe_load((done.folder / "preprocessing.yaml").read_text())
    # The fields of its Evo2PreprocessingConfig.
    assert set(entries[0]) == set(
        "datapaths output_dir output_prefix train_split valid_split test_split overwrite embed_reverse_complement"
        " random_reverse_complement random_lineage_dropout transcribe force_uppercase indexed_dataset_dtype"
        " tokenizer_type append_eod enforce_sample_length ftfy workers preproc_concurrency chunksize"
        " drop_empty_sequences nnn_filter seed".split()
    )
    shares = [tuple(entry[f"{side}_split"] for side in ("train", "valid", "test")) for entry in entries]
    assert shares == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert [entry["embed_reverse_complement"] for entry in entries] == [True, False, False]
    assert all(
        entry["datapaths"] == [f"{side}.fa"] for side, entry in zip(("train", "val", "test"), entries, strict=True)
    )
    blend = yaml.safe_load((done.folder / "blend.yaml").read_text())
    # `<output_dir>/<output_prefix>_<tokenizer>_<split>` is what its preprocessing writes.
    made = [
        f"{e['output_dir']}/{e['output_prefix']}_byte-level_{s}"
        for e, s in zip(entries, ("train", "val", "test"), strict=True)
    ]
    assert [entry["dataset_prefix"] for entry in blend] == made
    assert [entry["dataset_split"] for entry in blend] == ["train", "validation", "test"]
    assert {entry["dataset_weight"] for entry in blend} == {1.0}


def test_the_units_are_those_that_are_scored_on_their_own_strand(exported):
    study, done = exported
    found = {name: sequence.strip() for name, sequence in records(done.folder / "units.fa").items()}
    assert found == {name: sequence_of(name) for name in scored_units(study, VARIETY)["unit_id"]}
    assert done.units == len(found) > 10


def test_the_script_has_the_values_of_the_study(exported):
    study, done = exported
    assert subprocess.run(["bash", "-n", done.folder / "commands.sh"], check=False).returncode == 0
    programs = [words[0] for words in commands(done.folder)]
    assert programs == ["preprocess_evo2", "evo2_convert_to_nemo2", "predict_evo2", "train_evo2", "predict_evo2"]
    _, convert, zero_shot, train, tuned = commands(done.folder)
    training, lora = study.values.training, study.values.model.lora
    assert option(convert, "--model-size") == option(train, "--model-size") == "7b_arc_longcontext"
    assert option(train, "--seq-length") == "64"
    assert float(option(train, "--lr")) == training.learning_rate
    assert option(train, "--constant-steps") == "0"
    assert (option(train, "--lora-dim"), "--lora-finetune" in train) == (str(lora.rank), True)
    assert "--prepend-bos" in zero_shot
    assert "--fp8" not in train
    assert option(tuned, "--lora-checkpoint-path") == "$TRAINED"


def test_the_1b_model_gets_fp8_and_what_bionemo_lacks_is_refused(tmp_path):
    study = study_in(tmp_path / "a", model={"encoder": "evo2_1b_base", "method": "full", "lora": None})
    _, convert, zero_shot, train, tuned = commands(export_bionemo(study, VARIETY, tmp_path / "out", quiet).folder)
    assert option(convert, "--model-path") == "hf://arcinstitute/savanna_evo2_1b_base"
    assert all("--fp8" in words for words in (zero_shot, train, tuned))
    assert "--lora-finetune" not in train
    assert option(tuned, "--ckpt-dir") == "$TRAINED"
    with pytest.raises(SettingsError, match="evo2_20b"):
        export_bionemo(study_in(tmp_path / "b", model={"encoder": "evo2_20b"}), VARIETY, tmp_path / "none", quiet)
    assert not (tmp_path / "none").exists()


def test_a_context_of_one_token_is_refused_with_the_reason(tmp_path):
    with pytest.raises(ValueError, match="a model sees nothing before"):
        study_in(tmp_path, training={"context": 1})


def test_an_export_is_whole_or_absent(tmp_path, monkeypatch):
    study = study_in(tmp_path / "study")
    monkeypatch.setattr("glm_assets.studies.sugarcane.bionemo.blend_text", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_bionemo(study, VARIETY, tmp_path / "out", quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["study"]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(SettingsError, match="there already"):
        export_bionemo(study, VARIETY, tmp_path / "out", quiet)
    with pytest.raises(MissingUpstreamError, match="sugarcane/units"):
        export_bionemo(tiny_study(tmp_path / "other"), VARIETY, tmp_path / "new", quiet)


# Import

NAMES = ("u5", "long", "u4", "u9", "beyond")
INDEX = {name: number for number, name in enumerate(sorted(NAMES))}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return study_in(tmp_path_factory.mktemp("import"))


def oracle(name, logits, *, start_token=True):
    """Sum and count by a softmax written out, base by base: the i-th logits are of the token after the i-th one."""
    tokens = ([0] if start_token else []) + list(sequence_of(name).encode())
    terms = []
    for place, token in enumerate(tokens[1:]):
        row = logits[place].astype(np.float64)
        if chr(token) in "ACGT":
            terms.append(row[token] - math.log(np.exp(row).sum()))
    return sum(terms), len(terms)


def predict(folder, *, start_token=True):
    """Logits of all units in the files of two ranks, as predict_evo2 writes them; returns them by name."""
    generator = np.random.default_rng(0)
    logits = {}
    for rank, names in enumerate((NAMES[:2], NAMES[2:])):
        lengths = [len(sequence_of(name)) + start_token for name in names]
        held = np.zeros((len(names), max(lengths), 512), np.float32)
        mask = np.zeros(held.shape[:2], np.int64)
        for row, (name, length) in enumerate(zip(names, lengths, strict=True)):
            held[row, :length] = logits[name] = generator.normal(0, 2, (length, 512)).astype(np.float32)
            mask[row, int(start_token) : length] = 1
        save(folder, rank, names, token_logits=torch.from_numpy(held), pad_mask=torch.from_numpy(mask))
    return logits


def save(folder, rank, names, index=None, **tensors):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "seq_idx_map.json").write_text(json.dumps(index or INDEX))
    numbers = torch.tensor([INDEX[name] for name in names])
    torch.save(tensors | {"seq_idx": numbers}, folder / f"predictions__rank_{rank}.pt")


def bring(study, folder, path, **options: Any):
    options = {"model": "zero_shot", "collapse": "mean"} | options
    return import_bionemo(study, VARIETY, folder, path, progress=quiet, **options)


@pytest.mark.parametrize("start_token", [True, False])
def test_logits_of_several_ranks_become_scores(study, tmp_path, start_token):
    logits = predict(tmp_path, start_token=start_token)
    done = bring(study, tmp_path, tmp_path / "scores.parquet")
    table = pl.read_parquet(tmp_path / "scores.parquet")
    UNIT_SCORES.check(table)
    assert table["unit_id"].to_list() == ["u4", "u5", "u9", "long", "beyond"]  # as in the table of units
    for row in table.iter_rows(named=True):
        total, tokens = oracle(row["unit_id"], logits[row["unit_id"]], start_token=start_token)
        assert row["n_tokens"] == tokens
        assert row["logprob_sum"] == pytest.approx(total, rel=1e-5)
        assert row["logprob_mean"] == pytest.approx(total / tokens, rel=1e-5)
    assert set(table["model"]) == {"zero_shot"}
    assert (done.rows, done.files, done.repeated) == (5, 2, 0)
    assert done.not_predicted == scored_units(study, VARIETY).height - 5


@pytest.mark.parametrize("collapse", ["mean", "sum"])
def test_one_number_a_sequence_is_a_mean_or_a_sum(study, tmp_path, collapse):
    for rank, names in enumerate((NAMES[:2], NAMES[2:])):
        save(tmp_path, rank, names, log_probs_seqs=torch.tensor([-1.5 - INDEX[name] for name in names]))
    bring(study, tmp_path, tmp_path / "scores.csv", collapse=collapse)
    for row in pl.read_csv(tmp_path / "scores.csv").iter_rows(named=True):
        length, value = len(sequence_of(row["unit_id"])), -1.5 - INDEX[row["unit_id"]]
        assert row["n_tokens"] == length
        assert row["logprob_mean"] == pytest.approx(value if collapse == "mean" else value / length)
        assert row["logprob_sum"] == pytest.approx(value * length if collapse == "mean" else value)


def test_terms_of_tokens_become_scores(study, tmp_path):
    width = max(len(sequence_of(name)) for name in NAMES)
    held = np.zeros((len(NAMES), width))
    for row, name in enumerate(NAMES):
        held[row, : len(sequence_of(name))] = -1 - np.arange(len(sequence_of(name))) / 1_000
    save(tmp_path, 0, NAMES, log_probs_seqs=torch.from_numpy(held))
    bring(study, tmp_path, tmp_path / "scores.parquet")
    for row in pl.read_parquet(tmp_path / "scores.parquet").iter_rows(named=True):
        terms = [-1 - place / 1_000 for place, base in enumerate(sequence_of(row["unit_id"])) if base in "ACGT"]
        assert (row["n_tokens"], row["logprob_sum"]) == (len(terms), pytest.approx(sum(terms)))


def scores(names, value=-1.0):
    return {"log_probs_seqs": torch.full((len(names),), value)}


def missing(folder):
    save(folder, 0, NAMES[1:], **scores(NAMES[1:]))


def differing(folder):
    save(folder, 0, NAMES, **scores(NAMES))
    save(folder, 1, NAMES[:1], **scores(NAMES[:1], -1.1))


def unknown_number(folder):
    save(folder, 0, NAMES, index={name: number for name, number in INDEX.items() if name != "u9"}, **scores(NAMES))


def unknown_unit(folder):
    save(folder, 0, NAMES, index=INDEX | {"of_another_variety": 5}, **scores(NAMES))


def no_number(folder):
    save(folder, 0, NAMES, **scores(NAMES, math.nan))


def another_length(folder):
    predict(folder)
    held = torch.load(folder / "predictions__rank_0.pt", weights_only=True)
    held["pad_mask"][0, -200:] = 1 - held["pad_mask"][0, -200:]
    torch.save(held, folder / "predictions__rank_0.pt")


def truncated(folder):
    predict(folder)
    path = folder / "predictions__rank_1.pt"
    path.write_bytes(path.read_bytes()[:2_000])


def another_file(folder):
    save(folder, 0, NAMES, hidden=torch.zeros(5))


def unsafe_file(folder):
    save(folder, 0, NAMES, **scores(NAMES))
    torch.save({"seq_idx": print}, folder / "predictions__rank_1.pt")


def no_map(folder):
    save(folder, 0, NAMES, **scores(NAMES))
    (folder / "seq_idx_map.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        (missing, FormatError, "1 of the 5 units in seq_idx_map.json: u5"),
        (differing, IntegrityError, "u5 is predicted twice"),
        (unknown_number, FormatError, "sequence number 4, which seq_idx_map.json lacks"),
        (unknown_unit, FormatError, "no units of tiny: of_another_variety"),
        (no_number, FormatError, "no finite score for u5"),
        (another_length, FormatError, "another number of tokens for u5"),
        (truncated, IntegrityError, "predictions__rank_1.pt cannot be read"),
        (another_file, FormatError, "no prediction of Evo2"),
        (unsafe_file, IntegrityError, "predictions__rank_1.pt cannot be read"),
        (no_map, FormatError, "seq_idx_map.json cannot be read"),
        (lambda folder: folder.mkdir(), FormatError, "holds no predictions"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(study, tmp_path, spoil, error, says):
    spoil(tmp_path / "predictions")
    with pytest.raises(error, match=says) as caught:
        bring(study, tmp_path / "predictions", tmp_path / "scores.parquet")
    assert isinstance(caught.value, GlmError)
    assert [path.name for path in tmp_path.iterdir()] == ["predictions"]


def test_a_unit_that_two_ranks_have_alike_is_one_row(study, tmp_path):
    save(tmp_path, 0, NAMES, **scores(NAMES))
    save(tmp_path, 1, NAMES[:1], **scores(NAMES[:1]))
    done = bring(study, tmp_path, tmp_path / "scores.parquet")
    assert (done.rows, done.repeated) == (5, 1)


def test_the_commands_export_and_import(tmp_path, monkeypatch, capsys):
    study = study_in(tmp_path / "study")
    monkeypatch.setattr("glm_assets.cli.bionemo._study", lambda: study)
    assert cli.main(["bionemo", "export", VARIETY, "--to", str(tmp_path / "out")]) == 0
    assert "units and the commands in" in capsys.readouterr().out
    names = list(records(tmp_path / "out" / "units.fa"))
    index = {name: number for number, name in enumerate(sorted(names))}
    folder = tmp_path / "predictions"
    folder.mkdir()
    (folder / "seq_idx_map.json").write_text(json.dumps(index))
    held = {"seq_idx": torch.arange(len(names)), "log_probs_seqs": torch.full((len(names),), -1.25)}
    torch.save(held, folder / "predictions__rank_0.pt")
    out = tmp_path / "scores.csv"
    assert cli.main(["bionemo", "import", VARIETY, "--from", str(folder), "--out", str(out), "--model", "x"]) == 0
    assert f"{len(names):,} units from 1 files in {out}, -1.2500 nats a base" in capsys.readouterr().out
    assert set(pl.read_csv(out)["model"]) == {"x"}
    assert cli.main(["bionemo", "import", VARIETY, "--from", str(folder), "--out", str(tmp_path / "x.txt")]) == 1
    assert "neither Parquet nor CSV" in capsys.readouterr().err
