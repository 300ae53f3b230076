"""Runs of known bases against a regular expression."""

from __future__ import annotations

import re

import numpy as np
import pytest

from glm_assets.genome.known_runs import known_runs


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("text", ["", "N", "ACGT", "NNacGTNNRtttN", "ACNGT-AAA", "NACGT" * 9])
def test_runs_do_not_depend_on_how_the_sequence_comes(text, size):
    bases = np.frombuffer(text.encode(), np.uint8)
    runs = known_runs(bases[start : start + size] for start in range(0, len(bases), size))
    assert runs.tolist() == [list(match.span()) for match in re.finditer("[ACGTacgt]+", text)]
