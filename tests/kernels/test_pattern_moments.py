"""Panels with holes: group-time effects from moment tables beside those from the rows."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.kernels.cohort_moments import CohortMoments, cohort_moments, combined
from evaltoolkit.kernels.group_time import NEVER, CellError, Rule, group_time_study
from evaltoolkit.kernels.moment_cells import MomentsError
from evaltoolkit.kernels.moment_clusters import ClusterMoments, combined_clusters
from evaltoolkit.kernels.moment_effects import moment_group_time
from evaltoolkit.kernels.moment_extended import moment_extended
from evaltoolkit.kernels.moment_pooled import moment_pooled
from evaltoolkit.kernels.moment_two_way import moment_imputation, moment_static
from evaltoolkit.kernels.pattern_effects import pattern_group_time
from evaltoolkit.kernels.pattern_moments import pattern_clusters, pattern_moments
from tests.kernels.test_moment_effects import CLOSE, PERIODS, RULES, columns, same, world


def holes(y: np.ndarray, share: float, seed: int, *, any_pattern: bool = True) -> np.ndarray:
    """Lose some outcomes; of a unit never observed only the start is known."""
    rng = np.random.default_rng(seed)
    if any_pattern:
        lost = rng.uniform(size=y.shape) < share
        lost[:2] = True
    else:
        patterns = rng.uniform(size=(6, y.shape[1])) < share
        lost = patterns[rng.integers(0, 6, y.shape[0])]
    return np.where(lost, np.nan, y)


def tried(call: Any) -> Any:
    """Return the estimate, or what the error says."""
    try:
        return call()
    except CellError as error:
        return error.why, error.cohort


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_every_rule_equals_the_rows(rule: Rule, *, weighted: bool) -> None:
    y, start, design, w, label = world(n=300)
    y = holes(y, 0.15, 2)
    weights = w if weighted else None
    same(
        moment_group_time(pattern_moments(y, start, PERIODS, design, weights), rule),
        group_time_study(y, start, PERIODS, design[:, None], rule, None, weights),
    )
    found = moment_group_time(pattern_clusters(y, start, PERIODS, design, label * 2, weights), rule)
    wanted = group_time_study(y, start, PERIODS, design[:, None], rule, label, weights)
    same(found, wanted)
    np.testing.assert_allclose(columns(found), columns(wanted), rtol=0, atol=CLOSE)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6), rule=st.sampled_from(RULES), weighted=st.booleans(), level=st.sampled_from([0, 1e3]),
    some=st.booleans(),
)  # fmt: skip
def test_parts_reduced_apart_in_any_order_give_the_rows(
    seed: int, rule: Rule, *, weighted: bool, level: float, some: bool
) -> None:
    y, start, _, w, label = world(seed, 150, (2002, 2004, NEVER))
    y = holes(y + level * (1 + np.arange(5)), 0.3, seed, any_pattern=some)
    ones, weights = np.ones((150, 1)), w if weighted else np.ones(150)
    wanted = tried(lambda: group_time_study(y, start, PERIODS, ones[:, None], rule, None, weights))
    if isinstance(wanted, tuple):
        # A few patterns may leave a cell without comparison units.
        assert wanted == tried(lambda: moment_group_time(pattern_moments(y, start, PERIODS, ones, weights), rule))
        return
    order = np.random.default_rng(seed).permutation(150)
    parts = [order[:40], order[40:90], order[90:]]
    split = [(y[s], start[s], PERIODS, ones[s]) for s in parts]
    tolerance = 1e-11 * max(10.0, level)
    apart = combined(*(pattern_moments(*a, weights[s]) for a, s in zip(split, parts, strict=True)))
    same(moment_group_time(apart, rule), wanted, tolerance)
    clusters = combined_clusters(
        *(pattern_clusters(*a, label[s], weights[s]) for a, s in zip(split, parts, strict=True))
    )
    by_rows = group_time_study(y, start, PERIODS, ones[:, None], rule, label, weights)
    same(moment_group_time(clusters, rule), by_rows, tolerance)


def test_without_covariates_effects_are_means_of_changes_of_those_seen_twice() -> None:
    y, start, _, w, _ = world(n=250)
    y = holes(y, 0.2, 3)
    study = moment_group_time(pattern_moments(y, start, PERIODS, np.ones((250, 1)), w), Rule(comparison="never"))
    c = study.cells
    psi = np.zeros((250, c.att.size))
    for k, (g, t, b) in enumerate(zip(c.cohort, c.period, c.base, strict=True)):
        change = y[:, PERIODS.tolist().index(t)] - y[:, PERIODS.tolist().index(b)]
        effect = 0.0
        for sign, group in ((1, start == g), (-1, start > 2005)):
            mine = group & np.isfinite(change)
            middle = np.average(change[mine], weights=w[mine])
            effect += sign * middle
            psi[mine, k] += sign * w[mine] * (change[mine] - middle) / w[mine].sum()
        assert c.att[k] == pytest.approx(effect, abs=1e-12)
    np.testing.assert_allclose(c.scores.T @ c.scores, psi.T @ psi, rtol=1e-10, atol=1e-14)


def test_complete_patterns_are_plain_tables() -> None:
    y, start, design, w, _ = world()
    plain, found = cohort_moments(y, start, PERIODS, design, w), pattern_moments(y, start, PERIODS, design, w)
    assert found.there is None
    for field in dataclasses.fields(CohortMoments):
        if field.name != "there":
            np.testing.assert_allclose(getattr(found, field.name), getattr(plain, field.name), rtol=1e-12)
    for rule in RULES[::5]:
        same(pattern_group_time(plain, rule), moment_group_time(plain, rule))


def test_a_table_with_patterns_and_one_without_add_up() -> None:
    y, start, _, w, _ = world()
    y[100:] = holes(y[100:], 0.3, 8)
    ones = np.ones((200, 1))
    parts = [(y[s], start[s], PERIODS, ones[s], w[s]) for s in (slice(0, 100), slice(100, 200))]
    tables = [pattern_moments(*p) for p in parts]
    assert tables[0].there is None
    assert tables[1].there is not None
    same(
        moment_group_time(combined(*tables), Rule()),
        group_time_study(y, start, PERIODS, ones[:, None], Rule(), None, w),
    )


def test_another_shift_changes_nothing() -> None:
    y, start, design, w, label = world()
    y = holes(y, 0.2, 4)
    for table in (pattern_moments(y, start, PERIODS, design, w), pattern_clusters(y, start, PERIODS, design, label, w)):
        moved: Any = table.shifted(table.shift + np.array([1.0, -2, 3, 0, 5]))
        assert isinstance(moved, (CohortMoments, ClusterMoments))
        there = moved.there if isinstance(moved, CohortMoments) else moved.there[moved.cell]
        assert (moved.m[~there] == 0).all()
        same(moment_group_time(moved, Rule()), moment_group_time(table, Rule()))


def test_many_cells_in_more_blocks_than_one() -> None:
    y, start, _, w, _ = world(n=900)
    design = np.column_stack([np.ones(900), np.random.default_rng(0).normal(size=900).round(2)])
    y = holes(y, 0.25, 5)
    table = pattern_moments(y, start, PERIODS, design, w)
    assert table.n.size > 600
    same(moment_group_time(table, Rule()), group_time_study(y, start, PERIODS, design[:, None], Rule(), None, w))


def test_estimators_of_complete_panels_refuse_patterns() -> None:
    y, start, _, _, label = world()
    y = holes(y, 0.2, 6)
    for table in (
        pattern_moments(y, start, PERIODS, np.ones((200, 1))),
        pattern_clusters(y, start, PERIODS, np.ones((200, 1)), label),
    ):
        for estimate in (moment_static, moment_imputation, moment_extended, moment_pooled):
            with pytest.raises(MomentsError, match="holes"):
                estimate(table)
