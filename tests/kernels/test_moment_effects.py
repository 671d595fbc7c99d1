"""Group-time effects from a moment table beside those from the rows, and beside influence functions written out."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.kernels.aggregate import Kind, aggregate
from evaltoolkit.kernels.cohort_moments import CohortMoments, cohort_moments, combined
from evaltoolkit.kernels.group_time import NEVER, CellError, Rule, Study, group_time_study
from evaltoolkit.kernels.moment_clusters import cluster_moments, combined_clusters
from evaltoolkit.kernels.moment_effects import moment_group_time

PERIODS = np.array([2000, 2001, 2002, 2004, 2005])  # a gap: 2003 was not observed
RULES = [
    Rule(comparison=c, adjust=a, base_period=b, anticipation=k)
    for c, a, b, k in itertools.product(
        ("never", "not-yet"), ("doubly-robust", "weighting", "regression"), ("varying", "universal"), (0, 1)
    )
]
CLOSE = 1e-10


def world(seed: int = 3, n: int = 200, starts: tuple[int, ...] = (2002, 2004, 2005, 2007, NEVER)) -> tuple[Any, ...]:
    """A panel with discrete covariates; 2007 is a start after the last period."""
    rng = np.random.default_rng(seed)
    start = np.array(starts)[rng.integers(0, len(starts), n)]
    x = np.stack([rng.integers(0, 2, n).astype(float), rng.integers(0, 3, n) * 0.7], axis=1)
    design = np.column_stack([np.ones(n), x])
    y = rng.normal(size=(n, 1)) + 30 + x.sum(axis=1)[:, None] * 0.3 * np.arange(5) + rng.normal(size=(n, 5))
    y += (PERIODS[None, :] >= start[:, None]) * 1.0
    return y, start, design, rng.uniform(0.5, 3, n), rng.integers(0, 20, n)


def columns(study: Study) -> np.ndarray:
    return np.hstack([study.cells.scores, study.level_scores, study.sizes.by_cluster])


def same(found: Study, wanted: Study, tolerance: float = CLOSE) -> None:
    """Whether two studies say the same, errors relative to their own size."""
    for name in ("cohort", "period", "base", "n_treated", "n_comparison"):
        assert getattr(found.cells, name).tolist() == getattr(wanted.cells, name).tolist(), name
    np.testing.assert_allclose(found.cells.att, wanted.cells.att, rtol=0, atol=tolerance)
    np.testing.assert_allclose(found.levels, wanted.levels, rtol=tolerance)
    assert found.sizes.cohorts.tolist() == wanted.sizes.cohorts.tolist()
    np.testing.assert_allclose(found.sizes.counts, wanted.sizes.counts, rtol=tolerance)
    V, W = (columns(s).T @ columns(s) for s in (found, wanted))
    scale = np.sqrt(np.diag(W))
    scale[scale == 0] = 1.0
    np.testing.assert_allclose(V / np.outer(scale, scale), W / np.outer(scale, scale), rtol=0, atol=tolerance)


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_every_rule_equals_the_rows(rule: Rule, *, weighted: bool) -> None:
    y, start, design, w, label = world()
    weights = w if weighted else None
    same(
        moment_group_time(cohort_moments(y, start, PERIODS, design, weights), rule),
        group_time_study(y, start, PERIODS, design[:, None], rule, None, weights),
    )
    found = moment_group_time(cluster_moments(y, start, PERIODS, design, label, weights), rule)
    wanted = group_time_study(y, start, PERIODS, design[:, None], rule, label, weights)
    same(found, wanted)
    np.testing.assert_allclose(columns(found), columns(wanted), rtol=0, atol=CLOSE)


@pytest.mark.parametrize("rule", RULES[::3], ids=str)
@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_aggregation_equals_the_rows(rule: Rule, kind: Kind) -> None:
    y, start, design, w, _ = world()
    table = moment_group_time(cohort_moments(y, start, PERIODS, design, w), rule)
    rows = group_time_study(y, start, PERIODS, design[:, None], rule, None, w)
    a, b = (
        aggregate(kind, s.cells.cohort, s.cells.period, s.cells.att, s.cells.scores, s.sizes) for s in (table, rows)
    )
    assert a.overall == pytest.approx(b.overall, abs=CLOSE)
    assert a.overall_scores @ a.overall_scores == pytest.approx(b.overall_scores @ b.overall_scores, rel=CLOSE)
    np.testing.assert_allclose(a.rows, b.rows, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(a.row_scores.T @ a.row_scores, b.row_scores.T @ b.row_scores, rtol=0, atol=CLOSE)


def test_without_covariates_effects_are_means_of_changes() -> None:
    y, start, _, w, _ = world()
    study = moment_group_time(cohort_moments(y, start, PERIODS, np.ones((200, 1)), w), Rule(comparison="never"))
    c = study.cells
    psi = np.zeros((200, c.att.size))
    for k, (g, t, b) in enumerate(zip(c.cohort, c.period, c.base, strict=True)):
        change = y[:, PERIODS.tolist().index(t)] - y[:, PERIODS.tolist().index(b)]
        effect = 0.0
        for sign, mine in ((1, start == g), (-1, start > 2005)):
            middle = np.average(change[mine], weights=w[mine])
            effect += sign * middle
            psi[:, k] += sign * mine * w * (change - middle) / w[mine].sum()
        assert c.att[k] == pytest.approx(effect, abs=1e-12)
    np.testing.assert_allclose(c.scores.T @ c.scores, psi.T @ psi, rtol=1e-11, atol=1e-15)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), rule=st.sampled_from(RULES), weighted=st.booleans(), level=st.sampled_from([0, 1e4]))
def test_three_parts_reduced_apart_give_the_pooled_estimate(
    seed: int, rule: Rule, *, weighted: bool, level: float
) -> None:
    y, start, design, w, label = world(seed, 150, (2002, 2004, NEVER))
    y = y + level * (1 + np.arange(5))
    part = np.random.default_rng(seed).integers(0, 3, 150)
    weights = w if weighted else np.ones(150)
    split = [(y[s], start[s], PERIODS, design[s], weights[s], label[s]) for s in (part == p for p in range(3))]
    # Each part has shifts of its own: nothing was agreed beforehand.
    apart = combined(*(cohort_moments(*s[:5]) for s in split))
    whole = cohort_moments(y, start, PERIODS, design, weights)
    wanted = moment_group_time(whole, rule)
    assert np.abs(moment_group_time(apart, rule).cells.att - wanted.cells.att).max() < 1e-12 * max(1, level)
    same(moment_group_time(apart, rule), wanted, 1e-12 * max(1, level))
    clusters = combined_clusters(*(cluster_moments(*s[:4], s[5], s[4]) for s in split))
    pooled = cluster_moments(y, start, PERIODS, design, label, weights)
    same(moment_group_time(clusters, rule), moment_group_time(pooled, rule), 1e-12 * max(1, level))


@pytest.mark.parametrize("rule", RULES[::5], ids=str)
def test_cells_in_any_order_in_pieces_and_empty(rule: Rule) -> None:
    """As an engine may fill the table."""
    y, start, design, w, _ = world()
    table = cohort_moments(y, start, PERIODS, design, w)
    half = np.arange(200) % 2 == 0
    parts = [cohort_moments(y[s], start[s], PERIODS, design[s], w[s], table.shift) for s in (half, ~half)]
    mixed = np.random.default_rng(1).permutation(sum(p.n.size for p in parts) + 1)
    blank = {"cohort": np.zeros(1, dtype=int), "units": np.zeros(1, dtype=int), "design": np.full((1, 3), 5.0)}
    names = ("design", "cohort", "units", "n", "m", "N2", "M2", "Q")
    joined = {
        name: np.concatenate(
            [*(getattr(p, name) for p in parts), blank.get(name, np.zeros((1, *getattr(table, name).shape[1:])))]
        )[mixed]
        for name in names
    }
    assert all(p.starts.tolist() == table.starts.tolist() for p in parts)
    same(moment_group_time(dataclasses.replace(table, **joined), rule), moment_group_time(table, rule), 1e-12)


def test_weights_of_two_are_two_units_by_cluster() -> None:
    y, start, design, _, label = world()
    twice = [np.concatenate([v, v]) for v in (y, start, design, label)]
    rule = Rule()
    doubled = moment_group_time(cluster_moments(*twice[:2], PERIODS, twice[2], twice[3]), rule)
    weighted = moment_group_time(cluster_moments(y, start, PERIODS, design, label, np.full(200, 2.0)), rule)
    np.testing.assert_allclose(columns(doubled), columns(weighted), rtol=0, atol=1e-12)
    assert (doubled.cells.n_treated == 2 * weighted.cells.n_treated).all()


def test_large_levels_lose_no_digits() -> None:
    y, start, design, w, _ = world()
    rule = Rule()
    wanted = moment_group_time(cohort_moments(y, start, PERIODS, design, w), rule)
    far = cohort_moments(y + 2.0**30, start, PERIODS, design, w)
    # Adding the level rounds each outcome to 2e-7; what is left beyond that would be the fault of the sums.
    found = moment_group_time(far, rule).cells
    assert np.abs(found.att - wanted.cells.att).max() < 1e-6
    V, W = (c.scores.T @ c.scores for c in (found, wanted.cells))
    assert np.abs(V / np.where(W == 0, 1, W) - (W != 0)).max() < 1e-5
    bare = moment_group_time(cohort_moments(y + 2.0**30, start, PERIODS, design, w, np.zeros(5)), rule).cells
    lost = np.abs(np.diag(bare.scores.T @ bare.scores) / np.diag(W)[np.diag(W) > 0] - 1).max()
    assert lost > 1e-3  # without a shift they would be lost


def test_units_that_move_alike_have_no_variance() -> None:
    rng = np.random.default_rng(4)
    start = np.repeat([2002, NEVER], [12, 20])
    path = np.where((start == 2002)[:, None], [0, 1, 4, 5, 6], [0, 1, 2, 3, 4])
    y = rng.normal(50, 10, size=(32, 1)) + path
    found = moment_group_time(cohort_moments(y, start, PERIODS, np.ones((32, 1))), Rule()).cells
    np.testing.assert_allclose(found.att, [0, 2, 2, 2], atol=1e-11)
    assert np.abs(found.scores).max() < 1e-11
    alone = moment_group_time(cohort_moments(y[11:], start[11:], PERIODS, np.ones((21, 1))), Rule())
    assert np.abs(alone.level_scores).max() < 1e-11  # a cohort of one unit: its level is what it is


def message(call: Any) -> tuple[str, int, int]:
    with pytest.raises(CellError) as caught:
        call()
    return caught.value.why, caught.value.cohort, caught.value.column


@pytest.mark.parametrize("why", ["collinear", "separation", "empty"])
def test_cells_that_cannot_be_estimated_say_so_as_the_rows_do(why: str) -> None:
    y, start, design, w, label = world()
    rule = Rule(comparison="never")
    if why == "collinear":
        design = np.column_stack([design, design[:, 1]])
    elif why == "separation":
        design = np.column_stack([design, start == 2004])
        rule = Rule(comparison="never", adjust="weighting")
        design[np.flatnonzero(start > 2005)[0], 3] = 0.5
    else:
        keep = start <= 2005
        y, start, design, w, label = (v[keep] for v in (y, start, design, w, label))
    wanted = message(lambda: group_time_study(y, start, PERIODS, design[:, None], rule, None, w))
    assert wanted[0] == why
    assert message(lambda: moment_group_time(cohort_moments(y, start, PERIODS, design, w), rule)) == wanted
    assert message(lambda: moment_group_time(cluster_moments(y, start, PERIODS, design, label, w), rule)) == wanted


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("adjust", ["doubly-robust", "regression", "weighting"])
def test_covariates_collinear_up_to_rounding_are_collinear(seed: int, adjust: Any) -> None:
    y, start, design, w, _ = world(seed)
    design = np.column_stack([design, design @ [1.0, 2, 3]])
    found = message(lambda: moment_group_time(cohort_moments(y, start, PERIODS, design, w), Rule(adjust=adjust)))
    assert found == ("collinear", 2002, 3)


def test_many_rows_make_the_same_cross_products() -> None:
    y, start, design, _, _ = world(n=21_000)
    study = moment_group_time(cohort_moments(y, start, PERIODS, design), Rule())
    same(study, group_time_study(y, start, PERIODS, design[:, None], Rule()))
    assert study.cells.scores.shape[0] <= 2 * study.cells.att.size + study.sizes.counts.size


def test_as_many_cells_as_units() -> None:
    """Continuous covariates: every unit is a cell, in more blocks than one."""
    y, start, _, w, _ = world(n=5000)
    design = np.column_stack([np.ones(5000), np.random.default_rng(0).normal(size=5000)])
    table: CohortMoments = cohort_moments(y, start, PERIODS, design, w)
    assert table.n.size == 5000
    same(moment_group_time(table, Rule()), group_time_study(y, start, PERIODS, design[:, None], Rule(), None, w))
