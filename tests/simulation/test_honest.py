"""How often robust intervals hold the effect when parallel trends fail as far as the restriction allows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from evaltoolkit.kernels.honest import EventStudy
from evaltoolkit.kernels.honest_conditional import accepts, inequalities, threshold
from evaltoolkit.kernels.honest_length import fixed_length
from evaltoolkit.kernels.honest_restrictions import relative_magnitudes, smoothness

DRAWS = 4000
ROOM = 3 * np.sqrt(0.05 * 0.95 / DRAWS)
SIGMA = 0.3 * np.eye(6) + 0.7 * np.exp(-np.abs(np.subtract.outer(np.arange(6), np.arange(6))) / 3)
WEIGHTS = np.full(3, 1 / 3)
T = np.array([-3, -2, -1, 1, 2, 3])

pytestmark = pytest.mark.slow


def draws(delta: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(11).standard_normal((DRAWS, 6)) @ np.linalg.cholesky(SIGMA).T
    return delta + noise


@pytest.mark.parametrize("hybrid", [True, False])
@pytest.mark.parametrize("change", [0.0, 1.0, 8.0])
def test_relative_magnitudes_at_the_largest_departure(change: float, *, hybrid: bool) -> None:
    """One change before the reference, and M-bar times it in every later period: the effect is zero."""
    delta = np.array([-change, -change, -change, 1.5 * change, 3 * change, 4.5 * change])
    estimates = draws(delta)
    parts = relative_magnitudes(3, 3, 1.5)
    tests = [threshold(inequalities(EventStudy(delta, SIGMA, 3), WEIGHTS, p), 0.95, hybrid=hybrid) for p in parts]
    zero = np.zeros(1)
    held = [
        any(
            accepts(inequalities(EventStudy(e, SIGMA, 3), WEIGHTS, p), test, zero)[0]
            for p, test in zip(parts, tests, strict=True)
        )
        for e in estimates
    ]
    assert np.mean(held) >= 0.95 - ROOM
    if change == 8.0:  # the change is found without doubt, and one bound binds
        assert np.mean(held) <= 0.95 + 0.02


@pytest.mark.parametrize("hybrid", [True, False])
def test_smoothness_tests_at_the_largest_departure(*, hybrid: bool) -> None:
    """Where the first moment binds, the size is that of its normal law between the limits: the tests are not exact."""
    delta = 0.7 * np.where(T > 0, T * (T + 1) / 2, 0.0)  # the slope rises by 0.7 at the reference and in later periods
    part = smoothness(3, 3, 0.7)
    moments = inequalities(EventStudy(delta, SIGMA, 3), WEIGHTS, part)
    test = threshold(moments, 0.95, hybrid=hybrid)
    held = [accepts(inequalities(EventStudy(e, SIGMA, 3), WEIGHTS, part), test, np.zeros(1))[0] for e in draws(delta)]
    law = stats.norm(scale=np.linalg.norm(moments.loadings[0]))
    low, high = moments.values[2:].max(), test.least_favourable
    expected = law.sf(high) + test.size * (law.cdf(high) - law.cdf(low))
    assert 0.03 < expected < 0.05
    assert abs(1 - np.mean(held) - expected) <= ROOM


def test_fixed_length_at_its_largest_bias() -> None:
    """The worst departure follows the signs of the estimator's sums of weights; coverage is then exact."""
    (row,) = fixed_length(EventStudy(np.zeros(6), SIGMA, 3), WEIGHTS, np.array([0.2]), 0.95)
    curves = np.array([np.maximum(T - j, 0) if j > 0 else np.maximum(j - T, 0) * (T < 0) for j in (1, 2, -1, -2)])
    kink = np.where(T < 0, -T, 0)  # a change of slope at the reference
    delta = 0.2 * np.sign(np.vstack([curves, kink]) @ row.weights) @ np.vstack([curves, kink])
    assert delta @ row.weights == pytest.approx(row.bias)
    covered = np.abs(draws(delta) @ row.weights) <= row.half_length
    assert abs(covered.mean() - 0.95) <= ROOM
