import numpy as np
import pytest

from glm_assets.genome.intervals import covered_bases, merge_intervals, overlap_components


def array(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def random_intervals(seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    count = generator.integers(0, 60)
    starts = generator.integers(0, generator.integers(50, 2000), count)
    return starts, starts + generator.integers(1, 60, count)


def components_by_search(starts: np.ndarray, ends: np.ndarray) -> list[frozenset[int]]:
    """Flood fill over all pairs."""
    left, components = set(range(len(starts))), []
    while left:
        component, frontier = set(), {left.pop()}
        while frontier:
            one = frontier.pop()
            component.add(one)
            near = {other for other in left if starts[other] < ends[one] and starts[one] < ends[other]}
            left -= near
            frontier |= near
        components.append(frozenset(component))
    return components


def test_touching_intervals_are_apart_and_one_shared_base_joins():
    assert overlap_components(array(0, 10, 19), array(10, 20, 30)).tolist() == [0, 1, 1]


def test_a_long_interval_joins_what_lies_far_behind_its_neighbour():
    assert overlap_components(array(0, 5, 90, 200), array(100, 8, 95, 300)).tolist() == [0, 0, 0, 1]


def test_components_follow_the_input_order_and_count_by_position():
    assert overlap_components(array(50, 0, 55), array(60, 10, 65)).tolist() == [1, 0, 1]


def test_no_intervals_have_no_components():
    assert overlap_components(array(), array()).tolist() == []
    assert [part.tolist() for part in merge_intervals(array(), array())] == [[], []]


@pytest.mark.parametrize("seed", range(50))
def test_components_agree_with_a_search_over_all_pairs(seed):
    starts, ends = random_intervals(seed)
    components = overlap_components(starts, ends)
    found = {frozenset(np.flatnonzero(components == number).tolist()) for number in set(components.tolist())}
    assert found == set(components_by_search(starts, ends))


@pytest.mark.parametrize("seed", range(50))
def test_coverage_agrees_with_a_set_of_bases(seed):
    starts, ends = random_intervals(seed)
    query_starts, query_ends = random_intervals(seed + 1000)
    union = merge_intervals(starts, ends)
    bases = {base for start, end in zip(starts, ends, strict=True) for base in range(start, end)}
    assert {base for start, end in zip(*union, strict=True) for base in range(start, end)} == bases
    assert np.all(union[0][1:] >= union[1][:-1])
    expected = [len(bases & set(range(s, e))) for s, e in zip(query_starts, query_ends, strict=True)]
    assert covered_bases(query_starts, query_ends, union).tolist() == expected


def test_nothing_is_covered_by_an_empty_union():
    assert covered_bases(array(5), array(9), merge_intervals(array(), array())).tolist() == [0]
