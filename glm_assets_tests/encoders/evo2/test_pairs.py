"""The paired forward against two independent forwards of vtx, and what it computes how often.

Tolerances are relative to a vector's norm: 1e-5 against vtx, 2e-6 between batches of other sizes (both float32).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("vortex")

from glm_assets.encoders.embed import InProcess, embed_variants  # noqa: E402
from glm_assets.encoders.evo2.blocks import Arithmetic  # noqa: E402
from glm_assets.encoders.evo2.encoder import Evo2Encoder  # noqa: E402
from glm_assets.encoders.evo2.pairs import embed_pair_batch  # noqa: E402
from glm_assets.encoders.evo2.plan import PairBatch, next_batch, pair_method  # noqa: E402
from glm_assets.encoders.pooling import Pooling  # noqa: E402
from glm_assets.encoders.registry import encoder_spec, make_encoder  # noqa: E402
from glm_assets.errors import EncoderError  # noqa: E402
from glm_assets.storage.embeddings import EmbeddingStore  # noqa: E402
from glm_assets_tests.encoders.conftest import LAYER, LETTERS, random_windows, variant_frame  # noqa: E402

LENGTH = 128
AGAINST_VTX = 1e-5
BETWEEN_BATCHES = 2e-6
MEAN = Pooling("mean")


def other_base(base):
    return LETTERS[(LETTERS.tolist().index(base) + 1) % 4]


def snv(window, at):
    changed = window.copy()
    changed[at] = other_base(window[at])
    return changed


def insertion(window, at, count=5):
    """Bases put in front of `at`, the first unlike what is there; the window keeps its length."""
    put_in = np.resize([other_base(window[at])], count).astype(np.uint8)
    return np.concatenate([window[:at], put_in, window[at:]])[: len(window)]


def deletion(window, at, count=5):
    """Bases taken out from `at` on; other bases come in on the right."""
    filler = random_windows(1, count + 1, seed=int(at))[0]
    changed = np.concatenate([window[:at], window[at + count :], filler])[: len(window)]
    return changed if changed[at] != window[at] else snv(changed, at)


def outputs(model, layer, windows):
    """The layer's output at every position of each window in vtx's own forward, one at a time, float64."""
    kept = []
    handle = model.get_submodule(layer).register_forward_hook(lambda module, inputs, out: kept.append(out))
    with torch.inference_mode():
        for window in windows:
            model.stateless_forward(model.embedding_layer(torch.from_numpy(window.astype(np.int64))[None]))
    handle.remove()
    return np.stack([(out[0] if isinstance(out, tuple) else out)[0].double().numpy() for out in kept])


def independent(model, layer, windows):
    """Means over positions in float64."""
    return outputs(model, layer, windows).mean(axis=1)


def assert_equal_to_vtx(encoder, ref, var):
    vectors, delta = encoder.embed_pairs(ref, var, np.zeros(len(ref), np.int16))
    expected = independent(encoder._model, encoder.spec.layer, ref)
    expected_delta = independent(encoder._model, encoder.spec.layer, var) - expected
    norm = np.linalg.norm(expected, axis=1)
    assert (np.linalg.norm(vectors - expected, axis=1) / norm).max() <= AGAINST_VTX
    assert (np.linalg.norm(delta - expected_delta, axis=1) / norm).max() <= AGAINST_VTX
    assert (
        np.linalg.norm(expected_delta, axis=1) / norm
    ).min() > 100 * AGAINST_VTX  # the comparison says something


@pytest.mark.parametrize("change", [snv, insertion, deletion])
def test_a_pair_is_two_independent_forwards_wherever_the_variant_is(encoder, change):
    places = [0, 1, 2, 6, 63, 64, 100, LENGTH - 2, LENGTH - 1]
    ref = random_windows(len(places))
    var = np.stack([change(window, at) for window, at in zip(ref, places, strict=True)])
    assert PairBatch.of(ref, var, np.array(places), MEAN).first.tolist() == places
    assert_equal_to_vtx(encoder, ref, var)


@pytest.mark.parametrize("change", [snv, insertion, deletion])
@pytest.mark.parametrize("place", [0, 511, 512])
def test_a_pair_of_the_real_length_is_two_independent_forwards(encoder, change, place):
    ref = random_windows(1, 1024, seed=place)
    assert_equal_to_vtx(encoder, ref, change(ref[0], place)[None])


@pytest.mark.parametrize("layer", ["blocks.0", "blocks.2.mlp.l3", "blocks.3", "blocks.6.mlp", "blocks.16"])
def test_every_block_and_every_kind_of_mixer_can_be_the_last(spec, weights, layer):
    encoder = make_encoder(
        encoder_spec("demo", revision="0", layer=layer, device="cpu"), weights=weights, device="cpu"
    )
    assert encoder.spec.extras["pairs"] == "shared_prefix"
    ref = random_windows(3)
    assert_equal_to_vtx(encoder, ref, np.stack([snv(ref[0], 0), insertion(ref[1], 40), deletion(ref[2], 90)]))


def test_variants_of_shared_references_come_out_in_the_order_of_the_rows(encoder):
    windows = random_windows(3)
    ref = windows[[2, 0, 1, 0, 2, 0]]
    var = np.stack([snv(window, at) for window, at in zip(ref, [5, 127, 64, 64, 0, 1], strict=True)])
    assert_equal_to_vtx(encoder, ref, var)


def test_a_reference_vector_is_the_one_that_its_window_has_alone(encoder):
    ref = random_windows(8)
    vectors, _ = encoder.embed_pairs(ref, np.stack([snv(window, 64) for window in ref]), np.full(8, 64))
    alone = encoder.embed(ref)
    assert (np.linalg.norm(vectors - alone, axis=1) / np.linalg.norm(alone, axis=1)).max() <= AGAINST_VTX


def test_windows_of_several_lengths_have_the_vectors_they_have_alone(encoder):
    ref = random_windows(5)
    var = np.stack([snv(window, 3) for window in ref])
    for row, length in enumerate([128, 7, 64, 7, 128]):
        ref[row, length:] = var[row, length:] = 0
    together = encoder.embed_pairs(ref, var, np.full(5, 3))
    for row, length in enumerate([128, 7, 64, 7, 128]):
        alone = encoder.embed_pairs(ref[row : row + 1, :length], var[row : row + 1, :length], np.full(1, 3))
        norm = np.linalg.norm(alone[0])
        assert all(
            np.linalg.norm(mine[row] - own[0]) <= BETWEEN_BATCHES * norm
            for mine, own in zip(together, alone, strict=True)
        )


def test_vectors_do_not_depend_on_batch_size_or_order(spec, weights, encoder):
    ref = np.repeat(random_windows(6), 3, axis=0)
    changes = [(snv, 9), (insertion, 64), (deletion, 127)] * 6
    var = np.stack([change(window, at) for window, (change, at) in zip(ref, changes, strict=True)])
    vectors, delta = encoder.embed_pairs(ref, var, np.zeros(18))
    tolerance = BETWEEN_BATCHES * np.linalg.norm(vectors, axis=1).max()
    order = np.random.default_rng(0).permutation(18)
    for batch_tokens in (1, 3 * LENGTH, 7 * LENGTH):
        small = make_encoder(spec, weights=weights, device="cpu", batch_tokens=batch_tokens)
        for mine, expected in zip(small.embed_pairs(ref[order], var[order], np.zeros(18)), (vectors, delta)):  # noqa: B905
            assert np.abs(mine - expected[order]).max() <= tolerance
    again = encoder.embed_pairs(ref, var, np.zeros(18))
    assert np.array_equal(again[0], vectors)
    assert np.array_equal(again[1], delta)


def test_a_variant_equal_to_its_reference_changes_exactly_nothing(encoder):
    ref = random_windows(4)
    var = ref.copy()
    var[2] = snv(ref[2], 50)
    vectors, delta = encoder.embed_pairs(ref, var, np.zeros(4))
    assert np.isfinite(vectors).all()
    assert not delta[[0, 1, 3]].any()
    assert delta[2].any()


class MixerInputs:
    """Records what the mixers of a model are fed with: whole windows, references first."""

    def __init__(self, model):
        self.seen = []
        mixers = [getattr(b, "filter", None) or b.inner_mha_cls.rotary_emb for b in model.blocks]
        self.handles = [
            mixer.register_forward_pre_hook(lambda module, inputs: self.seen.append(inputs[0].clone()))
            for mixer in mixers
        ]

    def __enter__(self):
        return self.seen

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()


def test_mixers_see_whole_windows_whose_shared_prefix_is_the_references_bit_for_bit(encoder):
    windows = random_windows(2)
    ref = windows[[0, 0, 1]]
    places = [1, 100, 64]
    var = np.stack([snv(window, at) for window, at in zip(ref, places, strict=True)])
    with MixerInputs(encoder._model) as seen:
        encoder.embed_pairs(ref, var, np.array(places))
    assert len(seen) == 26
    order = np.lexsort(ref.T[::-1])  # the references in the order of their bytes
    first = ref[order[0]].tobytes() == windows[0].tobytes()
    reference_of = [0, 0, 1] if first else [1, 1, 0]
    variant_rows = [2, 3, 4] if first else [3, 4, 2]
    for inputs in seen:
        assert inputs.shape[:2] == (2 + 3, LENGTH)
        for of, row, at in zip(reference_of, variant_rows, places, strict=True):
            assert torch.equal(inputs[row, :at], inputs[of, :at])
            assert not torch.equal(inputs[row, at], inputs[of, at])


def test_a_suffix_alone_would_give_another_vector(encoder):
    """What the mixers know of the prefix matters: fed with suffixes they would be far outside the tolerances."""
    ref = random_windows(1)
    other = np.concatenate([random_windows(1, 64, seed=5), ref[:, 64:]], axis=1)
    _, delta = encoder.embed_pairs(
        np.concatenate([ref, other]), np.stack([snv(ref[0], 64), snv(other[0], 64)]), np.full(2, 64)
    )
    difference = np.linalg.norm(delta[0] - delta[1])
    assert difference > 1e4 * AGAINST_VTX * np.linalg.norm(delta[0])


def test_each_distinct_token_is_computed_once_and_counted(spec, weights):
    encoder = make_encoder(spec, weights=weights, device="cpu")
    ref = random_windows(3)[[0, 1, 0, 2, 0]]
    places = [0, 1, 64, 127, 100]
    var = np.stack([snv(window, at) for window, at in zip(ref, places, strict=True)])
    seen = []
    encoder._model.blocks[0].mlp.l1.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0].shape[1])
    )
    encoder.embed_pairs(ref, var, np.array(places))
    expected = 3 * LENGTH + sum(LENGTH - at for at in places)
    assert sum(seen) == expected
    assert (encoder.windows_computed, encoder.tokens_computed) == (3 + 5, expected)
    encoder.embed(ref)
    assert (encoder.windows_computed, encoder.tokens_computed) == (8 + 5, expected + 5 * LENGTH)


def test_a_report_counts_only_the_suffixes_of_variants(tmp_path, spec, weights):
    encoder = make_encoder(spec, weights=weights, device="cpu")
    store = EmbeddingStore(tmp_path)
    engine = InProcess(lambda: encoder, store)
    options = {"shard_rows": 4, "progress": lambda line: None}
    _, report = embed_variants(variant_frame(5), spec, engine, store, {}, **options)
    assert (report.windows_computed, report.tokens_computed) == (5 + 10, 5 * LENGTH + 10 * LENGTH // 2)
    _, report = embed_variants(variant_frame(5), spec, engine, store, {}, **options)
    assert (report.windows_computed, report.tokens_computed) == (0, 0)


@pytest.mark.parametrize(
    ("reference", "windows", "count"),
    [
        ([0, 0, 0, 1], 8, 4),
        ([0, 0, 0, 1], 6, 4),
        ([0, 0, 0, 1], 5, 3),
        ([0, 1, 1, 1], 5, 1),  # the second reference's variants stay together
        ([0, 1, 1, 1], 6, 4),
        ([0, 0, 0, 0], 3, 2),  # more than a batch
        ([7], 1, 1),
        ([7, 8], 0, 1),
    ],
)
def test_a_batch_holds_what_fits_and_keeps_the_variants_of_a_window_together(reference, windows, count):
    assert next_batch(np.array(reference), 128, 128, windows * 128) == count


def test_a_batch_of_few_tokens_a_variant_holds_many_variants_of_a_window():
    assert next_batch(np.zeros(1000, int), 1024, 128, 32_768) == (32_768 - 1024) // 128
    assert next_batch(np.repeat([0, 1], 150), 1024, 128, 32_768) == 150


class _SmallGpu(Evo2Encoder):
    """Runs out of memory with more than two pairs."""

    def _forward_pairs(self, layers, batch):
        if len(batch.var) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super()._forward_pairs(layers, batch)


def test_out_of_memory_halves_the_batch_and_changes_no_vector(spec, weights, encoder):
    small = _SmallGpu(spec, weights=weights, device="cpu")
    ref = np.repeat(random_windows(3), 3, axis=0)
    var = np.stack([snv(window, at) for window, at in zip(ref, range(20, 29), strict=True)])
    mine, expected = (which.embed_pairs(ref, var, np.zeros(9)) for which in (small, encoder))
    assert np.abs(np.subtract(mine, expected)).max() <= BETWEEN_BATCHES * np.linalg.norm(expected[0], axis=1).max()
    assert small.batch_tokens <= 4 * LENGTH


@pytest.mark.parametrize("pooling", ["mean", "downstream:16"])
@pytest.mark.parametrize("room", [8, 4, 2, 1])
def test_after_running_out_of_memory_batches_are_of_the_size_that_fitted(weights, pooling, room):
    spec = encoder_spec("demo", revision="0", layer="blocks.0", pooling=pooling, device="cpu")
    sizes = []

    class Small(Evo2Encoder):
        def _forward_pairs(self, layers, batch):
            if len(batch.var) > room:
                raise RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED")
            sizes.append(len(batch.var))
            return super()._forward_pairs(layers, batch)

    ref = random_windows(64)
    var = np.stack([snv(window, 64) for window in ref])
    each = LENGTH + (16 if pooling == "downstream:16" else LENGTH)
    encoder = Small(spec, weights=weights, device="cpu", batch_tokens=32 * each)
    encoder.embed_pairs(ref, var, np.full(64, 64))
    assert set(sizes) == {room}
    assert sum(sizes) == 64


def test_another_runtime_error_is_none_of_memory(spec, weights):
    class Broken(Evo2Encoder):
        def _forward_pairs(self, layers, batch):
            raise RuntimeError("CUDA error: uncorrectable ECC error")

    ref = random_windows(2)
    with pytest.raises(RuntimeError, match="ECC"):
        Broken(spec, weights=weights, device="cpu").embed_pairs(ref, ref, np.zeros(2))


def test_a_pair_that_does_not_fit_is_an_error(spec, weights):
    class Tiny(Evo2Encoder):
        def _forward_pairs(self, layers, batch):
            raise torch.OutOfMemoryError("CUDA out of memory")

    ref = random_windows(2)
    encoder = Tiny(spec, weights=weights, device="cpu")
    with pytest.raises(EncoderError, match="one pair of windows of 128 bases"):
        encoder.embed_pairs(ref, ref, np.zeros(2))


def test_windows_of_a_pair_that_differ_in_length_are_an_error_that_names_it(encoder):
    ref = random_windows(3)
    var = ref.copy()
    var[1, 100:] = 0
    with pytest.raises(EncoderError, match="pair 1 differ in length"):
        encoder.embed_pairs(ref, var, np.zeros(3))


@pytest.mark.parametrize(
    ("layer", "pooling", "cast", "method"),
    [
        (LAYER, "mean", False, "shared_prefix"),
        ("blocks.25", "mean", False, "shared_prefix"),
        ("blocks.25.mlp", "mean", False, "shared_prefix"),
        (LAYER, "downstream", False, "shared_prefix"),
        (LAYER, "downstream:128", False, "downstream_only"),
        ("blocks.6.projections", "downstream:128", False, "two_forwards"),
        (LAYER, "centre:64", False, "shared_prefix"),
        (LAYER, "covariance:64", False, "shared_prefix"),
        (LAYER, "mean_bf16", False, "two_forwards"),
        (LAYER, "mean", True, "two_forwards"),
        ("blocks.25.mlp.l1", "mean", False, "two_forwards"),
        ("blocks.6.projections", "mean", False, "two_forwards"),
    ],
)
def test_the_specification_says_how_pairs_are_computed(layer, pooling, cast, method):
    assert pair_method(layer, Pooling.parse(pooling), cast_all_bf16=cast, fp8=False) == method
    assert pair_method(layer, Pooling.parse(pooling), cast_all_bf16=cast, fp8=True) == "two_forwards"
    spec = encoder_spec("demo", revision="0", layer=layer, pooling=pooling, device="cpu")
    assert spec.extras["pairs"] == (method if not cast else "shared_prefix")  # the casts are a GPU's


def test_a_layer_without_the_shared_prefix_falls_back_to_two_forwards(spec, weights):
    layer = "blocks.6.projections"
    projected = encoder_spec("demo", revision="0", layer=layer, device="cpu")
    encoder = make_encoder(projected, weights=weights, device="cpu")
    ref = random_windows(2)
    assert_equal_to_vtx(encoder, ref, np.stack([snv(window, 64) for window in ref]))
    assert encoder.tokens_computed == 4 * LENGTH


def test_how_pairs_are_computed_is_part_of_the_fingerprint(spec):
    independent_spec = replace(spec, extras={**spec.extras, "pairs": "two_forwards"})
    assert independent_spec.fingerprint != spec.fingerprint


@pytest.mark.parametrize("layer", [LAYER, "blocks.25"])
def test_bfloat16_activations_are_pooled_and_projected_in_float32(spec, weights, encoder, layer):
    """On a GPU the model is bfloat16, as vtx casts it; the means of a hundred positions must not be."""
    model = make_encoder(spec, weights=weights, device="cpu")._model
    for block in model.blocks:
        if hasattr(block, "projections"):
            block.projections.bfloat16()
    model.to_bfloat16_except_pr_lc()
    ref = random_windows(2)
    batch = PairBatch.of(ref, np.stack([snv(window, 64) for window in ref]), np.full(2, 64), MEAN)
    with torch.inference_mode():
        ((vectors, delta),) = embed_pair_batch(model, [layer], batch, MEAN, Arithmetic())
        ((expected, expected_delta),) = embed_pair_batch(encoder._model, [layer], batch, MEAN, Arithmetic())
    assert vectors.dtype == delta.dtype == torch.float32
    assert not torch.equal(vectors, vectors.bfloat16().float())
    assert (vectors - expected).norm() < 0.1 * expected.norm()
    assert (delta - expected_delta).norm() < 0.3 * expected_delta.norm()
