"""The shape of the network: what is refused, and what comes back from JSON."""

from __future__ import annotations

import json

import pytest

from glm_assets.encoders.plant_lm.config import PlantLmConfig
from glm_assets.errors import EncoderError
from glm_assets.studies.plant.configuration import ModelSettings
from glm_assets_tests.encoders.plant_lm.conftest import small_config


def test_it_comes_back_from_json():
    config = small_config(memory="sum", memory_is_trained=True, local="block")
    assert PlantLmConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config


def test_it_takes_every_value_of_the_study():
    settings = ModelSettings(
        width=16,
        heads=2,
        layers=1,
        dropout=0.1,
        context=8,
        window=4,
        local="sliding",
        positions=8,
        tied=True,
        memory="ema",
        memory_per_species=False,
    )
    config = PlantLmConfig(species=("a",), k=3, **settings.model_dump())
    assert {name: getattr(config, name) for name in settings.model_dump()} == settings.model_dump()
    assert (config.vocabulary, config.matrices) == (64, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"local": "slide"}, "its local is 'slide'.*sliding, block"),
        ({"heads": 3}, "width 16 is no multiple of its 3 heads"),
        ({"context": 41}, "context of 41 tokens has 40 positions"),
        ({"species": ()}, "its species are"),
        ({"species": ("a", "a")}, "its species are"),
        ({"layers": 0}, "its layers is 0"),
        ({"width": "16"}, "its width is '16'"),
    ],
)
def test_what_fits_no_network_is_refused(changes, message):
    with pytest.raises(EncoderError, match=message):
        small_config(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "llama"}, "its kind is 'llama'"),
        ({"depth": 3}, "missing or unknown: depth"),
        ({"width": None}, "its width is None"),
    ],
)
def test_another_models_json_is_refused(changes, message):
    with pytest.raises(EncoderError, match=message):
        PlantLmConfig.from_dict(small_config().as_dict() | changes)


def test_a_field_that_is_absent_is_named():
    values = small_config().as_dict()
    del values["window"]
    with pytest.raises(EncoderError, match="missing or unknown: window"):
        PlantLmConfig.from_dict(values)


def test_an_unknown_species_is_an_error_that_lists_the_known():
    with pytest.raises(EncoderError, match=r"'rice'.*a, b"):
        small_config().species_index("rice")
