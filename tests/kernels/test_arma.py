"""Twins of ARMA regression, Prais-Winsten and the wide autoregressions: whole covariance matrices, other software."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from evaltoolkit.kernels.arma import Likelihood, arma_regression
from evaltoolkit.kernels.arma_process import Orders, autocovariances, coefficients_of, expanded, whiten
from evaltoolkit.kernels.autoregression import marginal_ar1, mixture, widths
from evaltoolkit.kernels.autoregression_wide import FIRST, SECOND, marginal_ar2, marginal_seasonal_ar
from evaltoolkit.kernels.autoregression_wide_batch import marginal_ar2_batch, marginal_seasonal_ar_batch
from evaltoolkit.kernels.prais_winsten import prais_winsten

STEPS = {"no gaps": np.arange(40), "gaps": np.concatenate([np.arange(14), np.arange(16, 36), [38, 41, 42, 43, 44, 45]])}
PROCESSES = [
    ((0.5, 0.2), (0.3,)),
    ((), (0.4, 0.3)),
    ((0.6,), ()),
    ((1.2, -0.5), (0.2, -0.1, 0.3)),
    ((0.5, 0, 0, 0.2), ()),
]


def world(steps: np.ndarray, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    late = (steps >= 20).astype(float)
    X = np.column_stack([np.ones(steps.size), steps, late, (steps - 20) * late])
    noise = signal.lfilter([1.0], [1.0, -0.6], rng.normal(size=200 + int(steps[-1]) + 1))[200:]
    return X, 10 + X @ [0.0, 0.2, 2, 0.1] + noise[steps]


def long_autocovariances(ar: tuple[float, ...], ma: tuple[float, ...], lags: int) -> np.ndarray:
    """By summing the first 5,000 weights of past innovations."""
    pulse = np.zeros(5000)
    pulse[0] = 1.0
    psi = signal.lfilter(np.r_[1.0, ma], np.r_[1.0, -np.asarray(ar, float)], pulse)
    return np.array([psi[lag:] @ psi[: psi.size - lag] for lag in range(lags + 1)])


@pytest.mark.parametrize(("ar", "ma"), PROCESSES)
@pytest.mark.parametrize("name", STEPS)
def test_whitening(ar: tuple[float, ...], ma: tuple[float, ...], name: str) -> None:
    steps = STEPS[name]
    gamma = long_autocovariances(ar, ma, int(steps[-1]))
    assert autocovariances(np.array(ar), np.array(ma), 12) == pytest.approx(gamma[:13], rel=1e-9, abs=1e-12)
    V = gamma[np.abs(steps[:, None] - steps[None, :])]
    W, log_det = whiten(np.eye(steps.size), steps, np.array(ar), np.array(ma))
    whitened = W @ V @ W.T
    assert whitened == pytest.approx(np.eye(steps.size), abs=1e-9)
    assert log_det == pytest.approx(-np.linalg.slogdet(V)[1] / 2, abs=1e-8)


def dense_log_likelihood(X: np.ndarray, y: np.ndarray, V: np.ndarray, likelihood: Likelihood) -> float:
    n, k = X.shape
    inverse = np.linalg.inv(V)
    gram = X.T @ inverse @ X
    e = y - X @ np.linalg.solve(gram, X.T @ inverse @ y)
    size = n - k if likelihood == "reml" else n
    value = -size / 2 * (np.log(2 * np.pi * (e @ inverse @ e) / size) + 1) - np.linalg.slogdet(V)[1] / 2
    return float(value - (np.linalg.slogdet(gram)[1] / 2 if likelihood == "reml" else 0.0))


@pytest.mark.parametrize("likelihood", ["ml", "reml"])
@pytest.mark.parametrize(("p", "q"), [(1, 0), (2, 0), (1, 1), (0, 2)])
@pytest.mark.parametrize("name", STEPS)
def test_the_maximum_of_the_likelihood(name: str, p: int, q: int, likelihood: Likelihood) -> None:
    steps = STEPS[name]
    X, y = world(steps)
    fit = arma_regression(X, y, steps, Orders(p, q), likelihood)
    gaps = np.abs(steps[:, None] - steps[None, :])

    def at(parameters: np.ndarray) -> float:
        gamma = long_autocovariances(tuple(parameters[:p]), tuple(parameters[p:]), int(steps[-1]))
        return dense_log_likelihood(X, y, gamma[gaps], likelihood)

    best = at(fit.parameters)
    assert fit.log_likelihood == pytest.approx(best, abs=1e-7)
    for i in range(p + q):
        for move in (-1e-3, 1e-3):
            other = fit.parameters.copy()
            other[i] += move
            assert at(other) < best
    V = long_autocovariances(tuple(fit.parameters[:p]), tuple(fit.parameters[p:]), int(steps[-1]))[gaps]
    inverse = np.linalg.inv(V)
    b = np.linalg.solve(X.T @ inverse @ X, X.T @ inverse @ y)
    e = y - X @ b
    assert fit.coefficients == pytest.approx(b, rel=1e-7)
    s2 = float(e @ inverse @ e) / (steps.size - 4)
    assert fit.covariance == pytest.approx(s2 * np.linalg.inv(X.T @ inverse @ X), rel=1e-6)


@pytest.mark.parametrize(
    "orders", [Orders(1, 1), Orders(0, 1, difference=1), Orders(1, 0, 1, 0, 4), Orders(0, 1, 0, 1, 4, 1, 1)]
)
def test_arima_against_statsmodels(orders: Orders) -> None:
    """SARIMAX on differenced data, with the Hessian of its likelihood by finite differences."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    X, y = world(np.arange(40))
    kept = slice(1, None) if orders.differenced == 1 else slice(2, None) if orders.differenced else slice(None)
    fit = arma_regression(X[:, kept], y, np.arange(40), orders, "ml")
    o = orders
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SARIMAX(
            y, exog=X[:, kept], order=(o.ar, o.difference, o.ma),
            seasonal_order=(o.seasonal_ar, o.seasonal_difference, o.seasonal_ma, o.cycle if o.cycle > 1 else 0),
            simple_differencing=True,
        )  # fmt: skip
        r = fit.parameters.size
        ar, ma = fit.parameters[: o.ar], fit.parameters[o.ar : o.ar + o.ma]
        ours = np.concatenate([fit.coefficients, ar, ma, fit.parameters[o.ar + o.ma :], [fit.sigma2]])
        assert model.loglike(ours) == pytest.approx(fit.log_likelihood, abs=1e-6)
        theirs = model.fit(ours, disp=False, method="bfgs", cov_type="approx", maxiter=300)
    assert fit.log_likelihood >= theirs.llf - 1e-6
    k = fit.coefficients.size
    if np.abs(fit.parameters).max() < 0.95:  # with an MA at the edge the Hessian is not defined
        assert np.sqrt(np.diag(fit.by_hessian)) == pytest.approx(theirs.bse[:k], rel=5e-3)
    assert r == theirs.params.size - k - 1


