"""Triple differences beside slow twins: a saturated regression, statsmodels fits, and derivatives by weights."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm

from evaltoolkit.kernels.aggregate import aggregate
from evaltoolkit.kernels.cohorts import NEVER, CellError, Rule
from evaltoolkit.kernels.group_time import group_time_study
from evaltoolkit.kernels.placebo_cells import Sample
from evaltoolkit.kernels.triple import FEWEST, TripleStudy, triple_differences

PERIODS = np.array([2000, 2001, 2002, 2004, 2005])  # a gap: 2003 was not observed
ADJUST = ("doubly-robust", "weighting", "regression")
RULES = [
    Rule(comparison=c, adjust=a, base_period=b, anticipation=k)
    for c, a, b, k in itertools.product(("never", "not-yet"), ADJUST, ("varying", "universal"), (0, 1))
]


def world(rule: Rule, seed: int = 3, n: int = 160, p: int = 1, *, moving: bool = False) -> tuple[Sample, np.ndarray]:
    rng = np.random.default_rng(seed)
    start = np.array([2002, 2004, 2005, NEVER])[np.arange(n) % 4]
    eligible = np.arange(n) // 4 % 2 == 0
    x = rng.normal(size=(n, len(PERIODS) if moving else 1, p))
    x = x + 0.3 * (start < NEVER)[:, None, None] + 0.2 * eligible[:, None, None]
    design = np.concatenate([np.ones((*x.shape[:2], 1)), x], axis=2)
    y = rng.normal(size=(n, 1)) + 0.2 * np.arange(5) + x.sum(axis=(1, 2))[:, None] * 0.3 * np.arange(5)
    y = y + 0.5 * eligible[:, None] * np.arange(5) + rng.normal(size=(n, 5))
    y = y + (start[:, None] <= PERIODS) * (0.7 + 1.0 * eligible[:, None])
    order = rng.permutation(n)
    sample = Sample.of(y[order], start[order], PERIODS, rule, design[order])
    return replace(sample, weights=rng.uniform(0.5, 2, n)), eligible[order]


def change_in(sample: Sample, t: int, base: int) -> tuple[np.ndarray, np.ndarray]:
    i, j = PERIODS.tolist().index(t), PERIODS.tolist().index(base)
    X = sample.design[:, min(i, j) if sample.design.shape[1] > 1 else 0]
    return sample.outcome[:, i] - sample.outcome[:, j], X


def slow_did(sample: Sample, w: np.ndarray, a: np.ndarray, b: np.ndarray, cell: tuple[int, int]) -> float:
    """Difference-in-differences of units a beside units b, by statsmodels fits."""
    change, X = change_in(sample, *cell)
    mu = np.zeros(len(w))
    if sample.rule.adjust != "weighting":
        mu = X @ sm.WLS(change[b], X[b], weights=w[b]).fit().params
    gap, both = change - mu, a | b
    effect = np.average(gap[a], weights=w[a])
    if sample.rule.adjust == "regression":
        return float(effect)
    model = sm.GLM(a[both].astype(float), X[both], family=sm.families.Binomial(), freq_weights=w[both])
    p = model.family.link.inverse(X @ model.fit(tol=1e-14, maxiter=200).params)
    return float(effect - np.average(gap[b], weights=(w * p / (1 - p))[b]))


def slow_triple(sample: Sample, q: np.ndarray, w: np.ndarray, cell: tuple[int, int, int], c: int) -> float:
    g, t, base = cell
    treated = (sample.start == g) & q
    one, two, three = (
        slow_did(sample, w, treated, other, (t, base))
        for other in ((sample.start == g) & ~q, (sample.start == c) & q, (sample.start == c) & ~q)
    )
    return one + two - three


def slow_others(sample: Sample, cell: tuple[int, int, int]) -> list[int]:
    g, t, base = cell
    if sample.rule.comparison == "never":
        return [NEVER]
    late = max(t, base) + sample.rule.anticipation
    return [int(c) for c in np.unique(sample.start) if c > late and c != g]


def places(found: TripleStudy) -> list[tuple[int, int, int]]:
    table = found.study.cells
    return list(zip(table.cohort.tolist(), table.period.tolist(), table.base.tolist(), strict=True))


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("moving", [False, True])
def test_effects_equal_the_slow_twin(rule: Rule, *, moving: bool) -> None:
    sample, q = world(rule, moving=moving)
    found = triple_differences(sample, q)
    theirs = group_time_study(sample.outcome, sample.start, PERIODS, sample.design, rule).cells
    assert places(found) == list(zip(theirs.cohort, theirs.period, theirs.base, strict=True))
    for k, cell in enumerate(places(found)):
        others = slow_others(sample, cell)
        used = found.compared[found.shares[k] != 0].tolist()
        if cell[1] == cell[2]:
            assert (found.study.cells.att[k], used) == (0, [])
            continue
        assert used == others
        share = found.shares[k][np.isin(found.compared, others)]
        assert share.sum() == pytest.approx(1)
        parts = [slow_triple(sample, q, sample.weights, cell, c) for c in others]
        # Two optimisers stop at slightly different points of a flat likelihood.
        assert found.study.cells.att[k] == pytest.approx(share @ parts, abs=1e-8)
        here = (sample.start == cell[0]) | np.isin(sample.start, others)
        assert found.study.cells.n_treated[k] == (here & q & (sample.start == cell[0])).sum()
        assert found.study.cells.n_treated[k] + found.study.cells.n_comparison[k] == here.sum()


@pytest.mark.parametrize("adjust", ADJUST)
@pytest.mark.parametrize("comparison", ["never", "not-yet"])
def test_scores_are_derivatives_by_the_weight_of_each_unit(adjust: Any, comparison: Any) -> None:
    """With the shares of comparison cohorts held fixed."""
    sample, q = world(Rule(adjust=adjust, comparison=comparison), n=96)
    found, step = triple_differences(sample, q), 1e-4
    for k in range(1, found.study.cells.att.size, 4):
        cell = places(found)[k]
        others = slow_others(sample, cell)
        share = found.shares[k][np.isin(found.compared, others)]
        for i in range(0, 96, 7):
            ends = []
            for sign in (1, -1):
                w = sample.weights.copy()
                w[i] *= 1 + sign * step
                ends.append(share @ [slow_triple(sample, q, w, cell, c) for c in others])
            # The error of a central difference is of the order of step squared.
            assert found.study.cells.scores[i, k] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-6)


def regression(sample: Sample, q: np.ndarray, cell: tuple[int, int, int], c: int) -> tuple[float, float]:
    """Coefficient of the three-way product in the saturated regression, and its error clustered by unit."""
    g, t, base = cell
    rows, y, weight, unit = [], [], [], []
    for i in np.flatnonzero((sample.start == g) | (sample.start == c)):
        for period in (base, t):
            s, e, p = float(sample.start[i] == g), float(q[i]), float(period == t)
            rows.append([1, s, e, p, s * e, s * p, e * p, s * e * p])
            y.append(sample.outcome[i, PERIODS.tolist().index(period)])
            weight.append(sample.weights[i])
            unit.append(i)
    X, w = np.array(rows), np.array(weight)
    bread = np.linalg.inv(X.T @ (X * w[:, None]))
    b = bread @ X.T @ (w * np.array(y))
    each = X * (w * (np.array(y) - X @ b))[:, None]
    sums = np.array([each[np.array(unit) == i].sum(axis=0) for i in set(unit)])
    return float(b[-1]), float(np.sqrt((bread @ sums.T @ sums @ bread)[-1, -1]))


@pytest.mark.parametrize("adjust", ADJUST)
def test_without_covariates_it_is_the_saturated_regression(adjust: Any) -> None:
    sample, q = world(Rule("never", adjust), n=60, p=0)
    found = triple_differences(sample, q).study.cells
    errors = np.sqrt(np.diag(found.scores.T @ found.scores))
    for k, cell in enumerate(zip(found.cohort, found.period, found.base, strict=True)):
        b, se = regression(sample, q, cell, NEVER)
        assert found.att[k] == pytest.approx(b, abs=1e-12)
        assert errors[k] == pytest.approx(se, rel=1e-10)


def test_the_combination_has_the_least_variance() -> None:
    sample, q = world(Rule("not-yet"), n=160, p=0)
    found = triple_differences(sample, q)
    k = places(found).index((2002, 2002, 2001))
    parts, influence = [], []
    for c in (2004, 2005, NEVER):
        kept = np.isin(sample.start, [2002, c])
        alone = np.where(sample.start[kept] == c, NEVER, 2002)
        part = replace(
            sample, outcome=sample.outcome[kept], start=alone, design=sample.design[kept],
            clusters=np.arange(kept.sum()), weights=sample.weights[kept], rule=Rule("never"),
        )  # fmt: skip
        one = triple_differences(part, q[kept])
        at = places(one).index((2002, 2002, 2001))
        parts.append(one.study.cells.att[at])
        influence.append(np.zeros(160))
        influence[-1][kept] = one.study.cells.scores[:, at]
    inverse = np.linalg.inv(np.cov(influence))
    assert found.shares[k][0] == 0
    assert found.shares[k][1:] == pytest.approx(inverse.sum(axis=0) / inverse.sum(), abs=1e-10)
    assert found.study.cells.att[k] == pytest.approx(found.shares[k][1:] @ parts, abs=1e-12)
    spread = float((found.study.cells.scores[:, k] ** 2).sum())
    assert spread == pytest.approx(1 / inverse.sum() * 159, rel=1e-9)
    assert spread < min(float((psi**2).sum()) for psi in influence)


def test_small_comparison_cohorts_are_left_out_where_another_remains() -> None:
    sample, q = world(Rule("not-yet"), p=0)
    few = np.flatnonzero((sample.start == 2005) & q)[FEWEST - 1 :]
    start = sample.start.copy()
    start[few] = NEVER
    found = triple_differences(replace(sample, start=start), q)
    assert (found.shares[:, found.compared == 2005] == 0).all()
    more = sample.start.copy()
    more[few[1:]] = NEVER
    found = triple_differences(replace(sample, start=more), q)
    assert (found.shares[:, found.compared == 2005] != 0).any()
    # Within four periods those of 2005 are never treated, and all that the cohort of 2004 can be compared with.
    kept = start < NEVER
    part = Sample.of(sample.outcome[kept, :4], start[kept], PERIODS[:4], Rule("not-yet"))
    last = triple_differences(part, q[kept])
    assert last.compared.tolist() == [2002, 2004, NEVER]
    assert last.shares[places(last).index((2004, 2004, 2002))].tolist() == [0, 0, 1]
    assert last.shares[places(last).index((2002, 2002, 2001))].tolist() == [0, 1, 0]


@pytest.mark.parametrize("rule", [Rule("never"), Rule("not-yet"), Rule("not-yet", base_period="universal")], ids=str)
def test_units_with_holes_count_only_where_they_are_seen(rule: Rule) -> None:
    """A unit seen in no cell's periods changes nothing; one seen twice counts in that cell alone."""
    sample, q = world(rule)
    one = triple_differences(sample, q)
    again = Sample(
        np.vstack([sample.outcome, np.full(5, np.nan)]), np.append(sample.start, 2002), PERIODS,
        np.vstack([sample.design, sample.design[:1]]), rule, np.arange(161), np.append(sample.weights, 1.0),
    )  # fmt: skip
    two = triple_differences(again, np.append(q, False))
    assert two.study.cells.att == pytest.approx(one.study.cells.att, abs=1e-7)
    assert two.study.cells.scores[:160] == pytest.approx(one.study.cells.scores, abs=1e-7)
    again.outcome[160, :2] = [3.0, 90.0]
    three = triple_differences(again, np.append(q, False)).study.cells
    moved = ~np.isclose(three.att, one.study.cells.att, atol=1e-6)
    found = set(zip(three.cohort[moved], three.period[moved], three.base[moved], strict=True))
    if rule.base_period == "universal":
        assert found == {(2002, 2000, 2001)}
    elif rule.comparison == "never":
        assert found == {(2002, 2001, 2000)}
    else:  # the unit is also one that later cohorts are compared with
        assert found == {(2002, 2001, 2000), (2004, 2001, 2000), (2005, 2001, 2000)}


