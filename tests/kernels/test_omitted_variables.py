"""Sensitivity to omitted covariates against worlds in which the hidden covariate is known."""

from __future__ import annotations

import numpy as np
import pytest

from evaltoolkit.kernels.coefficient_stability import oster
from evaltoolkit.kernels.omitted_variables import (
    Regression,
    adjusted_estimate,
    benchmark,
    e_value,
    moments,
    regression,
    robustness_value,
    standardized_as_ratio,
)


def r2(y: np.ndarray, X: np.ndarray) -> float:
    X = np.column_stack([np.ones(y.size), X])
    left = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    return float(1 - left @ left / ((y - y.mean()) ** 2).sum())


def share(target: np.ndarray, rest: np.ndarray, mine: np.ndarray) -> float:
    without, both = r2(target, rest), r2(target, np.column_stack([rest, mine]))
    return (both - without) / (1 - without)


def test_the_estimate_with_the_hidden_covariate_is_recovered() -> None:
    rng = np.random.default_rng(1)
    x, hidden = rng.normal(size=300), rng.normal(size=300)
    t = 0.5 * x + 0.7 * hidden + rng.normal(size=300)
    y = 2 * t + x + 0.9 * hidden + rng.normal(size=300)
    found = regression(moments(y, t, x[:, None], np.ones(300)))
    full = np.linalg.lstsq(np.column_stack([np.ones(300), t, x, hidden]), y, rcond=None)[0][1]
    strength = share(t, x, hidden), share(y, np.column_stack([x, t]), hidden)
    # The formula is exact where the hidden covariate works against the estimate, as here.
    assert adjusted_estimate(found, *strength) == pytest.approx(full, rel=1e-10)


def test_a_covariate_as_strong_as_the_robustness_value_takes_the_estimate_away() -> None:
    found = Regression(2.0, 0.5, 100, 2.5, 0.4, 0.1, 1.0, 0.25, 0.2)
    value = robustness_value(4.0, 100)
    assert adjusted_estimate(found, value, value) == pytest.approx(0, abs=1e-12)
    assert adjusted_estimate(found, *(2 * [robustness_value(4.0, 100, q=0.5)])) == pytest.approx(1.0, rel=1e-12)
    assert robustness_value(1.0, 100, alpha=0.05) == 0
    assert robustness_value(4.0, 100, alpha=0.05) < value


def test_a_benchmark_once_as_strong_has_the_shares_of_the_measured_covariate() -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(500, 3))
    t = X @ np.array([0.5, 0.2, 0.0]) + rng.normal(size=500)
    y = t + X @ np.array([1.0, 0.3, 0.2]) + rng.normal(size=500)
    found = benchmark(moments(y, t, X, np.ones(500)), np.array([0]))
    assert found is not None
    a = share(t, X[:, 1:], X[:, 0])
    assert found.with_treatment == pytest.approx(a / (1 - a), rel=1e-9)
    twice = benchmark(moments(y, t, X, np.ones(500)), np.array([0]), times=2)
    assert twice is not None
    assert twice.with_treatment == pytest.approx(2 * found.with_treatment, rel=1e-9)
    assert benchmark(moments(y, t, X, np.ones(500)), np.array([0]), times=1e6) is None


def test_weights_stand_for_repeated_rows() -> None:
    rng = np.random.default_rng(3)
    X, t, y = rng.normal(size=(30, 2)), (np.arange(30) % 2).astype(float), rng.normal(size=30)
    w = rng.integers(0, 4, 30)
    weighted = regression(moments(y, t, X, w.astype(float)))
    repeated = regression(moments(np.repeat(y, w), np.repeat(t, w), np.repeat(X, w, axis=0), np.ones(w.sum())))
    for name in ("estimate", "short_estimate", "r2", "short_r2", "treatment_left", "outcome_variance"):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name), rel=1e-10), name


def in_the_population(effect: float, delta: float) -> tuple[Regression, float]:
    """Moments of y = effect t + a + b, where a is measured and b hidden, and selection on b is delta that on a."""
    a, b, with_a = 1.0, 0.5, 0.4
    with_b = delta * with_a * b / a
    variance = effect**2 + a + b + 2 * effect * (with_a + with_b)
    covariance = effect + with_a + with_b
    M = np.array([[1.0, with_a], [with_a, a]])
    c = np.array([covariance, effect * with_a + a])
    long = np.linalg.solve(M, c)
    found = Regression(
        float(long[0]), 1.0, 100, covariance, float(c @ long / variance), covariance**2 / variance, variance, 1.0,
        1 - with_a**2,
    )  # fmt: skip
    return found, 1.0


@pytest.mark.parametrize("effect", [1.0, -0.5, 0.0])
@pytest.mark.parametrize("delta", [0.3, 1.0, 1.7, -0.5])
def test_osters_delta_is_the_one_the_world_was_made_with(effect: float, delta: float) -> None:
    found, top = in_the_population(effect, delta)
    assert oster(found, top, effect).delta == pytest.approx(delta, rel=1e-10)
    if delta == 1:
        assert oster(found, top).adjusted == pytest.approx(effect, abs=1e-10)


def test_e_values() -> None:
    assert e_value(2.0) == e_value(0.5) == pytest.approx(2 + np.sqrt(2))
    middle, low, high = standardized_as_ratio(0.3, 0.1)
    assert low < middle < high
    # VanderWeele and Ding print 1.78 for 0.91 times 1.96.
    assert np.log(high / middle) == pytest.approx(1.78 * 0.1, rel=3e-3)
    with pytest.raises(ValueError, match="above zero"):
        e_value(0.0)
