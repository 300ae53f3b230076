"""The plant language model of one species: what is scored and drawn with it is what its network says."""

from __future__ import annotations

import pytest

from glm_assets.errors import EncoderError, SettingsError
from glm_assets.language.generation import generate
from glm_assets.language.plant_lm import PlantLanguageModel
from glm_assets.language.sampling import Sampling
from glm_assets_tests.encoders.plant_lm.conftest import small_network

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


def model(*, species="b", memory=True, context=None, **changes):
    return PlantLanguageModel(small_network(**changes), species=species, memory=memory, context=context)


def test_it_reads_and_spells_words_of_its_k():
    plant = model()
    assert (plant.bases_per_token, plant.vocabulary_size, plant.context, plant.start_id) == (2, 16, 12, None)
    assert plant.encode("acgtNATT").tolist() == [1, 11, 15]
    assert plant.decode([1, 11, 15]) == "ACGTTT"
    assert plant.sequence_ids.tolist() == list(range(16))


def test_logits_are_those_of_its_species():
    ids = torch.tensor([[1, 11, 15, 4], [0, 3, 9, 9]])
    network = small_network()
    for index, species in enumerate("ab"):
        expected = network(ids, species=torch.full((2,), index))
        assert torch.equal(model(species=species).logits(ids), expected)
        assert torch.equal(
            model(species=species, memory=False).logits(ids),
            network(ids, species=torch.full((2,), index), memory=False),
        )
    with pytest.raises(EncoderError, match="'rice'"):
        model(species="rice")


def test_names_tell_models_apart():
    assert model().name == "plant_lm b"
    assert model(memory=False).name == "plant_lm b without memory"


def test_padding_on_the_right_changes_nothing():
    plant = model()
    ids = torch.tensor([[1, 11, 15, 4, 7]])
    padded = torch.cat([ids, torch.zeros(1, 6, dtype=torch.int64)], dim=1)
    assert torch.allclose(plant.logits(padded)[:, :5], plant.logits(ids), atol=1e-6)


def test_drawing_step_by_step_equals_reading_all_at_once():
    plant = model()
    ids = torch.tensor([[1, 11, 15, 4, 7, 7, 2], [5, 5, 0, 1, 2, 3, 9]])
    decoder = plant.decoder(ids[:, :2])
    with torch.no_grad():
        whole = plant.logits(ids)
    for at in range(2, 7):
        assert torch.allclose(decoder.logits, whole[:, at - 1], atol=1e-5)
        decoder.advance(ids[:, at])
    assert torch.allclose(decoder.logits, whole[:, -1], atol=1e-5)


@pytest.mark.parametrize("local", ["sliding", "block"])
def test_beyond_a_training_window_the_last_whole_windows_are_read_at_their_positions(local):
    """One layer reaches less far than what is kept, so that nothing is lost."""
    plant = model(local=local, layers=1, context=40)
    ids = torch.randint(0, 16, (2, 33), generator=torch.Generator().manual_seed(4))
    decoder = plant.decoder(ids[:, :5])
    for at in range(5, 33):
        decoder.advance(ids[:, at])
        with torch.no_grad():
            assert torch.allclose(decoder.logits, plant.logits(ids[:, : at + 1])[:, -1], atol=1e-5)


def test_drawing_goes_on_beyond_a_training_window_by_choice_alone():
    sampling = Sampling(temperature=1.0, seed=3)
    with pytest.raises(SettingsError, match="longer than the context"):
        generate(model(), ["ACGT"], tokens=20, samples=1, sampling=sampling)
    first, again = (
        generate(model(context=22), ["ACGT"], tokens=20, samples=2, sampling=sampling) for _ in range(2)
    )
    assert first == again
    assert [len(drawn.sequence) for drawn in first] == [40, 40]
    assert set(first[0].sequence) <= set("ACGT")
    assert first[0].sequence != first[1].sequence


def test_a_context_beyond_the_table_of_positions_is_refused():
    with pytest.raises(SettingsError, match=r"41 tokens.*at most 40"):
        model(context=41)
