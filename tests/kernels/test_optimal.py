"""Optimal pairs and full matching against general solvers, ties included; never worse than greedy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, linear_sum_assignment, milp

from evaltoolkit.kernels.edges import TooManyEdgesError, allowed_edges
from evaltoolkit.kernels.optimal import Edges, full_match, full_match_sparse, pair_optimal, pair_optimal_sparse
from evaltoolkit.kernels.pairing import Constraints, Rule, pair_nearest

# Sums of a few dozen distances below 10.
CLOSE = 1e-10
quarters = st.integers(0, 12).map(lambda k: k / 4)
places = st.one_of(quarters, st.floats(0, 3, allow_subnormal=False))
worlds = st.lists(st.tuples(places, st.booleans()), min_size=2, max_size=14).filter(
    lambda w: 0 < sum(f for _, f in w) < len(w)
)


def split(world):
    return np.array([x for x, _ in world]), np.array([f for _, f in world])


def total_of(score, pairs) -> float:
    return float(np.abs(score[pairs.focal] - score[pairs.match]).sum())


def assignment(score, focal, ratio) -> float:
    distance = np.abs(np.repeat(score[focal], ratio)[:, None] - score[~focal][None])
    rows, columns = linear_sum_assignment(distance)
    return float(distance[rows, columns].sum())


@settings(max_examples=150, deadline=None)
@given(worlds, st.integers(1, 3))
def test_pairs_on_a_line_are_the_assignment(world, ratio) -> None:
    score, focal = split(world)
    pairs = pair_optimal(score, focal, ratio)
    ones, others = int(focal.sum()), int((~focal).sum())
    each = min(ratio, others // ones) or 1
    assert pairs.focal.size == min(ones * each, others)
    assert np.unique(pairs.match).size == pairs.match.size
    assert focal[pairs.focal].all()
    assert not focal[pairs.match].any()
    assert total_of(score, pairs) == pytest.approx(assignment(score, focal, each), abs=CLOSE)


def edge_cover(score, focal) -> float:
    one, two = np.nonzero(np.ones((focal.sum(), (~focal).sum())))
    a, b = np.flatnonzero(focal)[one], np.flatnonzero(~focal)[two]
    covers = np.zeros((score.size, a.size))
    covers[a, np.arange(a.size)] = covers[b, np.arange(a.size)] = 1
    found = milp(
        np.abs(score[a] - score[b]), constraints=LinearConstraint(covers, 1, np.inf), bounds=Bounds(0, 1),
        integrality=np.ones(a.size),
    )  # fmt: skip
    return float(found.fun)


def check_sets(sets, score, focal) -> None:
    """Every set is a star: one of one group, at least one of the other."""
    total = 0.0
    for code in np.unique(sets.code[sets.code >= 0]):
        inside = sets.code == code
        mine, others = int((inside & focal).sum()), int((inside & ~focal).sum())
        assert min(mine, others) == 1
        assert inside[code]
        total += float(np.abs(score[inside] - score[code]).sum())
    assert sets.total == pytest.approx(total, abs=CLOSE)


@settings(max_examples=80, deadline=None)
@given(worlds)
def test_full_matching_is_the_cheapest_edge_cover(world) -> None:
    score, focal = split(world)
    least = edge_cover(score, focal)
    on_line = full_match(score, focal)
    sparse = full_match_sparse(allowed_edges(score, focal), score.size)
    for sets in (on_line, sparse):
        assert (sets.code >= 0).all()
        check_sets(sets, score, focal)
        # The integer solver works to its own tolerance of 1e-6.
        assert sets.total == pytest.approx(least, abs=1e-6)
    assert on_line.total == pytest.approx(sparse.total, abs=CLOSE)


@settings(max_examples=60, deadline=None)
@given(worlds, st.sampled_from([0.25, 0.5, 1.0]), st.integers(1, 2))
def test_pairs_within_a_caliper_are_as_many_and_as_near_as_can_be(world, width, ratio) -> None:
    score, focal = split(world)
    edges = allowed_edges(score, focal, width)
    pairs = pair_optimal_sparse(edges, ratio)
    greedy = pair_nearest(score, focal, Rule(caliper=width, ratio=ratio))
    assert pairs.focal.size >= greedy.focal.size
    assert (np.abs(score[pairs.focal] - score[pairs.match]) <= width).all()
    distance = np.abs(np.repeat(score[focal], ratio)[:, None] - score[~focal][None])
    way_out = 1000.0
    cost = np.hstack([np.where(distance <= width, distance, 1e6), np.full((distance.shape[0],) * 2, way_out)])
    rows, columns = linear_sum_assignment(cost)
    best = cost[rows, columns]
    assert pairs.focal.size == (best < way_out).sum()
    assert total_of(score, pairs) == pytest.approx(best[best < way_out].sum(), abs=CLOSE)


@given(st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_optimal_is_never_worse_than_greedy(seed) -> None:
    rng = np.random.default_rng(seed)
    score, focal = rng.normal(size=80), rng.random(80) < 0.4
    greedy = pair_nearest(score, focal, Rule())
    optimal = pair_optimal(score, focal)
    assert optimal.focal.size >= greedy.focal.size
    if optimal.focal.size == greedy.focal.size:
        assert total_of(score, optimal) <= total_of(score, greedy) + CLOSE


def test_optimal_is_strictly_better_where_greedy_takes_what_another_needs() -> None:
    score, focal = np.array([1.0, 0.75, 0.7, 0.2]), np.array([True, True, False, False])
    assert total_of(score, pair_nearest(score, focal, Rule(order="largest"))) == pytest.approx(0.85)
    assert total_of(score, pair_optimal(score, focal)) == pytest.approx(0.85)
    score = np.array([0.6, 0.5, 0.55, 1.5])
    assert total_of(score, pair_nearest(score, focal, Rule(order="smallest"))) == pytest.approx(0.95)
    assert total_of(score, pair_nearest(score, focal, Rule(order="largest"))) == pytest.approx(1.05)
    assert total_of(score, pair_optimal(score, focal)) == pytest.approx(0.95)


def test_strata_are_solved_one_by_one() -> None:
    rng = np.random.default_rng(2)
    score, focal, strata = rng.random(90), rng.random(90) < 0.3, rng.integers(0, 4, 90)
    pairs, sets = pair_optimal(score, focal, strata=strata), full_match(score, focal, strata)
    assert (strata[pairs.focal] == strata[pairs.match]).all()
    assert (strata[sets.code] == strata).all()
    parts = [full_match(score[strata == s], focal[strata == s]).total for s in range(4)]
    assert sets.total == pytest.approx(sum(parts), abs=CLOSE)


def test_of_tied_centres_the_first_takes_all_but_one() -> None:
    score = np.array([0.5, 0.5, 0.5, 0.45, 0.55, 0.5])
    focal = np.array([False, False, True, True, True, True])
    sets = full_match(score, focal)
    sizes = [int((sets.code == sets.code[i]).sum()) for i in (0, 1)]
    assert sizes == [4, 2]


def test_edges_obey_every_limit() -> None:
    rng = np.random.default_rng(4)
    n = 60
    line, focal, strata = rng.random(n), rng.random(n) < 0.5, rng.integers(0, 2, n)
    columns, apart = rng.normal(size=(n, 2)), rng.integers(0, 3, (n, 1))
    limits = Constraints(columns, np.array([0.8, -0.2]), apart)
    edges = allowed_edges(line, focal, 0.3, strata, limits, columns)
    expected = {
        (i, j)
        for i in np.flatnonzero(focal)
        for j in np.flatnonzero(~focal)
        if abs(line[i] - line[j]) <= 0.3
        and strata[i] == strata[j]
        and abs(columns[i, 0] - columns[j, 0]) <= 0.8
        and abs(columns[i, 1] - columns[j, 1]) > 0.2
        and apart[i, 0] != apart[j, 0]
    }
    assert set(zip(edges.focal.tolist(), edges.other.tolist(), strict=True)) == expected
    np.testing.assert_allclose(edges.distance, np.linalg.norm(columns[edges.focal] - columns[edges.other], axis=1))


def test_too_many_edges_are_refused() -> None:
    n = 12_000
    with pytest.raises(TooManyEdgesError, match="36,000,000"):
        allowed_edges(np.zeros(n), np.arange(n) < n // 2)


def test_no_edge_gives_no_pair() -> None:
    none = np.empty(0, dtype=np.int64)
    assert pair_optimal_sparse(Edges(none, none, np.empty(0))).focal.size == 0
    assert (full_match_sparse(Edges(none, none, np.empty(0)), 3).code == -1).all()
