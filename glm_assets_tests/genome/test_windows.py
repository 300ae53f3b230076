import numpy as np
import polars as pl
import pytest

from glm_assets.errors import SettingsError
from glm_assets.genome.windows import WindowRecipe, WindowStatus, cut_reverse_windows, cut_windows

CONTIG = "ACGTTGCAAGCTTACGGATCCATGCCGTAAGTCTGACCTA"
SMALL = WindowRecipe(length=16, anchor=8)
KEPT, WINDOW, TOO_LONG, MISMATCH = WindowStatus

# pos, REF, ALT, 1-based start, index, reference window, variant window or status
GOLDEN = [
    (20, "C", "T", 12, 8, "TTACGGATCCATGCCG", "TTACGGATTCATGCCG"),
    (20, "C", "CGGG", 12, 8, "TTACGGATCCATGCCG", "TTACGGATCGGGCATG"),
    (20, "CCAT", "C", 12, 8, "TTACGGATCCATGCCG", "TTACGGATCGCCGTAA"),
    (3, "G", "A", 1, 2, "ACGTTGCAAGCTTACG", "ACATTGCAAGCTTACG"),
    (33, "CTGA", "C", 25, 8, "CCGTAAGTCTGACCTA", "CCGTAAGTCCCTANNN"),
    (34, "T", "A", 26, 8, None, WINDOW),
    (20, "CCATGCCGTAA", "C", 12, 8, "TTACGGATCCATGCCG", TOO_LONG),
    (20, "G", "T", 12, 8, "TTACGGATCCATGCCG", MISMATCH),
]


def dna(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def cut(contig: str, rows: list[tuple[int, str, str]], recipe: WindowRecipe = SMALL):
    pos, ref, alt = zip(*rows, strict=True) if rows else ((), (), ())
    return cut_windows(dna(contig), np.array(pos, dtype=np.int64), ref, alt, recipe)


def texts(windows: np.ndarray) -> list[str]:
    return [row.tobytes().decode() for row in windows]


def slow_window(contig: str, variant: tuple[int, str, str], recipe: WindowRecipe):
    """One variant at a time, with strings and 1-based positions."""
    pos, ref, alt = variant
    length = recipe.length
    start = max(1, pos - recipe.anchor)
    window = contig[start - 1 : start - 1 + length]
    if pos < 1 or len(window) != length:
        return WINDOW, None, None
    at = pos - start
    if at + len(ref) > length:
        return TOO_LONG, None, None
    if window[at : at + len(ref)] != ref:
        return MISMATCH, None, None
    changed = window[:at] + alt + window[at + len(ref) :]
    missing = length - len(changed)
    if missing > 0:
        after = start - 1 + length
        changed += contig[after : after + missing].ljust(missing, "N")
    return KEPT, window, changed[:length]


@pytest.mark.parametrize("golden", GOLDEN)
def test_golden_windows(golden):
    *variant, start, index, reference, expected = golden
    windows = cut(CONTIG, [tuple(variant)])
    assert windows.start.tolist() == [start - 1]
    assert windows.offset.tolist() == [index]
    if isinstance(expected, WindowStatus):
        assert windows.status.tolist() == [expected]
        assert windows.ref_windows.shape == windows.var_windows.shape == (0, 16)
    else:
        assert windows.status.tolist() == [KEPT]
        assert texts(windows.ref_windows) == [reference]
        assert texts(windows.var_windows) == [expected]


def test_golden_windows_all_at_once_keep_the_order_of_the_input():
    windows = cut(CONTIG, [row[:3] for row in GOLDEN])
    assert windows.status.tolist() == [KEPT] * 5 + [WINDOW, TOO_LONG, MISMATCH]
    assert texts(windows.ref_windows) == [row[5] for row in GOLDEN[:5]]
    assert texts(windows.var_windows) == [row[6] for row in GOLDEN[:5]]


def test_positions_up_to_the_anchor_share_the_clamped_window():
    windows = cut(CONTIG, [(pos, CONTIG[pos - 1], "N") for pos in range(1, 11)])
    assert windows.start.tolist() == [0] * 9 + [1]
    assert windows.offset.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 8]


def test_the_last_full_window_is_kept_and_the_next_one_dropped():
    first_dropped = len(CONTIG) - 16 + 8 + 2
    rows = [(pos, CONTIG[pos - 1], "N") for pos in (first_dropped - 1, first_dropped)]
    assert cut(CONTIG, rows).status.tolist() == [KEPT, WINDOW]


@pytest.mark.parametrize("pos", [-3, 0, len(CONTIG) + 1, 10**9, 2**63 - 1])
def test_positions_off_the_contig_have_no_window(pos):
    assert cut(CONTIG, [(pos, "A", "C")]).status.tolist() == [WINDOW]


