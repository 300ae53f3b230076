import numpy as np
import polars as pl
import pytest

from glm_assets.variants.seen_sequences import SEEN_SHARE, seen_shares

GENERATOR = np.random.default_rng(20)
CONTIG = "".join(GENERATOR.choice(list("ACGT"), 60_000))
TRAIN = [CONTIG[start : start + 1024] for start in range(0, 20_000, 400)]


def share_of(sequence: str, *train: pl.Series) -> float:
    (share,) = seen_shares(pl.Series([sequence]), train or [pl.Series(TRAIN)])
    return float(share)


def substituted(sequence: str, places: list[int]) -> str:
    bases = list(sequence)
    for place in places:
        bases[place] = "ACGTA"["ACGT".index(bases[place]) + 1]
    return "".join(bases)


@pytest.mark.parametrize("shift", [0, 1, -1, 137, 9999])
def test_a_sequence_of_train_is_seen_wherever_it_starts(shift):
    """A window centred at 511 instead of 512 is one base off, and no digest is the same."""
    sequence = CONTIG[4000 + shift : 5024 + shift]
    assert sequence not in TRAIN or shift == 0
    assert share_of(sequence) == 1.0


def test_a_sequence_from_elsewhere_is_not_seen():
    assert share_of(CONTIG[30_000:31_024]) == 0.0
    assert share_of("".join(np.random.default_rng(1).choice(list("ACGT"), 1024))) == 0.0


def test_half_a_sequence_is_half_a_share():
    half = CONTIG[4000:4512] + CONTIG[40_000:40_512]
    assert share_of(half) == pytest.approx(0.5, abs=0.15)


def test_substitutions_elsewhere_do_not_hide_it():
    sequence = CONTIG[4003:5027]
    assert share_of(substituted(sequence, [100, 300, 301, 700])) > 0.8
    assert share_of(substituted(sequence, list(range(60, 1024, 128)))) > SEEN_SHARE
    assert share_of(substituted(sequence, list(range(0, 1024, 16)))) == 0.0


def test_windows_of_all_parts_count():
    parts = [pl.Series(TRAIN[:5]), pl.Series([], dtype=pl.String), pl.Series(TRAIN[5:])]
    shares = seen_shares(pl.Series([CONTIG[100:1100], CONTIG[9000:10_000]]), parts)
    assert shares.tolist() == [1.0, 1.0]


def test_no_k_mer_spans_two_windows():
    windows = [CONTIG[start : start + 64] for start in range(0, 60_000, 64)]
    junctions = [one[-31:] + other[:31] for one, other in zip(windows[:-2:2], windows[2::2], strict=True)]
    shares = seen_shares(pl.Series(junctions), [pl.Series(windows[::2])])
    assert (shares >= 0).sum() > 300
    assert np.nanmax(shares) == 0.0


def test_shares_belong_to_their_sequences_whatever_their_lengths():
    sequences = [CONTIG[4000:4900], "ACGT", CONTIG[50_000:50_600], "N" * 200, CONTIG[6000:7024]]
    shares = seen_shares(pl.Series(sequences), [pl.Series(TRAIN)])
    assert np.isnan(shares).tolist() == [False, True, False, True, False]
    assert shares[[0, 2, 4]].tolist() == [1.0, 0.0, 1.0]


def test_nothing_is_seen_without_train_windows():
    assert seen_shares(pl.Series([CONTIG[:1024]]), []).tolist() == [0.0]


def test_many_sequences_keep_their_order():
    length, count = 300, 700  # more than are laid end to end at a time
    starts = np.random.default_rng(9).integers(0, 59_000, count)
    shares = seen_shares(
        pl.Series([CONTIG[start : start + length] for start in starts]), [pl.Series([CONTIG[:30_000]])]
    )
    assert (shares[starts + length <= 30_000] == 1.0).all()
    assert (shares[starts >= 30_000] == 0.0).all()
