"""Vectors of reads without any classifier."""

from __future__ import annotations

import gzip
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from glm_assets.cli import main
from glm_assets.encoders.cutting import cut_to_context
from glm_assets.encoders.registry import make_encoder
from glm_assets.encoders.tokenizers.hf import HfTokenizer
from glm_assets.errors import EncoderError, SettingsError
from glm_assets.studies.metagenome.classifiers import FrozenClassifier
from glm_assets.studies.metagenome.inputs import read_inputs
from glm_assets.studies.metagenome.vectors import VectorSource, embed_once, vector_source
from glm_assets_tests.studies.metagenome.reads import sequence
from glm_assets_tests.studies.metagenome.tiny import quiet, tiny_metagenome

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
torch.set_num_threads(1)

READS = {"a": "ACGTTGCATTGCA", "rna": "ggguuuacgtacgn", "again": "ACGTTGCATTGCA", "long": sequence("long", 700)}


@pytest.fixture
def study(tmp_path, generated):
    """Adapters are configured, and nothing is trained."""
    return tiny_metagenome(tmp_path / "root", generated)


@pytest.fixture
def fasta(tmp_path):
    path = tmp_path / "reads.fa.gz"
    path.write_bytes(gzip.compress("".join(f">{name} x\n{bases}\n" for name, bases in READS.items()).encode()))
    return path


def means(study, reads: list[str]) -> np.ndarray:
    """Of the last hidden states, one read at a time, by transformers' own class."""
    folder = study.weights().path.parent
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        ids = [torch.from_numpy(np.asarray(row, np.int64))[None] for row in HfTokenizer(folder).encode(reads)]
        return np.stack([model(input_ids=row).last_hidden_state[0].mean(dim=0).numpy() for row in ids])


def test_the_base_models_means_are_written_without_a_classifier(study, fasta, tmp_path):
    table = tmp_path / "samples.csv"
    table.write_text("sample_id,sequence\ns,ACGT\n")
    out = tmp_path / "out" / "vectors.parquet"
    done = embed_once(study, [fasta, table], out, choices={}, progress=quiet)
    assert not study.classifier_folder.exists()
    frame = pl.read_parquet(out)
    assert frame["sequence_id"].to_list() == [*READS, "s:0"]
    assert frame["sample"].to_list() == ["reads.fa.gz"] * 4 + ["s"]
    assert frame["sequence_length"].to_list() == [13, 14, 13, 700, 4]
    assert not frame["truncated"].any()
    vectors = frame["vector"].to_numpy()
    assert (vectors.shape, vectors.dtype) == ((5, 64), np.float32)
    clean = [READS["a"], "GGGTTTACGTACGN", READS["a"], READS["long"], "ACGT"]
    assert vectors == pytest.approx(means(study, clean), abs=1e-4)
    assert (done.reads, done.computed, done.dimension) == (5, 4, 64)
    assert embed_once(study, [fasta, table], out, choices={}, progress=quiet).computed == 0
    assert pl.read_parquet(out).equals(frame)


def test_reads_of_too_many_tokens_are_cut_to_the_most_there_may_be_and_said_so(study, tmp_path):
    reads = {"short": sequence("short", 400), "long": sequence("long", 3000), "unknown": "N" * 600}
    path = tmp_path / "reads.fa"
    path.write_text("".join(f">{name}\n{bases}\n" for name, bases in reads.items()))
    embed_once(study, [path], tmp_path / "v.parquet", choices={}, progress=quiet)
    frame = pl.read_parquet(tmp_path / "v.parquet")
    assert frame["truncated"].to_list() == [False, True, True]
    assert frame["sequence_length"].to_list() == [400, 3000, 600]
    tokenizer = HfTokenizer(study.weights().path.parent)
    whole = tokenizer.encode([reads["long"]])[0]
    assert len(whole) > 512
    cut = tokenizer.decode(whole[:512])
    assert len(tokenizer.encode([cut])[0]) == 512
    expected = means(study, [reads["short"], cut, "N" * 512])
    assert frame["vector"].to_numpy() == pytest.approx(expected, abs=1e-4)


