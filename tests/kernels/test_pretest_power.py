"""Power of pre-tests and the bias behind them, beside scipy's integrals and plain simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evaltoolkit.kernels.pretest_power import Pretest, joint_power, linear, slope_detected, trend_missed

TIMES = np.array([-4.0, -3, -2, 0, 1, 2])


def study(seed: int = 1, scale: float = 1.0) -> Pretest:
    """An event study against one base period: estimates share its noise, as they do in practice."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(6, 6)) / 3
    V = (root @ root.T + 0.5 * np.eye(6) + 0.7) * scale**2
    return Pretest(rng.normal(size=6) * scale, V, TIMES)


def one_by_one(pretest: Pretest, difference: np.ndarray, draws: int = 400_000) -> tuple[float, np.ndarray, np.ndarray]:
    x = np.random.default_rng(7).multivariate_normal(difference, pretest.covariance, draws)
    se = np.sqrt(np.diag(pretest.covariance))
    passed = (np.abs(x[:, :3]) <= 1.959963984540054 * se[:3]).all(axis=1)
    significant = (np.abs(x[:, 3:]) > 1.959963984540054 * se[3:]).mean(axis=0, where=passed[:, None])
    return 1 - passed.mean(), x[passed].mean(axis=0), significant


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("slope", [0.0, 0.3, -0.8])
def test_equals_simulation(seed: int, slope: float) -> None:
    pretest = study(seed)
    found = trend_missed(pretest, linear(pretest, slope))
    power, means, significant = one_by_one(pretest, linear(pretest, slope))
    kept = 400_000 * (1 - power)
    error = 5 * np.sqrt(np.diag(pretest.covariance) / kept)
    assert found.power == pytest.approx(power, abs=5 * np.sqrt(0.25 / 400_000))
    assert (np.abs(np.concatenate([found.conditional_before, found.conditional_bias]) - means) < error).all()
    assert found.false_finding == pytest.approx(significant, abs=5 * np.sqrt(0.25 / kept))
    assert found.trend == pytest.approx(slope * np.array([1.0, 2, 3]))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_power_equals_the_integral_of_scipy(seed: int) -> None:
    pretest = study(seed)
    delta = linear(pretest, 0.5)
    V, edge = pretest.covariance[:3, :3], 1.959963984540054 * np.sqrt(np.diag(pretest.covariance)[:3])
    inside, flat = (
        stats.multivariate_normal(mean, V).cdf(edge, lower_limit=-edge) for mean in (delta[:3], np.zeros(3))
    )
    found = trend_missed(pretest, delta)
    assert found.power == pytest.approx(1 - inside, abs=1e-4)
    assert found.bayes_factor == pytest.approx(inside / flat, abs=1e-4)
    ratio = stats.multivariate_normal(delta[:3], V).pdf(pretest.estimates[:3]) / stats.multivariate_normal(
        np.zeros(3), V
    ).pdf(pretest.estimates[:3])
    assert found.likelihood_ratio == pytest.approx(ratio, rel=1e-6)


def test_one_pre_period_has_a_formula() -> None:
    V = np.array([[1.0, 0.6], [0.6, 2.0]])
    pretest = Pretest(np.zeros(2), V, np.array([-2.0, 0.0]))
    c = 1.959963984540054
    found = trend_missed(pretest, np.array([-1.5, 1.5]))
    cut = stats.truncnorm(-c + 1.5, c + 1.5, loc=-1.5)
    assert found.power == pytest.approx(stats.norm.cdf(-c + 1.5) + stats.norm.cdf(-c - 1.5), abs=1e-7)
    # The lattice is good to about 2e-5.
    assert found.conditional_before[0] == pytest.approx(cut.mean(), abs=5e-5)
    # Passing makes it worse: the noise that hid the trend is carried over.
    assert found.conditional_bias[0] == pytest.approx(1.5 + 0.6 * (cut.mean() + 1.5), abs=5e-5)
    assert found.conditional_bias[0] > 1.5


@pytest.mark.parametrize("power", [0.5, 0.8])
def test_slope_has_the_power_asked_for(power: float) -> None:
    pretest = study()
    slope = slope_detected(pretest, power)
    assert one_by_one(pretest, linear(pretest, slope))[0] == pytest.approx(power, abs=0.005)
    # Powers are even in the slope.
    assert trend_missed(pretest, linear(pretest, -slope)).power == pytest.approx(power, abs=1e-4)
    assert slope_detected(pretest, 0.9) > slope


@settings(deadline=None, max_examples=20)
@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 50))
def test_scale_and_order(scale: float, seed: int) -> None:
    one, two = study(3), study(3, scale)
    assert slope_detected(two) == pytest.approx(scale * slope_detected(one), rel=1e-6)
    order = np.random.default_rng(seed).permutation(6)
    turned = Pretest(two.estimates[order], two.covariance[np.ix_(order, order)], TIMES[order])
    a, b = trend_missed(one, linear(one, 0.4)), trend_missed(turned, linear(turned, 0.4 * scale))
    assert b.power == pytest.approx(a.power, abs=2e-4)
    back = np.argsort(b.event_times)
    assert b.conditional_bias[back] / scale == pytest.approx(a.conditional_bias, abs=1e-3)


def test_estimates_without_noise_in_common_are_not_distorted() -> None:
    pretest = Pretest(np.zeros(6), np.eye(6), TIMES)
    found = trend_missed(pretest, linear(pretest, 0.5))
    assert found.conditional_bias == pytest.approx(found.trend, abs=1e-9)


def test_joint_test_by_simulation() -> None:
    pretest = study(2)
    delta = linear(pretest, 0.5)
    V = pretest.covariance[:3, :3]
    x = np.random.default_rng(1).multivariate_normal(delta[:3], V, 200_000)
    statistic = np.einsum("ij,jk,ik->i", x, np.linalg.inv(V), x)
    assert joint_power(pretest, delta) == pytest.approx((statistic > stats.chi2.ppf(0.95, 3)).mean(), abs=0.005)


def test_more_pre_periods_than_clusters() -> None:
    """A singular covariance: three estimates, two sources of noise."""
    root = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.3, 0.1]])
    pretest = Pretest(np.zeros(4), root @ root.T + np.diag([0, 0, 0, 0.1]), np.array([-4.0, -3, -2, 0]))
    found = trend_missed(pretest, linear(pretest, 0.5))
    x = linear(pretest, 0.5)[:3] + np.random.default_rng(1).normal(size=(400_000, 2)) @ root[:3].T
    passed = (np.abs(x) <= 1.959963984540054 * np.sqrt(np.diag(pretest.covariance)[:3])).all(axis=1)
    assert found.power == pytest.approx(1 - passed.mean(), abs=0.005)
    assert found.conditional_before == pytest.approx(x[passed].mean(axis=0), abs=0.01)


def test_steep_trends_are_found_and_nothing_is_infinite() -> None:
    pretest = study()
    found = trend_missed(pretest, linear(pretest, 5.0))
    assert found.power > 1 - 1e-6
    assert np.isfinite(found.conditional_before).all()
    assert (np.abs(found.conditional_before) <= 1.96 * np.sqrt(np.diag(pretest.covariance)[:3])).all()


def test_refusals() -> None:
    with pytest.raises(ValueError, match="before the reference"):
        slope_detected(Pretest(np.zeros(2), np.eye(2), np.array([0.0, 1.0])))
    with pytest.raises(ValueError, match="parallel trends"):
        slope_detected(study(), 0.01)
