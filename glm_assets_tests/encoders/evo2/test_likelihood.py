"""Log-likelihoods against evo2's own scorer, a plain loop over bases, and two independent forwards.

Tolerance: float32 softmaxes of a thousand bases rounded apart, 1e-6 of the log-likelihood's size.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("vortex")

from glm_assets.encoders.engines.job import EmbedJob  # noqa: E402
from glm_assets.encoders.engines.worker_processes import WorkerProcesses  # noqa: E402
from glm_assets.encoders.evo2 import encoder as encoder_module  # noqa: E402
from glm_assets.encoders.evo2.config import model_config  # noqa: E402
from glm_assets.encoders.evo2.encoder import Evo2Encoder  # noqa: E402
from glm_assets.encoders.evo2.flops import Evo2Flops  # noqa: E402
from glm_assets.encoders.evo2.likelihood import likelihoods_of_pair_outputs  # noqa: E402
from glm_assets.encoders.evo2.plan import PairBatch, pair_method  # noqa: E402
from glm_assets.encoders.pooling import Pooling  # noqa: E402
from glm_assets.encoders.probe import check_probe  # noqa: E402
from glm_assets.encoders.registry import encoder_spec, make_encoder  # noqa: E402
from glm_assets.errors import EncoderError  # noqa: E402
from glm_assets.genome.alphabet import reverse_complement  # noqa: E402
from glm_assets.storage.atomic import file_digest  # noqa: E402
from glm_assets.storage.embeddings import EmbeddingStore  # noqa: E402
from glm_assets_tests.encoders.conftest import LAYER, random_windows, text, variant_frame  # noqa: E402
from glm_assets_tests.encoders.engines.jobs import assert_as_in_process, embed  # noqa: E402
from glm_assets_tests.encoders.evo2.test_flops import count  # noqa: E402
from glm_assets_tests.encoders.evo2.test_pairs import deletion, insertion, snv  # noqa: E402

ROUNDING = 1e-6
LENGTH = 300
PLACES = [0, 1, 2, 64, 150, 298, 299]


def likelihood_spec(weights, **options):
    return encoder_spec(
        "demo",
        revision=file_digest(weights),
        layer="logits",
        pooling="log_likelihood",
        device="cpu",
        **options,
    )


@pytest.fixture(scope="module")
def scorer(weights):
    return make_encoder(likelihood_spec(weights), weights=weights, device="cpu")


@pytest.fixture(scope="module")
def whole_model(scorer):
    """Evo2's own model object around the same weights; its forward runs all blocks, the norm and the unembedding."""
    assert len(scorer._model.blocks) == 32
    return scorer._model


def by_evo2(model, windows):
    """evo2's own scores."""
    from evo2.models import CharLevelTokenizer
    from evo2.scoring import score_sequences

    sequences = [text(window) for window in windows]
    return np.array(score_sequences(sequences, model, CharLevelTokenizer(512), reduce_method="sum", device="cpu"))


def by_loop(model, window):
    """Base by base in float64 from vtx's own logits."""
    tokens = torch.from_numpy(window.astype(np.int64))[None]
    with torch.inference_mode():
        logits = model(tokens)[0][0].double()
    total = 0.0
    for place in range(1, len(window)):
        total += float(logits[place - 1, window[place]] - torch.logsumexp(logits[place - 1], dim=0))
    return total


def pairs_everywhere():
    """SNVs, insertions and deletions at each place; several windows with N, several variants of a window."""
    windows = random_windows(3, LENGTH)
    windows[1, 40:60] = ord("N")
    rows = [(index % 3, change, at) for index, at in enumerate(PLACES) for change in (snv, insertion, deletion)]
    ref = windows[[of for of, _, _ in rows]]
    var = np.stack([change(windows[of], at) for of, change, at in rows])
    return ref, var, np.array([at for _, _, at in rows])


def test_the_specification_is_one_number_of_the_whole_model(weights):
    spec = likelihood_spec(weights, reverse_complement=True)
    assert (spec.dimension, spec.layer, spec.pooling, spec.reverse_complement) == (
        1,
        "logits",
        "log_likelihood",
        True,
    )
    assert spec.extras["pairs"] == "shared_prefix"
    assert pair_method("logits", Pooling("log_likelihood"), cast_all_bf16=False, fp8=True) == "two_forwards"


@pytest.mark.parametrize(("layer", "pooling"), [("logits", "mean"), (LAYER, "log_likelihood")])
def test_logits_and_likelihoods_go_together(layer, pooling):
    with pytest.raises(EncoderError, match="logits with log_likelihood"):
        encoder_spec("demo", revision="0", layer=layer, pooling=pooling, device="cpu")