def test_a_killed_run_leaves_no_file_and_its_vectors_are_found_again(study, tmp_path, monkeypatch):
    path, out = tmp_path / "reads.fa", tmp_path / "vectors.parquet"
    path.write_text("".join(f">{number}\n{sequence(number, 40)}\n" for number in range(20)))
    monkeypatch.setattr(
        "glm_assets.studies.metagenome.vectors.read_inputs",
        lambda *args, **options: read_inputs(*args, **options, batch_reads=5),
    )
    embed, calls = VectorSource.embed, []

    class Killed(Exception):
        pass

    def kill(self, *args):
        calls.append(args)
        if len(calls) == 4:
            raise Killed
        return embed(self, *args)

    with monkeypatch.context() as patched:
        patched.setattr(VectorSource, "embed", kill)
        with pytest.raises(Killed):
            embed_once(study, [path], out, choices={}, progress=quiet)
    assert not out.exists()
    done = embed_once(study, [path], out, choices={}, progress=quiet)
    assert (done.reads, done.computed) == (20, 5)
    assert pl.read_parquet(out)["sequence_id"].to_list() == [str(number) for number in range(20)]


def test_a_pooling_that_no_encoder_has_and_an_absent_file_are_named(tmp_path, generated, fasta):
    study = tiny_metagenome(tmp_path / "root", generated, model={"pooling": "cls"})
    with pytest.raises(EncoderError, match="cls"):
        embed_once(study, [fasta], tmp_path / "v.parquet", choices={}, progress=quiet)
    with pytest.raises(SettingsError, match=r"no file .*absent\.fa"):
        embed_once(study, [tmp_path / "absent.fa"], tmp_path / "v.parquet", choices={}, progress=quiet)
    assert not (tmp_path / "v.parquet").exists()


def test_one_command_embeds(study, fasta, tmp_path, monkeypatch, capsys):
    values = tmp_path / "values.yaml"
    values.write_text(study.values.model_dump_json())  # JSON is YAML
    monkeypatch.setenv("GLM_METAGENOME", str(values))
    monkeypatch.setenv("GLM_DATA_ROOT", str(tmp_path / "fresh"))
    monkeypatch.setenv("GLM_DEVICE", "cpu")
    out = tmp_path / "vectors.parquet"
    command = ["predict-reads", "--embeddings-only", "--input", str(fasta), "--output", str(out)]
    assert main(command) == 0
    assert "4 vectors of 64 numbers in " in capsys.readouterr().out
    assert pl.read_parquet(out).height == 4
    assert main([*command, "--ckpt", str(tmp_path)]) == 1
    assert "--embeddings-only uses none" in capsys.readouterr().err


def test_a_head_on_the_models_vectors_cuts_what_it_labels_likewise(study):
    weights = study.weights()
    source = vector_source(study, weights)
    encoder = make_encoder(source.spec, weights=weights.path, device="cpu")
    head = torch.nn.Linear(64, 3)
    classifier = FrozenClassifier(encoder, head, ("a", "b", "c"), weights=weights.path, device="cpu")
    reads = [sequence("long", 3000), "ACGT"]
    said = classifier.classify(reads)
    assert said.truncated.tolist() == [True, False]
    alone = classifier.classify(source.cut(reads)[:1])
    assert said.probabilities[:1] == pytest.approx(alone.probabilities, abs=1e-5)


def test_models_of_bases_are_cut_by_bases(study):
    spec = replace(vector_source(study, study.weights()).spec, name="evo2_7b", context=100)
    cut = cut_to_context(["A" * 200, "ACGT"], spec, study.weights().path)
    assert cut == ["A" * 100, "ACGT"]