def test_differences_need_every_period() -> None:
    X, y = world(STEPS["gaps"])
    with pytest.raises(ValueError, match="gaps"):
        arma_regression(X[:, 1:], y, STEPS["gaps"], Orders(0, 1, difference=1), "ml")
    with pytest.raises(ValueError, match="without error"):
        arma_regression(X, X @ [1.0, 2, 3, 4], STEPS["gaps"], Orders(1))


@settings(max_examples=10, deadline=None)
@given(st.floats(0.01, 100), st.integers(-300, 300), st.floats(-50, 50))
def test_units_origin_and_trend(scale: float, shift: int, trend: float) -> None:
    """Scaling the outcome, moving the calendar and adding a trend that is in the model change what they must."""
    steps = STEPS["no gaps"]
    X, y = world(steps)
    moved = scale * y + trend * steps
    for fitted in (
        lambda y, s: (f := arma_regression(X, y, s, Orders(1))).coefficients.tolist() + f.parameters.tolist(),
        lambda y, s: [*(f := prais_winsten(X, y, s, "tscorr")).coefficients.tolist(), f.rho],
        lambda y, s: [*(f := marginal_ar1(X, y, s)).centre.tolist(), f.mean_rho],
        lambda y, s: [*(f := marginal_ar2(X, y, s)).centre.tolist(), f.mean_rho],
    ):
        plain, other = np.array(fitted(y, steps)), np.array(fitted(moved, steps + shift))
        expected = np.concatenate([scale * plain[:4], plain[4:]])
        expected[1] += trend
        # The search for ARMA stops at 1e-8 of a coefficient; the iteration of Prais and Winsten at 1e-10.
        assert other == pytest.approx(expected, rel=1e-5, abs=1e-6 * max(scale, 1))


