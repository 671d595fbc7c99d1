"""Sensitivity to departures from parallel trends against slow programs that follow the papers word by word."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from evaltoolkit.kernels.honest import (
    EventStudy,
    HonestError,
    Method,
    breakdown,
    honest_relative,
    honest_smoothness,
    original_interval,
)
from evaltoolkit.kernels.honest_conditional import (
    Inequalities,
    Threshold,
    accepted_range,
    accepts,
    inequalities,
    least_favourable_value,
    threshold,
)
from evaltoolkit.kernels.honest_length import fixed_length, folded_quantile
from evaltoolkit.kernels.honest_restrictions import Restriction, relative_magnitudes, smoothness

SHAPES = [(1, 1), (1, 3), (2, 1), (3, 2), (4, 4), (6, 3)]
TESTS: tuple[Method, ...] = ("hybrid", "conditional")


def world(n_pre: int, n_post: int, seed: int = 1) -> tuple[EventStudy, np.ndarray]:
    rng = np.random.default_rng([seed, n_pre, n_post])
    k = n_pre + n_post
    root = rng.normal(size=(k, k + 2)) + 1.5 * rng.normal(size=k + 2)
    study = EventStudy(rng.normal(size=k) * 3, root @ root.T / k, n_pre)
    return study, rng.normal(size=n_post)


def parts(study: EventStudy) -> list[Restriction]:
    n, p = study.n_pre, study.n_post
    relative = [r for m in (0.0, 0.7, 2.0) for r in relative_magnitudes(n, p, m)]
    return [*(smoothness(n, p, m) for m in (0.0, 0.5)), *relative]


class Slow:
    """The test of Andrews, Roth and Pakes by linear programs: rows A delta <= d, nuisance effects, dual, truncation."""

    def __init__(self, study: EventStudy, weights: np.ndarray, part: Restriction) -> None:
        post = slice(study.n_pre, None)
        A = np.vstack([part.differences - part.reach, -part.differences - part.reach])
        self.y0 = A @ study.estimates - part.m
        self.sigma = A @ study.covariance @ A.T
        self.sd = np.sqrt(np.diag(self.sigma))
        self.shift = A[:, post] @ weights / (weights @ weights)
        self.X = A[:, post] @ np.linalg.svd(weights[None, :])[2][1:].T
        self.dual = np.vstack([self.sd, self.X.T])
        self.unit = np.eye(self.dual.shape[0])[0]

    def solve(self, y: np.ndarray) -> tuple[float, np.ndarray]:
        found = optimize.linprog(-y, A_eq=self.dual, b_eq=self.unit, bounds=(0, None), method="highs-ds")
        assert found.status == 0
        return -float(found.fun), found.x

    def eta(self, theta: float) -> tuple[float, np.ndarray]:
        y = self.y0 - self.shift * theta
        rows = np.column_stack([-self.sd, -self.X])
        cost = np.eye(rows.shape[1])[0]
        primal = optimize.linprog(cost, A_ub=rows, b_ub=-y, bounds=(None, None), method="highs")
        value, gamma = self.solve(y)
        assert primal.fun == pytest.approx(value, abs=1e-7)
        return value, gamma

    def accepts(self, theta: float, test: Threshold) -> bool:
        eta, gamma = self.eta(theta)
        if eta <= 0:
            return True
        variance = gamma @ self.sigma @ gamma
        if eta > test.least_favourable or variance < 1e-12:
            return False
        load = self.sigma @ gamma / variance
        rest = self.y0 - self.shift * theta - load * eta
        sd = np.sqrt(variance)
        low, high = (self.limit(rest, load, eta, sign * 60 * sd) for sign in (-1, 1))
        high = min(high, test.least_favourable)
        cut = stats.truncnorm.ppf(1 - test.size, low / sd, high / sd) * sd
        return bool(eta <= max(cut, 0.0))

    def limit(self, rest: np.ndarray, load: np.ndarray, inside: float, far: float) -> float:
        """Bisect for the end of the values at which the same vertex stays a solution."""
        outside = inside + far

        def stays(c: float) -> bool:
            return abs(self.solve(rest + load * c)[0] - c) < 1e-9 * (1 + abs(far))

        if stays(outside):
            return float(np.sign(far) * np.inf)
        for _ in range(45):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if stays(middle) else (inside, middle)
        return inside


def at(moments: Inequalities, theta: float) -> np.ndarray:
    return moments.values + moments.slopes * theta


@pytest.mark.parametrize("shape", SHAPES)
def test_four_moments_are_the_linear_program(shape: tuple[int, int]) -> None:
    study, weights = world(*shape)
    for part in parts(study):
        moments = inequalities(study, weights, part)
        slow = Slow(study, weights, part)
        for theta in moments.centre + np.array([-9.0, -2.0, -0.3, 0.0, 0.4, 3.0, 12.0]):
            assert at(moments, theta).max() == pytest.approx(slow.eta(theta)[0], abs=1e-7)


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (2, 3)])
@pytest.mark.parametrize("hybrid", [True, False])
def test_ends_are_where_the_slow_test_changes(shape: tuple[int, int], *, hybrid: bool) -> None:
    study, weights = world(*shape)
    compared = 0
    for part in parts(study)[1::3]:
        moments = inequalities(study, weights, part)
        test = threshold(moments, 0.9, hybrid=hybrid)
        low, high, is_open = accepted_range(moments, test)
        if np.isnan(low):
            continue
        assert not is_open
        slow = Slow(study, weights, part)
        step = 1e-4 * (high - low)
        assert [slow.accepts(x, test) for x in (low - step, low + step)] == [False, True]
        assert [slow.accepts(x, test) for x in (high + step, high - step)] == [False, True]
        compared += 1
    assert compared >= 2


@pytest.mark.parametrize("shape", [(2, 1), (3, 3)])
def test_slow_and_fast_tests_agree_between(shape: tuple[int, int]) -> None:
    study, weights = world(*shape, seed=4)
    outcomes = []
    for part in parts(study)[::2]:
        moments = inequalities(study, weights, part)
        slow = Slow(study, weights, part)
        for hybrid in (True, False):
            test = threshold(moments, 0.8, hybrid=hybrid)
            for theta in moments.centre + np.array([-5.0, -1.0, 0.5, 4.0]):
                fast = bool(accepts(moments, test, np.array([theta]))[0])
                assert fast == slow.accepts(theta, test)
                outcomes.append(fast)
    assert 0.1 < np.mean(outcomes) < 0.9


@pytest.mark.parametrize("shape", SHAPES)
def test_least_favourable_value_is_the_quantile_of_draws(shape: tuple[int, int]) -> None:
    study, weights = world(*shape)
    draws, size = 400_000, 0.02
    noise = np.random.default_rng(7).standard_normal((draws, 2))
    for part in parts(study):
        moments = inequalities(study, weights, part)
        largest = (noise @ moments.loadings.T).max(axis=1)
        above = float(np.mean(largest > least_favourable_value(moments, size)))
        assert above == pytest.approx(size, abs=5 * np.sqrt(size / draws))


def test_loadings_are_the_covariance_of_the_moments() -> None:
    study, weights = world(3, 2)
    for part in parts(study):
        found = inequalities(study, weights, part)
        columns = [inequalities(replace(study, estimates=e), weights, replace(part, m=0.0)).values for e in np.eye(5)]
        J = np.array(columns).T
        assert found.loadings @ found.loadings.T == pytest.approx(J @ study.covariance @ J.T, abs=1e-10)


def test_least_favourable_value_without_noise_is_zero() -> None:
    part = smoothness(1, 1, 0.5)
    study = EventStudy(np.array([0.0, 1.0]), np.zeros((2, 2)), 1)
    assert least_favourable_value(inequalities(study, np.ones(1), part), 0.01) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("mean", [0.0, 1e-8, 0.3, 1.7, 8.0, 1e6])
def test_folded_quantile_has_its_probability(level: float, mean: float) -> None:
    x = folded_quantile(level, mean)
    assert stats.norm.cdf(x - mean) - stats.norm.cdf(-x - mean) == pytest.approx(level, abs=1e-9)


def worst_bias(row: np.ndarray, n_pre: int, n_post: int) -> float:
    """The largest row'delta when no change of slope exceeds 1, by a linear program."""
    D = np.delete(np.diff(np.eye(n_pre + n_post + 1), n=2, axis=0), n_pre, axis=1)
    ends = [
        optimize.linprog(s * row, A_ub=np.vstack([D, -D]), b_ub=np.ones(2 * len(D)), bounds=(None, None)).fun
        for s in (1, -1)
    ]
    return float(-min(ends))


