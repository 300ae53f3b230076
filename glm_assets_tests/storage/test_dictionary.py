"""The data dictionary says what the schemas say, and the page in docs/ is the one that they give."""

from __future__ import annotations

import polars as pl

from glm_assets.storage.dictionary import data_dictionary
from glm_assets.storage.schemas import PUBLISHED, RECORDS
from glm_assets.storage.tables import Column, Table
from glm_assets_tests.conftest import REPOSITORY


def test_the_page_is_up_to_date():
    page = (REPOSITORY / "docs" / "tables.md").read_text(encoding="utf-8")
    assert page == data_dictionary([RECORDS, *PUBLISHED]), "make docs writes it anew"


def test_a_column_is_a_row_with_its_type_and_meaning():
    table = Table("t", "A row is a thing.", (Column("either", pl.Int8(), "a | b"),))
    assert data_dictionary([table]).endswith(
        "## t\n\nA row is a thing.\n\n| column | type | meaning |\n|---|---|---|\n| `either` | Int8 | a \\| b |\n"
    )
