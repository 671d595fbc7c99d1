"""Bias and coverage of triple differences where trends differ by cohort and by eligibility, and the truth is known."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from evaltoolkit.kernels.aggregate import aggregate
from evaltoolkit.kernels.cohorts import NEVER, Rule
from evaltoolkit.kernels.placebo_cells import Sample
from evaltoolkit.kernels.triple import triple_differences

PERIODS = np.arange(1, 7)
TRUTH = 1.0


def draw(rng: np.random.Generator, rule: Rule, each: int) -> tuple[Sample, np.ndarray]:
    """Cohorts 3, 5 and never, ``each`` units eligible and as many not; a covariate moves trends and eligibility."""
    start = np.repeat([3, 5, NEVER], 2 * each)
    n = start.size
    x = rng.normal(size=n) + 0.4 * (start < NEVER)
    eligible = rng.random(n) < 1 / (1 + np.exp(-0.5 * x))
    e = rng.normal(size=(n, 6))
    for t in range(1, 6):
        e[:, t] = 0.5 * e[:, t - 1] + e[:, t]
    trend = 0.3 * (start == 3) + 0.1 * (start == 5) + 0.4 * eligible + 0.5 * x
    y = rng.normal(size=(n, 1)) + trend[:, None] * PERIODS + e
    y += (start[:, None] <= PERIODS) * (0.8 + TRUTH * eligible[:, None])
    return Sample.of(y, start, PERIODS, rule, np.column_stack([np.ones(n), x])[:, None, :]), eligible


def coverage(comparison: Literal["never", "not-yet"], each: int, draws: int) -> tuple[float, float, float]:
    """Return the share of 95% intervals that hold the truth, the mean estimate, and mean error over true spread."""
    rng = np.random.default_rng(11)
    found, errors = np.empty(draws), np.empty(draws)
    for b in range(draws):
        study = triple_differences(*draw(rng, Rule(comparison), each)).study
        table = study.cells
        one = aggregate("simple", table.cohort, table.period, table.att, table.scores, study.sizes)
        found[b], errors[b] = one.overall, np.sqrt((one.overall_scores**2).sum())
    inside = np.abs(found - TRUTH) <= 1.96 * errors
    return float(inside.mean()), float(found.mean()), float(errors.mean() / found.std(ddof=1))


@pytest.mark.parametrize("comparison", ["never", "not-yet"])
def test_no_bias_and_coverage(comparison: Literal["never", "not-yet"]) -> None:
    share, mean, _ = coverage(comparison, 60, 100)
    # Monte Carlo error of a share of 0.95 in 100 draws is 0.022; of the mean 0.025. Four of each are allowed.
    assert share >= 0.86
    assert mean == pytest.approx(TRUTH, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("comparison", ["never", "not-yet"])
def test_coverage_in_many_draws(comparison: Literal["never", "not-yet"]) -> None:
    share, mean, ratio = coverage(comparison, 60, 800)
    # Monte Carlo errors are 0.008, 0.009 and 0.025; four of each, and analytic errors are somewhat small here.
    assert 0.915 <= share <= 0.98
    assert mean == pytest.approx(TRUTH, abs=0.036)
    assert 0.88 <= ratio <= 1.1
