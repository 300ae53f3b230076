"""Vectors that must not be imported: of other rows, layers or procedures, damaged, or not finite."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from glm_assets.errors import EncoderError, FormatError, MissingUpstreamError
from glm_assets.lineage.embeddings import load_encoder
from glm_assets_tests.lineage import original
from glm_assets_tests.lineage.pasts import assert_nothing_stored, copy_of, of_chromosomes, save


def test_vectors_alone_in_another_order_are_refused_at_the_first_row_that_differs(past):
    of_chromosomes(past)
    label, length = past.vectors["label"], past.vectors["var_len"]
    first, other = next(
        (one, two)
        for one in range(3, len(label))
        for two in range(one + 1, len(label))
        if label[one] != label[two] and length[one] == length[two]
    )
    order = np.arange(len(label))
    order[[first, other]] = other, first
    past.vectors = {name: array[order] for name, array in past.vectors.items()}
    with pytest.raises(
        FormatError, match=rf"label of row {first} is {label[other]}\. Expected: {label[first]}, that"
    ):
        past.bring(save(past) / original.VECTORS)
    past.vectors["label"] = label
    past.vectors["var_len"] = length[::-1]
    first = int(np.flatnonzero(length != length[::-1])[0])
    with pytest.raises(FormatError, match=rf"var_len of row {first} is {length[::-1][first]}"):
        past.bring(save(past) / original.VECTORS)


def test_vectors_alone_of_more_rows_are_refused(past):
    count = len(past.vectors["label"])
    with pytest.raises(FormatError, match=rf"{count} rows.*{past.rows().height}, as this data root.*windows too"):
        past.bring(save(past) / original.VECTORS)


def test_files_of_two_runs_are_refused(past):
    past.vectors["group"] = past.vectors["group"] + (np.arange(len(past.vectors["group"])) >= 5)
    with pytest.raises(FormatError, match="do not belong together: group of row 5"):
        past.bring(save(past))


def test_another_layer_s_vectors_are_refused_with_the_figures(past):
    model = load_encoder(past.study, past.study.encoder_spec)._model
    past.vectors = original.embed(past.windows, model, "blocks.24.mlp.l3", in_bfloat16=False)
    with pytest.raises(
        EncoderError, match=r"(?s)relative error of the reference vectors is [1-9].*limit 0\.1.*layer"
    ):
        past.bring(save(past))
    assert_nothing_stored(past)


def test_the_vectors_of_other_rows_are_refused(past):
    for name in ("ref_emb", "var_emb"):
        past.vectors[name] = np.roll(past.vectors[name], 1, axis=0)
    with pytest.raises(EncoderError, match=r"the differences correlate with -?0\.[0-4]"):
        past.bring(save(past))
    assert_nothing_stored(past)


def test_exchanged_reference_and_variant_are_refused(past):
    past.vectors |= {"ref_emb": past.vectors["var_emb"], "var_emb": past.vectors["ref_emb"]}
    with pytest.raises(EncoderError, match=r"correlate with -1\.000"):
        past.bring(save(past))


def test_vectors_of_another_width_are_refused(past):
    for name in ("ref_emb", "var_emb"):
        past.vectors[name] = past.vectors[name][:, :-1]
    with pytest.raises(EncoderError, match="dimensions"):
        past.bring(save(past))


def test_numbers_that_are_none_are_refused_with_their_count(past):
    past.vectors["ref_emb"][11, 3] = np.nan
    past.vectors["var_emb"][4, 0] = np.inf
    past.vectors["ref_emb"][30] = 0
    with pytest.raises(EncoderError, match=rf"3 of {len(past.vectors['label'])} rows .* row 4 first"):
        past.bring(save(past))
    assert_nothing_stored(past)


@pytest.mark.parametrize("name", [original.WINDOWS, original.VECTORS])
def test_a_file_that_was_cut_off_is_our_error(past, name):
    file = save(past) / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(FormatError, match=rf"{name} cannot be read .*copy the file again"):
        past.bring(file.parent)
    assert_nothing_stored(past)


def test_a_changed_byte_is_noticed_before_anything_is_stored(past):
    file = save(past) / original.VECTORS
    content = bytearray(file.read_bytes())
    content[len(content) // 4] ^= 0x40
    file.write_bytes(content)
    with pytest.raises(FormatError, match="cannot be read"):
        past.bring(file.parent)
    assert_nothing_stored(past)


def test_windows_of_another_recipe_are_refused(past):
    past.windows["ref"] = np.roll(past.windows["ref"], 1, axis=1)
    with pytest.raises(FormatError, match=r"none of the .* pairs of windows"):
        past.bring(save(past))


@pytest.mark.parametrize(
    ("values", "culprit"),
    [({"pooling": "downstream"}, "pooling downstream"), ({"reverse_complement": True}, "strands")],
)
def test_studies_that_the_original_s_vectors_do_not_fit_are_refused(made_past, tmp_path, values, culprit):
    past = copy_of(made_past, tmp_path, **values)
    with pytest.raises(EncoderError, match=rf"cannot be imported .*{culprit}"):
        past.bring(save(past))


def test_a_data_root_without_windows_says_which_are_missing(past):
    shutil.rmtree(past.study.variant_windows("22").folder)
    with pytest.raises(MissingUpstreamError, match=r"variant_windows.*chromosome 22"):
        past.bring(save(past))
