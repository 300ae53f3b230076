import numpy as np
import polars as pl
import pytest

from glm_assets.errors import FormatError
from glm_assets.storage.schemas_genome import FEATURE_COLUMNS
from glm_assets.studies.sugarcane.configuration import UnitSettings
from glm_assets.studies.sugarcane.unit_cutting import cut_units

SCHEMA = {column.name: column.dtype for column in FEATURE_COLUMNS}
ORIGINAL = UnitSettings(
    coordinates="faithful", upstream=2_000, downstream=1_000, max_length=20_000, merge_gap=5_000
)
STRICT = ORIGINAL.model_copy(update={"coordinates": "strict"})

LENGTHS = {"Chr1A": 62_000, "Chr2A": 30_000, "Chr3A": 5_000, "Chr4A": 40_000}
# Name, type, contig, 1-based first and last base as in a GFF3, strand.
EIGHT_GENES = [
    ("g1", "gene", "Chr1A", 1_500, 3_000, "+"),
    ("g2", "gene", "Chr1A", 9_500, 10_500, "-"),
    ("g3", "gene", "Chr1A", 18_501, 19_500, "-"),
    ("g4", "gene", "Chr1A", 28_500, 36_500, "+"),
    ("g5", "gene", "Chr1A", 42_500, 60_000, "-"),
    ("g6", "gene", "Chr2A", 1, 25_001, "+"),
    ("g7", "gene", "Chr2A", 28_001, 29_500, "-"),
    ("g8", "gene", "Chr3A", 2_001, 3_000, "-"),
    ("p1", "promoter", "Chr1A", 1_201, 1_260, "+"),
    ("p2", "promoter", "Chr3A", 4_901, 5_000, "-"),
    ("e1", "enhancer", "Chr4A", 101, 300, "."),
    ("e2", "enhancer", "Chr4A", 5_301, 5_400, "-"),
    ("e3", "enhancer", "Chr4A", 12_000, 32_000, "."),
    ("x1", "exon", "Chr1A", 1_500, 1_600, "+"),
]
# Unit, contig, 0-based start, end, strand, type, features, genes, strands.
EXPECTED = [
    # 4,499 bases between the two.
    ("g1_g2", "Chr1A", 0, 12_500, "+", "gene_cluster", 3, "g1,g2", "+-"),
    # 5,000 bases after the last; 4,999 to g4, and 20,000 with it.
    ("g3_g4", "Chr1A", 17_500, 37_500, "+", "gene_cluster", 2, "g3,g4", "-+"),
    # 17,501 bases, 20,501 with flanks; near the last, but too long with it.
    ("g5", "Chr1A", 42_499, 60_000, "-", "gene_only", 1, "g5", "-"),
    # Longer than the limit by itself.
    ("g6", "Chr2A", 0, 25_001, "+", "gene_only", 1, "g6", "+"),
    ("g7", "Chr2A", 27_000, 30_000, "-", "gene_with_regulatory", 1, "g7", "-"),
    ("g8", "Chr3A", 1_000, 5_000, "-", "gene_with_regulatory", 2, "g8", "-"),
    ("e1", "Chr4A", 100, 300, "+", "regulatory", 1, "", ""),
    # 5,000 bases after the last. e3 is longer than the limit.
    ("e2", "Chr4A", 5_300, 5_400, "-", "regulatory", 1, "", ""),
]
COLUMNS = ["unit_id", "contig", "start", "end", "strand", "unit_type", "n_features", "gene_ids", "strands"]


def features(rows):
    table = [
        (name, None, name, kind, contig, first - 1, last, strand, None, None)
        for name, kind, contig, first, last, strand in rows
    ]
    return pl.DataFrame(table, SCHEMA, orient="row")


def whole(lengths):
    rows = [
        (name, 0, length, name[3], ("train", "val", "test")[place % 3])
        for place, (name, length) in enumerate(lengths.items())
    ]
    return pl.DataFrame(rows, ["contig", "start", "end", "group", "split"], orient="row")


def cut(rows, settings, lengths=LENGTHS, regions=None):
    return cut_units(features(rows), lengths, whole(lengths) if regions is None else regions, settings)


def test_eight_genes_give_the_table_that_was_worked_out_by_hand():
    found = cut(EIGHT_GENES, STRICT)
    assert found.units.select(COLUMNS).rows() == EXPECTED
    assert found.units["length"].to_list() == [row[3] - row[2] for row in EXPECTED]
    assert found.units["group"].to_list() == [row[1][3] for row in EXPECTED]
    assert found.units["split"].to_list() == ["train"] * 3 + ["val"] * 2 + ["test"] + ["train"] * 2
    # g1 and g6 at the first base, g7 at the last.
    assert (found.clamped, found.elements) == (3, 5)


def test_faithful_coordinates_are_the_originals():
    found = cut(EIGHT_GENES, ORIGINAL).units
    # The original clamps at the first base alone, and knows no strand of a cluster.
    changed = {"g7": ("g7", "Chr2A", 27_000, 31_500, "-", "gene_with_regulatory", 1, "g7", "-")}
    assert found.select(COLUMNS).rows() == [changed.get(row[0], row) for row in EXPECTED]
    assert found.filter(unit_id="g7")["split"].item() == "val"


