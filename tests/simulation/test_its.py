"""Coverage of the default interval of an interrupted time series where nothing happened."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from statsmodels.genmod.families import Poisson
from statsmodels.genmod.generalized_linear_model import GLM

from evaltoolkit.kernels.autoregression import marginal_ar1, mixture


def segmented(n: int) -> np.ndarray:
    t = np.arange(n)
    late = (t >= n // 2).astype(float)
    return np.column_stack([np.ones(n), t, late, (t - n // 2) * late])


def ar1(rng: np.random.Generator, n: int, rho: float) -> np.ndarray:
    e, u = rng.normal(size=n), np.zeros(n)
    u[0] = e[0] / np.sqrt(1 - rho**2)
    for i in range(1, n):
        u[i] = rho * u[i - 1] + e[i]
    return u


def holds(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether the 95% intervals of level and slope hold zero."""
    fit = marginal_ar1(X, y, np.arange(X.shape[0]))
    pick = np.eye(4)[2:]
    below = mixture(fit, fit.coefficients @ pick.T, np.broadcast_to(pick, (fit.rho.size, 2, 4))).cdf(np.zeros(2))
    return np.asarray((below > 0.025) & (below < 0.975))


def gaussian(n: int, rho: float, draws: int) -> np.ndarray:
    rng = np.random.default_rng(20260101)
    X = segmented(n)
    return np.mean([holds(X, ar1(rng, n, rho)) for _ in range(draws)], axis=0)


def linearised(n: int, mean: float, draws: int) -> np.ndarray:
    """Counts with log-normal AR(1) rates (rho 0.5, log variance 0.25), by the working response of the Poisson fit."""
    rng = np.random.default_rng(20260102)
    X = segmented(n)
    inside = []
    while len(inside) < draws:
        latent = ar1(rng, n, 0.5) * 0.5 * np.sqrt(1 - 0.25)
        y = rng.poisson(mean * np.exp(latent - 0.125))
        if not (y[: n // 2].any() and y[n // 2 :].any()):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = GLM(y, X, family=Poisson()).fit()
        mu = fit.fittedvalues
        root = np.sqrt(mu)
        inside.append(holds(root[:, None] * X, root * (X @ fit.params + (y - mu) / mu)))
    return np.mean(inside, axis=0)


def test_the_default_interval_covers_in_a_short_series() -> None:
    level, slope = gaussian(36, 0.4, 400)
    # Monte Carlo error of 0.95 in 400 draws is 0.011; plug-in intervals hold the truth in 78 to 93 of 100 here.
    assert level >= 0.95 - 3 * 0.011
    assert slope >= 0.95 - 3 * 0.011


@pytest.mark.slow
@pytest.mark.parametrize("n", [24, 36, 60])
@pytest.mark.parametrize("rho", [0.0, 0.4, 0.8])
def test_coverage_over_lengths_and_autocorrelations(n: int, rho: float) -> None:
    level, slope = gaussian(n, rho, 2000)
    # Monte Carlo error is 0.005; slopes of 24 periods are known to be conservative.
    assert 0.925 <= level <= 0.98
    assert 0.925 <= slope <= 0.995


@pytest.mark.slow
@pytest.mark.parametrize(("n", "mean"), [(36, 2), (36, 8), (60, 8)])
def test_coverage_of_counts(n: int, mean: float) -> None:
    level, slope = linearised(n, mean, 1000)
    # Monte Carlo error is 0.007; quasi-Poisson intervals hold the truth in 78 to 89 of 100 here.
    assert 0.92 <= level <= 0.985
    assert 0.91 <= slope <= 0.99
