from collections import defaultdict

import numpy as np
import pytest

from glm_assets.genome.joined_windows import ChromosomeWindows, join_windows
from glm_assets.genome.splits import LOCUS_BIN, md5_split, split_by_locus


def windows(
    chrom: str, starts: list[int], genes: list[str], *, length: int = 100, digests=None
) -> ChromosomeWindows:
    start = np.array(starts, dtype=np.int64)
    return ChromosomeWindows(
        chrom=chrom,
        starts=start,
        ends=start + length,
        digests=digests or [f"{chrom}-{place}" for place in starts],
        genes=[symbols.split() for symbols in genes],
    )


def plain_groups(parts: list[ChromosomeWindows], *, by_gene: bool) -> list[str]:
    """Union-find over every pair of rows, and the name that each set of rows should have."""
    rows = [
        (index, part.chrom, int(part.starts[row]), int(part.ends[row]), part.digests[row], set(part.genes[row]))
        for index, part in enumerate(parts)
        for row in range(part.starts.size)
    ]
    parent = list(range(len(rows)))

    def root(row: int) -> int:
        while parent[row] != row:
            row = parent[row]
        return row

    def related(one, other) -> bool:
        # At these positions, which are PAR1's, X and Y are one sequence from base 10,001 on.
        first = 0 if one[1] == other[1] else 10_000
        overlap = max(one[2], other[2], first) < min(one[3], other[3])
        return overlap or one[4] == other[4] or (by_gene and bool(one[5] & other[5]))

    for one in range(len(rows)):
        for other in range(one):
            if related(rows[one], rows[other]):
                parent[root(one)] = root(other)
    members = defaultdict(list)
    for row in range(len(rows)):
        members[root(row)].append(rows[row])
    names = []
    for row in range(len(rows)):
        group = members[root(row)]
        symbols = sorted(set().union(*(member[5] for member in group))) if by_gene else []
        _, chrom, start, *_ = min(group, key=lambda member: (member[0], member[2]))
        names.append(symbols[0] if symbols else f"{chrom}:{start // LOCUS_BIN}")
    return names


def random_part(chrom: str, generator: np.random.Generator, count: int) -> ChromosomeWindows:
    starts = generator.integers(0, 20_000, count).tolist()
    pools = [f"G{number}" for number in range(40)]
    genes = [" ".join(generator.choice(pools, generator.integers(0, 3), replace=False)) for _ in range(count)]
    digests = [f"same{generator.integers(6)}" if generator.random() < 0.1 else f"{chrom}{s}" for s in starts]
    return windows(chrom, starts, genes, digests=digests)


@pytest.mark.parametrize("by_gene", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_groups_are_those_of_a_plain_union_find(seed, by_gene):
    generator = np.random.default_rng(seed)
    parts = [random_part("X", generator, 60), random_part("Y", generator, 25)]
    found = [name for names in join_windows(parts, by_gene=by_gene) for name in names.tolist()]
    expected = plain_groups(parts, by_gene=by_gene)
    assert found == expected
    assert len(set(expected)) > 3


def test_a_chain_of_genes_and_overlaps_is_one_group_named_by_its_smallest_gene():
    part = windows("1", [0, 5000, 5050, 9000, 20_000], ["ZAR1", "ZAR1 KIT", "", "KIT ABL1", "TP53"])
    assert join_windows([part], by_gene=True)[0].tolist() == ["ABL1"] * 4 + ["TP53"]


def test_a_gene_of_x_and_y_is_in_one_split_whichever_is_made():
    x = windows("X", [10_000, 90_000], ["SHOX", "DMD"])
    y = windows("Y", [10_400, 70_000], ["SHOX", "SRY"])
    on_x, on_y = join_windows([x, y], by_gene=True)
    assert (on_x.tolist(), on_y.tolist()) == (["SHOX", "DMD"], ["SHOX", "SRY"])


@pytest.mark.parametrize(
    ("on_x", "on_y", "together"),
    [
        (10_000, 10_010, True),  # PAR1, equal positions
        (9_901, 9_905, True),  # both cross its first border and share its first bases
        (9_900, 9_900, False),  # both end where it begins
        (2_781_478, 2_781_478, True),  # its last base
        (2_781_479, 2_781_479, False),
        (155_701_382 + 500, 56_887_902 + 510, True),  # PAR2, shifted
        (155_701_382 + 500, 56_887_902 + 600, False),
        (156_030_894, 57_217_414, True),  # its last base
        (56_887_902 + 500, 56_887_902 + 500, False),  # equal positions, of which only Y's is in it
    ],
)
def test_windows_of_x_and_y_that_share_pseudoautosomal_bases_are_one_group(on_x, on_y, together):
    x, y = windows("X", [on_x], [""]), windows("Y", [on_y], [""])
    for by_gene in (True, False):
        [name_on_x], [name_on_y] = (names.tolist() for names in join_windows([x, y], by_gene=by_gene))
        assert (name_on_x == name_on_y) == together
        assert name_on_x == f"X:{on_x // LOCUS_BIN}"


def test_a_window_across_the_border_links_y_alone_with_x():
    x = windows("X", [2_781_470], [""])
    y = windows("Y", [2_781_420, 2_781_510], ["", ""])  # the second is beyond the border, and overlaps the first
    [on_x], on_y = (names.tolist() for names in join_windows([x, y], by_gene=False))
    assert on_y == [on_x, on_x]


def test_without_genes_a_row_falls_by_its_locus():
    part = windows("7", [1000, 1090, 8000], ["", "", ""])
    for by_gene in (True, False):
        names = join_windows([part], by_gene=by_gene)[0]
        assert names.tolist() == [f"7:{1000 // LOCUS_BIN}"] * 2 + [f"7:{8000 // LOCUS_BIN}"]


def test_equal_windows_stay_together_however_far_apart():
    part = windows("16", [1000, 500_000, 900_000], ["HBA1", "HBA2", "OTHER"], digests=["same", "same", "else"])
    names = join_windows([part], by_gene=False)[0].tolist()
    assert names[0] == names[1] != names[2]


def test_where_no_windows_are_equal_the_split_is_that_of_the_loci():
    generator = np.random.default_rng(5)
    starts = generator.choice(3_000_000, 800, replace=False).tolist()
    part = windows("3", starts, [""] * 800, length=1024)
    names = join_windows([part], by_gene=False)[0]
    _, expected = split_by_locus("3", part.starts, part.ends)
    assert md5_split(names.tolist()).tolist() == expected.tolist()


def test_no_windows_have_no_groups():
    assert [names.size for names in join_windows([windows("X", [], []), windows("Y", [], [])], by_gene=True)] == [
        0,
        0,
    ]