@pytest.mark.parametrize("kind", ["ar2", "seasonal"])
@pytest.mark.parametrize("name", STEPS)
def test_wide_autoregressions_equal_dense_least_squares(name: str, kind: str) -> None:
    steps = STEPS[name]
    X, y = world(steps)
    fit = marginal_ar2(X, y, steps) if kind == "ar2" else marginal_seasonal_ar(X, y, steps, 4)
    orders = Orders(1, 0, 1, 0, 4)
    cells = np.outer(widths(FIRST), widths(SECOND)).ravel()
    logs = {}
    for g in (0, 137, 437, 600, 874):
        pair = np.array([FIRST[g // SECOND.size], SECOND[g % SECOND.size]])
        assert fit.second is not None
        assert [fit.rho[g], fit.second[g]] == pair.tolist()
        ar = coefficients_of(pair) if kind == "ar2" else expanded(pair, orders)[0]
        gamma = autocovariances(ar, np.zeros(0), int(steps[-1]))
        V = gamma[np.abs(steps[:, None] - steps[None, :])]
        inverse = np.linalg.inv(V)
        gram = X.T @ inverse @ X
        b = np.linalg.solve(gram, X.T @ inverse @ y)
        e = y - X @ b
        s2 = float(e @ inverse @ e) / (steps.size - 4)
        assert fit.coefficients[g] == pytest.approx(b, rel=1e-7)
        assert fit.covariances[g] == pytest.approx(s2 * np.linalg.inv(gram), rel=1e-6)
        value = dense_log_likelihood(X, y, V, "reml")
        logs[g] = value + np.log(cells[g]) - np.log1p(-(pair[0] ** 2)) / 2
    for g, h in ((137, 437), (437, 600)):
        # Weights far from the mode underflow in a ratio; the logs agree to the digits of the likelihood.
        if min(fit.weights[g], fit.weights[h]) > 1e-200:
            assert np.log(fit.weights[g] / fit.weights[h]) == pytest.approx(logs[g] - logs[h], abs=1e-6)
    found = mixture(fit, fit.coefficients, np.eye(4))
    assert (found.quantile(0.025) < found.quantile(0.975)).all()
    with pytest.raises(ValueError, match="without error"):
        marginal_ar2(X, X @ [1.0, 2, 3, 4], steps)


@pytest.mark.parametrize("name", STEPS)
def test_many_series_at_once(name: str) -> None:
    steps = STEPS[name]
    X, y = world(steps)
    Y = np.stack([y, y[::-1], world(steps, 8)[1]])
    ar2 = marginal_ar2_batch(Y, X, steps, np.eye(4)[2:], 0.9)
    seasonal = marginal_seasonal_ar_batch(Y, X, steps, np.eye(4)[2:], 0.9, cycle=4)
    for s in range(3):
        for fit, found in ((marginal_ar2(X, Y[s], steps), ar2), (marginal_seasonal_ar(X, Y[s], steps, 4), seasonal)):
            one = mixture(fit, fit.coefficients[:, 2:], np.eye(4)[2:])
            assert found.estimate[s] == pytest.approx(one.mean, rel=1e-8)
            assert found.low[s] == pytest.approx(one.quantile(0.05), rel=1e-8, abs=1e-9)
            assert found.high[s] == pytest.approx(one.quantile(0.95), rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("rho_type", ["regress", "tscorr"])
def test_prais_winsten_by_hand(rho_type: str) -> None:
    X, y = world(np.arange(40))
    e, rho = y - X @ np.linalg.lstsq(X, y, rcond=None)[0], 0.0
    for _ in range(200):
        rho = float(e[1:] @ e[:-1] / ((e[:-1] @ e[:-1]) if rho_type == "regress" else e @ e))
        W = np.eye(40) - rho * np.eye(40, k=-1)
        W[0, 0] = np.sqrt(1 - rho**2)
        b = np.linalg.lstsq(W @ X, W @ y, rcond=None)[0]
        e = y - X @ b
    fit = prais_winsten(X, y, np.arange(40), rho_type)  # type: ignore[arg-type]
    assert fit.rho == pytest.approx(rho, abs=1e-9)
    assert fit.coefficients == pytest.approx(b, rel=1e-8)
    u = W @ e
    bread = np.linalg.inv((W @ X).T @ (W @ X))
    assert fit.covariance == pytest.approx(u @ u / 36 * bread, rel=1e-7)
    meat = (W @ X).T @ np.diag(u**2) @ (W @ X)
    assert fit.robust == pytest.approx(40 / 36 * bread @ meat @ bread, rel=1e-7)
