"""Nearest neighbours in several dimensions against a search over all pairs, ties included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.kernels.distances import pair_nearest_points, straightened
from evaltoolkit.kernels.listed import pair_nearest_listed
from evaltoolkit.kernels.optimal import Edges
from evaltoolkit.kernels.pairing import Constraints, Rule, focal_order


def brute(points, focal, rule, turn, strata, limits):
    """Everybody looks at everybody: the nearest, of ties the one farthest along the first axis, the right of two."""
    used = np.zeros(focal.size, dtype=int)
    most = (rule.limit or 10**9) if rule.replace else 1
    result: dict[int, list[int]] = {}
    waiting = focal_order(turn, focal, rule).tolist()

    def offers(i):
        rows = np.flatnonzero(strata == strata[i])
        place = {int(r): k for k, r in enumerate(rows[np.argsort(points[rows, 0], kind="stable")])}
        found = []
        for j in rows[~focal[rows]].tolist():
            fine = used[j] < most and j not in result.get(i, [])
            fine &= all(abs(c[i] - c[j]) <= w for c, w in zip(limits.columns.T, limits.widths, strict=True))
            fine &= all(a[i] != a[j] for a in limits.apart.T)
            if fine:
                steps = place[j] - place[i]
                late = 2 * abs(steps) + (steps > 0)
                found.append((sum((points[i, k] - points[j, k]) ** 2 for k in range(points.shape[1])), -late, j))
        return sorted(found)

    for _ in range(rule.ratio):
        taken = {}
        for i in waiting:
            if near := offers(i):
                taken[i] = near[0][2]
                used[near[0][2]] += 1
                result.setdefault(i, []).append(near[0][2])
        waiting = [i for i in waiting if i in taken]
    return result


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 2**31), st.integers(1, 3), st.sampled_from(["data", "largest", "smallest"]),
    st.sampled_from([(False, None), (True, 2), (True, None)]), st.booleans(),
)  # fmt: skip
def test_the_tree_is_the_brute_force(seed, ratio, order, reuse, limited) -> None:
    rng = np.random.default_rng(seed)
    n = 40
    points = rng.integers(0, 4, (n, 2)) / 2 if seed % 2 else rng.normal(size=(n, 3))
    focal, turn, strata = rng.random(n) < 0.4, rng.random(n), rng.integers(0, 2, n)
    limits = Constraints(np.empty((n, 0)), np.empty(0), np.empty((n, 0), dtype=np.int64))
    if limited:
        limits = Constraints(rng.random((n, 1)), np.array([0.4]), rng.integers(0, 3, (n, 1)))
    rule = Rule(ratio=ratio, order=order, replace=reuse[0], limit=reuse[1])
    pairs = pair_nearest_points(points, focal, rule, turn, strata, limits)
    found: dict[int, list[int]] = {}
    for i, j in zip(pairs.focal.tolist(), pairs.match.tolist(), strict=True):
        found.setdefault(i, []).append(j)
    assert found == brute(points, focal, rule, turn, strata, limits)


@pytest.mark.parametrize("order", ["closest", "farthest"])
def test_by_distance_uses_nobody_twice_and_starts_at_the_right_end(order) -> None:
    rng = np.random.default_rng(3)
    points, focal = rng.normal(size=(60, 2)), rng.random(60) < 0.4
    pairs = pair_nearest_points(points, focal, Rule(order=order))
    assert np.unique(pairs.match).size == pairs.match.size == focal.sum()
    gaps = np.linalg.norm(points[focal][:, None] - points[~focal][None], axis=2)
    far = dict(
        zip(pairs.focal.tolist(), np.linalg.norm(points[pairs.focal] - points[pairs.match], axis=1), strict=True)
    )
    nearest = gaps.min(axis=1)
    first = int(np.argmin(nearest) if order == "closest" else np.argmax(nearest))
    assert far[int(np.flatnonzero(focal)[first])] == pytest.approx(nearest[first])


def test_a_caliper_is_on_the_distance() -> None:
    rng = np.random.default_rng(5)
    points, focal = rng.normal(size=(80, 2)), rng.random(80) < 0.4
    pairs = pair_nearest_points(points, focal, Rule(caliper=0.4))
    assert (np.linalg.norm(points[pairs.focal] - points[pairs.match], axis=1) <= 0.4).all()
    assert 0 < pairs.focal.size < focal.sum()


def world(seed=1, n=50):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) @ np.array([[2.0, 0, 0], [1, 1, 0], [0.5, 0.2, 3]])
    return X, rng.random(n) < 0.4


def squared(Z, i, j) -> float:
    return float(((Z[i] - Z[j]) ** 2).sum())


def test_mahalanobis_is_its_formula() -> None:
    X, treated = world()
    centred = X.copy()
    for group in (treated, ~treated):
        centred[group] -= X[group].mean(axis=0)
    # Divided by n - 1, as cov() of centred columns is; the scale of a distance orders nothing.
    inverse = np.linalg.inv(centred.T @ centred / (len(X) - 1))
    Z = straightened(X, treated)
    for i, j in ((0, 1), (3, 17), (20, 40)):
        assert squared(Z, i, j) == pytest.approx((X[i] - X[j]) @ inverse @ (X[i] - X[j]), rel=1e-10)


def test_ranks_and_scales() -> None:
    X, treated = world(2)
    ranks = X.argsort(axis=0).argsort(axis=0) + 1.0
    inverse = np.linalg.inv(np.cov(ranks, rowvar=False))
    Z = straightened(np.exp(X), treated, "robust-mahalanobis")
    assert squared(Z, 2, 9) == pytest.approx((ranks[2] - ranks[9]) @ inverse @ (ranks[2] - ranks[9]), rel=1e-9)
    Y = straightened(X * np.array([1.0, 100, 1e-3]), treated, "scaled-euclidean")
    assert squared(Y, 2, 9) == pytest.approx(squared(straightened(X, treated, "scaled-euclidean"), 2, 9), rel=1e-9)


def test_redundant_and_constant_columns_change_nothing() -> None:
    X, treated = world(3)
    level = (X[:, 0] > 0).astype(float)
    one = straightened(np.column_stack([X, level]), treated)
    both = straightened(np.column_stack([X, level / np.sqrt(2), (1 - level) / np.sqrt(2), np.ones(len(X))]), treated)
    assert squared(both, 0, 7) == pytest.approx(squared(one, 0, 7), rel=1e-8)
    assert straightened(np.ones((4, 2)), np.array([True, False, True, False])).shape == (4, 1)


@given(st.integers(0, 2**31), st.integers(1, 2), st.sampled_from([(False, None), (True, 2)]))
@settings(max_examples=40, deadline=None)
def test_along_listed_pairs_it_is_the_brute_force(seed, ratio, reuse) -> None:
    rng = np.random.default_rng(seed)
    focal, turn = rng.random(24) < 0.4, rng.random(24)
    distance = rng.integers(0, 5, (24, 24)) / 2
    allowed = (rng.random((24, 24)) < 0.6) & focal[:, None] & ~focal[None]
    one, two = np.nonzero(allowed)
    rule = Rule(ratio=ratio, replace=reuse[0], limit=reuse[1])
    pairs = pair_nearest_listed(Edges(one, two, distance[one, two]), focal, rule, turn)
    used, expected, waiting = np.zeros(24, int), [], focal_order(turn, focal, rule).tolist()
    for _ in range(ratio):
        for i in list(waiting):
            fits = [
                (distance[i, j], j)
                for j in np.flatnonzero(allowed[i])
                if used[j] < (reuse[1] or 1) and (i, j) not in expected
            ]
            if fits:
                expected.append((i, min(fits)[1]))
                used[min(fits)[1]] += 1
            else:
                waiting.remove(i)
    assert set(zip(pairs.focal.tolist(), pairs.match.tolist(), strict=True)) == set(expected)
