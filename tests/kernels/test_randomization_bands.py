"""Bands by randomization against a slow twin, and how often they hold everything."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evaltoolkit.kernels.aggregate import aggregate
from evaltoolkit.kernels.assignments import assignments
from evaltoolkit.kernels.cohorts import NEVER, Rule
from evaltoolkit.kernels.group_time import group_time_study
from evaltoolkit.kernels.placebo_cells import Sample
from evaltoolkit.kernels.randomization import placebos
from evaltoolkit.kernels.randomization_bands import reach_together

PERIODS = np.arange(1, 7)


def world(rng: np.random.Generator, n: int = 14, effect: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    start = np.array([3, 5, *[NEVER] * (n - 2)])
    y = rng.normal(size=(n, 1)) + rng.normal(size=(n, PERIODS.size)) + effect * (start[:, None] <= PERIODS)
    return y, start


@pytest.mark.parametrize("comparison", ["never", "not-yet"])
def test_the_band_equals_a_slow_twin(comparison: str) -> None:
    y, start = world(np.random.default_rng(3))
    rule = Rule(comparison)  # type: ignore[arg-type]
    table = assignments(start, np.arange(14), 999, 1)
    assert table.exact
    mine = reach_together(placebos(Sample.of(y, start, PERIODS, rule), table), "dynamic", 0.9)
    X = np.ones((14, 1, 1))
    study = group_time_study(y, start, PERIODS, X, rule)
    without = y.copy()
    for g, t, att in zip(study.cells.cohort, study.cells.period, study.cells.att, strict=True):
        if t >= g:
            without[start == g, t - 1] -= att
    rows = []
    for codes in table.codes:
        one = group_time_study(without, table.cohorts[codes], PERIODS, X, rule)
        c = one.cells
        rows.append(aggregate("dynamic", c.cohort, c.period, c.att, c.scores, one.sizes).rows)
    T = np.array(rows)
    size = np.sqrt((T**2).mean(axis=0))
    largest = sorted((np.abs(T) / size).max(axis=1))
    assert mine == pytest.approx(largest[math.ceil(0.9 * len(largest) - 1e-9) - 1] * size)


def test_too_few_assignments_give_no_band() -> None:
    y, start = world(np.random.default_rng(3), n=4)
    found = placebos(Sample.of(y, start, PERIODS, Rule()), assignments(start, np.arange(4), 99, 1))
    assert np.isinf(reach_together(found, "dynamic", 0.95)).all()
    assert np.isfinite(reach_together(found, "dynamic", 0.90)).all()


@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_the_band_holds_every_event_time_as_often_as_it_says(effect: float) -> None:
    rng, held, draws = np.random.default_rng(5), 0, 200
    start = np.array([3, 3, 3, 5, 5, 5, *[NEVER] * 14])
    table = assignments(start, np.arange(20), 199, 1)
    for _ in range(draws):
        y = rng.normal(size=(20, PERIODS.size)) + effect * (start[:, None] <= PERIODS)
        found = placebos(Sample.of(y, start, PERIODS, Rule("never")), table)
        study = group_time_study(y, start, PERIODS, np.ones((20, 1, 1)), Rule("never"))
        c = study.cells
        rows = aggregate("dynamic", c.cohort, c.period, c.att, c.scores, study.sizes)
        held += int((np.abs(rows.rows - effect * (rows.labels >= 0)) <= reach_together(found, "dynamic", 0.9)).all())
    # Monte Carlo standard error 2.1 points; taking out effects as estimated costs a few points with three clusters.
    assert 0.82 <= held / draws <= 0.97
