"""Group-time effects, their scores, aggregations, jackknife and bands beside slow twins written from the formulae."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from evaltoolkit.kernels.aggregate import Sizes, aggregate, point
from evaltoolkit.kernels.bands import simultaneous_critical_value, wald
from evaltoolkit.kernels.group_time import NEVER, CellError, Rule, cells, group_time
from evaltoolkit.kernels.jackknife import (
    delete_one_group_time,
    delete_one_least_squares,
    deleted_means,
    jackknife_covariance,
)
from evaltoolkit.kernels.likelihood import logit

PERIODS = np.array([2000, 2001, 2002, 2004, 2005])  # a gap: 2003 was not observed
RULES = [
    Rule(comparison=c, adjust=a, base_period=b, anticipation=k)
    for c, a, b, k in itertools.product(
        ("never", "not-yet"), ("doubly-robust", "weighting", "regression"), ("varying", "universal"), (0, 1)
    )
]


def world(seed: int = 3, n: int = 80, p: int = 2, *, moving: bool = False) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    start = np.array([2002, 2004, 2005, NEVER])[rng.integers(0, 4, n)]
    x = rng.normal(size=(n, len(PERIODS) if moving else 1, p)) + 0.3 * (start < NEVER)[:, None, None]
    design = np.concatenate([np.ones((*x.shape[:2], 1)), x], axis=2)
    y = rng.normal(size=(n, 1)) + 0.2 * np.arange(5) + x.sum(axis=(1, 2))[:, None] * 0.3 * np.arange(5)
    y = y + (PERIODS[None, :] >= start[:, None]) * 1.0 + rng.normal(size=(n, 5))
    return y, start, design


def slow_cells(start: np.ndarray, rule: Rule) -> dict[tuple[int, int], tuple[int, np.ndarray]]:
    """Base period and comparison units of every cell, by the words of the definition."""
    found = {}
    a = rule.anticipation
    for g in sorted(set(start) - {NEVER}):
        for t in PERIODS:
            before_start = [s for s in PERIODS if s + a < g]
            if not before_start:
                continue
            base = before_start[-1]
            if rule.base_period == "varying" and t + a < g:
                earlier = [s for s in PERIODS if s < t]
                if not earlier:
                    continue
                base = earlier[-1]
            if rule.base_period == "varying" and t == base:
                continue
            if rule.comparison == "never":
                compared = start == NEVER
            else:
                compared = np.array([s > max(t, base) + a and s != g for s in start])
            found[int(g), int(t)] = (int(base), compared)
    return found


def slow_att(
    y: np.ndarray, start: np.ndarray, design: np.ndarray, rule: Rule, key: tuple[int, int], w: np.ndarray
) -> float:
    """One effect with unit weights w: the difference of weighted means, by statsmodels fits."""
    g, t = key
    base, compared = slow_cells(start, rule)[key]
    if base == t:
        return 0.0
    i, j = PERIODS.tolist().index(t), PERIODS.tolist().index(base)
    change = y[:, i] - y[:, j]
    X = design[:, min(i, j) if design.shape[1] > 1 else 0]
    treated = start == g
    both = treated | compared
    mu = np.zeros(len(y))
    if rule.adjust != "weighting":
        mu = X @ sm.WLS(change[compared], X[compared], weights=w[compared]).fit().params
    gap = change - mu
    effect = np.average(gap[treated], weights=w[treated])
    if rule.adjust == "regression":
        return float(effect)
    model = sm.GLM(treated[both].astype(float), X[both], family=sm.families.Binomial(), freq_weights=w[both])
    p = model.family.link.inverse(X @ model.fit(tol=1e-14, maxiter=200).params)
    return float(effect - np.average(gap[compared], weights=(w * p / (1 - p))[compared]))


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("moving", [False, True])
def test_effects_equal_the_slow_twin(rule: Rule, *, moving: bool) -> None:
    y, start, design = world(moving=moving)
    found = group_time(y, start, PERIODS, design, rule)
    expected = slow_cells(start, rule)
    assert {(g, t) for g, t in zip(found.cohort.tolist(), found.period.tolist(), strict=True)} == set(expected)
    ones = np.ones(len(y))
    for k, key in enumerate(zip(found.cohort.tolist(), found.period.tolist(), strict=True)):
        assert found.base[k] == expected[key][0]
        assert found.n_comparison[k] == expected[key][1].sum()
        # Two optimisers stop at slightly different points of a flat likelihood.
        assert found.att[k] == pytest.approx(slow_att(y, start, design, rule, key, ones), abs=1e-9)


@pytest.mark.parametrize("rule", RULES[::3], ids=str)
def test_scores_are_derivatives_by_the_weight_of_each_unit(rule: Rule) -> None:
    y, start, design = world(n=40)
    found = group_time(y, start, PERIODS, design, rule)
    step = 1e-4
    for k in range(0, found.att.size, 3):
        key = (int(found.cohort[k]), int(found.period[k]))
        for i in range(0, 40, 3):
            ends = []
            for sign in (1, -1):
                w = np.ones(40)
                w[i] += sign * step
                ends.append(slow_att(y, start, design, rule, key, w))
            # The error of a central difference is of the order of step squared.
            assert found.scores[i, k] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-6)


def test_scores_sum_in_clusters() -> None:
    y, start, design = world()
    clusters = np.arange(80) // 4
    one = group_time(y, start, PERIODS, design, Rule())
    two = group_time(y, start, PERIODS, design, Rule(), clusters)
    assert np.allclose(two.scores, np.array([one.scores[clusters == c].sum(axis=0) for c in range(20)]), atol=1e-15)


def sizes(start: np.ndarray, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    w = np.ones(start.size) if weights is None else weights
    starts = np.unique(start[start < NEVER])
    return starts, np.array([w[start == g].sum() for g in starts])


def slow_aggregate(kind: str, cohort: np.ndarray, period: np.ndarray, v: np.ndarray, counts: dict[int, float]) -> Any:
    p = np.array([counts[int(g)] for g in cohort])
    after = period >= cohort

    def mean(mask: np.ndarray) -> float:
        return float(np.average(v[mask], weights=p[mask]))

    if kind == "simple":
        return {}, mean(after)
    if kind == "dynamic":
        rows = {int(e): mean(period - cohort == e) for e in np.unique(period - cohort)}
        return rows, float(np.mean([value for e, value in rows.items() if e >= 0]))
    if kind == "calendar":
        rows = {int(t): mean(after & (period == t)) for t in np.unique(period[after])}
        return rows, float(np.mean(list(rows.values())))
    rows = {int(g): mean(after & (cohort == g)) for g in np.unique(cohort[after])}
    return rows, float(np.average(list(rows.values()), weights=[counts[g] for g in rows]))


@pytest.mark.parametrize("kind", ["simple", "dynamic", "group", "calendar"])
def test_aggregations_and_their_scores(kind: Any) -> None:
    """A score is the derivative of the whole estimate, cohort shares included, by the weight of a unit."""
    y, start, design = world(n=48)
    found = group_time(y, start, PERIODS, design, Rule(adjust="regression"))
    starts, counts = sizes(start)
    one_hot = (start[:, None] == starts[None, :]).astype(np.int64)
    got = aggregate(
        kind, found.cohort, found.period, found.att, found.scores, Sizes(starts, counts.astype(np.int64), one_hot)
    )
    rows, overall = slow_aggregate(kind, found.cohort, found.period, found.att, dict(zip(starts, counts, strict=True)))
    assert got.labels.tolist() == list(rows)
    assert got.rows == pytest.approx(list(rows.values()), abs=1e-12)
    assert got.overall == pytest.approx(overall, abs=1e-12)
    step = 1e-4
    for i in range(0, 48, 5):
        ends = []
        for sign in (1, -1):
            w = np.ones(48)
            w[i] += sign * step
            v = np.array([
                slow_att(y, start, design, Rule(adjust="regression"), (int(g), int(t)), w)
                for g, t in zip(found.cohort, found.period, strict=True)
            ])  # fmt: skip
            weighted = dict(zip(*sizes(start, w), strict=True))
            ends.append(slow_aggregate(kind, found.cohort, found.period, v, weighted))
        # The error of a central difference is of the order of step squared.
        assert got.overall_scores[i] == pytest.approx((ends[0][1] - ends[1][1]) / (2 * step), abs=1e-6)
        for j, label in enumerate(rows):
            slope = (ends[0][0][label] - ends[1][0][label]) / (2 * step)
            assert got.row_scores[i, j] == pytest.approx(slope, abs=1e-6)


def test_a_lost_cohort_is_left_out_of_the_averages() -> None:
    cohort, period = np.array([3, 3, 4]), np.array([3, 4, 4])
    rows, overall = point("group", cohort, period, np.array([[1.0, 3, np.nan]]), np.array([[2.0, 0]]), np.array([3, 4]))
    assert rows[0, 0] == 2
    assert np.isnan(rows[0, 1])
    assert overall[0] == 2


@pytest.mark.parametrize("covariates", [0, 2])
@pytest.mark.parametrize("comparison", ["never", "not-yet"])
def test_deletions_equal_fitting_again(covariates: int, comparison: Any) -> None:
    y, start, design = world(n=60, p=covariates)
    rule, clusters = Rule(comparison=comparison), np.arange(60) // 2
    found = delete_one_group_time(y, start, PERIODS, design, rule, clusters)
    every = cells(start, PERIODS, rule)
    for c in range(0, 30, 4):
        kept = clusters != c
        again = group_time(y[kept], start[kept], PERIODS, design[kept], rule)
        assert len(again.att) == len(every)
        assert found[c] == pytest.approx(again.att, abs=1e-12)


def test_deleting_the_only_unit_of_a_cohort_loses_the_cohort() -> None:
    y, start, design = world(n=30, p=0)
    start = np.where(start == 2004, NEVER, start)
    start[0] = 2004
    found = delete_one_group_time(y, start, PERIODS, design, Rule(), np.arange(30))
    of = np.array([g for g, _, _ in cells(start, PERIODS, Rule())])
    assert np.isnan(found[0, of == 2004]).all()
    assert np.isfinite(found[0, of != 2004]).all()
    assert np.isfinite(found[1:]).all()


def test_deleted_means() -> None:
    y, start, _ = world(n=20)
    clusters = np.arange(20) // 2
    means, left, starts = deleted_means(y, start, clusters)
    for c, (j, g) in itertools.product(range(10), enumerate(starts)):
        kept = (clusters != c) & (start == g)
        assert left[c, j] == kept.sum()
        if kept.any():
            assert means[c, j] == pytest.approx(y[kept].mean(axis=0), abs=1e-12)


def test_deleted_least_squares() -> None:
    rng = np.random.default_rng(0)
    X, y, clusters = rng.normal(size=(40, 3)), rng.normal(size=40), np.arange(40) // 4
    found = delete_one_least_squares(X, y, clusters)
    for c in range(10):
        kept = clusters != c
        assert found[c] == pytest.approx(np.linalg.lstsq(X[kept], y[kept], rcond=None)[0], abs=1e-12)
    lonely = np.column_stack([X, clusters == 3])
    assert np.isnan(delete_one_least_squares(lonely, y, clusters)[3]).all()


def test_the_jackknife_of_a_mean_is_its_variance() -> None:
    y = np.random.default_rng(1).normal(size=(25, 2))
    deleted = (y.sum(axis=0) - y) / 24
    assert jackknife_covariance(deleted, y.mean(axis=0)) == pytest.approx(np.cov(y.T) / 25, abs=1e-14)


def test_logit_equals_statsmodels() -> None:
    rng = np.random.default_rng(2)
    X = np.column_stack([np.ones(300), 1e4 * rng.normal(size=300), rng.normal(size=300)])
    d = rng.random(300) < stats.logistic.cdf(X[:, 2] - 1)
    found, model = logit(X, d), sm.Logit(d.astype(float), X).fit(disp=0, method="newton", tol=1e-12)
    assert found.exists
    assert found.probabilities == pytest.approx(model.predict(), abs=1e-9)
    assert np.linalg.inv(found.information) == pytest.approx(model.cov_params(), rel=1e-6, abs=1e-14)


@pytest.mark.parametrize("quasi", [False, True])
def test_logit_says_when_there_is_no_estimate(*, quasi: bool) -> None:
    x = np.linspace(-1, 1, 20)
    d = x > 0
    if quasi:
        x = np.concatenate([x, [0.0, 0.0]])
        d = np.concatenate([d, [True, False]])
    assert not logit(np.column_stack([np.ones(x.size), x]), d).exists


def test_a_cell_that_cannot_be_estimated_says_why() -> None:
    y, start, design = world()
    apart = design.copy()
    apart[:, 0, 1] += 100 * (start == 2002)
    with pytest.raises(CellError) as caught:
        group_time(y, start, PERIODS, apart, Rule())
    assert (caught.value.why, caught.value.cohort, caught.value.column) == ("separation", 2002, 1)
    doubled = np.concatenate([design, design[:, :, 1:2] * 2], axis=2)
    with pytest.raises(CellError) as caught:
        group_time(y, start, PERIODS, doubled, Rule())
    assert (caught.value.why, caught.value.column) == ("collinear", 3)
    treated = start < NEVER
    with pytest.raises(CellError) as caught:
        group_time(y[treated], start[treated], PERIODS, design[treated], Rule(comparison="never"))
    assert caught.value.why == "empty"


@pytest.mark.parametrize("m", [1, 3, 8])
def test_the_band_of_independent_estimates(m: int) -> None:
    c = simultaneous_critical_value(np.diag(np.arange(1.0, m + 1)), 0.95, draws=400_000, seed=4)
    exact = stats.norm.ppf(0.5 + 0.95 ** (1 / m) / 2)
    assert c == pytest.approx(exact, abs=0.02)  # four Monte Carlo standard errors of a 95% quantile at this many draws


def test_rows_without_variance_do_not_widen_the_band() -> None:
    full = np.diag([1.0, 0.0, 2.0, np.nan])
    both = np.diag([1.0, 2.0])
    one, two = (simultaneous_critical_value(v, 0.95, draws=999, seed=1) for v in (full, both))
    assert one == two


def test_wald() -> None:
    rng = np.random.default_rng(5)
    root = rng.normal(size=(3, 3))
    V, theta = root @ root.T, rng.normal(size=3)
    test = wald(theta, V)
    assert test is not None
    assert test.statistic == pytest.approx(theta @ np.linalg.inv(V) @ theta, rel=1e-9)
    assert test.p_value == pytest.approx(stats.chi2.sf(test.statistic, 3))
    small = wald(theta, V, 10)
    assert small is not None
    assert small.p_value == pytest.approx(stats.f.sf(test.statistic * 8 / 30, 3, 8))
    assert wald(theta, np.ones((3, 3))) is None
    assert wald(theta, V, 2) is None


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("adjust", ["doubly-robust", "regression"])
def test_a_covariate_that_follows_from_others_but_for_rounding_is_refused(seed: int, adjust: Any) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, 2))
    X = np.column_stack([np.ones(300), x, 1 + 2 * x[:, 0] + 3 * x[:, 1]])[:, None, :]
    start = np.repeat([3, NEVER], [60, 240])
    with pytest.raises(CellError) as caught:
        group_time(rng.normal(size=(300, 4)), start, np.arange(1, 5), X, Rule("never", adjust))
    assert caught.value.why == "collinear"


@pytest.mark.parametrize("adjust", ["doubly-robust", "weighting", "regression"])
@pytest.mark.parametrize("comparison", ["never", "not-yet"])
def test_large_panels_take_the_short_way_to_the_same_numbers(comparison: Any, adjust: Any) -> None:
    rng = np.random.default_rng(1)
    n = 20_400
    x = rng.integers(0, 3, n).astype(float)
    start = np.where(rng.random(n) < 0.6, NEVER, rng.integers(3, 6, n))
    y = rng.normal(size=(n, 6)) + x[:, None] * np.arange(6)
    X = np.column_stack([np.ones(n), x])[:, None, :]
    rule = Rule(comparison, adjust)
    short = group_time(y, start, np.arange(1, 7), X, rule)
    # Clusters of units in pairs keep a row of scores each; their effects come from the rows.
    rows = group_time(y, start, np.arange(1, 7), X, rule, np.arange(n) // 2)
    assert short.att == pytest.approx(rows.att, abs=1e-10)
    part = slice(0, 20_000)
    long = group_time(y[part], start[part], np.arange(1, 7), X[part], rule)
    assert long.scores.shape[0] == 20_000 > short.scores.shape[0]
    whole, piece = (np.sqrt((found.scores**2).sum(axis=0)) for found in (short, long))
    assert whole == pytest.approx(piece, rel=0.05)
