"""Poisson and negative binomial regression against statsmodels and by numerical search."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, special
from statsmodels.genmod.families import Poisson
from statsmodels.genmod.generalized_linear_model import GLM

from evaltoolkit.kernels.count_regression import negative_binomial, poisson
from evaltoolkit.kernels.newey_west import automatic_bandwidth

T = np.arange(48)
X = np.column_stack([np.ones(48), T, T >= 24, (T - 24) * (T >= 24), np.sin(T / 2)]).astype(float)


def series(n: int, mean: float, alpha: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(9)
    exposure = rng.uniform(500, 2000, 48)
    mu = mean * exposure / 1000 * np.exp(0.01 * T - 0.4 * X[:, 2])
    rate = mu * rng.gamma(1 / alpha, alpha, (n, 48)) if alpha else np.broadcast_to(mu, (n, 48))
    return rng.poisson(rate).astype(float), np.log(exposure)


@pytest.mark.parametrize("mean", [0.8, 8.0, 800.0])
def test_poisson_against_statsmodels(mean: float) -> None:
    Y, offset = series(6, mean)
    found = poisson(X, Y, offset)
    assert found.exists.all()
    for s in range(6):
        theirs = GLM(Y[s], X, family=Poisson(), offset=offset).fit(tol=1e-13, maxiter=200)
        assert found.coefficients[s] == pytest.approx(theirs.params, rel=1e-8, abs=1e-10)
        assert found.expected[s] == pytest.approx(theirs.fittedvalues, rel=1e-9)


def test_no_maximum_where_a_part_is_empty() -> None:
    Y, offset = series(3, 3.0)
    Y[1, 24:] = 0
    Y[2] = 0
    assert poisson(X, Y, offset).exists.tolist() == [True, False, False]
    assert not negative_binomial(X, Y[1], offset).exists


@pytest.mark.parametrize("alpha", [0.2, 2.0])
def test_negative_binomial_by_search(alpha: float) -> None:
    Y, offset = series(1, 8.0, alpha)
    y = Y[0]
    fit = negative_binomial(X, y, offset)

    def minus(at: np.ndarray) -> float:
        mu, theta = np.exp(offset + X @ at[:-1]), np.exp(at[-1])
        parts = special.gammaln(theta + y) - special.gammaln(theta) - special.gammaln(y + 1)
        return -float((parts + theta * np.log(theta) + y * np.log(mu) - (theta + y) * np.log(theta + mu)).sum())

    best = np.append(fit.coefficients, np.log(fit.theta))
    assert fit.log_likelihood == pytest.approx(-minus(best), rel=1e-12)
    slope = [(minus(best + h) - minus(best - h)) / 2e-5 for h in 1e-5 * np.eye(6)]
    assert slope == pytest.approx(np.zeros(6), abs=1e-4)  # differences of a value near 150
    assert optimize.minimize(minus, best, method="Nelder-Mead").fun >= minus(best) - 1e-7
    h = 1e-4 * fit.theta
    at = [best.copy() for _ in range(3)]
    for i, theta in enumerate((fit.theta - h, fit.theta, fit.theta + h)):
        at[i][-1] = np.log(theta)
    curve = (minus(at[0]) - 2 * minus(at[1]) + minus(at[2])) / h**2
    assert fit.theta_error == pytest.approx(1 / np.sqrt(curve), rel=1e-3)  # second differences


def test_no_more_spread_than_chance_is_poisson() -> None:
    Y, offset = series(1, 20.0)
    y = np.round(np.exp(offset + X @ poisson(X, Y, offset).coefficients[0]))  # less spread than Poisson
    fit = negative_binomial(X, y, offset)
    assert np.isinf(fit.theta)
    assert fit.coefficients == pytest.approx(poisson(X, y[None], offset).coefficients[0], rel=1e-10)
    assert fit.weights == pytest.approx(fit.expected)


def test_an_exposure_twice_as_large() -> None:
    Y, offset = series(2, 5.0)
    a, b = poisson(X, Y, offset), poisson(X, Y, offset + np.log(2))
    assert b.coefficients[:, 0] == pytest.approx(a.coefficients[:, 0] - np.log(2), rel=1e-9)
    assert b.coefficients[:, 1:] == pytest.approx(a.coefficients[:, 1:], rel=1e-8, abs=1e-11)


def test_andrews_by_its_formula() -> None:
    s = np.random.default_rng(2).normal(size=(50, 3)).cumsum(axis=0)
    w = np.array([0.0, 1.0, 1.0])
    above = below = 0.0
    for j in (1, 2):
        now, before = s[1:, j], np.column_stack([np.ones(49), s[:-1, j]])
        b = np.linalg.lstsq(before, now, rcond=None)[0]
        v = float(((now - before @ b) ** 2).mean())
        above += 4 * b[1] ** 2 * v**2 / ((1 - b[1]) ** 6 * (1 + b[1]) ** 2)
        below += v**2 / (1 - b[1]) ** 4
    assert automatic_bandwidth(s, w, "andrews") == pytest.approx(1.1447 * (50 * above / below) ** (1 / 3), rel=1e-9)
