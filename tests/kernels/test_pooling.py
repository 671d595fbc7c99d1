"""Pooling against direct optimisation and definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from evaltoolkit.kernels.pooling import Between, pool, without_each

METHODS: tuple[Between, ...] = ("none", "dersimonian-laird", "paule-mandel", "reml")
quick = settings(max_examples=40, deadline=None)


def sites(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 30))
    s = rng.uniform(0.2, 2, k)
    return rng.normal(1, rng.uniform(0, 2)) + rng.normal(0, 1, k) * s, s


def restricted(t: float, y: np.ndarray, s: np.ndarray) -> float:
    """The likelihood of k - 1 contrasts that are free of the mean."""
    k = y.size
    contrast = np.linalg.svd(np.ones((1, k)))[2][1:]
    return float(stats.multivariate_normal.logpdf(contrast @ y, cov=contrast @ np.diag(s**2 + t) @ contrast.T))


@quick
@given(seed=st.integers(0, 10_000))
def test_the_restricted_likelihood_is_at_its_top(seed: int) -> None:
    y, s = sites(seed)
    found = pool(y, s)
    best = restricted(found.tau2, y, s)
    for t in np.concatenate([[0.0], np.geomspace(1e-4, 100, 60), found.tau2 * np.array([0.99, 1.01])]):
        assert restricted(float(t), y, s) <= best + 1e-9


@quick
@given(seed=st.integers(0, 10_000))
def test_paule_and_mandel_meet_their_condition(seed: int) -> None:
    y, s = sites(seed)
    found = pool(y, s, between="paule-mandel")
    w = 1 / (s**2 + found.tau2)
    spread = float(w @ (y - found.estimate) ** 2)
    assert spread == pytest.approx(y.size - 1, rel=1e-7) if found.tau2 > 0 else spread <= y.size - 1 + 1e-9


@quick
@given(seed=st.integers(0, 10_000), method=st.sampled_from(METHODS), shift=st.floats(-9, 9), times=st.floats(0.1, 9))
def test_a_line_of_the_estimates(seed: int, method: Between, shift: float, times: float) -> None:
    y, s = sites(seed)
    a, b = pool(y, s, between=method), pool(shift + times * y, times * s, between=method)
    assert b.estimate == pytest.approx(shift + times * a.estimate, rel=1e-6, abs=1e-6)
    assert b.std_error == pytest.approx(times * a.std_error, rel=1e-5)
    assert b.i2 == pytest.approx(a.i2, abs=1e-3)
    order = np.random.default_rng(seed).permutation(y.size)
    assert pool(y[order], s[order], between=method).estimate == pytest.approx(a.estimate, rel=1e-9, abs=1e-9)


def test_equal_errors_give_the_t_interval_of_the_mean() -> None:
    """With equal errors the adjusted interval is that of a plain mean, whatever the variance between sites."""
    y = np.array([1.0, 4, 2, 8, 5])
    low, high = stats.t.interval(0.95, 4, y.mean(), y.std(ddof=1) / np.sqrt(5))
    for method in METHODS:
        found = pool(y, np.full(5, 0.7), between=method)
        assert [found.low, found.high] == pytest.approx([low, high], rel=1e-9)


def test_sites_left_out_in_turn() -> None:
    y, s = sites(3)
    found = pool(y, s)
    direct = []
    for i in range(y.size):
        w = np.delete(1 / (s**2 + found.tau2), i)
        direct.append(float(w @ np.delete(y, i) / w.sum()))
    assert without_each(y, s, found.tau2) == pytest.approx(direct, rel=1e-12)


def test_the_mean_is_the_minimiser_of_the_weighted_distance() -> None:
    y, s = sites(11)
    found = pool(y, s, between="none", adjusted=False)
    best = optimize.minimize_scalar(lambda m: float((((y - m) / s) ** 2).sum()))
    assert found.estimate == pytest.approx(best.x, abs=1e-6)
    assert found.q == pytest.approx(best.fun, rel=1e-9)


@pytest.mark.parametrize(("y", "s"), [([1.0], [1.0]), ([1.0, 2.0], [1.0, 0.0]), ([1.0, np.nan], [1.0, 1.0])])
def test_too_little_is_refused(y: list[float], s: list[float]) -> None:
    with pytest.raises(ValueError, match="at least two"):
        pool(np.array(y), np.array(s))