@pytest.mark.parametrize("rule", [Rule("never"), Rule("not-yet")], ids=str)
def test_invariances(rule: Rule) -> None:
    sample, q = world(rule)
    one = triple_differences(sample, q).study
    order = np.random.default_rng(0).permutation(160)
    mixed = replace(
        sample, outcome=sample.outcome[order], start=sample.start[order], design=sample.design[order],
        weights=sample.weights[order],
    )  # fmt: skip
    two = triple_differences(mixed, q[order]).study
    assert two.cells.att == pytest.approx(one.cells.att, abs=1e-10)
    assert two.cells.scores == pytest.approx(one.cells.scores[order], abs=1e-10)
    # Trends of cohorts, and of eligible units, are differenced out.
    trend = (sample.start[:, None] % 7) * PERIODS * 0.1 + 5.0 * q[:, None] * PERIODS
    moved = triple_differences(replace(sample, outcome=3 * sample.outcome + trend), q).study
    assert moved.cells.att == pytest.approx(3 * one.cells.att, abs=1e-8)
    other = triple_differences(sample, ~q).study
    if rule.comparison == "never":
        plain = replace(sample, design=np.ones((160, 1, 1)))
        left, right = (triple_differences(plain, side).study.cells.att for side in (q, ~q))
        assert left == pytest.approx(-right, abs=1e-12)
        assert not np.allclose(one.cells.att, -other.cells.att, atol=1e-3)