def shortest(study: EventStudy, weights: np.ndarray, m: float, level: float) -> float:
    """The least half-length, by a general program from several starts in positive and negative parts of c."""
    n, rng = study.n_pre, np.random.default_rng(3)
    t = np.arange(1, study.n_post + 1)
    later = sum(abs(sum((s - j) * weights[s - 1] for s in t if s > j)) for j in t[:-1])

    def half(z: np.ndarray) -> float:
        c = np.concatenate([[t @ weights], z[: n - 1] - z[n - 1 :], [0.0, 0.0]])
        k = [c[s - 1] - 2 * c[s] + c[s + 1] for s in range(n, 0, -1)]
        row = np.append(k, weights)
        h = np.sqrt(row @ study.covariance @ row)
        return float(h * folded_quantile(level, m * (later + abs(c[0]) + z.sum()) / h))

    if n == 1:
        return half(np.zeros(0))
    starts = [np.zeros(2 * n - 2), *rng.uniform(0, 2, size=(6, 2 * n - 2))]
    options: Any = {"ftol": 1e-15, "maxiter": 1000}
    return min(
        optimize.minimize(half, z, method="SLSQP", bounds=[(0, None)] * (2 * n - 2), options=options).fun
        for z in starts
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("m", [0.0, 0.01, 0.1, 0.5, 3.0])
def test_fixed_length_is_the_shortest(shape: tuple[int, int], m: float) -> None:
    study, weights = world(*shape)
    (found,) = fixed_length(study, weights, np.array([m]), 0.95)
    best = shortest(study, weights, m, 0.95)
    assert found.half_length <= best * (1 + 1e-9)
    assert found.half_length == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_fixed_length_bias_and_error_are_those_of_its_weights(shape: tuple[int, int]) -> None:
    study, weights = world(*shape)
    for seed, m in itertools.product((1, 2), (0.0, 0.2, 1.0)):
        study, weights = world(*shape, seed=seed)
        (found,) = fixed_length(study, weights, np.array([m]), 0.95)
        assert found.weights[study.n_pre :] == pytest.approx(weights)
        assert found.std_error == pytest.approx(np.sqrt(found.weights @ study.covariance @ found.weights))
        assert found.bias == pytest.approx(m * worst_bias(found.weights, *shape), abs=1e-9)
        assert found.half_length == pytest.approx(found.std_error * folded_quantile(0.95, found.bias / found.std_error))


@pytest.mark.parametrize("n_pre", [2, 5, 12, 30])
def test_fixed_length_with_independent_errors_of_equal_size(n_pre: int) -> None:
    study = EventStudy(np.zeros(n_pre + 3), np.eye(n_pre + 3), n_pre)
    weights = np.array([1.0, 0.0, -2.0])
    rows = fixed_length(study, weights, np.array([0.0, 1e-3, 0.02, 0.3, 5.0]), 0.95)
    halves = [r.half_length for r in rows]
    assert halves == sorted(halves)
    # without bounds the weights are those of a regression through the reference
    t = np.arange(-n_pre, 0)
    assert rows[0].weights[:n_pre] == pytest.approx(5.0 * t / (t @ t), abs=1e-7)
    sums = np.cumsum(np.cumsum(np.eye(n_pre), axis=0), axis=0)[:, ::-1]  # of k, earliest first: c from far to near
    back = np.linalg.inv(sums @ np.eye(n_pre)[::-1])
    rng = np.random.default_rng(1)
    for row, m in zip(rows[1:], (1e-3, 0.02, 0.3, 5.0), strict=True):
        for step in (1e-6, 1e-3, 0.1):
            for _ in range(20):
                c = rng.normal(size=n_pre) * (rng.random(n_pre) < 0.3) * step
                c[-1] = 0.0
                other = row.weights + np.append(back @ c, np.zeros(3))
                h = np.sqrt(other @ other)
                later = abs(weights[1] + 2 * weights[2]) + abs(weights[2])
                b = later + np.abs(np.cumsum(np.cumsum(other[:n_pre]))).sum()
                assert row.half_length <= h * folded_quantile(0.95, m * b / h) * (1 + 1e-9)


def rows_of(study: EventStudy, weights: np.ndarray, scale: float = 1.0) -> np.ndarray:
    found = [original_interval(study, weights)]
    found += honest_smoothness(study, weights, [0.0, 0.3 * scale])
    for method in TESTS:
        found += honest_smoothness(study, weights, [0.0, 0.3 * scale], method=method)
        found += honest_relative(study, weights, [0.0, 0.8], method=method)
    assert not any(r.is_open for r in found)
    return np.array([(r.low, r.high) for r in found])


shapes = st.tuples(st.integers(1, 5), st.integers(1, 4))


@settings(max_examples=12, deadline=None)
@given(shapes, st.integers(0, 10_000), st.sampled_from([1e-12, 1e-6, 1e-3, 1e3, 1e9]))
def test_units_do_not_matter(shape: tuple[int, int], seed: int, scale: float) -> None:
    study, weights = world(*shape, seed=seed)
    other = EventStudy(study.estimates * scale, study.covariance * scale**2, study.n_pre)
    plain = rows_of(study, weights)
    assert rows_of(other, weights, scale) / scale == pytest.approx(plain, rel=1e-5, abs=1e-5)
    assert rows_of(study, weights * 1e-6) * 1e6 == pytest.approx(plain, rel=1e-5, abs=1e-5)


@settings(max_examples=12, deadline=None)
@given(shapes, st.integers(0, 10_000))
def test_effects_shift_and_mirror_intervals(shape: tuple[int, int], seed: int) -> None:
    study, weights = world(*shape, seed=seed)
    effect = np.random.default_rng(seed).normal(size=shape[1]) * 50
    moved = replace(study, estimates=study.estimates + np.append(np.zeros(shape[0]), effect))
    plain = rows_of(study, weights)
    assert rows_of(moved, weights) - effect @ weights == pytest.approx(plain, abs=1e-5)
    mirrored = replace(study, estimates=-study.estimates)
    assert -rows_of(mirrored, weights)[:, ::-1] == pytest.approx(plain, abs=1e-5)


@settings(max_examples=12, deadline=None)
@given(shapes, st.integers(0, 10_000), st.floats(-20, 20))
def test_a_linear_trend_does_not_move_smoothness_intervals(shape: tuple[int, int], seed: int, slope: float) -> None:
    study, weights = world(*shape, seed=seed)
    t = np.delete(np.arange(-shape[0], shape[1] + 1), shape[0])
    tilted = replace(study, estimates=study.estimates + slope * t)
    methods: tuple[Method, ...] = ("fixed-length", *TESTS)
    for method in methods:
        a, b = (honest_smoothness(s, weights, [0.4], method=method)[0] for s in (study, tilted))
        assert (a.low, a.high) == pytest.approx((b.low, b.high), abs=1e-5)


def test_bounds_of_zero_give_the_intervals_of_a_linear_trend_and_of_parallel_trends() -> None:
    study, weights = world(4, 3)
    relative = honest_relative(study, weights, [0.0], method="conditional")[0]
    usual = original_interval(study, weights)
    assert (relative.low, relative.high) == pytest.approx((usual.low, usual.high), abs=1e-6)
    single = EventStudy(study.estimates[3:], study.covariance[3:, 3:], 1)
    fixed = honest_smoothness(single, weights, [0.0])[0]
    tested = honest_smoothness(single, weights, [0.0], method="conditional")[0]
    assert (fixed.low, fixed.high) == pytest.approx((tested.low, tested.high), abs=1e-6)


def test_without_noise_intervals_are_the_identified_sets() -> None:
    """Rank deficient to the end: a covariance of zeros."""
    study = EventStudy(np.array([-1.0, 0.5, 2.0, 3.0]), np.zeros((4, 4)), 2)
    weights = np.array([0.0, 1.0])
    # the largest change before is 1.5, over two periods
    (row,) = honest_relative(study, weights, [0.5])
    assert (row.low, row.high) == pytest.approx((3 - 1.5, 3 + 1.5), abs=1e-6)
    for method in TESTS:
        # only the change into the reference, -0.5, binds: the trend goes on to -1, give or take M (2 + 1)
        (row,) = honest_smoothness(study, weights, [2.0], method=method)
        assert (row.low, row.high) == pytest.approx((4 - 6, 4 + 6), abs=1e-6)
    for method in TESTS:
        (exact,) = honest_relative(study, weights, [0.0], method=method)
        assert (exact.low, exact.high) == pytest.approx((3, 3), abs=1e-6)
        assert not exact.is_open


def test_a_singular_covariance_gives_intervals() -> None:
    rng = np.random.default_rng(5)
    root = rng.normal(size=(8, 3))
    study = EventStudy(rng.normal(size=8), root @ root.T, 5)
    weights = np.full(3, 1 / 3)
    near = EventStudy(study.estimates, study.covariance + 1e-11 * np.eye(8), 5)
    exact, close = rows_of(study, weights), rows_of(near, weights)
    assert (exact[:, 0] <= exact[:, 1]).all()
    # several combinations have neither error nor bias when slopes may not change: that row is one of them
    assert np.delete(exact, 1, axis=0) == pytest.approx(np.delete(close, 1, axis=0), abs=1e-3)
    assert [r.is_degenerate for r in honest_smoothness(study, weights, [0.0, 10.0])] == [True, False]
    assert not honest_smoothness(world(5, 3)[0], weights, [0.0])[0].is_degenerate


def test_weights_of_zero_sum() -> None:
    study, _ = world(3, 2)
    contrast = np.array([2.0, -1.0])  # no linear trend enters
    (row,) = fixed_length(study, contrast, np.array([100.0]), 0.95)
    assert row.bias == pytest.approx(100.0 * worst_bias(row.weights, 3, 2))
    assert row.bias == pytest.approx(100.0)
    assert row.weights[:3] == pytest.approx(0)


@pytest.mark.parametrize("restriction", ["smoothness", "relative"])
@pytest.mark.parametrize("null", [0.0, 1.0])
def test_breakdown_is_the_last_bound_that_leaves_out(restriction: Any, null: float) -> None:
    rng = np.random.default_rng(2)
    study = EventStudy(np.array([0.3, -0.2, 0.4, 5.0, 6.0]), np.eye(5) * 0.2 + 0.1, 3)
    weights = np.array([0.5, 0.5])
    intervals = honest_smoothness if restriction == "smoothness" else honest_relative
    methods: tuple[Method, ...] = ("fixed-length", *TESTS) if restriction == "smoothness" else TESTS
    for method in methods:
        found = breakdown(study, weights, restriction, method=method, null=null)
        assert found.value is not None
        assert found.from_zero
        step = 1e-4 * found.value
        inner, outer = intervals(study, weights, [found.value - step, found.value + step], method=method)
        assert not inner.low <= null <= inner.high
        assert outer.low <= null <= outer.high
        beyond = intervals(study, weights, list(found.value * rng.uniform(1.01, 20, size=15)), method=method)
        assert all(r.low <= null <= r.high for r in beyond)
    default = breakdown(study, weights, restriction, null=null)
    assert default == breakdown(study, weights, restriction, method=methods[0], null=null)


def test_breakdown_where_there_is_none() -> None:
    study = EventStudy(np.array([0.1, 0.2, 0.1]), np.eye(3), 2)
    assert breakdown(study, np.ones(1), "relative").value is None
    assert breakdown(study, np.ones(1), "smoothness").value is None
    certain = EventStudy(np.array([0.0, 0.0, 1.0]), np.zeros((3, 3)), 2)
    assert breakdown(certain, np.ones(1), "relative").value == np.inf
    # the earlier periods are level: the whole of 1 is one change of slope
    assert breakdown(certain, np.ones(1), "smoothness").value == pytest.approx(1.0, rel=1e-6)


def test_breakdown_tells_of_a_gap_at_small_bounds() -> None:
    """A trend through all earlier periods explains the effect; where slopes may change the last one counts most."""
    study = EventStudy(np.array([-2.5, 0.0, 1.0]), 0.01 * np.eye(3), 2)
    found = breakdown(study, np.ones(1), "smoothness")
    assert found.value is not None
    assert not found.from_zero
    zero, at_value = honest_smoothness(study, np.ones(1), [0.0, found.value * 0.999])
    assert zero.low <= 0 <= zero.high
    assert not at_value.low <= 0 <= at_value.high


@pytest.mark.parametrize("change", [{"level": 1.0}, {"level": 0.4}, {"ms": [-1.0]}, {"ms": [np.nan]}])
def test_settings_are_checked(change: dict[str, Any]) -> None:
    study, _ = world(2, 2)
    given = {"study": study, "weights": np.ones(2), "ms": [1.0]} | change
    for intervals in (honest_smoothness, honest_relative):
        with pytest.raises(HonestError) as caught:
            intervals(**given)
        assert caught.value.why == next(iter(change)).removesuffix("s")


@pytest.mark.parametrize("weights", [np.ones(3), np.zeros(2), np.array([1.0, np.inf])])
def test_weights_are_checked(weights: np.ndarray) -> None:
    with pytest.raises(HonestError) as caught:
        honest_relative(world(2, 2)[0], weights, [1.0])
    assert caught.value.why == "weights"


def test_relative_magnitudes_have_no_fixed_length() -> None:
    study, weights = world(2, 2)
    for call in (
        lambda: honest_relative(study, weights, [1.0], method="fixed-length"),
        lambda: breakdown(study, weights, "relative", method="fixed-length"),
    ):
        with pytest.raises(HonestError) as caught:
            call()
        assert caught.value.why == "method"


@pytest.mark.parametrize(
    ("estimates", "covariance", "n_pre", "why"),
    [
        (np.zeros(3), np.eye(2), 1, "shape"),
        (np.zeros(2), np.eye(2), 0, "shape"),
        (np.zeros(2), np.eye(2), 2, "shape"),
        (np.array([0.0, np.nan]), np.eye(2), 1, "finite"),
        (np.zeros(2), np.diag([1.0, np.inf]), 1, "finite"),
        (np.zeros(2), np.array([[1.0, 2.0], [2.0, 1.0]]), 1, "covariance"),
        (np.zeros(2), np.array([[1.0, 0.5], [0.2, 1.0]]), 1, "covariance"),
        (np.zeros(2), np.array([[0.0, 0.5], [0.5, 1.0]]), 1, "covariance"),
        (np.zeros(2), np.diag([1.0, -1.0]), 1, "covariance"),
    ],
)
def test_studies_are_checked(estimates: Any, covariance: Any, n_pre: int, why: str) -> None:
    with pytest.raises(HonestError) as caught:
        EventStudy(estimates, covariance, n_pre)
    assert caught.value.why == why
