"""Coverage of the intervals of a time series where nothing happened; benchmarks/coverage_its.py has more."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from evaltoolkit.kernels.autoregression_batch import Intervals, marginal_ar1_batch, marginal_ar1_each
from evaltoolkit.kernels.autoregression_wide_batch import marginal_ar2_batch, marginal_seasonal_ar_batch
from evaltoolkit.kernels.count_regression import poisson

PICK = np.eye(4)[2:]


def segmented(n: int) -> np.ndarray:
    t = np.arange(n)
    late = (t >= n // 2).astype(float)
    return np.column_stack([np.ones(n), t, late, (t - n // 2) * late])


def process(rng: np.random.Generator, draws: int, n: int, ar: list[float]) -> np.ndarray:
    noise = rng.normal(size=(draws, n + 300))
    return np.asarray(signal.lfilter([1.0], [1.0, *(-a for a in ar)], noise, axis=1)[:, 300:])


def held(found: Intervals) -> np.ndarray:
    return np.asarray(((found.low < 0) & (found.high > 0)).mean(axis=0))


def gaussian(n: int, rho: float, draws: int) -> np.ndarray:
    Y = process(np.random.default_rng(20260101), draws, n, [rho])
    return held(marginal_ar1_batch(Y, segmented(n), np.arange(n), PICK))


def linearised(n: int, mean: float, draws: int, spread: str) -> np.ndarray:
    """Counts by the working response of their Poisson fit."""
    rng, X = np.random.default_rng(20260102), segmented(n)
    if spread == "latent":
        rate = mean * np.exp(process(rng, draws, n, [0.5]) * 0.5 * np.sqrt(0.75) - 0.125)
    else:
        rate = mean * (rng.gamma(2.0, 0.5, (draws, n)) if spread == "gamma" else np.ones((draws, n)))
    Y = rng.poisson(rate).astype(float)
    fit = poisson(X, Y, np.zeros(n))
    mu, b, Y = fit.expected[fit.exists], fit.coefficients[fit.exists], Y[fit.exists]
    root = np.sqrt(mu)
    found = marginal_ar1_each(root * (b @ X.T + (Y - mu) / mu), root[:, :, None] * X, np.arange(n), PICK)
    return held(found)


def test_the_default_interval_covers_in_a_short_series() -> None:
    level, slope = gaussian(36, 0.4, 400)
    # Monte Carlo error of 0.95 in 400 draws is 0.011; plug-in intervals hold the truth in 78 to 93 of 100 here.
    assert level >= 0.95 - 3 * 0.011
    assert slope >= 0.95 - 3 * 0.011


@pytest.mark.slow
@pytest.mark.parametrize("n", [24, 36, 60])
@pytest.mark.parametrize("rho", [0.0, 0.4, 0.8])
def test_coverage_over_lengths_and_autocorrelations(n: int, rho: float) -> None:
    level, slope = gaussian(n, rho, 4000)
    # Two Monte Carlo errors of 4,000 draws are 0.008; slopes of short series with little autocorrelation are wide.
    assert 0.93 - 0.008 <= level <= 0.97 + 0.008
    assert 0.93 - 0.008 <= slope <= 0.985


@pytest.mark.slow
@pytest.mark.parametrize("spread", ["chance", "gamma", "latent"])
@pytest.mark.parametrize(("n", "mean"), [(36, 0.5), (36, 2), (60, 2), (60, 8)])
def test_coverage_of_counts(n: int, mean: float, spread: str) -> None:
    level, slope = linearised(n, mean, 2000, spread)
    # Two Monte Carlo errors of 2,000 draws are 0.011; quasi-Poisson intervals hold in 78 to 95 of 100 here.
    assert 0.93 - 0.011 <= level <= 0.98 + 0.011
    assert 0.93 - 0.011 <= slope <= 0.99


@pytest.mark.slow
def test_a_second_order_autoregression_needs_its_own_interval() -> None:
    Y, X, t = process(np.random.default_rng(3), 600, 36, [0.2, 0.6]), segmented(36), np.arange(36)
    first, second = held(marginal_ar1_batch(Y, X, t, PICK)), held(marginal_ar2_batch(Y, X, t, PICK))
    assert (first < 0.85).all()
    assert (second > 0.93 - 2 * 0.010).all()


@pytest.mark.slow
def test_a_seasonal_autoregression_has_a_shorter_interval() -> None:
    ar = (-np.convolve([1.0, -0.4], [1.0, *[0.0] * 11, -0.8])[1:]).tolist()
    Y, X, t = process(np.random.default_rng(4), 600, 60, ar), segmented(60), np.arange(60)
    first = marginal_ar1_batch(Y, X, t, PICK)
    season = marginal_seasonal_ar_batch(Y, X, t, PICK, cycle=12)
    assert (held(season) > 0.93 - 2 * 0.010).all()
    assert (season.high - season.low)[:, 0].mean() < 0.7 * (first.high - first.low)[:, 0].mean()