def test_weights_count_units() -> None:
    sample, q = world(Rule("never"))
    double = replace(sample, weights=np.where(np.arange(160) < 40, 2.0, 1.0))
    rows = np.concatenate([np.arange(160), np.arange(40)])
    longer = Sample.of(sample.outcome[rows], sample.start[rows], PERIODS, Rule("never"), sample.design[rows], rows)
    one, two = triple_differences(double, q).study, triple_differences(longer, q[rows]).study
    assert one.cells.att == pytest.approx(two.cells.att, abs=1e-9)
    assert one.cells.scores == pytest.approx(two.cells.scores, abs=1e-9)
    assert one.sizes.counts.tolist() == two.sizes.counts.tolist()
    assert one.levels == pytest.approx(two.levels)
    assert one.level_scores == pytest.approx(two.level_scores)


def test_clusters_levels_sizes_and_aggregation() -> None:
    sample, q = world(Rule("not-yet"))
    one = triple_differences(sample, q).study
    codes = np.arange(160) // 8
    two = triple_differences(replace(sample, clusters=codes), q).study
    assert two.cells.att.tolist() == one.cells.att.tolist()
    sums = np.array([one.cells.scores[codes == c].sum(axis=0) for c in range(20)])
    assert two.cells.scores == pytest.approx(sums, abs=1e-14)
    assert one.sizes.counts == pytest.approx([sample.weights[(sample.start == g) & q].sum() for g in one.sizes.cohorts])
    assert two.sizes.by_cluster.sum(axis=0) == pytest.approx(one.sizes.counts)
    for k, (g, t) in enumerate(zip(one.cells.cohort, one.cells.period, strict=True)):
        mine = (sample.start == g) & q
        expected = np.average(sample.outcome[mine, PERIODS.tolist().index(t)], weights=sample.weights[mine])
        assert one.levels[k] == pytest.approx(expected)
        assert one.level_scores[:, k].sum() == pytest.approx(0, abs=1e-12)
    table = one.cells
    found = aggregate("simple", table.cohort, table.period, table.att, table.scores, one.sizes)
    after = table.period >= table.cohort
    share = one.sizes.counts[np.searchsorted(one.sizes.cohorts, table.cohort[after])]
    assert found.overall == pytest.approx(np.average(table.att[after], weights=share))


def test_who_cannot_be_compared_is_said() -> None:
    sample, q = world(Rule("never"), p=0)
    for side in (sample.start < NEVER, q | (sample.start == NEVER), ~(q & (sample.start == NEVER))):
        kept = np.flatnonzero(side)
        part = Sample.of(sample.outcome[kept], sample.start[kept], PERIODS, Rule("never"))
        with pytest.raises(CellError) as caught:
            triple_differences(part, q[kept])
        assert (caught.value.why, caught.value.cohort) == ("empty", 2002)
