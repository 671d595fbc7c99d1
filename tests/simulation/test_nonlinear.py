"""Bias and coverage of Poisson and logit difference-in-differences where the truth is known.

The world: six periods, cohorts first treated in periods 3 and 5 beside never-treated units. Counts are Poisson given a
gamma unit effect of mean one (so that they vary more than Poisson counts, and together within units), with cohort and
period effects in the rate. The effect multiplies rates by 1.25 from the start on.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import t as student

from evaltoolkit.kernels.cohorts import NEVER, Rule
from evaltoolkit.kernels.nonlinear import Observed, nonlinear_group_time
from evaltoolkit.kernels.nonlinear_average import average, per_exposure, proportional
from evaltoolkit.kernels.nonlinear_twoway import poisson_two_way, treatment_table

PERIODS = np.arange(1, 7)
EFFECT = np.log(1.25)
DRAWS = 400
# Three Monte Carlo standard errors of a share of 0.95 in 400 draws, and one hundredth for the sandwich with 120 units.
LOWEST, HIGHEST = 0.95 - 0.043, 0.95 + 0.033

pytestmark = pytest.mark.slow


def world(rng: np.random.Generator, n: int = 120) -> tuple[Observed, np.ndarray]:
    """Return counts and what they would be on average without treatment, given unit effects left out."""
    start = np.repeat([3, 5, NEVER], n // 3)
    exposure = rng.uniform(1, 5, size=(n, 1)) * np.ones((n, 6))
    rate = np.exp(0.2 + 0.3 * (start == 3)[:, None] + 0.1 * PERIODS[None, :])
    without = exposure * rate
    mean = without * np.exp(EFFECT * (PERIODS[None, :] >= start[:, None]))
    y = rng.poisson(mean * rng.gamma(4, 0.25, size=(n, 1))).astype(float)
    return Observed(y, start, PERIODS, exposure), without


def check(inside: list[bool], gaps: list[float]) -> None:
    assert LOWEST <= np.mean(inside) <= HIGHEST
    assert abs(np.mean(gaps)) <= 4 * np.std(gaps) / np.sqrt(len(gaps))


def covers(value: float, scores: np.ndarray, truth: float, clusters: int) -> bool:
    return bool(abs(value - truth) <= student.ppf(0.975, clusters - 1) * np.sqrt(scores @ scores))


@pytest.mark.parametrize("comparison", ["never", "not-yet"])
def test_extended_poisson(comparison: str) -> None:
    rng = np.random.default_rng(11)
    ratio: tuple[list[bool], list[float]] = ([], [])
    rates: tuple[list[bool], list[float]] = ([], [])
    for _ in range(DRAWS):
        o, without = world(rng)
        found = nonlinear_group_time(o, "poisson", Rule("never" if comparison == "never" else "not-yet"))
        got = proportional("simple", found)
        ratio[0].append(covers(got.overall, got.overall_scores, EFFECT, found.n_clusters))
        ratio[1].append(got.overall - EFFECT)
        assert o.exposure is not None
        after = PERIODS[None, :] >= o.start[:, None]
        truth = float((without * (np.exp(EFFECT) - 1))[after].sum() / o.exposure[after].sum())
        rate = average("simple", per_exposure(found))
        rates[0].append(covers(rate.overall, rate.overall_scores, truth, found.n_clusters))
        rates[1].append(rate.overall - truth)
    check(*rates)
    assert LOWEST <= np.mean(ratio[0]) <= HIGHEST
    # The logarithm of a ratio of estimates is off by terms of the order of the variance.
    assert abs(np.mean(ratio[1])) <= 0.02


def test_poisson_with_unit_effects() -> None:
    rng = np.random.default_rng(12)
    inside, gaps = [], []
    for _ in range(DRAWS):
        o, _ = world(rng)
        table, row = treatment_table(o.start, PERIODS)
        found = poisson_two_way(o.outcome, table, row, o.exposure)
        inside.append(covers(float(found.coefficients[0]), found.scores[:, 0], EFFECT, found.n_clusters))
        gaps.append(float(found.coefficients[0]) - EFFECT)
    check(inside, gaps)


def test_extended_logit() -> None:
    rng = np.random.default_rng(13)
    inside, gaps = [], []
    for _ in range(DRAWS):
        start = np.repeat([3, 5, NEVER], 80)
        x = rng.normal(size=(240, 1))
        line = -0.4 + 0.3 * (start == 3)[:, None] + 0.1 * PERIODS[None, :] + 0.4 * x
        after = PERIODS[None, :] >= start[:, None]
        y = (rng.random(line.shape) < expit(line + 0.6 * after)).astype(float)
        found = nonlinear_group_time(Observed(y, start, PERIODS, covariates=x), "logit")
        truth = float((expit(line + 0.6) - expit(line))[after].mean())
        got = average("simple", found)
        inside.append(covers(got.overall, got.overall_scores, truth, found.n_clusters))
        gaps.append(got.overall - truth)
    check(inside, gaps)
