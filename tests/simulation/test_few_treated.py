"""Coverage of intervals for few treated units where the truth is known.

The world: eight periods, cohorts first treated in periods 4 and 6 beside never-treated units, a unit effect N(0, 1), a
common trend, errors e_1 ~ N(0, 1), e_t = 0.6 e_(t-1) + 0.8 N(0, 1). The long run that the documentation shows is
``benchmarks/coverage_did.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evaltoolkit.kernels.assignments import assignments
from evaltoolkit.kernels.cluster_means import cluster_means
from evaltoolkit.kernels.cohorts import NEVER, Rule
from evaltoolkit.kernels.few_treated import Situation, recommended, scaled, variability
from evaltoolkit.kernels.placebo_cells import Sample
from evaltoolkit.kernels.randomization import by_randomization, joint_test, placebos

PERIODS = np.arange(1, 9)
WORLDS = [(40, (5, 5)), (40, (3, 2)), (20, (2, 2)), (20, (1, 2)), (12, (1, 1))]


def errors(rng: np.random.Generator, n: int) -> np.ndarray:
    e = rng.normal(size=(n, 8))
    for t in range(1, 8):
        e[:, t] = 0.6 * e[:, t - 1] + 0.8 * e[:, t]
    return e


def world(
    rng: np.random.Generator, never: int, sizes: tuple[int, int], effect: float = 0.0, spread: float = 1.0
) -> Sample:
    start = np.repeat([4, 6, NEVER], [*sizes, never])
    e = errors(rng, start.size) * np.where(start < NEVER, spread, 1.0)[:, None]
    y = rng.normal(size=(start.size, 1)) + 0.1 * PERIODS + e + effect * (start[:, None] <= PERIODS)
    return Sample.of(y, start, PERIODS, Rule("never"))


def chosen(sample: Sample, table: Any) -> str:
    _, n = np.unique(sample.start[sample.start < NEVER], return_counts=True)
    v = variability(cluster_means(sample))
    never = int((sample.start == NEVER).sum())
    return recommended(Situation(int(n.min()), int(n.sum()), never, table.possible, 1.0, v, adjusted=False))[0]


def coverage(
    draws: int, never: int, sizes: tuple[int, int], effect: float, spread: float = 1.0
) -> dict[str, tuple[float, float]]:
    """Return coverage and mean length by method."""
    rng = np.random.default_rng(20260301)
    found: dict[str, list[tuple[bool, float]]] = {"default": [], "randomization": [], "scaled": []}
    table = None
    for _ in range(draws):
        sample = world(rng, never, sizes, effect, spread)
        table = table or assignments(sample.start, sample.clusters, 499, 1)
        ends = {
            "randomization": by_randomization(placebos(sample, table), "simple", 0.95)[1],
            "scaled": scaled(cluster_means(sample), "simple").bounds(0.95),
        }
        ends["default"] = ends[chosen(sample, table)]
        for name, one in ends.items():
            low, high = float(one.low[0]), float(one.high[0])
            found[name].append((low <= effect <= high, high - low))
    return {name: tuple(np.mean(rows, axis=0).tolist()) for name, rows in found.items()}


def test_the_default_covers_with_two_and_two() -> None:
    found = coverage(200, 20, (2, 2), 1.0)
    # The Monte Carlo error of a share of 0.95 in 200 draws is 0.0154: three of each are allowed.
    assert 0.90 <= found["default"][0] <= 0.995


@pytest.mark.slow
@pytest.mark.parametrize("effect", [0.0, 1.0])
@pytest.mark.parametrize(("never", "sizes"), WORLDS)
def test_coverage_and_length(never: int, sizes: tuple[int, int], effect: float) -> None:
    found = coverage(1000, never, sizes, effect)
    for share, _ in found.values():
        # The target is 93 to 98; two Monte Carlo errors of a share of 0.95 in 1,000 draws are 0.014.
        assert 0.93 - 0.014 <= share <= 0.98 + 0.014
    # The check of variability costs little where nothing is wrong.
    assert found["default"][1] <= 1.12 * found["randomization"][1]


@pytest.mark.slow
@pytest.mark.parametrize(("never", "sizes"), WORLDS)
def test_more_variable_treated_units_are_noticed(never: int, sizes: tuple[int, int]) -> None:
    found = coverage(500, never, sizes, 1.0, spread=2.0)
    # In 2,000 draws 93 to 96, without the check 76 to 81; two Monte Carlo errors are 0.02 and 0.036.
    assert found["default"][0] >= 0.91
    assert found["scaled"][0] >= 0.93
    assert found["randomization"][0] <= 0.86


@pytest.mark.slow
@pytest.mark.parametrize("comparison", ["never", "not-yet"])
@pytest.mark.parametrize("kind", ["dynamic", "group", "calendar"])
def test_every_average_and_event_time_covers(kind: Any, comparison: Any) -> None:
    rng = np.random.default_rng(5)
    inside = []
    for _ in range(400):
        sample = world(rng, 30, (3, 3), 1.0)
        sample = Sample.of(sample.outcome, sample.start, PERIODS, Rule(comparison))
        found = placebos(sample, assignments(sample.start, sample.clusters, 299, 1))
        _, test = by_randomization(found, kind, 0.95)
        right = np.ones(test.low.size)
        if kind == "dynamic":
            right[:-1] = np.unique(found.event_time) >= 0
        inside.append((test.low <= right) & (right <= test.high))
    # Four Monte Carlo errors of a share of 0.95 in 400 draws are 0.044; a dozen rows are looked at.
    assert np.mean(inside, axis=0).min() >= 0.905


@pytest.mark.slow
def test_the_joint_test_of_earlier_periods_keeps_its_level() -> None:
    rng = np.random.default_rng(3)
    p = []
    for _ in range(600):
        sample = world(rng, 20, (2, 2), 1.0)
        found = placebos(sample, assignments(sample.start, sample.clusters, 199, 1))
        p.append(joint_test(found, found.event_time < 0)[1])
    assert 0.02 <= np.mean(np.array(p) <= 0.05) <= 0.09  # effects taken out are estimates: a little above 0.05


@pytest.mark.slow
@pytest.mark.parametrize("adjust", ["doubly-robust", "regression"])
def test_covariates(adjust: Any) -> None:
    rng = np.random.default_rng(4)
    inside = 0
    for _ in range(150):
        plain = world(rng, 30, (4, 4), 1.0)
        x = rng.normal(size=(38, 1, 1))
        y = plain.outcome + 0.5 * x[:, :, 0] * PERIODS
        design = np.concatenate([np.ones((38, 1, 1)), x], axis=2)
        sample = Sample.of(y, plain.start, PERIODS, Rule("not-yet", adjust), design)
        found = placebos(sample, assignments(sample.start, sample.clusters, 79, 1))
        _, test = by_randomization(found, "simple", 0.95)
        inside += test.low[0] <= 1.0 <= test.high[0]
    assert inside / 150 >= 0.89  # three Monte Carlo errors of a share of 0.95 in 150 draws are 0.053


@pytest.mark.slow
def test_clusters_above_units() -> None:
    rng = np.random.default_rng(6)
    inside = {"randomization": 0, "scaled": 0}
    for _ in range(400):
        plain = world(rng, 20, (2, 2), 1.0)
        clusters = np.repeat(np.arange(24), 5)
        y = plain.outcome[clusters] + errors(rng, 120) + rng.normal(size=(120, 1))
        sample = Sample.of(y, plain.start[clusters], PERIODS, Rule("not-yet"), None, clusters)
        found = placebos(sample, assignments(sample.start, clusters, 299, 1))
        for name, test in (
            ("randomization", by_randomization(found, "simple", 0.95)[1]),
            ("scaled", scaled(cluster_means(sample), "simple").bounds(0.95)),
        ):
            inside[name] += test.low[0] <= 1.0 <= test.high[0]
    assert min(inside.values()) / 400 >= 0.915  # three Monte Carlo errors are 0.033
