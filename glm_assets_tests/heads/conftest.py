from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Matrices this small are many times slower with more threads, and sums depend on their number."""
    torch.set_num_threads(1)