@pytest.mark.parametrize(("settings", "strand"), [(STRICT, "-"), (ORIGINAL, "+")])
def test_a_cluster_on_the_minus_strand_alone_keeps_it_but_in_the_original(settings, strand):
    rows = [("a", "gene", "Chr1A", 5_001, 6_000, "-"), ("b", "gene", "Chr1A", 8_001, 9_000, "-")]
    assert cut(rows, settings).units.select("unit_id", "strand", "strands").rows() == [("a_b", strand, "--")]


def test_a_cluster_is_named_by_its_first_three_genes_and_twins_get_numbers():
    rows = [(name, "gene", "Chr1A", 5_001 + 500 * n, 5_300 + 500 * n, "+") for n, name in enumerate("abcd")]
    assert cut(rows, STRICT).units.select("unit_id", "gene_ids").rows() == [("a_b_c", "a,b,c,d")]
    twins = [("t", "gene", "Chr1A", 5_001, 5_300, "+"), ("t", "gene", "Chr2A", 5_001, 5_300, "-")]
    assert cut(twins, STRICT).units["unit_id"].to_list() == ["t", "t.2"]


def test_units_of_two_blocks_stay_apart_and_one_across_an_end_has_no_split():
    blocks = [("Chr1A", 0, 10_000, "1", "train"), ("Chr1A", 10_500, 30_000, "1", "val")]
    regions = pl.DataFrame(blocks, ["contig", "start", "end", "group", "split"], orient="row")
    places = [
        ("a", 5_001, 6_000),
        ("b", 6_501, 7_500),
        ("c", 8_001, 11_000),
        ("d", 13_001, 14_000),
        ("e", 14_501, 15_000),
    ]
    rows = [(name, "gene", "Chr1A", first, last, "+") for name, first, last in places]
    settings = STRICT.model_copy(update={"upstream": 200, "downstream": 100})
    found = cut(rows, settings, regions=regions).units
    assert found.select("unit_id", "split").rows() == [("a_b", "train"), ("c", None), ("d_e", "val")]


def test_an_annotation_without_genes_is_refused():
    with pytest.raises(FormatError, match=r"has no gene.*it has exon"):
        cut([("x", "exon", "Chr1A", 1, 9, "+")], STRICT)


def brute_force(rows, settings, length):
    """The original's steps in 1-based closed coordinates, each by looking at everything; places and genes alone."""
    units = []
    for name, kind, _, first, last, strand in rows:
        if kind == "gene":
            flanks = (settings.upstream, settings.downstream)
            left, right = flanks[::-1] if strand == "-" else flanks
            low, high = max(1, first - left), last + right
            high = min(high, length) if settings.coordinates == "strict" else high
            too_long = high - low + 1 > settings.max_length
            units.append((first, last, (name,)) if too_long else (low, high, (name,)))
    genes = list(units)
    for _, kind, _, first, last, _ in rows:
        wanted = kind in settings.regulatory and last - first + 1 <= settings.max_length
        if wanted and not any(low <= first and last <= high for low, high, _ in genes):
            units.append((first, last, ()))
    units.sort(key=lambda unit: unit[:2])
    while units:
        low, high, names = units.pop(0)
        while units:
            between, reach = len(range(high + 1, units[0][0])), max(high, units[0][1])
            if between >= settings.merge_gap or reach - low + 1 > settings.max_length:
                break
            names += units.pop(0)[2]
            high = reach
        yield low - 1, high, ",".join(names)


@pytest.mark.parametrize("seed", range(12))
def test_any_annotation_is_cut_as_by_brute_force(seed):
    rng = np.random.default_rng(seed)
    lengths = {"Chr1": 50_000, "Chr2": 20_000}
    rows = []
    for number in range(40):
        contig = str(rng.choice(list(lengths)))
        kind = str(rng.choice(["gene", "gene", "enhancer", "promoter", "exon"]))
        first = int(rng.integers(1, lengths[contig] - 10))
        last = min(lengths[contig], first + int(rng.integers(5, 3_000 if rng.random() < 0.9 else 9_000)))
        rows.append((f"f{number}", kind, contig, first, last, str(rng.choice(["+", "-", "."]))))
    settings = UnitSettings(
        coordinates=("strict", "faithful")[seed % 2],
        upstream=int(rng.integers(0, 1_000)),
        downstream=int(rng.integers(0, 1_000)),
        max_length=int(rng.integers(1_000, 8_000)),
        merge_gap=int(rng.integers(0, 1_500)),
    )
    found = cut(rows, settings, lengths, whole(lengths)).units
    expected = [
        (contig, *unit)
        for contig, length in lengths.items()
        for unit in brute_force([row for row in rows if row[2] == contig], settings, length)
    ]
    assert found.select("contig", "start", "end", "gene_ids").rows() == expected
    elements = [row for row in rows if row[1] in settings.regulatory]
    for unit in found.iter_rows(named=True):
        held = [
            row for row in elements
            if row[2] == unit["contig"] and unit["start"] < row[3] and row[4] <= unit["end"]
        ]  # fmt: skip
        assert unit["n_features"] == len(held) + len([name for name in unit["gene_ids"].split(",") if name])


def test_a_unit_of_the_longest_length_keeps_its_flanks_and_one_of_a_base_more_does_not():
    rows = [("a", "gene", "Chr1A", 5_001, 22_000, "+"), ("b", "gene", "Chr4A", 5_001, 22_001, "-")]
    assert cut(rows, STRICT).units.select("unit_id", "start", "end", "unit_type").rows() == [
        ("a", 3_000, 23_000, "gene_with_regulatory"),
        ("b", 5_000, 22_001, "gene_only"),
    ]
