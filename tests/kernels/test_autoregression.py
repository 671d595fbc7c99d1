"""Brute-force twins of the autoregressive regression, its mixtures and the Newey-West covariance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from evaltoolkit.kernels.autoregression import GRID, correlated_squares, marginal_ar1, mixture, whitening
from evaltoolkit.kernels.interruption_power import ErrorsAhead, error_of_effect, errors_of_effect
from evaltoolkit.kernels.newey_west import lag_by_rule, newey_west
from evaltoolkit.kernels.t_mixture import Mixture

STEPS = {
    "no gaps": np.arange(24),
    "gaps": np.array([0, 1, 2, 5, 6, 7, 8, 12, 13, 14, 15, 16, 17, 20, 21, 22, 23, 24, 25, 30]),
}


def world(steps: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    late = (steps >= steps[steps.size // 2]).astype(float)
    X = np.column_stack([np.ones(steps.size), steps, late, (steps - steps[steps.size // 2]) * late])
    return X, 3 + 0.2 * steps + np.cumsum(rng.normal(size=steps.size)) / 2 + rng.normal(size=steps.size)


def dense(X: np.ndarray, y: np.ndarray, steps: np.ndarray, rho: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Generalized least squares with the whole correlation matrix, and the restricted log likelihood."""
    n, k = X.shape
    far = np.abs(steps[:, None] - steps[None, :])
    V = np.sign(rho) ** far * abs(rho) ** far if rho else (far == 0).astype(float)
    inverse = np.linalg.inv(V)
    gram = X.T @ inverse @ X
    b = np.linalg.solve(gram, X.T @ inverse @ y)
    e = y - X @ b
    s2 = float(e @ inverse @ e) / (n - k)
    # V here has ones on its diagonal; the innovations of the kernel have variance s2 (1 - rho^2).
    value = -(n - k) / 2 * np.log(s2) - np.linalg.slogdet(V)[1] / 2 - np.linalg.slogdet(gram)[1] / 2
    return b, s2 * np.linalg.inv(gram), value


@pytest.mark.parametrize("name", STEPS)
def test_each_autocorrelation_equals_dense_generalized_least_squares(name: str) -> None:
    steps = STEPS[name]
    X, y = world(steps)
    fit = marginal_ar1(X, y, steps)
    for g in (0, 20, 36, 50, 72, 82):
        b, covariance, _ = dense(X, y, steps, float(GRID[g]))
        # Inverses of correlation matrices near 0.99 lose about four digits.
        assert fit.coefficients[g] == pytest.approx(b, rel=1e-9, abs=1e-10)
        assert fit.covariances[g] == pytest.approx(covariance, rel=1e-8)


@pytest.mark.parametrize("name", STEPS)
def test_weights_follow_the_restricted_likelihood(name: str) -> None:
    steps = STEPS[name]
    X, y = world(steps)
    fit = marginal_ar1(X, y, steps)
    value = np.array([dense(X, y, steps, float(rho))[2] for rho in GRID])
    width = np.concatenate([GRID[1:2] - GRID[:1], (GRID[2:] - GRID[:-2]) / 2, GRID[-1:] - GRID[-2:-1]])
    weight = np.exp(value - value.max()) / np.sqrt(1 - GRID**2) * width
    assert fit.weights == pytest.approx(weight / weight.sum(), rel=1e-7, abs=1e-12)


def test_the_interval_is_that_of_integrating_over_the_autocorrelation() -> None:
    """Against adaptive quadrature over rho, within what a grid of 83 points can miss."""
    steps = STEPS["no gaps"]
    X, y = world(steps, seed=4)
    c = np.array([0.0, 0.0, 1.0, 0.0])
    fit = marginal_ar1(X, y, steps)
    found = mixture(fit, fit.coefficients @ c[:, None], np.broadcast_to(c, (83, 1, 4)))
    top = max(dense(X, y, steps, float(r))[2] for r in GRID)

    def weight(rho: float) -> float:
        return float(np.exp(dense(X, y, steps, rho)[2] - top) / np.sqrt(1 - rho**2))

    total = integrate.quad(weight, -0.9, 0.99, limit=200)[0]

    def below(at: float) -> float:
        def part(rho: float) -> float:
            b, V, _ = dense(X, y, steps, rho)
            return weight(rho) * float(stats.t.cdf((at - c @ b) / np.sqrt(c @ V @ c), steps.size - 4))

        return integrate.quad(part, -0.9, 0.99, limit=200)[0] / total

    assert below(float(found.quantile(0.975)[0])) == pytest.approx(0.975, abs=1e-3)
    assert below(float(found.quantile(0.025)[0])) == pytest.approx(0.025, abs=1e-3)


