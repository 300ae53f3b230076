import numpy as np
import pytest

from glm_assets.genome.sketch import K, sketch


def bases(count: int, seed: int = 0) -> np.ndarray:
    return np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(seed).integers(0, 4, count)]


def test_one_k_mer_in_sixteen_is_picked():
    starts, hashes = sketch(bases(400_000))
    assert starts.size == hashes.size == pytest.approx(400_000 / 16, rel=0.03)


def test_equal_k_mers_have_equal_hashes_and_others_do_not():
    text = bases(50_000, seed=1)
    starts, hashes = sketch(np.concatenate([text, text]))
    by_k_mer = {}
    for start, value in zip(starts.tolist(), hashes.tolist(), strict=True):
        k_mer = np.concatenate([text, text])[start : start + K].tobytes()
        assert by_k_mer.setdefault(k_mer, value) == value
    assert len(set(by_k_mer.values())) == len(by_k_mer)
    assert starts.size == pytest.approx(2 * len(by_k_mer), abs=K)


def test_what_is_picked_does_not_depend_on_the_place():
    text = bases(5000, seed=2)
    starts, hashes = sketch(text)
    shifted_starts, shifted = sketch(text[7:])
    assert (shifted_starts + 7).tolist() == starts[starts >= 7].tolist()
    assert shifted.tolist() == hashes[starts >= 7].tolist()


def test_k_mers_with_unknown_bases_are_passed_over():
    text = bases(4000, seed=3).copy()
    before, _ = sketch(text)
    text[2000] = ord("N")
    after, _ = sketch(text)
    assert after.tolist() == [start for start in before.tolist() if not start <= 2000 < start + K]


@pytest.mark.parametrize("size", [0, 1, K - 1])
def test_a_text_shorter_than_a_k_mer_has_none(size):
    assert [part.size for part in sketch(bases(size))] == [0, 0]


def test_runs_of_one_base_are_not_in_every_sketch():
    """The number of AAA.. is zero, which a multiplication alone would leave in every sketch."""
    picked = [sketch(np.full(K, base, np.uint8))[0].size for base in b"ACGT"]
    assert sum(picked) == 0
