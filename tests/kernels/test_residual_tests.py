"""Tests of dependence against auxiliary regressions, statsmodels and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from evaltoolkit.kernels import residual_tests as r

FloatArray = NDArray[np.float64]


def residuals(n: int = 50, seed: int = 1, rho: float = 0.3) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    X = np.column_stack([np.ones(n), t, t >= n // 2])
    u = np.zeros(n)
    for i in range(n):
        u[i] = (rho * u[i - 1] if i else 0) + rng.normal()
    return u - X @ np.linalg.lstsq(X, u, rcond=None)[0], X


@pytest.mark.parametrize("lags", [1, 4])
def test_breusch_godfrey_is_an_auxiliary_regression(lags: int) -> None:
    e, X = residuals()
    past = np.column_stack([np.r_[np.zeros(s), e[:-s]] for s in range(1, lags + 1)])
    Z = np.column_stack([X, past])
    left = e - Z @ np.linalg.lstsq(Z, e, rcond=None)[0]
    share = 1 - left @ left / (e @ e)
    found = r.breusch_godfrey(e, X, lags)
    assert found.statistic == pytest.approx(50 * share, rel=1e-9)
    assert found.p_value == pytest.approx(stats.chi2.sf(50 * share, lags), rel=1e-9)
    f, p = r.breusch_godfrey_f(e, X, lags)
    assert f == pytest.approx(share / lags / ((1 - share) / (50 - 3 - lags)), rel=1e-9)
    assert p == pytest.approx(stats.f.sf(f, lags, 47 - lags), rel=1e-9)


def test_portmanteau_tests_are_those_of_statsmodels() -> None:
    from statsmodels.stats.diagnostic import acorr_ljungbox
    from statsmodels.tsa.stattools import acf, pacf

    e, _ = residuals()
    theirs = acorr_ljungbox(e, lags=[6], boxpierce=True)
    assert r.ljung_box(e, 6).statistic == pytest.approx(theirs["lb_stat"].iloc[0], rel=1e-9)
    assert r.box_pierce(e, 6).p_value == pytest.approx(theirs["bp_pvalue"].iloc[0], rel=1e-9)
    mine = r.autocorrelations(e, 8)
    assert mine == pytest.approx(acf(e, nlags=8, fft=False)[1:], rel=1e-9)
    assert r.partial_autocorrelations(mine) == pytest.approx(pacf(e, nlags=8, method="ldb")[1:], rel=1e-9)


def test_durbin_watson_by_simulation_and_its_normal_form() -> None:
    _, X = residuals(20)
    rng = np.random.default_rng(2)
    M = np.eye(20) - X @ np.linalg.pinv(X)
    e = rng.normal(size=(100_000, 20)) @ M
    d = (np.diff(e, axis=1) ** 2).sum(axis=1) / (e**2).sum(axis=1)
    one = residuals(20, seed=3, rho=0.5)[0]
    found = r.durbin_watson(one, X)
    below = float((d < found.statistic).mean())
    # Standard error at most 0.0016, doubled.
    assert found.p_value == pytest.approx(2 * min(below, 1 - below), abs=0.012)
    e, X = residuals(120, seed=4, rho=0.15)
    # With 120 periods the exact law is near the normal one.
    form = np.linalg.qr(X, mode="complete")[0][:, 3:]
    exact = r.quadratic_form_below(np.linalg.eigvalsh(np.diff(form, axis=0).T @ np.diff(form, axis=0)) -
                                   r.durbin_watson(e, X).statistic)  # fmt: skip
    assert r.durbin_watson(e, X).p_value == pytest.approx(2 * min(exact, 1 - exact), abs=0.005)


@pytest.mark.parametrize("robust", [False, True])
def test_cumby_huizinga_holds_its_size(*, robust: bool) -> None:
    # Errors that follow a moving average of order one: only lags from two on are asked about. With 300 periods and 400
    # series the standard error of the share is 0.011.
    rng = np.random.default_rng(5)
    X = np.column_stack([np.ones(300), np.arange(300)])
    P = np.linalg.pinv(X)
    far, near = [], []
    for _ in range(400):
        u = rng.normal(size=301)
        y = u[1:] + 0.6 * u[:-1]
        e = y - X @ (P @ y)
        far.append(r.cumby_huizinga(e, X, 3, 2, robust=robust).p_value)
        near.append(r.cumby_huizinga(e, X, 1, robust=robust).p_value)
    assert np.mean(np.array(far) < 0.05) == pytest.approx(0.05, abs=0.035)
    assert np.mean(np.array(near) < 0.05) > 0.95
