"""Coverage of intervals for stacked, local-projection and switching estimates where the truth is known.

The worlds: nine periods, a unit effect N(0, 1), a random walk common to all units drawn once, errors e_1 ~ N(0, 1),
e_t = 0.6 e_(t-1) + 0.8 N(0, 1), and an effect of 1 per unit of treatment in the same period. Treatments are drawn once
and kept, because the errors are conditional on them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import special

from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.local_projection import Horizons, local_projection
from evaltoolkit.kernels.stacked import Window, stacked
from evaltoolkit.kernels.switching import Switches, switching

PERIODS = np.arange(1, 10)
DRAWS = 600
FLOOR, CEILING = 0.922, 0.972  # 0.95 within about three simulation errors


def errors(rng: np.random.Generator, n: int) -> np.ndarray:
    e = rng.normal(size=(n, 9))
    for t in range(1, 9):
        e[:, t] = 0.6 * e[:, t - 1] + 0.8 * e[:, t]
    return e + rng.normal(size=(n, 1))


def coverage(d: np.ndarray, estimate: Callable[[np.ndarray], tuple[float, np.ndarray]], df: int) -> float:
    """Share of intervals that hold an effect of 1."""
    rng = np.random.default_rng(20260301)
    trend = rng.normal(size=9).cumsum()
    z = special.stdtrit(df, 0.975)
    inside = 0
    for _ in range(DRAWS):
        point, scores = estimate(errors(rng, len(d)) + trend + d)
        inside += abs(point - 1) <= z * np.sqrt(scores @ scores)
    return inside / DRAWS


def adoption(n: int) -> tuple[np.ndarray, np.ndarray]:
    start = np.array([4, 5, 7, NEVER, NEVER])[np.arange(n) % 5]
    return start, (start[:, None] <= PERIODS).astype(np.float64)


@pytest.mark.slow
def test_stacked() -> None:
    start, d = adoption(100)

    def own(y: np.ndarray) -> tuple[float, np.ndarray]:
        found = stacked(y, start, PERIODS, Window(2, 1, residual="own"))
        return found.overall, found.overall_scores

    def pooled(y: np.ndarray) -> tuple[float, np.ndarray]:
        found = stacked(y, start, PERIODS, Window(2, 1))
        return found.overall, found.overall_scores

    exact, wide = coverage(d, own, 99), coverage(d, pooled, 99)
    assert FLOOR < exact < CEILING
    assert wide > exact  # pooled residuals hold differences between calendar periods


@pytest.mark.slow
@pytest.mark.parametrize("weighting", ["variance", "equal"])
def test_local_projection(weighting: str) -> None:
    start, d = adoption(100)

    def estimate(y: np.ndarray) -> tuple[float, np.ndarray]:
        found = local_projection(y, start, PERIODS, Horizons(0, 2, weighting))  # type: ignore[arg-type]
        return float(found.pooled[0]), found.pooled_scores[:, 0]

    assert FLOOR < coverage(d, estimate, 99) < CEILING


@pytest.mark.slow
def test_switching_on_and_off() -> None:
    """Cohorts are small: without the correction intervals are too short, with it they are about right."""
    rng = np.random.default_rng(5)
    n = 120
    d = np.zeros((n, 9))
    first = np.array([3, 5, 7, 99])[np.arange(n) % 4]
    for t in range(1, 9):
        moves = (rng.random(n) < 0.3) & (t > first - 1)
        d[:, t] = np.where(t == first - 1, 1, np.where(moves, 1 - d[:, t - 1], d[:, t - 1]))

    def plain(y: np.ndarray) -> tuple[float, np.ndarray]:
        found = switching(y, d, Switches(3))
        return found.average, found.average_scores

    def package(y: np.ndarray) -> tuple[float, np.ndarray]:
        found = switching(y, d, Switches(3, variance="package"))
        return found.average, found.average_scores

    def corrected(y: np.ndarray) -> tuple[float, np.ndarray]:
        found = switching(y, d, Switches(3, variance="corrected"))
        return found.average, found.average_scores

    assert FLOOR < coverage(d, corrected, 10_000) < CEILING
    assert FLOOR < coverage(d, package, 10_000) < CEILING
    # Twelve switchers in cohorts of four, twelve comparison units.
    few = np.flatnonzero(np.arange(n) // 4 < 4)
    d = d[few]
    short, right = coverage(d, plain, 10_000), coverage(d, corrected, 10_000)
    assert short < right
    assert short < FLOOR
