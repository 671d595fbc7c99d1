"""Repeated cross-sections and unbalanced panels beside slow twins written from the formulae."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.kernels import cross_section
from evaltoolkit.kernels.cohorts import NEVER, CellError, Rule
from evaltoolkit.kernels.cross_section import CrossSections, cross_section_effects, cross_section_study
from evaltoolkit.kernels.cross_section_jackknife import delete_one_cross_section
from evaltoolkit.kernels.group_time import group_time_study

PERIODS = np.array([2000, 2001, 2002, 2004, 2005])  # a gap: 2003 was not observed
RULES = [
    Rule(comparison=c, adjust=a, base_period=b, anticipation=k)
    for c, a, b, k in itertools.product(
        ("never", "not-yet"), ("doubly-robust", "weighting", "regression"), ("varying", "universal"), (0, 1)
    )
]
ADJUST = ("doubly-robust", "weighting", "regression")


def world(seed: int = 3, n: int = 500, p: int = 2) -> CrossSections:
    rng = np.random.default_rng(seed)
    start = np.array([2002, 2004, 2005, NEVER])[rng.integers(0, 4, n)]
    i = rng.integers(0, 5, n)
    # Covariates that move with time and differ by cohort, so that no term of a score is zero by chance.
    x = rng.normal(size=(n, p)) + 0.4 * (start < NEVER)[:, None] + 0.2 * i[:, None]
    y = x.sum(axis=1) * (1 + 0.3 * i) + x[:, :1].sum(axis=1) ** 2 + i + (PERIODS[i] >= start) + rng.normal(size=n)
    return CrossSections(y, PERIODS[i], start, np.column_stack([np.ones(n), x]))


def panel(seed: int = 5, n: int = 120) -> CrossSections:
    """Rows of units, one in six of them lost, with clusters above the units."""
    rng = np.random.default_rng(seed)
    start = np.array([2002, 2004, NEVER])[rng.integers(0, 3, n)]
    x, level = rng.normal(size=n), rng.normal(size=n)
    unit, i = np.divmod(rng.permutation(n * 5)[: n * 5 * 5 // 6], 5)
    y = level[unit] + 0.2 * x[unit] * i + (PERIODS[i] >= start[unit]) + rng.normal(size=unit.size)
    return CrossSections(
        y, PERIODS[i], start[unit], np.column_stack([np.ones(unit.size), x[unit]]), None, unit, unit // 4
    )


def slow_cells(start: np.ndarray, rule: Rule) -> dict[tuple[int, int], tuple[int, np.ndarray]]:
    """Base period and rows compared with of every cell, by the words of the definition."""
    found = {}
    a = rule.anticipation
    for g in sorted(set(start.tolist()) - {NEVER}):
        for t in PERIODS.tolist():
            before_start = [s for s in PERIODS.tolist() if s + a < g]
            if not before_start:
                continue
            base = before_start[-1]
            if rule.base_period == "varying" and t + a < g:
                earlier = [s for s in PERIODS.tolist() if s < t]
                if not earlier:
                    continue
                base = earlier[-1]
            if rule.base_period == "varying" and t == base:
                continue
            if rule.comparison == "never":
                compared = start == NEVER
            else:
                compared = np.array([s > max(t, base) + a and s != g for s in start])
            found[g, t] = (base, compared)
    return found


def slow_att(data: CrossSections, rule: Rule, key: tuple[int, int], w: np.ndarray) -> float:
    """One effect with row weights w, by statsmodels fits."""
    g, t = key
    base, compared = slow_cells(data.start, rule)[key]
    if base == t:
        return 0.0
    X, y = data.design, data.outcome
    treated = data.start == g
    here = np.isin(data.period, [t, base])
    both = here & (treated | compared)

    def fit(rows: np.ndarray) -> np.ndarray:
        return np.asarray(X @ sm.WLS(y[rows], X[rows], weights=w[rows]).fit().params)

    odds = np.ones(y.size)
    if rule.adjust != "regression":
        model = sm.GLM(treated[both].astype(float), X[both], family=sm.families.Binomial(), freq_weights=w[both])
        odds = np.exp(X @ model.fit(tol=1e-14, maxiter=200).params)
    sides = []
    for s in (t, base):
        c, d = compared & (data.period == s), treated & (data.period == s)
        mu = np.zeros(y.size) if rule.adjust == "weighting" else fit(c)
        mine = treated & here
        if rule.adjust == "doubly-robust":
            own = np.average((fit(d) - mu)[mine], weights=w[mine])
        else:
            own = np.average(y[d], weights=w[d]) - np.average(mu[mine], weights=w[mine])
        left = np.average((y - mu)[c], weights=(w * odds)[c]) if rule.adjust != "regression" else 0.0
        sides.append(own - left)
    return float(sides[0] - sides[1])


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_effects_equal_the_slow_twin(rule: Rule, *, weighted: bool) -> None:
    data = world()
    w = np.random.default_rng(1).uniform(0.5, 2, data.outcome.size) if weighted else np.ones(data.outcome.size)
    found = cross_section_study(replace(data, weights=w) if weighted else data, rule, "derivative")
    expected = slow_cells(data.start, rule)
    pairs = list(zip(found.cells.cohort.tolist(), found.cells.period.tolist(), strict=True))
    assert set(pairs) == set(expected)
    for k, key in enumerate(pairs):
        base, compared = expected[key]
        assert found.cells.base[k] == base
        assert found.cells.n_comparison[k] == min((compared & (data.period == s)).sum() for s in (key[1], base))
        mine = data.start == key[0]
        assert found.cells.n_treated[k] == min((mine & (data.period == s)).sum() for s in (key[1], base))
        # Two optimisers stop at slightly different points of a flat likelihood.
        assert found.cells.att[k] == pytest.approx(slow_att(data, rule, key, w), abs=1e-8)
        here = mine & (data.period == key[1])
        assert found.levels[k] == pytest.approx(np.average(data.outcome[here], weights=w[here]), abs=1e-12)
    cells, att = cross_section_effects(replace(data, weights=w) if weighted else data, rule)
    assert [(g, t) for g, t, _ in cells] == pairs
    assert att == pytest.approx(found.cells.att, abs=1e-13)


@pytest.mark.parametrize("rule", RULES[::3], ids=str)
def test_scores_are_derivatives_by_the_weight_of_each_row(rule: Rule) -> None:
    data = world(n=300)
    w = np.random.default_rng(2).uniform(0.5, 2, 300)
    found = cross_section_study(replace(data, weights=w), rule, "derivative")
    step = 1e-4
    for k in range(0, found.cells.att.size, 4):
        key = (int(found.cells.cohort[k]), int(found.cells.period[k]))
        inside = np.flatnonzero(found.cells.scores[:, k])
        for i in [*inside[::11].tolist(), 0]:
            ends = []
            for sign in (1, -1):
                moved = w.copy()
                moved[i] += sign * step
                ends.append(slow_att(data, rule, key, moved))
            # The score is the derivative by the logarithm of the weight; the error is of the order of step squared.
            assert found.cells.scores[i, k] == pytest.approx(w[i] * (ends[0] - ends[1]) / (2 * step), abs=2e-6)


def test_scores_of_levels_are_derivatives() -> None:
    data = world()
    found = cross_section_study(data, Rule())
    for k in range(found.levels.size):
        here = (data.start == found.cells.cohort[k]) & (data.period == found.cells.period[k])
        expected = here * (data.outcome - data.outcome[here].mean()) / here.sum()
        assert found.level_scores[:, k] == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("adjust", ADJUST)
@pytest.mark.parametrize("base", ["varying", "universal"])
def test_a_complete_panel_without_covariates_is_a_panel(adjust: Any, base: Any) -> None:
    """With everybody observed in every period, means of changes are changes of means, and so are scores."""
    rng = np.random.default_rng(8)
    y, start = rng.normal(size=(60, 5)), np.array([2002, 2004, 2005, NEVER])[np.arange(60) % 4]
    rule = Rule("not-yet", adjust, base)
    wide = group_time_study(y, start, PERIODS, np.ones((60, 1, 1)), rule)
    rows = rng.permutation(300)
    unit, i = np.divmod(rows, 5)
    long = cross_section_study(CrossSections(y[unit, i], PERIODS[i], start[unit], np.ones((300, 1)), units=unit), rule)
    assert long.cells.att == pytest.approx(wide.cells.att, abs=1e-13)
    assert long.cells.scores == pytest.approx(wide.cells.scores, abs=1e-14)
    assert long.levels == pytest.approx(wide.levels, abs=1e-13)
    assert long.level_scores == pytest.approx(wide.level_scores, abs=1e-14)
    assert long.sizes.counts == pytest.approx(wide.sizes.counts, abs=1e-12)
    assert long.sizes.by_cluster == pytest.approx(wide.sizes.by_cluster, abs=1e-14)
    assert long.cells.n_treated.tolist() == wide.cells.n_treated.tolist()
    assert long.cells.n_comparison.tolist() == wide.cells.n_comparison.tolist()


def test_scores_sum_in_units_and_in_clusters() -> None:
    full = panel()
    assert full.units is not None
    assert full.clusters is not None
    rows = cross_section_study(replace(full, units=None, clusters=None), Rule())
    for codes, data in ((full.units, replace(full, clusters=None)), (full.clusters, full)):
        found = cross_section_study(data, Rule())
        sums = np.array([rows.cells.scores[codes == c].sum(axis=0) for c in range(codes.max() + 1)])
        assert found.cells.scores == pytest.approx(sums, abs=1e-14)
        assert found.cells.att == pytest.approx(rows.cells.att, abs=1e-14)
        levels = np.array([rows.level_scores[codes == c].sum(axis=0) for c in range(codes.max() + 1)])
        assert found.level_scores == pytest.approx(levels, abs=1e-14)
        members = [np.unique(full.units[full.start == g]) for g in (2002, 2004)]
        assert found.sizes.counts == pytest.approx([m.size for m in members])
        above = np.zeros(full.units.max() + 1, dtype=np.int64)
        above[full.units] = codes
        counted = np.column_stack([np.bincount(above[m], minlength=codes.max() + 1) for m in members])
        assert found.sizes.by_cluster == pytest.approx(counted, abs=1e-14)
    assert rows.sizes.counts == pytest.approx([(full.start == g).sum() for g in (2002, 2004)])


def test_a_unit_counts_with_its_mean_weight() -> None:
    data = panel()
    assert data.units is not None
    w = np.random.default_rng(0).uniform(0.5, 2, data.outcome.size)
    found = cross_section_study(replace(data, weights=w), Rule())
    for j, g in enumerate((2002, 2004)):
        expected = sum(w[data.units == u].mean() for u in np.unique(data.units[data.start == g]))
        assert found.sizes.counts[j] == pytest.approx(expected)


def same_numbers(one: Any, two: Any, *, factor: float = 1.0) -> None:
    assert two.cells.att == pytest.approx(factor * one.cells.att, abs=1e-9, rel=1e-9)
    for name in ("scores",):
        a, b = getattr(one.cells, name), getattr(two.cells, name)
        assert b.T @ b == pytest.approx(factor**2 * a.T @ a, abs=1e-10, rel=1e-8)


@pytest.mark.parametrize("adjust", ADJUST)
def test_invariances(adjust: Any) -> None:
    data, rule = world(), Rule("not-yet", adjust)
    n = data.outcome.size
    one = cross_section_study(data, rule)
    order = np.random.default_rng(3).permutation(n)
    shuffled = CrossSections(data.outcome[order], data.period[order], data.start[order], data.design[order])
    two = cross_section_study(shuffled, rule)
    assert two.cells.scores == pytest.approx(one.cells.scores[order], abs=1e-12)
    # A change of everybody in a period, units of the outcome, units and origin of covariates.
    same_numbers(one, cross_section_study(replace(data, outcome=data.outcome + 1e5 * (data.period - 1990)), rule))
    same_numbers(one, cross_section_study(replace(data, outcome=-3 * data.outcome), rule), factor=-3)
    recoded = data.design @ np.array([[1.0, 50, 0], [0, 1e3, 2], [0, 0, 1]])
    same_numbers(one, cross_section_study(replace(data, design=recoded), rule))
    # A weight of two is the row twice, in one cluster; the scale of weights does not matter.
    w = 1.0 + (np.arange(n) % 3 == 0)
    twice = np.repeat(np.arange(n), w.astype(np.int64))
    weighted = cross_section_study(replace(data, weights=w), rule)
    repeated = cross_section_study(
        CrossSections(data.outcome[twice], data.period[twice], data.start[twice], data.design[twice], clusters=twice),
        rule,
    )
    assert weighted.cells.scores == pytest.approx(repeated.cells.scores, abs=1e-12)
    assert weighted.sizes.by_cluster == pytest.approx(repeated.sizes.by_cluster)
    same_numbers(weighted, cross_section_study(replace(data, weights=7 * w), rule))


@pytest.mark.parametrize("units", [False, True])
def test_very_many_rows_keep_cross_products_only(monkeypatch: pytest.MonkeyPatch, *, units: bool) -> None:
    data = replace(panel(), clusters=None)
    data = data if units else replace(data, units=None)
    full = cross_section_study(data, Rule())
    monkeypatch.setattr(cross_section, "MANY", 50)
    short = cross_section_study(data, Rule())
    assert short.cells.scores.shape[0] < full.cells.scores.shape[0]
    one, two = (np.hstack([s.cells.scores, s.level_scores, s.sizes.by_cluster]) for s in (full, short))
    assert two.T @ two == pytest.approx(one.T @ one, abs=1e-12)
    assert short.sizes.counts == pytest.approx(full.sizes.counts)


def test_incomplete_rows_are_left_out() -> None:
    data = panel()
    outcome, design = data.outcome.copy(), data.design.copy()
    outcome[::7], design[3::11, 1] = np.nan, np.nan
    kept = np.isfinite(outcome) & np.isfinite(design[:, 1])
    one = cross_section_study(replace(data, outcome=outcome, design=design), Rule())
    two = cross_section_study(data.where(kept), Rule())
    assert one.cells.att.tolist() == two.cells.att.tolist()
    assert one.cells.scores == pytest.approx(two.cells.scores, abs=1e-15)


def test_a_cell_without_rows_of_the_cohort_is_left_out() -> None:
    data = world()
    there = (data.start != 2004) | (data.period != 2001)
    found = cross_section_study(data.where(there), Rule(base_period="universal"))
    pairs = set(zip(found.cells.cohort.tolist(), found.cells.period.tolist(), strict=True))
    assert (2004, 2001) not in pairs
    assert (2004, 2000) in pairs
    assert (2002, 2001) in pairs
    gone = (data.start != 2004) | (data.period != 2002)  # the base of every cell of the cohort
    found = cross_section_study(data.where(gone), Rule(base_period="universal"))
    assert 2004 not in found.cells.cohort
    assert 2004 in found.sizes.cohorts


@pytest.mark.parametrize("adjust", ADJUST)
def test_a_cell_that_cannot_be_estimated_says_why(adjust: Any) -> None:
    data, rule = world(), Rule("never", adjust)
    nobody = data.where((data.start < NEVER) | (data.period != 2004))
    with pytest.raises(CellError) as caught:
        cross_section_study(nobody, rule)
    assert caught.value.why == "empty"
    doubled = replace(data, design=np.column_stack([data.design, data.design[:, 1] * 2]))
    with pytest.raises(CellError) as caught:
        cross_section_effects(doubled, rule)
    assert (caught.value.why, caught.value.column) == ("collinear", 3)
    if adjust != "regression":
        apart = data.design.copy()
        apart[:, 1] += 100 * (data.start == 2004)
        with pytest.raises(CellError) as caught:
            cross_section_effects(replace(data, design=apart), rule)
        assert (caught.value.why, caught.value.cohort, caught.value.column) == ("separation", 2004, 1)


def test_a_cohort_too_small_for_its_own_regression() -> None:
    data = world()
    few = np.flatnonzero((data.start == 2002) & (data.period == 2001))[2:]
    small = data.where(~np.isin(np.arange(data.outcome.size), few))
    with pytest.raises(CellError) as caught:
        cross_section_effects(small, Rule("never"))
    assert (caught.value.why, caught.value.cohort) == ("collinear", 2002)
    assert np.isfinite(cross_section_effects(small, Rule("never", "regression"))[1]).all()


@pytest.mark.parametrize("adjust", ADJUST)
@pytest.mark.parametrize("k", [1, 2])
def test_the_jackknife_is_the_estimate_without_each_cluster(adjust: Any, k: int) -> None:
    data = panel(n=80)
    data = replace(data, design=data.design[:, :k])
    assert data.clusters is not None
    rule = Rule("not-yet", adjust, "universal")
    full, found = cross_section_effects(data, rule), delete_one_cross_section(data, rule)
    assert found.shape == (20, len(full[0]))
    for c in range(20):
        cells, att = cross_section_effects(data.where(data.clusters != c), rule)
        assert cells == full[0]
        assert found[c] == pytest.approx(att, abs=1e-9)


def test_the_jackknife_misses_a_cohort_that_is_gone() -> None:
    data = world(p=0)
    found = delete_one_cross_section(replace(data, clusters=(data.start == 2004).astype(np.int64)), Rule("never"))
    cohort = np.array([g for g, _, _ in cross_section_effects(data, Rule("never"))[0]])
    assert np.isnan(found[1]).tolist() == (cohort == 2004).tolist()
    assert np.isnan(found[0, cohort == 2002]).all()  # without everybody else nobody is left to compare with


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(-9, 9), st.integers(0, 2), st.sampled_from([1, 2, NEVER]), st.integers(1, 4)), max_size=25
    )
)
def test_without_covariates_effects_are_differences_of_means(rows: list[tuple[int, int, int, int]]) -> None:
    rows = [*rows, *((0, t, g, 1) for t in (0, 1, 2) for g in (1, 2, NEVER))]
    y, period, start, w = (np.array(v) for v in zip(*rows, strict=True))
    data = CrossSections(y.astype(float), period, start, np.ones((y.size, 1)), w.astype(float))
    found = cross_section_study(data, Rule("never"))

    def mean(g: int, t: int) -> float:
        here = (start == g) & (period == t)
        return float(np.average(y[here], weights=w[here]))

    for k, (g, t, b) in enumerate(zip(found.cells.cohort, found.cells.period, found.cells.base, strict=True)):
        expected = mean(g, t) - mean(g, b) - mean(NEVER, t) + mean(NEVER, b)
        assert found.cells.att[k] == pytest.approx(expected, abs=1e-9)
    assert found.cells.scores.sum(axis=0) == pytest.approx(0.0, abs=1e-9)
