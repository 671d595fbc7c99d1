"""Randomization inference beside slow twins that deal starts out anew and estimate again."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evaltoolkit.kernels.aggregate import point, row_labels
from evaltoolkit.kernels.assignments import AssignmentError, assignments
from evaltoolkit.kernels.cluster_means import cluster_means
from evaltoolkit.kernels.cohorts import NEVER, CellError, Rule, cells
from evaltoolkit.kernels.few_treated import scaled
from evaltoolkit.kernels.group_time import effects, group_time
from evaltoolkit.kernels.placebo_cells import Sample
from evaltoolkit.kernels.randomization import Placebos, by_randomization, invert, joint_test, placebos, shares

PERIODS = np.array([2000, 2001, 2002, 2004, 2005])  # a gap: 2003 was not observed
KINDS: Any = ("simple", "group", "dynamic", "calendar")
RULES = [
    Rule(comparison=c, base_period=b, anticipation=a)
    for c, b, a in itertools.product(("never", "not-yet"), ("varying", "universal"), (0, 1))
]
CLOSE = 1e-10  # sums in another order than the estimator's


def world(seed: int = 3, sizes: tuple[int, ...] = (2, 3, 8), p: int = 0) -> Sample:
    rng = np.random.default_rng(seed)
    start = np.repeat([2002, 2004, NEVER], sizes)
    n = start.size
    x = rng.normal(size=(n, 1, p))
    y = rng.normal(size=(n, 1)) + 0.2 * np.arange(5) + rng.normal(size=(n, 5)) + (start[:, None] <= PERIODS) * 1.0
    order = rng.permutation(n)
    design = np.concatenate([np.ones((n, 1, 1)), x], axis=2)
    return Sample.of(y[order], start[order], PERIODS, Rule(), design[order])


def under(sample: Sample, start: np.ndarray, outcome: np.ndarray | None = None) -> np.ndarray:
    y = sample.outcome if outcome is None else outcome
    return effects(y, start, sample.periods, sample.design, sample.rule, sample.weights)[1]


def dealt(sample: Sample, draws: int = 12) -> tuple[Any, list[np.ndarray]]:
    table = assignments(sample.start, sample.clusters, draws, 5)
    return table, [table.cohorts[c][sample.clusters] for c in table.codes]


def switched_on(sample: Sample, chosen: list[tuple[int, int]]) -> np.ndarray:
    found = np.zeros(sample.outcome.shape)
    for g, t in chosen:
        found[np.ix_(sample.start == g, sample.periods == t)] = 1.0
    return found


def test_all_assignments_are_listed_once_and_the_observed_one_first() -> None:
    start = np.array([4, NEVER, 6, NEVER, 4])
    found = assignments(start, np.arange(5), 99, 1)
    assert found.possible == math.factorial(5) // (2 * 2) == len(found.codes)
    assert found.exact
    assert {tuple(row) for row in found.codes.tolist()} == set(itertools.permutations([0, 2, 1, 2, 0]))
    assert found.cohorts[found.codes[0]].tolist() == start.tolist()


def test_random_assignments_keep_the_numbers_of_starts_and_follow_the_seed() -> None:
    start = np.repeat([4, 6, NEVER], [3, 4, 20])
    found, again = (assignments(start, np.arange(27), 200, 8) for _ in range(2))
    assert not found.exact
    assert found.codes.shape == (201, 27)
    assert (np.sort(found.codes, axis=1) == np.sort(found.codes[0])).all()
    assert (found.codes == again.codes).all()
    assert (found.codes != assignments(start, np.arange(27), 200, 9).codes).any()
    # A cluster starts in 4 in three of 27 assignments; 200 draws of 27 have a standard error of about 0.02.
    assert (found.codes[1:] == 0).mean(axis=0).max() < 3 / 27 + 0.1


def test_starts_move_with_clusters() -> None:
    found = assignments(np.array([4, 4, NEVER, NEVER, NEVER]), np.array([1, 1, 0, 0, 2]), 99, 1)
    assert found.codes.tolist()[0] == [1, 0, 1]
    assert found.possible == 3
    with pytest.raises(AssignmentError, match="cohort-varies"):
        assignments(np.array([4, NEVER]), np.array([0, 0]), 99, 1)
    with pytest.raises(AssignmentError, match="single-start"):
        assignments(np.array([4, 4]), np.array([0, 1]), 99, 1)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_placebos_are_estimates_with_the_starts_dealt_out_anew(rule: Rule) -> None:
    sample = replace(world(), rule=rule)
    table, starts = dealt(sample)
    found = placebos(sample, table)
    for row, start in zip(found.values, starts, strict=True):
        assert row == pytest.approx(under(sample, start), abs=CLOSE)
    assert found.values[0] == pytest.approx(
        group_time(sample.outcome, sample.start, PERIODS, sample.design, rule).att, abs=CLOSE
    )


@pytest.mark.parametrize("adjust", ["doubly-robust", "weighting", "regression"])
@pytest.mark.parametrize("comparison", ["never", "not-yet"])
def test_placebos_with_covariates_are_fitted_anew(adjust: Any, comparison: Any) -> None:
    sample = replace(world(5, (8, 8, 20), p=1), rule=Rule(comparison, adjust))
    table, starts = dealt(sample)
    found = placebos(sample, table)
    assert found.failed == 0
    for row, start in zip(found.values, starts, strict=True):
        assert row == pytest.approx(under(sample, start), abs=CLOSE)


def test_placebos_of_weighted_panels_with_holes_and_moving_covariates() -> None:
    rng = np.random.default_rng(2)
    sample = world(6, (6, 6, 16))
    y = sample.outcome.copy()
    y[rng.random(y.shape) < 0.1] = np.nan
    sample = replace(sample, outcome=y, weights=rng.uniform(0.5, 2, y.shape[0]))
    moving = np.concatenate([np.ones((28, 5, 1)), rng.normal(size=(28, 5, 1))], axis=2)
    for one in (sample, replace(sample, design=moving, rule=Rule(adjust="regression"))):
        table, starts = dealt(one)
        found = placebos(one, table)
        for row, start in zip(found.values, starts, strict=True):
            assert row == pytest.approx(under(one, start), abs=CLOSE)


def test_a_cell_that_nobody_was_observed_for_is_left_out() -> None:
    sample = replace(world(6, (2, 6, 16)), rule=Rule("never"))
    y = sample.outcome.copy()
    y[np.ix_(sample.start == 2002, PERIODS == 2004)] = np.nan
    sample = replace(sample, outcome=y)
    found = placebos(sample, dealt(sample)[0])
    every, att = effects(y, sample.start, PERIODS, sample.design, sample.rule)
    assert (2002, 2004) not in list(zip(found.cohort.tolist(), found.period.tolist(), strict=True))
    assert list(zip(found.cohort, found.period, found.base, strict=True)) == every
    assert found.values[0] == pytest.approx(att, abs=CLOSE)
    assert np.isfinite(by_randomization(found, "dynamic", 0.5)[1].p_value).all()


def test_an_assignment_that_cannot_be_fitted_is_left_out() -> None:
    sample = world(1, (2, 2, 8), p=1)
    x = sample.design.copy()
    x[:, 0, 1] = np.arange(12)  # the two highest or lowest values together tell a cohort apart
    middle = np.full(12, NEVER)
    middle[[2, 7]], middle[[4, 9]] = 2002, 2004
    sample = replace(sample, design=x, start=middle, rule=Rule("never"))
    table, starts = dealt(sample, 60)
    found = placebos(sample, table)
    assert 0 < found.failed < 61
    kept = []
    for start in starts:
        try:
            kept.append(under(sample, start))
        except CellError:
            continue
    assert found.values == pytest.approx(np.array(kept), abs=CLOSE)
    assert found.failed == 61 - len(kept)
    apart = sample.start.copy()
    apart[:] = NEVER
    apart[[0, 1]], apart[[4, 9]] = 2002, 2004
    with pytest.raises(CellError, match="separation"):
        placebos(replace(sample, start=apart), assignments(apart, sample.clusters, 5, 1))


@pytest.mark.parametrize("p", [0, 1])
def test_mass_tells_what_an_effect_adds(p: int) -> None:
    sample = replace(world(5, (8, 8, 20), p=p), rule=Rule("not-yet"))
    table, starts = dealt(sample)
    found = placebos(sample, table)
    t = 2004
    for j, g in enumerate((2002, 2004)):
        D = switched_on(sample, [(g, t)])
        when = (found.period == t) * 1.0 - (found.base == t)
        for row, start in zip(found.mass[:, :, j] * when, starts, strict=True):
            assert row == pytest.approx(under(sample, start, D), abs=CLOSE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lost", [False, True])
def test_shares_give_what_the_aggregation_gives(kind: Any, *, lost: bool) -> None:
    sample = world()
    found = placebos(sample, dealt(sample)[0])
    counts = np.random.default_rng(1).uniform(1, 5, found.counts.shape)
    values = found.values.copy()
    if lost:
        values[1:, 2] = values[3, :] = np.nan
        values[4, found.cohort == 2002] = np.nan
    cells_of = (found.cohort, found.period)
    there = np.isfinite(values)
    weight = shares(kind, cells_of, counts, found.cohorts, there)
    mine = np.einsum("prk,pk->pr", weight, np.where(there, values, 0.0))
    mine[weight.sum(axis=2) == 0] = np.nan
    rows, whole = point(kind, *cells_of, values, counts, found.cohorts)
    assert mine == pytest.approx(np.column_stack([rows, whole]), abs=CLOSE, nan_ok=True)


def p_value(sample: Sample, starts: list[np.ndarray], row: Any, without: np.ndarray) -> float:
    """Share of assignments with an estimate as large as the observed one, after an effect is taken out."""
    seen = np.array([row(start, under(sample, start, sample.outcome - without)) for start in starts])
    return float((np.abs(seen) >= abs(seen[0]) * (1 - 1e-9)).mean())


def row_of(sample: Sample, kind: Any, at: int) -> Any:
    """Return the function from starts and cells to a row, by the point aggregation."""

    def found(start: np.ndarray, att: np.ndarray) -> float:
        every = np.array(cells(start, sample.periods, sample.rule))
        cohorts, counts = np.unique(start, return_counts=True)
        rows, whole = point(kind, every[:, 0], every[:, 1], att, counts[None, :].astype(float), cohorts)
        return float(np.append(rows[0], whole)[at])

    return found


@pytest.mark.parametrize("comparison", ["never", "not-yet"])
@pytest.mark.parametrize(("kind", "at"), [("simple", -1), ("group", -1), ("dynamic", -1), ("calendar", -1)])
def test_ends_are_where_the_test_begins_to_reject(kind: Any, at: int, comparison: Any) -> None:
    sample = replace(world(4, (1, 2, 5)), rule=Rule(comparison))
    table, starts = dealt(sample, 1000)
    assert table.exact
    values, test = by_randomization(placebos(sample, table), kind, 0.9)
    D = (sample.periods >= sample.start[:, None]) * 1.0
    row = row_of(sample, kind, at)
    assert values[at] == pytest.approx(row(sample.start, under(sample, sample.start)))
    assert test.p_value[at] == pytest.approx(p_value(sample, starts, row, 0 * D))
    for end, inward in ((test.low[at], 1), (test.high[at], -1)):
        assert p_value(sample, starts, row, (end + inward * 1e-6) * D) > 0.1
        assert p_value(sample, starts, row, (end - inward * 1e-6) * D) <= 0.1


def test_for_one_event_time_other_effects_are_taken_out_as_estimated() -> None:
    sample = replace(world(4, (1, 2, 5)), rule=Rule("not-yet"))
    table, starts = dealt(sample, 1000)
    found = placebos(sample, table)
    values, test = by_randomization(found, "dynamic", 0.9)
    labels = row_labels("dynamic", found.cohort, found.period).tolist()
    post = found.event_time >= 0
    for e in (0, 1):
        at = labels.index(e)
        mine = [(int(g), int(t)) for g, t in zip(found.cohort, found.period, strict=True) if t - g == e]
        others = np.zeros(sample.outcome.shape)
        for k in np.flatnonzero(post & (found.event_time != e)):
            others += found.values[0, k] * switched_on(sample, [(int(found.cohort[k]), int(found.period[k]))])
        D, row = switched_on(sample, mine), row_of(sample, "dynamic", at)
        assert values[at] == pytest.approx(row(sample.start, found.values[0]))
        assert test.p_value[at] == pytest.approx(p_value(sample, starts, row, others))
        if not np.isfinite(test.high[at]):
            continue
        assert p_value(sample, starts, row, others + (test.high[at] - 1e-6) * D) > 0.1
        assert p_value(sample, starts, row, others + (test.high[at] + 1e-6) * D) <= 0.1


def test_blocks_of_assignments_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = replace(world(7, (3, 3, 9)), rule=Rule("not-yet"))
    table = assignments(sample.start, sample.clusters, 150, 1)
    whole = [by_randomization(placebos(sample, table), k, 0.9)[1] for k in (*KINDS, "cells")]
    monkeypatch.setattr("evaltoolkit.kernels.randomization._BLOCK", 70)
    for before, kind in zip(whole, (*KINDS, "cells"), strict=True):
        after = by_randomization(placebos(sample, table), kind, 0.9)[1]
        assert after.low == pytest.approx(before.low, abs=CLOSE)
        assert after.high == pytest.approx(before.high, abs=CLOSE)


def test_inversion_by_a_grid() -> None:
    rng = np.random.default_rng(1)
    T, s, seen = rng.normal(size=(59, 4)), rng.choice([-1, -0.4, 0, 0.3, 0.9, 1], (59, 4)), rng.normal(size=4) * 2
    found = invert(T, s, seen, 0.9)
    for m in range(4):
        grid = np.linspace(-40, 40, 80_001)
        p = (1 + (np.abs(T[:, m] - grid[:, None] * s[:, m]) >= np.abs(seen[m] - grid)[:, None]).sum(axis=1)) / 60
        inside = grid[p > 0.1]
        assert (max(found.low[m], -40), min(found.high[m], 40)) == pytest.approx(
            (inside.min(), inside.max()), abs=0.002
        )  # two steps
        assert found.p_value[m] == pytest.approx((1 + (np.abs(T[:, m]) >= abs(seen[m])).sum()) / 60)


@pytest.mark.parametrize(("n", "bounded"), [(19, False), (20, True)])
def test_one_treated_unit_has_an_interval_with_enough_others(n: int, *, bounded: bool) -> None:
    y = np.random.default_rng(1).normal(size=(n, 3))
    start = np.array([3] + [NEVER] * (n - 1))
    sample = Sample.of(y, start, np.arange(1, 4), Rule())
    table = assignments(start, sample.clusters, 99, 1)
    _, test = by_randomization(placebos(sample, table), "simple", 0.95)
    assert table.possible == n
    assert np.isfinite([test.low[0], test.high[0]]).all() == bounded
    assert (test.p_value[0] * n) == pytest.approx(round(test.p_value[0] * n))


def test_unknown_placebos_speak_for_every_value() -> None:
    T = np.array([[0.0], [np.nan], [0.1], *([[0.0]] * 17)])
    assert invert(T, np.zeros((20, 1)), np.array([5.0]), 0.9).p_value[0] == pytest.approx(2 / 21)
    assert not np.isfinite(invert(T, np.zeros((20, 1)), np.array([5.0]), 0.95).high[0])
    assert np.isfinite(invert(T, np.zeros((20, 1)), np.array([5.0]), 0.9).high[0])


def test_intervals_follow_the_scale_and_a_constant_effect_and_ignore_levels() -> None:
    sample = replace(world(7, (3, 2, 12)), rule=Rule("never"))
    table = assignments(sample.start, sample.clusters, 199, 1)
    D = (sample.periods >= sample.start[:, None]) * 1.0
    rng = np.random.default_rng(1)
    levels = 1e6 + rng.normal(size=(17, 1)) + rng.normal(size=(1, 5))
    other = replace(sample, outcome=3 * (sample.outcome + 2 * D) + levels)
    for kind in KINDS:
        (_, a), (_, b) = (by_randomization(placebos(s, table), kind, 0.9) for s in (sample, other))
        treated = np.isfinite(a.high)
        if kind == "dynamic":
            treated &= np.append(np.unique(placebos(sample, table).event_time) >= 0, True)
        assert b.low[treated] == pytest.approx(3 * (a.low[treated] + 2), abs=1e-8)  # levels of 10^6
        assert b.high[treated] == pytest.approx(3 * (a.high[treated] + 2), abs=1e-8)


def test_clusters_of_two_alike_are_as_one() -> None:
    one = world(8, (2, 2, 9))
    twice = Sample.of(
        np.repeat(one.outcome, 2, axis=0), np.repeat(one.start, 2), PERIODS, Rule(), None, np.repeat(one.clusters, 2)
    )
    for kind in KINDS:
        a, b = (
            by_randomization(placebos(s, assignments(s.start, s.clusters, 199, 1)), kind, 0.9)[1] for s in (one, twice)
        )
        assert a.high == pytest.approx(b.high, abs=CLOSE)
        assert a.p_value == pytest.approx(b.p_value)
        a, b = (scaled(cluster_means(s), kind).bounds(0.9) for s in (one, twice))
        assert a.high == pytest.approx(b.high, abs=CLOSE, nan_ok=True)


def slow_joint(found: Placebos, sample: Sample, starts: list[np.ndarray], which: np.ndarray) -> float:
    y = sample.outcome.copy()
    for k in np.flatnonzero(found.event_time >= 0):
        y -= found.values[0, k] * switched_on(sample, [(int(found.cohort[k]), int(found.period[k]))])
    v = np.array([under(sample, start, y)[which] for start in starts])
    W = np.einsum("pi,ij,pj->p", v, np.linalg.inv(v.T @ v / len(v)), v)
    return float(np.mean(W[0] * (1 - 1e-9) <= W))


def test_the_joint_test_of_earlier_cells() -> None:
    sample = replace(world(9, (2, 3, 8)), rule=Rule("not-yet"))
    table, starts = dealt(sample, 150)
    found = placebos(sample, table)
    early = found.event_time < 0
    assert joint_test(found, early)[1] == pytest.approx(slow_joint(found, sample, starts, early))
    assert np.isnan(joint_test(found, early & False)[1])


def test_tests_keep_their_level_with_every_law() -> None:
    """All assignments of one panel: each in turn is the observed one, and at most a tenth of them reject."""
    rng = np.random.default_rng(1)
    y = np.exp(rng.normal(size=(7, 5)) * 2)
    base = np.array([2002, 2004, 2004, NEVER, NEVER, NEVER, NEVER])
    wholes = []
    for codes in assignments(base, np.arange(7), 200, 1).codes:
        start = np.unique(base)[codes]
        sample = Sample.of(y, start, PERIODS, Rule("never"))
        found = placebos(sample, assignments(start, sample.clusters, 200, 1))
        wholes.append(by_randomization(found, "simple", 0.9)[1].p_value[0])
    assert len(wholes) == 105
    assert np.mean(np.array(wholes) <= 0.1) <= 0.1
    assert np.mean(np.array(wholes) <= 0.5) <= 0.5
    assert np.mean(np.array(wholes) <= 0.1) > 0.05