def test_a_contig_shorter_than_a_window_keeps_nothing():
    assert cut(CONTIG[:15], [(8, CONTIG[7], "N")]).status.tolist() == [WINDOW]


def test_no_variants_make_no_windows():
    windows = cut(CONTIG, [])
    assert windows.status.shape == (0,)
    assert windows.ref_windows.shape == (0, 16)


def test_a_long_insertion_is_cut_at_the_right_edge():
    windows = cut(CONTIG, [(20, "C", "C" + "G" * 50)])
    assert texts(windows.var_windows) == ["TTACGGATCGGGGGGG"]


def test_an_insertion_at_the_contigs_first_base():
    windows = cut(CONTIG, [(1, "A", "ATTTT")])
    assert texts(windows.var_windows) == ["ATTTTCGTTGCAAGCT"]


def test_polars_series_are_read_like_lists():
    windows = cut_windows(dna(CONTIG), np.array([20]), pl.Series(["CCAT"]), pl.Series(["C"]), SMALL)
    assert texts(windows.var_windows) == ["TTACGGATCGCCGTAA"]


def test_the_contests_anchor_moves_the_window_by_one():
    windows = cut(CONTIG, [(20, "C", "T")], WindowRecipe(length=16, anchor=7))
    assert windows.start.tolist() == [12]
    assert texts(windows.var_windows) == ["TACGGATTCATGCCGT"]


def test_known_sequence_is_a_window_on_the_contig_without_n():
    contig = CONTIG + "N" + CONTIG
    rows = [(20, "C", "T"), (20, "G", "T"), (33, "C", "T"), (34, "T", "A"), (34, "C", "A"), (80, "T", "A")]
    windows = cut(contig, rows)
    assert windows.status.tolist() == [KEPT, MISMATCH, KEPT, KEPT, MISMATCH, WINDOW]
    assert windows.known.tolist() == [True, True, True, False, False, False]


def random_case(seed: int) -> tuple[str, list[tuple[int, str, str]], WindowRecipe]:
    """A contig of 1 to 120 bases; alleles that mostly fit it, at any position and of many lengths."""
    generator = np.random.default_rng(seed)

    def word(symbols: str, longest: int) -> str:
        return "".join(generator.choice(list(symbols), generator.integers(1, longest + 1)))

    contig = word("ACGT" if seed % 2 else "ACGTN", 120)
    length = int(generator.integers(1, 41))
    rows = []
    for _ in range(generator.integers(1, 9)):
        pos = int(generator.integers(-1, len(contig) + 3))
        first = max(pos - 1, 0)
        true_ref = contig[first : first + generator.integers(1, generator.choice([2, 6, 46]))]
        ref = true_ref if true_ref and generator.random() < 0.9 else word("ACGT", 3)
        rows.append((pos, ref, word("ACGT", generator.choice([1, 5, 45]))))
    return contig, rows, WindowRecipe(length=length, anchor=int(generator.integers(0, length)))


def test_all_rows_agree_with_one_variant_at_a_time():
    seen: set[WindowStatus] = set()
    for seed in range(2000):
        contig, rows, recipe = random_case(seed)
        seen |= compare_with_slow_windows(contig, rows, recipe)
    assert seen == set(WindowStatus)


def compare_with_slow_windows(
    contig: str, rows: list[tuple[int, str, str]], recipe: WindowRecipe
) -> set[WindowStatus]:
    windows = cut(contig, rows, recipe)
    expected = [slow_window(contig, row, recipe) for row in rows]
    assert windows.status.tolist() == [status for status, _, _ in expected]
    assert texts(windows.ref_windows) == [ref for _, ref, _ in expected if ref is not None]
    assert texts(windows.var_windows) == [var for _, _, var in expected if var is not None]
    kept = [row for row, (status, _, _) in zip(rows, expected, strict=True) if status == KEPT]
    starts, offsets = windows.start[windows.kept], windows.offset[windows.kept]
    assert (starts + offsets + 1).tolist() == [pos for pos, _, _ in kept]
    assert windows.known[windows.kept].tolist() == ["N" not in text for text in texts(windows.ref_windows)]
    return {status for status, _, _ in expected}


@pytest.mark.parametrize(
    "wrong",
    [
        {"anchor": 1024},
        {"anchor": -1},
        {"length": 0, "anchor": 0},
        {"layout": "tiled"},
        {"layout": "grid"},
        {"layout": "grid", "stride": 512, "reach": 0},
        {"layout": "grid", "stride": 512, "reach": 513},
        {"layout": "grid", "stride": 512, "reach": 128, "anchor": 512},
        {"stride": 512},
    ],
)
def test_a_wrong_recipe_is_refused(wrong):
    with pytest.raises(SettingsError, match="Expected"):
        WindowRecipe(**wrong)


