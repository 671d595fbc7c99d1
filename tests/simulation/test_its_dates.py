"""How often checks at other dates speak up where nothing happened, and where something did."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from evaltoolkit.kernels.dated_change import dated_changes
from evaltoolkit.kernels.unknown_break import break_path, sup_f_p_value

FloatArray = NDArray[np.float64]
pytestmark = pytest.mark.slow


def autoregression(rng: np.random.Generator, n: int, rho: float) -> FloatArray:
    u = rng.normal(size=n)
    u[0] /= np.sqrt(1 - rho**2)
    for t in range(1, n):
        u[t] += rho * u[t - 1]
    return u


@pytest.mark.parametrize(("n", "rho"), [(24, 0.0), (48, 0.5)])
def test_earlier_dates_are_rarely_called_a_change(n: int, rho: float) -> None:
    rng = np.random.default_rng(11)
    t = np.arange(n)
    X = np.column_stack([np.ones(n), t])
    dates = t[4 : n - 3]
    levels = (t[None, :] >= dates[:, None]).astype(np.float64)[:, :, None]
    shares, sharp = [], 0
    for _ in range(200):
        found = dated_changes(X, levels, autoregression(rng, n, rho), t)
        shares.append(float((found.p_value < 0.05).mean()))
        sharp += dates.size * float(found.p_value.min()) < 0.05
    # Standard errors: of the mean share about 0.007, of a share of series 0.015.
    assert np.mean(shares) == pytest.approx(0.05, abs=0.025)
    assert np.mean(np.array(shares) > 0.2) < 0.08
    assert sharp / 200 < 0.08


@pytest.mark.parametrize("rho", [0.0, 0.4])
def test_the_likely_dates_hold_the_break(rho: float) -> None:
    rng = np.random.default_rng(12)
    n = 60
    t = np.arange(n)
    X = np.column_stack([np.ones(n), t])
    dates = t[4 : n - 3]
    levels = (t[None, :] >= dates[:, None]).astype(np.float64)[:, :, None]
    inside = 0
    for _ in range(200):
        start = int(rng.integers(12, 48))
        found = dated_changes(X, levels, 3.0 * (t >= start) + autoregression(rng, n, rho), t)
        order = np.argsort(-found.chances)
        many = int(np.searchsorted(np.cumsum(found.chances[order]), 0.9)) + 1
        inside += start in dates[order[:many]]
    # 90 percent by design, and a set of whole dates holds a little more; standard error 0.02.
    assert inside / 200 > 0.85


@pytest.mark.parametrize(
    ("second", "low", "high"), [("none", 0.01, 0.075), ("noise", 0.01, 0.075), ("trend", 0.05, 0.13)]
)
def test_the_size_of_the_largest_statistic_in_long_series_of_unrelated_errors(
    second: str, low: float, high: float
) -> None:
    # A grid of dates peaks a little lower than the limit: at most 5 percent, standard error 0.011. The law is not made
    # for a straight trend: the test finds a break in about 9 of 100 series, in strucchange too.
    rng = np.random.default_rng(13)
    n = 400
    X = np.ones((n, 1))
    if second != "none":
        X = np.column_stack([X, np.arange(n) / n if second == "trend" else rng.normal(size=n)])
    found = []
    for _ in range(400):
        path = break_path(X, rng.normal(size=n))
        found.append(sup_f_p_value(path.sup_f, path.q, path.trim_ratio))
    assert low < np.mean(np.array(found) < 0.05) < high