def test_the_log_likelihood_of_a_window_is_evo2s_own_score(scorer, whole_model):
    windows = random_windows(5, LENGTH)
    windows[2, 17] = ord("N")
    expected = by_evo2(whole_model, windows)
    for found in (scorer.embed(windows), scorer.embed_pairs(windows, windows, np.zeros(5, int))[0]):
        assert found.shape == (5, 1)
        assert np.abs(found[:, 0] / expected - 1).max() <= ROUNDING
    assert np.ptp(expected) > 10


def test_pairs_are_plain_loops_over_the_bases_of_two_independent_forwards(scorer, whole_model):
    ref, var, offset = pairs_everywhere()
    vectors, delta = scorer.embed_pairs(ref, var, offset)
    of_ref = np.array([by_loop(whole_model, window) for window in ref])
    of_var = np.array([by_loop(whole_model, window) for window in var])
    assert np.abs(vectors[:, 0] / of_ref - 1).max() <= ROUNDING
    assert np.abs(delta[:, 0] - (of_var - of_ref)).max() <= ROUNDING * np.abs(of_ref).max()
    assert np.median(np.abs(of_var - of_ref)) > 1000 * ROUNDING * np.abs(of_ref).max()


def test_a_pair_of_the_real_length_is_evo2s_difference(scorer, whole_model):
    ref = random_windows(1, 1024)
    var = snv(ref[0], 512)[None]
    vectors, delta = scorer.embed_pairs(ref, var, np.array([512]))
    of_ref, of_var = by_evo2(whole_model, np.concatenate([ref, var]))
    assert abs(vectors[0, 0] / of_ref - 1) <= ROUNDING
    assert delta[0, 0] == pytest.approx(of_var - of_ref, abs=float(ROUNDING * abs(of_ref)))


def test_an_equal_window_changes_exactly_nothing_and_a_late_variant_only_its_own_terms(scorer, whole_model):
    ref = random_windows(2, LENGTH)
    var = np.stack([ref[0], snv(ref[1], LENGTH - 1)])
    _, delta = scorer.embed_pairs(ref, var, np.full(2, LENGTH - 1))
    assert delta[0, 0] == 0.0
    with torch.inference_mode():  # the last base is predicted by what both windows share
        logits = whole_model(torch.from_numpy(ref[1:].astype(np.int64)))[0][0, -2]
    expected = float(logits[var[1, -1]] - logits[ref[1, -1]])
    assert delta[1, 0] == pytest.approx(expected, abs=1e-4)


def test_the_first_base_has_no_term(scorer):
    alone = np.array([[ord("A")], [ord("C")]], np.uint8)
    assert not scorer.embed(alone).any()


def test_two_forwards_give_the_same_as_the_paired_one(scorer, weights):
    ref, var, offset = pairs_everywhere()
    vectors, delta = scorer.embed_pairs(ref, var, offset)
    batch = PairBatch.of(ref, var, offset, Pooling("log_likelihood"))
    with torch.inference_mode():
        outputs = (scorer._hook.outputs(windows, "cpu") for windows in (batch.ref, batch.var))
        found = likelihoods_of_pair_outputs(scorer._model, *outputs, batch)
    for mine, expected in zip(found, (vectors, delta), strict=True):
        assert np.abs(mine.numpy() - expected).max() <= ROUNDING * np.abs(vectors).max()


def test_where_only_two_forwards_are_possible_windows_and_pairs_agree(weights, monkeypatch):
    """As with FP8, which this machine need not have."""
    spec = likelihood_spec(weights)
    spec = replace(spec, extras={**spec.extras, "pairs": "two_forwards"})
    encoder = make_encoder(spec, weights=weights, device="cpu")
    monkeypatch.setattr(encoder_module, "pair_likelihoods", None)
    monkeypatch.setattr(encoder_module, "window_likelihoods", None)
    ref, var, offset = pairs_everywhere()
    vectors, delta = encoder.embed_pairs(ref, var, offset)
    size = np.abs(vectors).max()
    assert np.abs(encoder.embed(ref) - vectors).max() <= ROUNDING * size
    assert np.abs(encoder.embed(var) - vectors - delta).max() <= 2 * ROUNDING * size


def test_neither_padding_nor_batches_change_a_likelihood(scorer, weights):
    ref, var, offset = pairs_everywhere()
    lengths = np.resize([LENGTH, 200, 120], len(ref))
    offset = np.minimum(offset, 60)
    var = np.stack([snv(window, at) for window, at in zip(ref, offset, strict=True)])
    for row, length in enumerate(lengths):
        ref[row, length:] = var[row, length:] = 0
    together = scorer.embed_pairs(ref, var, offset)
    small = make_encoder(likelihood_spec(weights), weights=weights, device="cpu", batch_tokens=2 * LENGTH)
    for other in (small.embed_pairs(ref, var, offset), _one_by_one(scorer, ref, var, offset, lengths)):
        for mine, expected in zip(together, other, strict=True):
            assert np.abs(mine - expected).max() <= ROUNDING * np.abs(together[0]).max()