def test_quantiles_and_tails_of_a_mixture() -> None:
    rng = np.random.default_rng(1)
    made = Mixture(rng.normal(size=(9, 3)), rng.uniform(0.1, 3, size=(9, 3)), rng.dirichlet(np.ones(9)), 5)

    def cdf(at: float, j: int) -> float:
        return float(made.weights @ stats.t.cdf((at - made.centres[:, j]) / made.scales[:, j], 5))

    for level in (0.001, 0.025, 0.5, 0.9, 0.975):
        found = made.quantile(level)
        for j in range(3):
            true = optimize.brentq(lambda at, j=j, level=level: cdf(at, j) - level, -500, 500, xtol=1e-13)
            assert found[j] == pytest.approx(true, abs=1e-9)
    tails = [2 * min(cdf(0, j), 1 - cdf(0, j)) for j in range(3)]
    assert made.p_value() == pytest.approx(tails, abs=1e-12)
    draws = np.array([made.centres[g] for g in range(9)])
    assert made.mean == pytest.approx(made.weights @ draws)


def test_a_single_autocorrelation_is_a_plain_t() -> None:
    steps = np.arange(30)
    X, y = world(steps)
    fit = marginal_ar1(X, y, steps, np.array([0.0]))
    found = mixture(fit, fit.coefficients, np.broadcast_to(np.eye(4), (1, 4, 4)))
    b, V, _ = dense(X, y, steps, 0.0)
    reach = stats.t.ppf(0.975, 26) * np.sqrt(np.diag(V))
    assert found.quantile(0.975) == pytest.approx(b + reach, rel=1e-9)
    assert found.spread == pytest.approx(np.sqrt(np.diag(V)), rel=1e-9)


@pytest.mark.parametrize("rho", [-0.6, 0.0, 0.7])
def test_whitening_whitens(rho: float) -> None:
    steps = STEPS["gaps"]
    keep, carry = whitening(steps, rho)
    W = np.diag(keep) - np.diag(keep[1:] * carry[1:], -1)
    far = np.abs(steps[:, None] - steps[None, :])
    V = (np.sign(rho) ** far * abs(rho) ** far if rho else np.eye(steps.size)) / (1 - rho**2)
    whitened = W @ V @ W.T
    assert whitened == pytest.approx(np.eye(steps.size), abs=1e-12)


def test_an_exact_line_is_refused() -> None:
    t = np.arange(20)
    with pytest.raises(ValueError, match="without error"):
        marginal_ar1(np.column_stack([np.ones(20), t]), 1.0 + t, t)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("lags", [0, 1, 3, 50])
def test_newey_west_equals_pairs_of_periods(name: str, lags: int) -> None:
    steps = STEPS[name]
    X, y = world(steps)
    bread = np.linalg.inv(X.T @ X)
    scores = X * (y - X @ bread @ X.T @ y)[:, None]
    meat = np.zeros((4, 4))
    for i, s in enumerate(steps):
        for j, r in enumerate(steps):
            if abs(int(s) - int(r)) <= lags:
                meat += (1 - abs(int(s) - int(r)) / (lags + 1)) * np.outer(scores[i], scores[j])
    n = steps.size
    assert newey_west(scores, bread, lags, steps) == pytest.approx(n / (n - 4) * bread @ meat @ bread, rel=1e-10)


@pytest.mark.parametrize(("n", "lags"), [(24, 2), (31, 3), (59, 3), (100, 4), (120, 4), (3000, 8)])
def test_the_rule_of_lags(n: int, lags: int) -> None:
    assert lag_by_rule(n) == lags


@pytest.mark.parametrize("name", STEPS)
def test_sums_of_correlated_errors(name: str) -> None:
    steps = STEPS[name]
    w = np.random.default_rng(3).normal(size=(3, steps.size))
    far = np.abs(steps[:, None] - steps[None, :])
    rho = np.array([-0.6, 0.0, 0.5, 0.95])
    found = correlated_squares(w, steps, rho)
    for g, r in enumerate(rho):
        R = np.sign(r) ** far * abs(r) ** far if r else np.eye(steps.size)
        assert found[g] == pytest.approx(np.einsum("mi,ij,mj->m", w, R, w), rel=1e-10)
    X, _ = world(steps)
    many = errors_of_effect(X, np.array([0.0, 0, 1, 2]), steps, rho, np.arange(1.0, 5.0))
    each = [
        error_of_effect(X, np.array([0.0, 0, 1, 2]), steps, ErrorsAhead(r, s))
        for r, s in zip(rho, (1.0, 2, 3, 4), strict=True)
    ]
    assert many == pytest.approx(each, rel=1e-9)
