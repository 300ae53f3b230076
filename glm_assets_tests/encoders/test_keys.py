"""Keys: equal work has equal keys, different work has different ones."""

from __future__ import annotations

import hashlib

import polars as pl
import pytest

from glm_assets.encoders.keys import pair_keys, sequence_keys
from glm_assets.storage.atomic import digest_of

RECIPE = {"length": 1024, "anchor": 512, "layout": "centred"}


def frame(**changes):
    row = {"ref_digest": "a" * 32, "var_digest": "b" * 32, "variant_offset": 512, "ref": "A", "alt": "AT"}
    return pl.DataFrame([row | changes])


def key(fingerprint="f", recipe=RECIPE, **changes):
    return pair_keys(frame(**changes), fingerprint, recipe)[0]


def test_a_pair_key_is_the_digest_of_everything_that_defines_the_vector():
    text = f"pair|f|{digest_of(RECIPE)}|{'a' * 32}|{'b' * 32}|512|1|2"
    assert key() == hashlib.sha256(text.encode()).hexdigest()


def test_the_other_strands_window_is_part_of_the_key_where_both_are_embedded():
    """Near a deletion it holds bases that neither window has."""
    keys = {key(), key(reverse_var_seq="ACG"), key(reverse_var_seq="ACT")}
    assert len(keys) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": "g"},
        {"recipe": RECIPE | {"layout": "grid"}},
        {"ref_digest": "c" * 32},
        {"var_digest": "c" * 32},
        {"variant_offset": 300},
        {"ref": "AT"},
        {"alt": "ATT"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_of_them_changes_it(change):
    assert key(**change) != key()


def test_variants_with_equal_windows_at_different_offsets_have_different_keys():
    """Windows that begin at a contig's first base are equal for variants at positions 100 and 300."""
    both = pl.concat([frame(variant_offset=99), frame(variant_offset=299)])
    assert pair_keys(both, "f", RECIPE).n_unique() == 2


def test_which_bases_were_exchanged_is_already_in_the_windows():
    assert key(ref="C", alt="GG") == key()


def test_keys_are_in_the_order_of_the_rows_and_there_may_be_none():
    rows = pl.concat([frame(variant_offset=offset) for offset in (3, 1, 2)])
    assert pair_keys(rows, "f", RECIPE).to_list() == [key(variant_offset=offset) for offset in (3, 1, 2)]
    empty = pair_keys(rows.clear(), "f", RECIPE)
    assert (empty.name, empty.dtype, len(empty)) == ("key", pl.String, 0)


def test_a_sequence_key_depends_on_sequence_and_encoder():
    keys = sequence_keys(pl.Series(["ACGT", "ACGA", "ACGT"]), "f")
    assert keys[0] == hashlib.sha256(b"sequence|f|ACGT").hexdigest()
    assert keys[0] == keys[2] != keys[1]
    assert sequence_keys(pl.Series(["ACGT"]), "g")[0] != keys[0]
