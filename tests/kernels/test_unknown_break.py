"""A break at an unknown date, and several, against loops and enumeration; their laws against simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from evaltoolkit.kernels.autoregression import GRID, marginal_ar1, mixture
from evaltoolkit.kernels.dated_change import dated_changes
from evaltoolkit.kernels.detectable import power_of_t
from evaltoolkit.kernels.interruption_power import ErrorsAhead, error_of_effect
from evaltoolkit.kernels.left_out import without_each_period
from evaltoolkit.kernels.quadratic_form import quadratic_form_below
from evaltoolkit.kernels.several_breaks import segmentations, stretch_rss
from evaltoolkit.kernels.unknown_break import ave_f_p_value, break_path, exp_f_p_value, sup_f_p_value

FloatArray = NDArray[np.float64]
WIDE = (0.85 / 0.15) ** 2


def rss(X: FloatArray, y: FloatArray) -> float:
    left = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    return float(left @ left)


def series(n: int = 40, seed: int = 1, shift: float = 3.0) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    X = np.column_stack([np.ones(n), t])
    return X, 1000 + 0.3 * t + shift * (t >= 22) + rng.normal(size=n), t


def test_statistics_of_every_date_by_loops() -> None:
    X, y, _ = series()
    found = break_path(X, y)
    whole = rss(X, y)
    slow = []
    for T in range(6, 35):
        parts = rss(X[:T], y[:T]) + rss(X[T:], y[T:])
        slow.append((whole - parts) / (parts / (40 - 4)))
    assert found.first_after.tolist() == list(range(6, 35))
    # The same sums in another order.
    assert found.statistics == pytest.approx(slow, rel=1e-8)
    assert found.sup_f == pytest.approx(max(slow), rel=1e-8)
    assert found.exp_f == pytest.approx(np.log(np.mean(np.exp(np.array(slow) / 2))), rel=1e-8)
    assert found.trim_ratio == pytest.approx(34 * 34 / (6 * 6))


def test_too_few_rows_for_a_break() -> None:
    with pytest.raises(ValueError, match="too few rows"):
        break_path(np.ones((3, 1)), np.arange(3.0))


def test_several_breaks_by_enumeration() -> None:
    X, y, _ = series(24, seed=4)
    y[16:] -= 6
    found = segmentations(X, y, 4, 3)
    for m in range(1, 4):
        best = min(
            (
                (sum(rss(X[a:b], y[a:b]) for a, b in itertools.pairwise((0, *cuts, 24))), cuts)
                for cuts in itertools.combinations(range(4, 21), m)
                if min(b - a for a, b in itertools.pairwise((0, *cuts, 24))) >= 4
            ),
        )  # fmt: skip
        assert found.breaks[m] == best[1]
        assert found.rss[m] == pytest.approx(best[0], rel=1e-8)
    assert stretch_rss(X, y, 4)[3, 11] == pytest.approx(rss(X[3:12], y[3:12]), rel=1e-8)


@pytest.mark.parametrize(("shortest", "message"), [(2, "more rows"), (20, "no break fits")])
def test_segments_that_cannot_be(shortest: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        segmentations(*series(24)[:2], shortest)


def test_the_law_of_the_largest_statistic_is_that_of_a_simulated_bridge() -> None:
    # 4,000 paths on a grid of log time: standard error of a share of 0.05 0.0035, of 0.5 0.008. Peaks between the
    # points of the grid reach 0.5826 roots of its step higher (Broadie, Glasserman and Kou 1997).
    rng = np.random.default_rng(5)
    step = 0.002
    n = int(np.log(WIDE) / step)
    keep = np.exp(-step / 2)
    for q in (1, 3):
        at = rng.normal(size=(4_000, q))
        largest = (at**2).sum(axis=1)
        for _ in range(n):
            at = keep * at + np.sqrt(1 - keep**2) * rng.normal(size=at.shape)
            np.maximum(largest, (at**2).sum(axis=1), out=largest)
        for level in (0.5, 0.8, 0.95):
            c = (np.sqrt(float(np.quantile(largest, level))) + 0.5826 * np.sqrt(step)) ** 2
            assert sup_f_p_value(c, q, WIDE) == pytest.approx(1 - level, abs=0.025)


def test_the_law_at_one_date_is_chi_square() -> None:
    for q in (1, 4):
        assert sup_f_p_value(5.0, q, 1.0) == pytest.approx(stats.chi2.sf(5.0, q), abs=1e-9)
        assert ave_f_p_value(5.0, q, (0.5, 0.5)) == pytest.approx(stats.chi2.sf(5.0, q), abs=1e-9)


def test_p_values_fall_with_the_statistic_and_rise_with_the_range() -> None:
    for law in (sup_f_p_value,):
        found = [law(c, 2, WIDE) for c in (0.0, 0.5, 5.0, 12.0, 40.0, 200.0, 5_000.0)]
        assert found == sorted(found, reverse=True)
        assert 0 <= found[-1] <= 1e-9
    assert sup_f_p_value(9.0, 2, 2.0) < sup_f_p_value(9.0, 2, 20.0)


def test_the_averages_have_their_laws() -> None:
    # The same Brownian bridges give both; 4,000 of them, standard error 0.0035 at 0.05 and 0.008 at 0.5.
    rng = np.random.default_rng(6)
    n, q = 400, 2
    at = (np.arange(n) + 1) / n
    inside = (at >= 0.15) & (at <= 0.85)
    W = np.cumsum(rng.normal(size=(4_000, q, n)) / np.sqrt(n), axis=2)
    bridge = W - at * W[:, :, -1:]
    F = ((bridge**2).sum(axis=1) / (at * (1 - at) + 1e-300))[:, inside]
    ave, exp = F.mean(axis=1), np.log(np.exp(F / 2).mean(axis=1))
    for level in (0.5, 0.95):
        assert ave_f_p_value(float(np.quantile(ave, level)), q, (0.15, 0.85)) == pytest.approx(1 - level, abs=0.025)
        assert exp_f_p_value(float(np.quantile(exp, level)), q, (0.15, 0.85)) == pytest.approx(1 - level, abs=0.03)


def test_quadratic_forms() -> None:
    rng = np.random.default_rng(7)
    w = np.array([2.0, 1.0, -0.5, 0.3, -1.2])
    z = rng.normal(size=(200_000, 5)) ** 2
    for x in (-2.0, 0.0, 3.0):
        # Standard error 0.0011.
        assert quadratic_form_below(w, x) == pytest.approx(float((z @ w < x).mean()), abs=0.004)
    assert quadratic_form_below(np.full(7, 2.0), 2 * stats.chi2.ppf(0.999, 7)) == pytest.approx(0.999, abs=1e-9)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("q", [1, 2])
def test_a_change_at_every_date_is_the_full_fit_of_each(q: int, *, gaps: bool) -> None:
    X, y, t = series()
    rows = np.delete(np.arange(40), [7, 8, 30]) if gaps else np.arange(40)
    X, y, t = X[rows], y[rows], t[rows]
    starts = list(range(5, 36))
    added = np.array([np.column_stack([t >= s, (t - s) * (t >= s)])[:, :q] for s in starts], dtype=np.float64)
    found = dated_changes(X, added, y, t)
    slow = []
    for i, _ in enumerate(starts):
        fit = marginal_ar1(np.column_stack([X, added[i]]), y, t)
        mixed = mixture(fit, fit.coefficients[:, 2:3], np.tile(np.eye(2 + q)[2], (GRID.size, 1, 1)))
        one = (found.estimate[i], found.std_error[i], found.p_value[i])
        # Levels of 1,000 lose six of sixteen digits when they are taken out.
        assert one == pytest.approx((mixed.mean[0], mixed.spread[0], mixed.p_value()[0]), rel=1e-6, abs=1e-9)
        slow.append(_evidence(X, added[i], y, t))
    assert np.diff(found.log_evidence) == pytest.approx(np.diff(slow), abs=1e-6)
    assert found.chances.sum() == pytest.approx(1)


def _evidence(base: FloatArray, added: FloatArray, y: FloatArray, t: NDArray[np.int64]) -> float:
    """The restricted likelihood with the full covariance matrix, the added columns scaled, added up over the grid."""
    X = np.column_stack([base, added])
    n, k = X.shape
    widths = np.concatenate([GRID[1:2] - GRID[:1], (GRID[2:] - GRID[:-2]) / 2, GRID[-1:] - GRID[-2:-1]])
    found = []
    for rho, width in zip(GRID, widths, strict=True):
        V = np.sign(rho) ** np.abs(t[:, None] - t) * abs(rho) ** np.abs(t[:, None] - t) / (1 - rho**2)
        P = np.linalg.inv(V)
        A, B = X.T @ P @ X, base.T @ P @ base
        e = y - X @ np.linalg.solve(A, X.T @ P @ y)
        s2 = e @ P @ e
        dets = -np.linalg.slogdet(V)[1] / 2 - np.linalg.slogdet(B)[1] / 2
        found.append(dets - (n - k) / 2 * np.log(s2) - np.log1p(-(rho**2)) / 2 + np.log(width))
    return float(np.logaddexp.reduce(found))


def test_a_date_without_room_has_no_estimate() -> None:
    X, y, t = series()
    found = dated_changes(X, np.ones((1, 40, 1)), y, t)
    assert np.isnan(found.estimate[0])


@pytest.mark.parametrize("rho", [-0.4, 0.0, 0.6])
def test_the_error_of_an_effect_is_that_of_generalized_least_squares(rho: float) -> None:
    X, _, t = series()
    t = np.delete(t, [3, 9])
    X = np.column_stack([np.delete(X, [3, 9], axis=0), t >= 22, (t - 22) * (t >= 22)])
    R = np.sign(rho) ** np.abs(t[:, None] - t) * abs(rho) ** np.abs(t[:, None] - t) if rho else np.eye(t.size)
    covariance = 4.0 * np.linalg.inv(X.T @ np.linalg.inv(R) @ X)
    c = np.array([0.0, 0.0, 1.0, 7.0])
    assert error_of_effect(X, c, t, ErrorsAhead(rho, 2.0)) == pytest.approx(np.sqrt(c @ covariance @ c), rel=1e-9)


def test_power_by_simulation() -> None:
    X, _, t = series()
    X = np.column_stack([X, t >= 22])
    error = error_of_effect(X, np.array([0.0, 0, 1]), t, ErrorsAhead(0.0, 1.0))
    rng = np.random.default_rng(8)
    y = 1.2 * (t >= 22) + rng.normal(size=(20_000, 40))
    found = y @ np.linalg.pinv(X).T[:, 2]
    # Standard error 0.0035.
    assert power_of_t(1.2, error) == pytest.approx(float((np.abs(found) / error > 1.96).mean()), abs=0.012)


@pytest.mark.parametrize("gaps", [False, True])
def test_leaving_each_period_out_is_the_fit_without_it(*, gaps: bool) -> None:
    X, y, t = series()
    rows = np.delete(np.arange(40), [7, 8, 30]) if gaps else np.arange(40)
    X, y, t = np.column_stack([X, np.arange(40) >= 22])[rows], y[rows], t[rows]
    c = np.array([0.1, 0.5, 1.0])
    found = without_each_period(X, y, c, t)
    for i in (0, 1, 6, 18, t.size - 1):
        fit = marginal_ar1(np.delete(X, i, axis=0), np.delete(y, i), np.delete(t, i))
        # Levels of 1,000 lose digits when they are taken out.
        assert found[i] == pytest.approx(float(fit.centre @ c), rel=1e-8)


def test_a_period_that_alone_identifies_a_coefficient_cannot_be_left_out() -> None:
    X, y, t = series()
    found = without_each_period(np.column_stack([X, t == 5]), y, np.array([0.0, 1.0, 0.0]), t)
    assert np.flatnonzero(np.isnan(found)).tolist() == [5]
