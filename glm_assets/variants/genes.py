"""Gene symbols of GENEINFO (`SYMBOL:id|SYMBOL:id`)."""

from __future__ import annotations

import polars as pl


def gene_symbols(geneinfo: pl.Expr) -> pl.Expr:
    """All symbols of a GENEINFO value, each once and in its order, joined by commas; null where it names none."""
    symbols = geneinfo.str.split("|").list.eval(pl.element().str.extract(r"^([^:]+)").drop_nulls())
    named = symbols.list.eval(pl.element().filter(pl.element() != ".")).list.unique(maintain_order=True)
    return pl.when(named.list.len() > 0).then(named.list.join(","))


def gene_lists(genes: pl.Series) -> list[list[str]]:
    """The symbols of each value of a column `genes`; none where it is null."""
    return genes.fill_null("").str.split(",").list.eval(pl.element().filter(pl.element() != "")).to_list()
