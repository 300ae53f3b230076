"""Tables are written as their schema says or not at all, and the warehouse shows what is there."""

from __future__ import annotations

import duckdb
import polars as pl
import pytest

from glm_assets.errors import FormatError
from glm_assets.storage.schemas import PUBLISHED, SPLIT_AUDIT, VARIANT_WINDOWS
from glm_assets.storage.tables import PART, Column, Table, read_part, table_folder
from glm_assets.storage.warehouse import refresh_warehouse

GENES = Table(
    "genes", "One row a gene.", (Column("chrom", pl.String(), "chromosome"), Column("n", pl.Int64(), "number"))
)


READS = Table("reads", "One row a read.", GENES.columns, outer="individual")


def rows(chrom: str, *numbers: int) -> pl.DataFrame:
    return pl.DataFrame({"chrom": [chrom] * len(numbers), "n": list(numbers)})


@pytest.mark.parametrize(
    ("frame", "culprit"),
    [
        (pl.DataFrame({"chrom": ["1"]}), "column 1 is 'nothing'"),
        (pl.DataFrame({"n": [1], "chrom": ["1"]}), "column 0 is 'n'"),
        (pl.DataFrame({"chrom": ["1"], "n": [1.0]}), "Float64"),
        (pl.DataFrame({"chrom": ["1"], "n": [1], "extra": [2]}), "extra"),
    ],
)
def test_a_frame_that_breaks_the_schema_is_refused_by_name(tmp_path, frame, culprit):
    with pytest.raises(FormatError, match=culprit):
        GENES.write(frame, tmp_path / PART)
    assert not (tmp_path / PART).exists()


def test_the_window_columns_are_the_contract():
    assert (
        VARIANT_WINDOWS.schema.names()
        == (
            "variation_id chrom pos ref alt kind var_len label clnsig review_stars gene consequence window_start "
            "window_end variant_offset locus split ref_seq var_seq ref_digest var_digest genes"
        ).split()
    )
    assert VARIANT_WINDOWS.schema["label"] == pl.Int8
    assert VARIANT_WINDOWS.schema["variant_offset"] == pl.Int16


def test_reading_a_damaged_part_names_the_file(tmp_path):
    (tmp_path / PART).write_bytes(b"PAR1 no more")
    with pytest.raises(FormatError, match=PART):
        read_part(tmp_path)


def test_a_folders_name_is_no_pattern(tmp_path):
    folder = tmp_path / "[a]*?"
    GENES.write(rows("21", 1), folder / PART)
    assert read_part(folder)["n"].to_list() == [1]


def test_the_warehouse_has_a_view_from_the_first_partition_on_and_keeps_chrom_a_text(tmp_path):
    tables, warehouse = tmp_path / "it's a [root]*?" / "tables", tmp_path / "warehouse.duckdb"
    assert refresh_warehouse(tables, warehouse, [GENES]) == []
    GENES.write(rows("21", 1, 2), table_folder(tables, "genes", "21") / PART)
    assert refresh_warehouse(tables, warehouse, [GENES]) == ["genes"]
    GENES.write(rows("X", 3), table_folder(tables, "genes", "X") / PART)
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        found = connection.sql("select chrom, sum(n)::int from genes group by all order by all").fetchall()
    assert found == [("21", 3), ("X", 3)]


def test_what_two_people_have_is_one_view_and_a_foreign_folder_is_none_of_theirs(tmp_path):
    tables, warehouse = tmp_path / "tables", tmp_path / "warehouse.duckdb"
    for individual, chrom, number in (("HG00553", "21", 1), ("HG00553", "X", 2), ("NA12878.2", "21", 4)):
        folder = table_folder(tables, "reads", chrom, individual=individual)
        assert folder.relative_to(tables).parts == ("reads", f"individual={individual}", f"chrom={chrom}")
        READS.write(rows(chrom, number), folder / PART)
    assert refresh_warehouse(tables, warehouse, [READS]) == ["reads"]
    for foreign in ("sample=HG00553", "notes", "individual=HG00553/.chrom=21.0123456789abcdef.partial"):
        READS.write(rows("21", 100), tables / "reads" / foreign / "chrom=21" / PART)
    refresh_warehouse(tables, warehouse, [READS])
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        found = connection.sql("select chrom, sum(n)::int from reads group by all order by all").fetchall()
    assert found == [("21", 5), ("X", 2)]


def test_a_reader_does_not_block_a_refresh(tmp_path):
    tables, warehouse = tmp_path / "tables", tmp_path / "warehouse.duckdb"
    GENES.write(rows("21", 1), table_folder(tables, "genes", "21") / PART)
    refresh_warehouse(tables, warehouse, [GENES])
    with duckdb.connect(str(warehouse), read_only=True) as reader:
        refresh_warehouse(tables, warehouse, [GENES, SPLIT_AUDIT])
        assert reader.sql("select count(*) from genes").fetchall() == [(1,)]
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".duckdb")] == ["warehouse.duckdb"]


def test_every_published_table_says_what_each_column_means():
    for table in PUBLISHED:
        assert table.description
        assert all(column.description for column in table.columns)


def test_a_second_table_of_a_product_is_shown_under_its_own_name(tmp_path):
    second = Table("ends", "One row an end.", GENES.columns, file="genes/ends.parquet")
    GENES.write(rows("21", 1), tmp_path / "tables" / "genes" / PART)
    assert refresh_warehouse(tmp_path / "tables", tmp_path / "w.duckdb", [GENES, second]) == ["genes"]
    second.write(rows("22", 2, 3), tmp_path / "tables" / "genes" / "ends.parquet")
    assert refresh_warehouse(tmp_path / "tables", tmp_path / "w.duckdb", [GENES, second]) == ["genes", "ends"]
    with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True) as warehouse:
        assert warehouse.sql("select n from ends order by n").fetchall() == [(2,), (3,)]
        assert warehouse.sql("select n from genes").fetchall() == [(1,)]