def _one_by_one(encoder, ref, var, offset, lengths):
    pairs = [
        encoder.embed_pairs(ref[row : row + 1, :length], var[row : row + 1, :length], offset[row : row + 1])
        for row, length in enumerate(lengths.tolist())
    ]
    return tuple(np.concatenate(part) for part in zip(*pairs, strict=True))


def test_out_of_memory_halves_the_batch_and_changes_no_likelihood(scorer, weights):
    class Small(Evo2Encoder):
        def _forward_pairs(self, layers, batch):
            if len(batch.var) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super()._forward_pairs(layers, batch)

    small = Small(likelihood_spec(weights), weights=weights, device="cpu")
    ref, var, offset = pairs_everywhere()
    for mine, expected in zip(
        small.embed_pairs(ref, var, offset), scorer.embed_pairs(ref, var, offset), strict=True
    ):
        assert np.abs(mine - expected).max() <= ROUNDING * np.abs(expected).max() + 1e-3


def test_references_are_computed_once_and_the_unembedding_is_counted(weights):
    encoder = make_encoder(likelihood_spec(weights), weights=weights, device="cpu")
    ref = np.repeat(random_windows(2, 128), 6, axis=0)
    var = np.stack([snv(window, 40 + row) for row, window in enumerate(ref)])
    counted = count(lambda: encoder.embed_pairs(ref, var, np.arange(40, 52)))
    assert encoder.windows_computed == 2 + 12
    assert encoder.tokens_computed == 2 * 128 + sum(128 - at for at in range(40, 52))
    transforms = Evo2Flops(model_config("demo"), 32).filter_transforms(128)  # once a batch
    assert encoder.flops.computed == pytest.approx(counted - transforms, rel=0.003)
    assert (
        encoder.flops.original == encoder.flops.early_exit > encoder.flops.shared_prefix > encoder.flops.computed
    )


def test_the_probe_lets_rounding_pass_and_refuses_another_model(scorer, weights, tmp_path):
    store = EmbeddingStore(tmp_path)
    check_probe(scorer, store)

    class Off(Evo2Encoder):
        def embed_pairs(self, ref, var, offset):
            vectors, delta = super().embed_pairs(ref, var, offset)
            return vectors, delta + np.float32(self.by)

    off = Off(likelihood_spec(weights), weights=weights, device="cpu")
    off.by = 1e-3  # what float32 leaves of a sum of 256 terms
    assert check_probe(off, store) < 0.1
    off.by = 1.0
    with pytest.raises(EncoderError, match="no longer gives the vectors"):
        check_probe(off, store)


def test_a_finer_arithmetic_is_nearer_to_float32(weights):
    ref = random_windows(6, 128)
    var = np.stack([snv(window, 64) for window in ref])

    def ratio(precision):
        encoder = make_encoder(likelihood_spec(weights, precision=precision), weights=weights, device="cpu")
        return encoder.embed_pairs(ref, var, np.full(6, 64))[1]

    truth = ratio("float32")
    coarse, wide, split = (
        np.linalg.norm(ratio(precision) - truth) for precision in ("bfloat16", "float32_residual", "bfloat16x2")
    )
    assert 100 * split < wide < coarse


@pytest.mark.system
def test_workers_give_the_mean_over_both_strands_bit_for_bit(weights, tmp_path):
    """Through the job's JSON, worker processes and the store, as a study does it."""
    spec = likelihood_spec(weights, reverse_complement=True)
    windows = variant_frame(6)
    flipped = [text(reverse_complement(np.frombuffer(row.encode(), np.uint8))) for row in windows["var_seq"]]
    windows = windows.with_columns(reverse_var_seq=np.array(flipped))
    job = EmbedJob(spec, str(weights), "cpu", 4096, 1, str(tmp_path / "store"), "float32")
    assert EmbedJob.from_dict(job.as_dict()) == job
    found, report = embed(windows, job, WorkerProcesses(job, tmp_path / "workers", 1), 4)
    assert_as_in_process(windows, job, found, tmp_path / "alone", 4)
    assert (report.rows, report.windows_computed) == (12, 2 * (6 + 12))
    model = job.load()._model
    for row, ref, var in zip(range(12), windows["ref_seq"], windows["var_seq"], strict=True):
        strands = np.stack([np.frombuffer(seq.encode(), np.uint8) for seq in (ref, var)])
        scores = by_evo2(model, np.concatenate([strands, reverse_complement(strands)]))
        of_ref, of_var = scores[[0, 2]].mean(), scores[[1, 3]].mean()
        assert found[0][row, 0] == pytest.approx(of_ref, rel=ROUNDING)
        assert found[1][row, 0] == pytest.approx(of_var - of_ref, abs=float(ROUNDING * abs(of_ref)))
