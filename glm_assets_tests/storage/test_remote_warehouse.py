"""Views over tables on an object store: odd addresses, strange folders and damage."""

from __future__ import annotations

import uuid
from pathlib import Path

import fsspec
import polars as pl
import pytest

from glm_assets.errors import FormatError
from glm_assets.storage.remote_root import RemoteRoot
from glm_assets.storage.tables import Column, Table
from glm_assets.storage.warehouse import open_remote_warehouse

GENES = Table("genes", "One row a gene.", (Column("chrom", pl.String(), "c"), Column("n", pl.Int64(), "n")))

READS = Table("reads", "One row a read.", GENES.columns, outer="individual")


class Tables:
    """A data root in memory whose name may be odd."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.root = RemoteRoot(f"memory://roots/{uuid.uuid4().hex}/{name}", folder)

    def put(self, chrom: str, numbers: list[int], place: str = "genes") -> str:
        path = self.folder / "part.parquet"
        pl.DataFrame({"chrom": [chrom] * len(numbers), "n": numbers}).write_parquet(path)
        name = f"tables/{place}/chrom={chrom}/part.parquet"
        self.root.put(path, name)
        return name

    def rows(self, table: Table = GENES) -> list[tuple]:
        with open_remote_warehouse(self.root, "tables", [table]) as warehouse:
            return warehouse.sql(
                f"select chrom, sum(n)::int from {table.name} group by all order by all"
            ).fetchall()


@pytest.mark.parametrize("name", ["plain", "o'neil", "run[1]", "a*b", "it's-[a]*b"])
def test_a_root_may_have_any_name(tmp_path, name):
    tables = Tables(tmp_path, name)
    tables.put("21", [1, 2])
    tables.put("X", [3])
    assert tables.rows() == [("21", 3), ("X", 3)]


@pytest.mark.parametrize("chrom", ["9'); create table x (n int", "99", "21.damaged"])
def test_a_folder_that_is_no_chromosome_s_is_not_shown(tmp_path, chrom):
    tables = Tables(tmp_path, "plain")
    tables.put("21", [1])
    tables.put(chrom, [100])
    assert tables.rows() == [("21", 1)]


def test_what_two_people_have_is_one_view_and_a_foreign_folder_is_none_of_theirs(tmp_path):
    tables = Tables(tmp_path, "plain")
    tables.put("21", [1], "reads/individual=HG00553")
    tables.put("X", [2], "reads/individual=HG00553")
    tables.put("21", [4], "reads/individual=NA12878.2")
    for foreign in ("individual=", "individual=-x", "individual=a b", "sample=HG00553", "individual=a/b"):
        tables.put("21", [100], f"reads/{foreign}")
    assert tables.rows(READS) == [("21", 5), ("X", 2)]


def test_a_damaged_part_is_named_with_its_table_and_the_fix(tmp_path):
    tables = Tables(tmp_path, "plain")
    name = tables.put("21", [1])
    files, root = fsspec.core.url_to_fs(tables.root.url)
    files.pipe_file(f"{root}/{name}", b"PAR1 no table PAR1")
    with pytest.raises(FormatError, match=r"table genes cannot be shown in memory://.*materialise genes again"):
        tables.rows()
