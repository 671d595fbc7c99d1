"""Errors for few treated clusters beside what the words say, and the rule that chooses among methods."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from evaltoolkit.kernels.aggregate import aggregate
from evaltoolkit.kernels.cluster_means import FewTreatedError, cluster_means, contrasts, inequality, moments
from evaltoolkit.kernels.cohorts import NEVER, Rule
from evaltoolkit.kernels.donors import donors
from evaltoolkit.kernels.few_treated import (
    DOUBT,
    FEW,
    MANY,
    Situation,
    Variability,
    recommended,
    scaled,
    variability,
    welch,
)
from evaltoolkit.kernels.group_time import group_time, group_time_study
from evaltoolkit.kernels.placebo_cells import Sample

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


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_contrasts_give_the_estimates(rule: Rule) -> None:
    sample = replace(world(), rule=rule)
    study = group_time_study(sample.outcome, sample.start, PERIODS, sample.design, rule)
    c = study.cells
    means = cluster_means(sample)
    for kind in KINDS:
        whole = aggregate(kind, c.cohort, c.period, c.att, c.scores, study.sizes)
        assert welch(means, kind).values == pytest.approx(np.append(whole.rows, whole.overall), abs=CLOSE)
        assert scaled(means, kind).values == pytest.approx(np.append(whole.rows, whole.overall), abs=CLOSE)
    assert scaled(means, "cells").values == pytest.approx(c.att, abs=CLOSE)
    assert contrasts(means, "cells").weights.sum(axis=1) == pytest.approx(0, abs=CLOSE)  # a common shock cancels


def test_one_change_of_two_groups_is_a_welch_test() -> None:
    rng = np.random.default_rng(1)
    y, start = rng.normal(size=(13, 2)), np.repeat([2, NEVER], [4, 9])
    found = welch(cluster_means(Sample.of(y, start, np.array([1, 2]), Rule())), "simple")
    change = y[:, 1] - y[:, 0]
    expected = stats.ttest_ind(change[:4], change[4:], equal_var=False)
    assert found.df[0] == pytest.approx(expected.df)
    assert found.bounds(0.95).p_value[0] == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert found.bounds(0.95).low[0] == pytest.approx(interval.low)
    assert found.bounds(0.95).high[0] == pytest.approx(interval.high)


def test_the_spread_of_cohorts_by_hand() -> None:
    sample = replace(world(3, (3, 4, 9)), rule=Rule("never"))
    found = welch(cluster_means(sample), "simple")
    L, share = {}, {2002: 9 / 17, 2004: 8 / 17}  # three cells of 3 units and two of 4
    for g, (base, after) in {2002: (1, [2, 3, 4]), 2004: (2, [3, 4])}.items():
        L[g] = sample.outcome[:, after].mean(axis=1) - sample.outcome[:, base]
    parts = [share[g] ** 2 * L[g][sample.start == g].var(ddof=1) / n for g, n in ((2002, 3), (2004, 4))]
    parts.append((share[2002] * L[2002] + share[2004] * L[2004])[sample.start == NEVER].var(ddof=1) / 9)
    assert found.std_error[0] == pytest.approx(np.sqrt(sum(parts)))
    df = sum(parts) ** 2 / sum(v**2 / d for v, d in zip(parts, (2, 3, 8), strict=True))
    assert found.df[0] == pytest.approx(df)


def test_the_variance_of_a_mean_of_unequal_clusters_is_right_on_average() -> None:
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(12), [1] * 6 + [1, 1, 2, 3, 5, 8])
    start = np.repeat([3, NEVER], [6, 6])[clusters]
    found = []
    for _ in range(4000):
        y = rng.normal(size=(12, 3))[clusters]  # clusters vary alike, whatever their size
        means = cluster_means(Sample.of(y, start, np.arange(1, 4), Rule(), None, clusters))
        found.append(moments(means, means.never)[1][0, 0])
    assert inequality(means) == 8
    share = np.array([1, 1, 2, 3, 5, 8]) / 20
    # The standard error of a mean of 4,000 such variances is below 1.5 %.
    assert np.mean(found) == pytest.approx(share @ share, rel=0.05)


def slow_ratio(sample: Sample) -> tuple[float, float]:
    """Mean square of treated changes over the never-treated variance, and how many changes count."""
    d, free = np.diff(sample.outcome, axis=1), sample.start == NEVER
    n0, total, count = int(free.sum()), 0.0, 0.0
    for i in np.flatnonzero(~free):
        mates = sample.start == sample.start[i]
        for t in range(4):
            v = d[free, t].var(ddof=1)
            if PERIODS[t + 1] < sample.start[i]:
                total += (d[i, t] - d[free, t].mean()) ** 2 / v / (1 + 1 / n0)
                count += 1
            else:
                total += (d[i, t] - d[mates, t].mean()) ** 2 / v
                count += 1 - 1 / mates.sum()
    return total / count * (n0 - 3) / (n0 - 1), count


def test_the_ratio_of_variances_by_hand() -> None:
    sample = replace(world(3, (3, 1, 9)), rule=Rule("never"))
    v = variability(cluster_means(sample))
    ratio, count = slow_ratio(sample)
    assert v.ratio == pytest.approx(ratio)
    assert 1 <= v.df <= count
    assert v.df_never == 8
    assert v.p_value == pytest.approx(stats.f.sf(ratio * 8 / 6, v.df, 8))


def test_the_scaled_error_by_hand() -> None:
    sample = replace(world(3, (3, 1, 9)), rule=Rule("never"))
    means = cluster_means(sample)
    v, found = variability(means), scaled(means, "group")
    L = sample.outcome[:, 2:].mean(axis=1) - sample.outcome[:, 1]
    var = L[sample.start == NEVER].var(ddof=1)
    mine, theirs = v.ratio * var / 3, var / 9
    assert found.std_error[0] == pytest.approx(np.sqrt(mine + theirs))
    assert found.df[0] == pytest.approx((mine + theirs) ** 2 / (mine**2 / v.df + (mine + theirs) ** 2 / 8))


def test_noise_of_the_treated_widens_the_scaled_interval_in_step() -> None:
    rng = np.random.default_rng(1)
    start = np.repeat([4, NEVER], [2, 30])
    e = rng.normal(size=(32, 8))
    ratios, errors = [], []
    for k in (1.0, 10.0, 100.0):
        y = e.copy()
        y[:2] *= k
        means = cluster_means(Sample.of(y, start, np.arange(8), Rule("never")))
        ratios.append(variability(means).ratio)
        errors.append(float(scaled(means, "simple").std_error[0]))
    assert ratios[2] / ratios[1] == pytest.approx(100, rel=0.1)  # the never-treated mean adds a little
    assert errors[2] / errors[1] == pytest.approx(10, rel=0.05)
    assert ratios[0] < ratios[1]


def test_what_the_check_cannot_see_is_said() -> None:
    sample = world(3, (3, 2, 9))
    with pytest.raises(FewTreatedError, match="no-never-treated"):
        cluster_means(world(3, (3, 2, 4)))
    alone = Sample.of(sample.outcome, np.where(np.arange(14) == 0, 2001, NEVER), PERIODS, Rule())
    with pytest.raises(FewTreatedError, match="no-contrast"):
        scaled(cluster_means(alone), "simple")
    with pytest.raises(FewTreatedError, match="single-cluster"):
        welch(cluster_means(alone), "simple")
    y = sample.outcome.copy()
    y[0, 0] = np.nan
    holes = cluster_means(replace(sample, outcome=y))
    assert holes.means.shape[0] == 13
    assert variability(holes).p_value == pytest.approx(
        variability(cluster_means(replace(sample, outcome=y[1:], start=sample.start[1:], clusters=np.arange(13),
                                          design=sample.design[1:], weights=np.ones(13)))).p_value
    )  # fmt: skip
    with pytest.raises(FewTreatedError, match="holes"):
        scaled(holes, "simple")


def test_covariates_are_taken_out_of_the_means() -> None:
    sample = replace(world(5, (4, 4, 12), p=2), rule=Rule("never", "regression"))
    means = cluster_means(sample)
    expected = group_time(sample.outcome, sample.start, PERIODS, sample.design, sample.rule).att
    assert scaled(means, "cells").values == pytest.approx(expected, abs=CLOSE)
    assert means.lost == 2
    assert variability(means).df_never == 9


def test_donors_of_one_treated_unit_are_taken_in_turn() -> None:
    rng = np.random.default_rng(4)
    y, start = rng.normal(size=(25, 3)), np.array([3] + [NEVER] * 24)
    means = cluster_means(Sample.of(y, start, np.arange(1, 4), Rule("never")))
    found = donors(means, "simple", 0.9, 99, 1)
    change = y[:, 2] - y[:, 1]
    e = np.sort(np.abs(change[1:] - change[1:].mean()) * np.sqrt(25 / 24 * 24 / 23 * 24 / 24))
    e *= np.sqrt(24 / 25 * (1 + change[1:].var(ddof=1) / 24 / (change[1:].var() * 24 / 23)))
    value = change[0] - change[1:].mean()
    assert found.high[0] - value == pytest.approx(e[-2])  # one in 25 is allowed at the 10 % level, and two are not
    assert found.p_value[0] == pytest.approx((1 + (e >= abs(value)).sum()) / 25)


def test_sizes_rescale_donors() -> None:
    rng = np.random.default_rng(4)
    size = np.concatenate([[4, 4], np.tile([4, 100], 40)])
    clusters = np.repeat(np.arange(82), size)
    start = np.repeat([3, NEVER], [2, 80])[clusters]
    sample = Sample.of(rng.normal(size=(clusters.size, 3)), start, np.arange(1, 4), Rule("never"), None, clusters)
    means = cluster_means(sample)
    plain, by_size = (donors(means, "simple", 0.9, 999, 1, sized=s) for s in (False, True))
    # Two small treated clusters vary more than the mix of small and large ones that stands in for them.
    assert by_size.high - by_size.low > 1.2 * (plain.high - plain.low)
    alike = cluster_means(world(3, (2, 2, 12)))
    a, b = (donors(alike, "dynamic", 0.9, 99, 1, sized=s) for s in (False, True))
    assert a.high == pytest.approx(b.high, rel=1e-6)


FINE, LOOSE = Variability(1.0, 6, 11, DOUBT), Variability(4.0, 6, 11, DOUBT / 2)
SITUATIONS = [
    (Situation(MANY, 60, MANY, 10**9, 1.0, FINE, adjusted=False), "analytic", "many"),
    (Situation(MANY, 60, MANY - 1, 10**9, 1.0, FINE, adjusted=False), "welch", "enough"),
    (Situation(FEW, 20, 40, 10**9, 1.0, LOOSE, adjusted=False), "welch", "enough"),
    (Situation(FEW, 20, 40, 10**9, 1.0, LOOSE, adjusted=True), "jackknife", "enough"),
    (Situation(FEW - 1, 20, 40, 10**9, 1.0, FINE, adjusted=False), "randomization", "few"),
    (Situation(1, 2, 12, 182, 1.0, LOOSE, adjusted=False), "scaled", "more-variable"),
    (Situation(1, 2, 12, 182, 1.0, LOOSE, adjusted=True), "jackknife", "more-variable"),
    (Situation(2, 4, 20, 10**9, 2.5, FINE, adjusted=False), "scaled", "unequal-sizes"),
    (Situation(2, 4, 20, 10**9, 2.0, FINE, adjusted=False), "randomization", "few"),
    (Situation(2, 4, 20, 10**9, 2.5, FINE, adjusted=True), "jackknife", "unequal-sizes"),
    (Situation(2, 4, 20, 10**9, 2.5, LOOSE, adjusted=False), "scaled", "more-variable"),
    (Situation(1, 2, 12, 182, 1.0, None, adjusted=False), "randomization", "few-unchecked"),
    (Situation(1, 1, 18, 19, 1.0, FINE, adjusted=False), "none", "one-treated"),
    (Situation(1, 1, 19, 20, 1.0, FINE, adjusted=False), "randomization", "few"),
    (Situation(2, 2, 3, 10, 1.0, None, adjusted=False), "jackknife", "too-few-assignments"),
    (Situation(2, 4, 9, 0, 1.0, FINE, adjusted=False), "jackknife", "cannot-permute"),
]


@pytest.mark.parametrize(("of", "method", "reason"), SITUATIONS, ids=lambda v: v if isinstance(v, str) else "")
def test_the_rule(of: Situation, method: str, reason: str) -> None:
    assert recommended(of) == (method, reason)


def test_the_rule_asks_for_more_assignments_at_a_higher_level() -> None:
    of = Situation(1, 1, 19, 20, 1.0, FINE, adjusted=False)
    assert recommended(of, 0.99) == ("none", "one-treated")
    assert recommended(of, 0.9) == ("randomization", "few")


def test_more_assignments_than_a_float_can_hold() -> None:
    assert recommended(Situation(4, 800, 800, 10**400, 1.0, None, adjusted=False)) == ("randomization", "few-unchecked")
