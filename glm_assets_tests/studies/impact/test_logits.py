"""The original's features: the logits of Evo-1 at every base of a read, through the study's own encoder and store."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from glm_assets.storage.tables import read_part
from glm_assets.studies.impact.activations import Activations
from glm_assets.studies.impact.embeddings import embed_reads
from glm_assets_tests.studies.impact.persons import another_of, silent

pytest.importorskip("stripedhyena")

# As faithful.yaml has it, but for the size of the model.
LOGITS = {"name": "evo1_demo", "revision": "main", "layer": "logits", "pooling": "positions:150"}


def test_logits_of_a_read_are_150_by_512_and_equal_reads_are_computed_once(made):
    study = another_of(made.study, encoder=LOGITS)
    reads = read_part(study.read_examples("21").files())["sequence"]
    reads = pl.concat([reads[:3], reads[:3], reads[1:2]])
    store = study.store()
    keys, report = embed_reads(study, reads, store, silent)
    assert (report.windows_computed, report.rows) == (3, 7)
    assert embed_reads(study, reads, store, silent)[1].windows_computed == 0
    activations = Activations.open(store, keys, study.encoder_spec.pooling)
    assert (activations.length, activations.width) == (150, 512)
    values = activations.read(np.arange(7))
    assert np.isfinite(values).all()
    assert np.array_equal(values[0], values[3])
    assert not np.array_equal(values[0], values[1])
    assert study.encoder_spec.dimension == 76_800


def test_the_originals_head_takes_them():
    torch = pytest.importorskip("torch")
    from glm_assets.studies.configuration import read_configuration
    from glm_assets.studies.impact.configuration import ImpactConfiguration
    from glm_assets.studies.impact.network import make_head, parameter_count
    from glm_assets.studies.impact.study import PACKAGE, VARIABLE

    values = read_configuration(ImpactConfiguration, PACKAGE, VARIABLE, "faithful")
    head = make_head(values.head, 150, 512)
    assert parameter_count(head) == 38_241
    assert {parameter.dtype for parameter in head.parameters()} == {torch.bfloat16}
    assert (values.encoder.layer, values.head.standardise, values.balancing.mode) == ("logits", False, "original")