def test_a_recipe_is_plain_values_in_a_manifest():
    assert WindowRecipe().as_dict() == {"length": 1024, "anchor": 512, "layout": "centred"}


def test_a_grids_recipe_is_plain_values_too():
    recipe = WindowRecipe(layout="grid", stride=512, reach=128)
    assert recipe.as_dict() == {"length": 1024, "layout": "grid", "stride": 512, "reach": 128}


def slow_grid_start(first: int, contig_length: int, recipe: WindowRecipe) -> int | None:
    """Among all windows of the grid and the contig's last, the one with the most bases before the variant."""
    last = contig_length - recipe.length
    starts = {*range(0, last + 1, recipe.stride), last}
    holding = [start for start in starts if start <= first and first + recipe.reach <= start + recipe.length]
    return min(holding, default=None)


def test_a_grids_window_is_the_one_with_the_most_bases_before_the_variant():
    generator = np.random.default_rng(0)
    for _ in range(300):
        length = int(generator.integers(2, 40))
        reach = int(generator.integers(1, length))
        stride = int(generator.integers(1, length - reach + 1))
        recipe = WindowRecipe(length=length, layout="grid", stride=stride, reach=reach)
        size = int(generator.integers(length, 150))
        first = np.arange(-2, size + 2)
        start, inside = recipe.starts(first, size)
        for at, found, kept in zip(first.tolist(), start.tolist(), inside.tolist(), strict=True):
            expected = slow_grid_start(at, size, recipe) if 0 <= at <= size - reach else None
            assert kept == (expected is not None)
            assert not kept or found == expected


def test_variants_of_one_place_on_the_grid_share_a_window_that_holds_their_reach():
    contig = "ACGTTGCAAGCTTACGGATC" * 10
    recipe = WindowRecipe(length=32, layout="grid", stride=16, reach=8)
    rows = [(pos, contig[pos - 1], "ACGT"[("ACGT".index(contig[pos - 1]) + 1) % 4]) for pos in range(1, 194)]
    windows = cut(contig, rows, recipe)
    assert (windows.status == KEPT).all()
    assert len(set(texts(windows.ref_windows[:25]))) == 1  # the first window: up to 25 bases before the variant
    assert windows.offset.max() == 24
    assert windows.offset[40:].min() == 9
    assert set((windows.start % 16).tolist()) <= {0, (200 - 32) % 16}
    assert cut(contig, [(194, contig[193], "ACGT")], recipe).status.tolist() == [WINDOW]


def test_on_a_contig_shorter_than_a_window_nothing_has_one():
    recipe = WindowRecipe(length=32, layout="grid", stride=16, reach=8)
    assert cut("ACGT", [(1, "A", "C"), (2**62, "A", "C")], recipe).status.tolist() == [WINDOW, WINDOW]


@pytest.mark.parametrize("recipe", [SMALL, WindowRecipe(length=16, layout="grid", stride=4, reach=6)])
def test_the_other_strands_windows_are_those_of_the_turned_contig(recipe):
    """Oracle: edit the contig as text, turn it round, and read from where the other strand's window begins."""
    contig = "ACGTTGCAAGCTTACGGATCCATGCCGTAAGTCTGACCTA" * 2
    rows = [
        (pos, contig[pos - 1 : pos - 1 + size], alt)
        for pos in (1, 3, 9, 20, 40, 61)
        for size in (1, 2, 5)
        for alt in ("A", "TTC", "GGGGGGGGG")
    ]
    rows = [row for row in rows if row[1] != row[2]]
    windows = cut(contig, rows, recipe)
    kept = [row for row, status in zip(rows, windows.status, strict=True) if status == KEPT]
    start, offset = windows.start[windows.kept], windows.offset[windows.kept]
    found = cut_reverse_windows(
        dna(contig), start, offset, [ref for _, ref, _ in kept], [alt for _, _, alt in kept], 16
    )
    assert len(kept) > 30
    for (pos, ref, alt), begin, text in zip(kept, start.tolist(), texts(found), strict=True):
        edited = "N" * 60 + contig[: pos - 1] + alt + contig[pos - 1 + len(ref) :]
        end = 60 + begin + 16 + len(alt) - len(ref)  # the window's right end, moved by the indel
        window = edited[end - 16 : end]
        assert text == window[::-1].translate(str.maketrans("ACGT", "TGCA"))
