"""Bias and coverage of group-time effects from repeated cross-sections where the truth is known.

The world: five periods, cohorts first treated in periods 3 and 4 beside never-treated people, chosen by a covariate
that also moves outcomes more and more; every period draws 300 new people; an effect of 1 plus half the covariate, so
that the cohort's mean covariate (of the population: 0.5) makes it 1.25.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evaltoolkit.kernels.aggregate import aggregate
from evaltoolkit.kernels.cohorts import NEVER, Rule
from evaltoolkit.kernels.cross_section import CrossSections, cross_section_study

pytestmark = pytest.mark.slow


def world(rng: np.random.Generator) -> CrossSections:
    period = np.repeat(np.arange(1, 6), 300)
    start = np.array([3, 4, NEVER])[rng.integers(0, 3, period.size)]
    x = rng.normal(size=period.size) + 0.5 * (start < NEVER)  # normal with equal spread, so that the logit is right
    y = 0.2 * period * (1 + x) + (period >= start) * (1 + 0.5 * x) + rng.normal(size=period.size)
    return CrossSections(y, period, start, np.column_stack([np.ones(period.size), x]))


@pytest.mark.parametrize("adjust", ["doubly-robust", "weighting", "regression"])
def test_no_bias_and_coverage(adjust: Any) -> None:
    rng = np.random.default_rng(20260301)
    found = []
    for _ in range(500):
        study = cross_section_study(world(rng), Rule("not-yet", adjust))
        cells = study.cells
        every = aggregate("simple", cells.cohort, cells.period, cells.att, cells.scores, study.sizes)
        found.append((every.overall, np.sqrt((every.overall_scores**2).sum())))
    estimate, se = np.array(found).T
    # Monte Carlo errors in 500 draws: of the mean a 22nd of the standard error, of a share of 0.95 0.0097, of the
    # ratio 3.2%. Four of each are allowed.
    assert estimate.mean() == pytest.approx(1.25, abs=4 * estimate.std() / np.sqrt(500))
    assert 0.911 <= (np.abs(estimate - 1.25) < 1.96 * se).mean() <= 0.989
    assert se.mean() / estimate.std() == pytest.approx(1.0, abs=0.13)
