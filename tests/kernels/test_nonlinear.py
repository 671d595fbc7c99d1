"""Poisson, logit and linear models of counts by cohort and period beside fits with one dummy for every effect."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from evaltoolkit.kernels import nonlinear_scores, nonlinear_twoway
from evaltoolkit.kernels.cohorts import NEVER, Rule, cells
from evaltoolkit.kernels.nonlinear import NonlinearError, NonlinearGroupTime, Observed, nonlinear_group_time
from evaltoolkit.kernels.nonlinear_average import average, per_exposure, proportional
from evaltoolkit.kernels.nonlinear_likelihood import Rows, fit
from evaltoolkit.kernels.nonlinear_twoway import poisson_two_way, treatment_table

PERIODS = np.array([2000, 2001, 2002, 2004, 2005])  # a gap: 2003 was not observed
FAMILIES = {"linear": sm.families.Gaussian, "poisson": sm.families.Poisson, "logit": sm.families.Binomial}


def world(
    family: str = "poisson", n: int = 120, *, p: int = 0, holes: bool = False, exposed: bool = False, seed: int = 3
) -> Observed:
    rng = np.random.default_rng(seed)
    start = np.array([2002, 2004, 2005, NEVER])[rng.integers(0, 4, n)]
    x = rng.normal(size=(n, p)) + 0.3 * (start < NEVER)[:, None]
    line = 0.4 * rng.normal(size=(n, 1)) + 0.1 * np.arange(5) + 0.3 * x.sum(axis=1)[:, None]
    line = line + 0.5 * (PERIODS[None, :] >= start[:, None])
    exposure = rng.uniform(0.5, 3, size=(n, 5)) if exposed else None
    if family == "linear":
        y = line + rng.normal(size=line.shape)
    elif family == "poisson":
        y = rng.poisson(np.exp(line) * (1.0 if exposure is None else exposure)).astype(float)
    else:
        y = (rng.random(line.shape) < 1 / (1 + np.exp(-line))).astype(float)
    if holes:
        y[rng.random(y.shape) < 0.15] = np.nan
    return Observed(y, start, PERIODS, exposure, x if p else None, np.arange(n) // 2, None)


def covariance(scores: np.ndarray) -> np.ndarray:
    return scores.T @ scores


# --- unit and period effects --------------------------------------------------------------------------------------


def slow_two_way(o: Observed, regressors: np.ndarray) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Poisson with a dummy for every unit and period; clustered covariance without a factor; N and clusters."""
    rows, y, offset, groups = [], [], [], []
    n, periods = o.outcome.shape
    alive = np.nansum(o.outcome, axis=1) > 0
    for i, t in itertools.product(range(n), range(periods)):
        if not alive[i] or np.isnan(o.outcome[i, t]):
            continue
        rows.append(np.concatenate([np.eye(n)[i][alive], np.eye(periods)[t, 1:], regressors[i, t]]))
        y.append(o.outcome[i, t])
        offset.append(0.0 if o.exposure is None else np.log(o.exposure[i, t]))
        groups.append(i if o.clusters is None else o.clusters[i])
    model = sm.GLM(np.array(y), np.array(rows), family=sm.families.Poisson(), offset=np.array(offset))
    found = model.fit(
        tol=1e-14, maxiter=200, cov_type="cluster", cov_kwds={"groups": np.array(groups), "use_correction": False}
    )
    k = regressors.shape[2]
    return found.params[-k:], found.cov_params()[-k:, -k:], len(y), len(set(groups))


@pytest.mark.parametrize("exposed", [False, True])
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("events", [None, [-2, 0, 1, 2, 3]])
def test_two_way_poisson_equals_a_fit_with_dummies(events: Any, *, holes: bool, exposed: bool) -> None:
    o = world(n=40, holes=holes, exposed=exposed)
    o.outcome[:3] = np.where(np.isnan(o.outcome[:3]), np.nan, 0.0)
    table, row = treatment_table(o.start, PERIODS, None if events is None else np.array(events))
    beta, V, n, groups = slow_two_way(o, table[row])
    k = beta.size
    for regressors, places in ((table, row), (table[row], None)):
        found = poisson_two_way(o.outcome, regressors, places, o.exposure, o.clusters)
        assert found.coefficients == pytest.approx(beta, abs=1e-8)
        factor = groups / (groups - 1) * (n - 1) / (n - k - 5)
        # Two optimisers, and statsmodels inverts a matrix with forty dummies.
        assert covariance(found.scores) == pytest.approx(V * factor, rel=1e-6, abs=1e-10)
        assert (found.n_observations, found.n_clusters, found.n_zero_units) == (n, groups, 3)
        assert found.df == groups - 1


def test_two_way_poisson_with_regressors_of_each_unit() -> None:
    o = world(n=60, exposed=True)
    x = np.random.default_rng(1).normal(size=(60, 5, 2)) + 50.0
    beta, V, n, groups = slow_two_way(o, x - 50.0)
    found = poisson_two_way(o.outcome, x, exposure=o.exposure, clusters=o.clusters)
    assert found.coefficients == pytest.approx(beta, abs=1e-8)
    factor = groups / (groups - 1) * (n - 1) / (n - 7)
    assert covariance(found.scores) == pytest.approx(V * factor, rel=1e-6, abs=1e-10)
    missing = x.copy()
    missing[4, 1, 0] = np.nan
    y = o.outcome.copy()
    y[4, 1] = np.nan
    one, two = (poisson_two_way(*a, exposure=o.exposure) for a in ((o.outcome, missing), (y, x)))
    assert one.coefficients == pytest.approx(two.coefficients, abs=1e-12)
    assert one.n_observations == two.n_observations == 299


def test_two_periods_are_a_binomial_with_a_closed_form() -> None:
    """With two periods and a static effect: the ratio of cohort ratios."""
    rng = np.random.default_rng(0)
    y = rng.poisson(5.0, size=(30, 2)).astype(float)
    table, row = treatment_table(np.repeat([2, NEVER], 15), np.array([1, 2]))
    treated, others = y[:15].sum(axis=0), y[15:].sum(axis=0)
    expected = np.log(treated[1] / treated[0] / (others[1] / others[0]))
    assert poisson_two_way(y, table, row).coefficients[0] == pytest.approx(expected, abs=1e-12)


def test_weights_count_like_copies_in_a_cluster() -> None:
    o = world(n=40, exposed=True)
    table, row = treatment_table(o.start, PERIODS)
    w = 1.0 + (np.arange(40) % 3 == 0)
    twice = np.repeat(np.arange(40), w.astype(int))
    one = poisson_two_way(o.outcome, table, row, o.exposure, np.arange(40), w)
    two = poisson_two_way(o.outcome[twice], table, row[twice], np.take(o.exposure, twice, axis=0), twice)  # type: ignore[arg-type]
    assert one.coefficients == pytest.approx(two.coefficients, abs=1e-11)
    assert covariance(one.scores) / one.factor == pytest.approx(covariance(two.scores) / two.factor, rel=1e-9)


@pytest.mark.parametrize("exposed", [False, True])
def test_cross_products_stand_in_for_many_units(monkeypatch: pytest.MonkeyPatch, *, exposed: bool) -> None:
    o = world(n=80, holes=True, exposed=exposed)
    table, row = treatment_table(o.start, PERIODS, np.array([0, 1, 2]))
    one = poisson_two_way(o.outcome, table, row, o.exposure)
    monkeypatch.setattr(nonlinear_twoway, "MANY", 10)
    two = poisson_two_way(o.outcome, table, row, o.exposure)
    assert two.scores.shape[0] < one.scores.shape[0]
    assert covariance(two.scores) == pytest.approx(covariance(one.scores), rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(1e-3, 1e6), st.floats(1e-3, 1e6))
def test_two_way_poisson_does_not_depend_on_order_or_units(seed: int, outcome: float, exposure: float) -> None:
    o = world(n=40, exposed=True, holes=True)
    assert o.exposure is not None
    order = np.random.default_rng(seed).permutation(40)
    table, row = treatment_table(o.start, PERIODS)
    one = poisson_two_way(o.outcome, table, row, o.exposure, o.clusters)
    two = poisson_two_way(
        o.outcome[order] * outcome, table, row[order], o.exposure[order] * exposure, o.clusters[order]  # type: ignore[index]
    )  # fmt: skip
    assert two.coefficients == pytest.approx(one.coefficients, abs=1e-9)
    assert covariance(two.scores) == pytest.approx(covariance(one.scores), rel=1e-7)


def test_what_two_way_poisson_leaves_out() -> None:
    o = world(n=40)
    table, row = treatment_table(o.start, PERIODS)
    y = o.outcome.copy()
    y[:, 1] = 0.0
    y[:2] = 0.0
    y[2, [0, 1, 2, 3]] = np.nan
    y[2, 4] = 3.0
    found = poisson_two_way(y, table, row)
    assert (found.n_zero_units, found.n_zero_periods, found.n_single, found.n_units) == (2, 1, 1, 38)
    assert found.n_observations == 37 * 4 + 1
    kept = np.array([0, 2, 3, 4])
    again = poisson_two_way(y[3:][:, kept], table[:, kept], row[3:])
    assert found.coefficients == pytest.approx(again.coefficients, abs=1e-10)


def test_two_way_poisson_names_what_cannot_be_estimated() -> None:
    o = world(n=60)
    y, (table, row) = o.outcome, treatment_table(o.start, PERIODS, np.array([-3, 0, 1]))
    silent = np.where(table[row][:, :, 1] > 0, 0.0, y)
    for regressors, places in ((table, row), (table[row], None)):
        with pytest.raises(NonlinearError) as caught:
            poisson_two_way(silent, regressors, places)
        assert (caught.value.why, caught.value.column) == ("separation", 1)
        doubled = np.concatenate([regressors, regressors[:, :, :1] - 3 * regressors[:, :, 2:]], axis=2)
        with pytest.raises(NonlinearError) as caught:
            poisson_two_way(y, doubled, places)
        assert (caught.value.why, caught.value.column) == ("collinear", 3)
    with pytest.raises(NonlinearError, match="no-outcome"):
        poisson_two_way(np.zeros((4, 2)), np.zeros((4, 2, 1)))
    with pytest.raises(NonlinearError, match="few-clusters"):
        poisson_two_way(y, table, row, clusters=np.zeros(60, dtype=np.int64))
    with pytest.raises(ValueError, match="zero"):
        poisson_two_way(-y - 1, table, row)
    with pytest.raises(ValueError, match="exposure"):
        poisson_two_way(y, table, row, np.zeros(y.shape))


# --- cohort and period effects ------------------------------------------------------------------------------------


def roles(start: np.ndarray, rule: Rule) -> tuple[list[tuple[int, int]], dict[int, int]]:
    """Cells and the period before each cohort's start, by the words of the definition."""
    found, reference = [], {}
    for g in sorted(set(start.tolist()) - {NEVER}):
        reference[g] = max(t for t in PERIODS.tolist() if t + rule.anticipation < g)
        for t in PERIODS.tolist():
            if t != reference[g] if rule.comparison == "never" else t + rule.anticipation >= g:
                found.append((g, t))
    return found, reference


def slow_model(o: Observed, family: str, rule: Rule) -> dict[str, Any]:
    """The pooled model with all dummies and interactions in one regression; delta method by differences."""
    every, _ = roles(o.start, rule)
    cohorts = sorted(set(o.start.tolist()))
    x = np.zeros((len(o.start), 0)) if o.covariates is None else o.covariates
    z = np.column_stack([np.ones(len(x)), x])
    q = z.shape[1]
    rows, place, y, offset, groups = [], [], [], [], []
    for i, (t, year) in itertools.product(range(len(x)), enumerate(PERIODS.tolist())):
        if np.isnan(o.outcome[i, t]):
            continue
        g = int(o.start[i])
        cell = every.index((g, year)) if (g, year) in every else -1
        of_cohort = np.kron(np.eye(len(cohorts))[cohorts.index(g)], z[i])
        of_period = np.kron(np.eye(5)[t, 1:], z[i])
        # Centred at cohort means, as the literature has it: it must not matter.
        centred = z[i] - np.concatenate([[0.0], x[o.start == g].mean(axis=0)])
        of_cell = np.kron(np.arange(len(every)) == cell, centred)
        rows.append(np.concatenate([of_cohort, of_period, of_cell]))
        place.append(cell)
        y.append(o.outcome[i, t])
        offset.append(0.0 if o.exposure is None else np.log(o.exposure[i, t]))
        groups.append(i if o.clusters is None else o.clusters[i])
    X, place, off = np.array(rows), np.array(place), np.array(offset)
    model = sm.GLM(np.array(y), X, family=FAMILIES[family](), offset=np.array(offset))
    found = model.fit(
        tol=1e-14, maxiter=300, cov_type="cluster", cov_kwds={"groups": np.array(groups), "use_correction": False}
    )
    untreated = X.copy()
    untreated[:, -q * len(every) :] = 0.0

    def means(beta: np.ndarray) -> np.ndarray:
        one, two = (FAMILIES[family]().link.inverse(m @ beta + off) for m in (X, untreated))
        by_cell = [[v[place == c].mean() for c in range(len(every))] for v in (one, two)]
        return np.concatenate(by_cell)

    beta, step = found.params, 1e-5
    slopes = np.array([(means(beta + step * e) - means(beta - step * e)) / (2 * step) for e in np.eye(beta.size)])
    n, clusters, k = len(y), len(set(groups)), X.shape[1] + q - 1
    factor = clusters / (clusters - 1) * (n - 1) / (n - k)
    exposure = np.array([np.exp(off)[place == c].sum() for c in range(len(every))])
    return {
        "cells": every, "means": means(beta), "V": slopes.T @ found.cov_params() @ slopes * factor, "n": n, "k": k,
        "counts": np.array([(place == c).sum() for c in range(len(every))]), "exposure": exposure,
    }  # fmt: skip


def check_model(found: NonlinearGroupTime, slow: dict[str, Any]) -> None:
    assert list(zip(found.cohort.tolist(), found.period.tolist(), strict=True)) == slow["cells"]
    assert set(found.status) == {"estimated"}
    assert np.concatenate([found.levels, found.counterfactual]) == pytest.approx(slow["means"], abs=1e-7)
    assert (found.n_observations, found.n_parameters) == (slow["n"], slow["k"])
    assert found.n_treated.tolist() == slow["counts"].tolist()
    assert found.weight.tolist() == slow["counts"].tolist()
    assert found.exposure == pytest.approx(slow["exposure"])
    both = np.concatenate([found.level_scores, found.counterfactual_scores], axis=1)
    # Central differences with a step of 1e-5 and another optimiser leave about seven digits.
    scale = np.sqrt(np.outer(np.diag(slow["V"]), np.diag(slow["V"])))
    assert np.abs(covariance(both) - slow["V"]).max() <= 2e-6 * scale.max()


@pytest.mark.parametrize("comparison", ["never", "not-yet"])
@pytest.mark.parametrize("family", ["linear", "poisson", "logit"])
@pytest.mark.parametrize(("p", "holes"), [(0, False), (0, True), (1, False), (2, True)])
def test_effects_equal_one_regression_with_all_dummies(family: Any, comparison: Any, p: int, *, holes: bool) -> None:
    o = world(family, 400 if p else 160, p=p, holes=holes, exposed=family == "poisson")
    check_model(nonlinear_group_time(o, family, Rule(comparison)), slow_model(o, family, Rule(comparison)))


@pytest.mark.parametrize("comparison", ["never", "not-yet"])
def test_anticipation_moves_the_treated_cells(comparison: Any) -> None:
    o, rule = world(n=160), Rule(comparison, anticipation=1)
    found = nonlinear_group_time(o, "poisson", rule)
    slow = slow_model(o, "poisson", rule)
    check_model(found, slow)
    assert (found.period < found.cohort).any()


@pytest.mark.parametrize("family", ["poisson", "logit"])
@pytest.mark.parametrize("p", [0, 1])
def test_weights_are_copies_in_a_cluster(family: Any, p: int) -> None:
    o = world(family, 150, p=p, exposed=family == "poisson")
    w = 1.0 + (np.arange(150) % 3 == 0)
    twice = np.repeat(np.arange(150), w.astype(int))
    one = nonlinear_group_time(
        Observed(o.outcome, o.start, PERIODS, o.exposure, o.covariates, np.arange(150), w), family
    )
    copies = [None if v is None else v[twice] for v in (o.exposure, o.covariates)]
    two = nonlinear_group_time(Observed(o.outcome[twice], o.start[twice], PERIODS, *copies, twice), family)
    assert one.att == pytest.approx(two.att, abs=1e-9)
    assert one.weight == pytest.approx(two.weight)
    assert covariance(one.scores) / one.factor == pytest.approx(covariance(two.scores) / two.factor, rel=1e-7)


@pytest.mark.parametrize("p", [0, 1])
def test_cross_products_stand_in_for_many_rows(monkeypatch: pytest.MonkeyPatch, p: int) -> None:
    o = world(n=150, p=p, holes=True, exposed=True)
    alone = Observed(o.outcome, o.start, PERIODS, o.exposure, o.covariates)
    one = nonlinear_group_time(alone, "poisson")
    monkeypatch.setattr(nonlinear_scores, "MANY", 10)
    two = nonlinear_group_time(alone, "poisson")
    assert two.scores.shape[0] < one.scores.shape[0]
    for name in ("scores", "log_ratio_scores"):
        assert covariance(getattr(two, name)) == pytest.approx(covariance(getattr(one, name)), rel=1e-8)


@pytest.mark.parametrize("p", [0, 1])
def test_scores_sum_in_clusters(p: int) -> None:
    o = world(n=150, p=p, holes=True)
    one = nonlinear_group_time(Observed(o.outcome, o.start, PERIODS, None, o.covariates), "poisson")
    two = nonlinear_group_time(o, "poisson")
    assert o.clusters is not None
    order = np.argsort(o.start, kind="stable")
    order = order[np.isfinite(o.outcome[order]).any(axis=1)]
    sums = np.zeros(two.scores.shape)
    np.add.at(sums, o.clusters[order], one.scores / np.sqrt(one.factor))
    assert np.allclose(two.scores / np.sqrt(two.factor), sums, atol=1e-14)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(1e-3, 1e6), st.floats(1e-3, 1e6))
def test_effects_do_not_depend_on_order_or_units(seed: int, outcome: float, exposure: float) -> None:
    o = world(n=80, exposed=True, holes=True, p=1)
    assert o.exposure is not None
    assert o.covariates is not None
    assert o.clusters is not None
    i = np.random.default_rng(seed).permutation(80)
    one = nonlinear_group_time(o, "poisson")
    two = nonlinear_group_time(
        Observed(o.outcome[i] * outcome, o.start[i], PERIODS, o.exposure[i] * exposure, o.covariates[i], o.clusters[i]),
        "poisson",
    )
    good = one.status == two.status
    assert good
    assert two.att / outcome == pytest.approx(one.att, rel=1e-7, abs=1e-9, nan_ok=True)
    assert per_exposure(two).att * exposure / outcome == pytest.approx(
        per_exposure(one).att, rel=1e-7, abs=1e-9, nan_ok=True
    )
    assert covariance(two.scores) / outcome**2 == pytest.approx(covariance(one.scores), rel=1e-6, nan_ok=True)


def test_repeated_cross_sections_are_rows_seen_once() -> None:
    """The model has no unit effects, so the same values in rows of their own give the same fit."""
    o = world(n=100, exposed=True)
    assert o.exposure is not None
    n = o.outcome.size
    t = np.tile(np.arange(5), 100)
    y, e = np.full((n, 5), np.nan), np.ones((n, 5))
    y[np.arange(n), t], e[np.arange(n), t] = o.outcome.ravel(), o.exposure.ravel()
    one = nonlinear_group_time(Observed(o.outcome, o.start, PERIODS, o.exposure), "poisson")
    two = nonlinear_group_time(
        Observed(y, np.repeat(o.start, 5), PERIODS, e, None, np.repeat(np.arange(100), 5)), "poisson"
    )
    assert two.att == pytest.approx(one.att, abs=1e-12)
    assert covariance(two.scores) == pytest.approx(covariance(one.scores), rel=1e-10)


def test_without_a_never_treated_group_later_periods_have_no_comparison() -> None:
    o = world(n=150)
    treated = o.start < NEVER
    found = nonlinear_group_time(Observed(o.outcome[treated], o.start[treated], PERIODS), "poisson")
    status = dict(zip(zip(found.cohort.tolist(), found.period.tolist(), strict=True), found.status, strict=True))
    assert status == {
        (2002, 2002): "estimated", (2002, 2004): "estimated", (2004, 2004): "estimated",
        (2002, 2005): "no-comparison", (2004, 2005): "no-comparison", (2005, 2005): "no-comparison",
    }  # fmt: skip
    assert np.isnan(found.att[~found.estimated]).all()
    assert np.isnan(found.scores[:, ~found.estimated]).all()
    # The last period tells nothing, so it may as well not be there (R etwfe leaves it out).
    again = nonlinear_group_time(Observed(o.outcome[treated, :4], o.start[treated], PERIODS[:4]), "poisson")
    assert again.att[again.estimated] == pytest.approx(found.att[found.estimated], abs=1e-12)
    assert again.factor == pytest.approx(found.factor)
    assert covariance(again.scores[:, again.estimated]) == pytest.approx(covariance(found.scores[:, found.estimated]))


def test_cohorts_treated_throughout_are_left_out() -> None:
    o = world(n=100)
    start = np.where(o.start == 2005, 2000, o.start)
    found = nonlinear_group_time(Observed(o.outcome, start, PERIODS), "poisson")
    kept = start > 2000
    again = nonlinear_group_time(Observed(o.outcome[kept], start[kept], PERIODS), "poisson")
    assert found.att == pytest.approx(again.att, abs=1e-13)
    assert found.n_clusters == again.n_clusters == kept.sum()


# --- averages, rates, ratios --------------------------------------------------------------------------------------


@pytest.mark.parametrize("exposed", [False, True])
def test_averages_are_averages_of_observations(*, exposed: bool) -> None:
    o = world(n=160, exposed=True, holes=True)
    slow = slow_model(o, "poisson", Rule())
    found = nonlinear_group_time(o, "poisson")
    divisor = slow["exposure"] if exposed else slow["counts"]
    table = per_exposure(found) if exposed else found
    K = len(slow["cells"])
    gap = (slow["means"][:K] - slow["means"][K:]) * slow["counts"]
    got = average("simple", table)
    assert got.overall == pytest.approx(gap.sum() / divisor.sum(), abs=1e-8)
    contrast = np.concatenate([slow["counts"], -slow["counts"]]) / divisor.sum()
    assert got.overall_scores @ got.overall_scores == pytest.approx(contrast @ slow["V"] @ contrast, rel=1e-5)
    event = average("dynamic", table)
    for e, value in zip(event.labels, event.rows, strict=True):
        mine = np.array([t - g == e for g, t in slow["cells"]])
        assert value == pytest.approx(gap[mine].sum() / divisor[mine].sum(), abs=1e-8)
    group = average("group", table)
    assert group.overall == pytest.approx(got.overall, abs=1e-12)
    assert group.overall_scores == pytest.approx(got.overall_scores, abs=1e-12)


def test_the_overall_ratio_is_of_sums() -> None:
    o = world(n=160, exposed=True, holes=True)
    slow, found = slow_model(o, "poisson", Rule("never")), nonlinear_group_time(o, "poisson", Rule("never"))
    K, counts = len(slow["cells"]), slow["counts"]
    after = np.array([t >= g for g, t in slow["cells"]])
    top, bottom = (float((m * counts)[after].sum()) for m in (slow["means"][:K], slow["means"][K:]))
    slope = np.concatenate([counts * after / top, -counts * after / bottom])
    for table in (found, per_exposure(found)):
        got = proportional("simple", table)
        assert got.overall == pytest.approx(np.log(top / bottom), abs=1e-8)
        assert got.overall_scores @ got.overall_scores == pytest.approx(slope @ slow["V"] @ slope, rel=1e-5)
    ratio = slow["means"][:K] / slow["means"][K:]
    assert found.log_ratio == pytest.approx(np.log(ratio), abs=1e-7)
    by_event = proportional("dynamic", found)
    for e, value in zip(by_event.labels, by_event.rows, strict=True):
        mine = np.array([t - g == e for g, t in slow["cells"]])
        sums = [(m * counts)[mine].sum() for m in (slow["means"][:K], slow["means"][K:])]
        assert value == pytest.approx(np.log(sums[0] / sums[1]), abs=1e-8)


def test_a_ratio_of_two_by_two_means() -> None:
    """One cohort, two periods: the ratio of ratios, with its textbook variance."""
    rng = np.random.default_rng(5)
    y = rng.poisson(4.0, size=(50, 2)).astype(float)
    start = np.repeat([2, NEVER], 25)
    found = nonlinear_group_time(Observed(y, start, np.array([1, 2])), "poisson")
    m = np.array([y[:25].mean(axis=0), y[25:].mean(axis=0)])
    assert found.log_ratio[0] == pytest.approx(np.log(m[0, 1] / m[0, 0] / (m[1, 1] / m[1, 0])), abs=1e-12)
    each = [y[a] / m[i] for i, a in enumerate((slice(0, 25), slice(25, 50)))]
    variance = sum(float(((v[:, 1] - v[:, 0]) ** 2).sum()) / 625 for v in each)
    assert covariance(found.log_ratio_scores)[0, 0] == pytest.approx(variance * found.factor, rel=1e-10)


# --- nothing happened ---------------------------------------------------------------------------------------------


def by_cell(found: NonlinearGroupTime) -> dict[tuple[int, int], str]:
    return dict(zip(zip(found.cohort.tolist(), found.period.tolist(), strict=True), found.status, strict=True))


@pytest.mark.parametrize("family", ["poisson", "logit"])
@pytest.mark.parametrize("p", [0, 1])
def test_a_treated_cell_without_events(family: Any, p: int) -> None:
    o = world(family, 200, p=p)
    o.outcome[o.start == 2004, 3] = 0.0
    found = nonlinear_group_time(o, family)
    assert by_cell(found)[2004, 2004] == "no-events"
    c = found.status.index("no-events")
    assert found.levels[c] == 0
    assert found.att[c] == -found.counterfactual[c] < 0
    assert np.isnan(found.log_ratio[c])
    assert np.isnan(found.log_ratio_scores[:, c]).all()
    assert (found.level_scores[:, c] == 0).all()
    others = np.array([s == "estimated" for s in found.status])
    assert others.sum() == found.att.size - 1
    assert np.isfinite(found.log_ratio[others]).all()
    assert np.isfinite(average("simple", found).overall)
    assert np.isfinite(proportional("group", found).rows).all()


def test_a_treated_cell_with_nothing_but_events() -> None:
    o = world("logit", 200)
    o.outcome[o.start == 2004, 3] = 1.0
    found = nonlinear_group_time(o, "logit")
    assert by_cell(found)[2004, 2004] == "all-events"
    c = found.status.index("all-events")
    assert found.att[c] == pytest.approx(1 - found.counterfactual[c])
    assert np.isnan(found.log_ratio[c]) == (found.counterfactual[c] <= 0)


@pytest.mark.parametrize("family", ["poisson", "logit"])
@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("p", [0, 1])
def test_a_cohort_without_events_before_its_start(family: Any, value: float, p: int) -> None:
    if family == "poisson" and value:
        return
    o = world(family, 200, p=p)
    o.outcome[o.start == 2002, :2] = value
    found = nonlinear_group_time(o, family)
    for (g, _), status in by_cell(found).items():
        assert status == ("separation" if g == 2002 else "estimated")
    assert np.isnan(found.att[found.cohort == 2002]).all()
    assert found.separated.tolist() == [[2002, 2000], [2002, 2001]]
    rest = o.start != 2002
    x = None if o.covariates is None else o.covariates[rest]
    again = nonlinear_group_time(
        Observed(o.outcome[rest], o.start[rest], PERIODS, None, x, np.arange(rest.sum())), family
    )
    mine = found.cohort != 2002
    if p == 0:  # with covariates, rows left out elsewhere may differ in nothing else either
        assert found.att[mine] == pytest.approx(again.att, abs=1e-9)


def test_a_period_without_events_among_the_untreated() -> None:
    o = world(n=200)
    o.outcome[(o.start > 2004), 3] = 0.0
    found = nonlinear_group_time(o, "poisson")
    for (_, t), status in by_cell(found).items():
        assert status == ("separation" if t == 2004 else "estimated")


def test_a_counterfactual_at_infinity() -> None:
    """The only cohort that could tell the trend starts from nothing: growth without bound."""
    y = np.array([[3.0, 4], [5, 6], [0, 4], [0, 2]])
    found = nonlinear_group_time(Observed(y, np.array([2, 2, NEVER, NEVER]), np.array([1, 2])), "poisson")
    assert found.status == ("separation",)
    assert found.separated.tolist() == [[NEVER, 1]]
    assert np.isnan(found.counterfactual[0])


def lp_separated(X: np.ndarray, y: np.ndarray, family: str = "poisson") -> np.ndarray:
    """Entries at an edge that some direction sends there, while no entry moves inwards and none off an edge moves."""
    sign = np.where(y == 0, 1.0, -1.0)
    edge = (y == 0) | ((y == 1) & (family == "logit"))
    found = np.zeros(y.size, dtype=bool)
    outwards, fixed = sign[edge, None] * X[edge], X[~edge]
    for i in np.flatnonzero(edge):
        answer = linprog(
            sign[i] * X[i], A_ub=outwards, b_ub=np.zeros(len(outwards)), A_eq=fixed if fixed.size else None,
            b_eq=np.zeros(len(fixed)) if fixed.size else None, bounds=(-1, 1),
        )  # fmt: skip
        found[i] = answer.fun < -1e-7
    return found


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 100_000), st.sampled_from(["poisson", "logit"]))
def test_separated_rows_with_a_covariate_are_those_of_a_linear_programme(seed: int, family: Any) -> None:
    """Few rows, so that some of them are told apart; cells whose rows the others do not span get no effect."""
    rng = np.random.default_rng(seed)
    n, T = 14, 3
    start = np.sort(np.array([2, 3, NEVER])[rng.integers(0, 3, n)])
    start[-1] = NEVER
    x = np.round(rng.normal(size=n), 2)
    y = (rng.random((n, T)) < 0.5).astype(float) * (1.0 if family == "logit" else rng.integers(1, 4, (n, T)))
    untreated = np.arange(1, T + 1) < start[:, None]
    if y[untreated].sum() == 0 or (family == "logit" and y[untreated].min() == 1):
        return
    try:
        found = nonlinear_group_time(Observed(y, start, np.arange(1, T + 1), covariates=x[:, None]), family)
    except NonlinearError as error:
        if error.why == "no-degrees":  # in so few rows chance alone can leave none
            return
        raise
    starts = np.unique(start).tolist()
    rows = {
        (i, t): np.kron(np.concatenate([np.eye(3)[starts.index(start[i])], np.eye(T)[t]]), [1.0, x[i]])
        for i, t in itertools.product(range(n), range(T))
    }
    keys = [k for k in rows if untreated[k]]
    X = np.array([rows[k] for k in keys])
    gone = lp_separated(X, np.array([y[k] for k in keys]), family)
    expected = {(int(start[i]), t + 1) for (i, t), out in zip(keys, gone, strict=True) if out}
    assert {tuple(v) for v in found.separated.tolist()} == expected
    for g, t, status in zip(found.cohort.tolist(), found.period.tolist(), found.status, strict=True):
        mine = [rows[i, t - 1] for i in np.flatnonzero(start == g)]
        told = np.linalg.matrix_rank(np.vstack([X[~gone], *mine]), tol=1e-7) == np.linalg.matrix_rank(
            X[~gone], tol=1e-7
        )
        assert told == (status in {"estimated", "no-events", "all-events"})
        before = np.linalg.matrix_rank(np.vstack([X, *mine]), tol=1e-7) == np.linalg.matrix_rank(X, tol=1e-7)
        assert (status == "no-comparison") == (not before)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100_000))
def test_separated_entries_are_those_of_a_linear_programme(seed: int) -> None:
    rng = np.random.default_rng(seed)
    J, T = rng.integers(2, 5), rng.integers(2, 6)
    size = rng.uniform(0.5, 100.0, size=(J, T)) * (rng.random((J, T)) < 0.8)
    total = np.where(size > 0, rng.poisson(0.9, size=(J, T)), 0).astype(float)
    if total.sum() == 0:
        return
    found = fit(Rows(np.ones((J, 1)), np.arange(J), total, size), "poisson")
    X = np.array([np.concatenate([np.eye(J)[j], np.eye(T)[t]]) for j, t in itertools.product(range(J), range(T))])
    seen = size.ravel() > 0
    expected = np.zeros(J * T, dtype=bool)
    expected[seen] = lp_separated(X[seen], total.ravel()[seen])
    assert found.separated.ravel().tolist() == expected.tolist()
    # What is left has a maximum: margins are met.
    theta = found.theta.ravel()
    mean = np.where(seen & ~expected, size.ravel() * np.exp(X @ theta), 0.0).reshape(J, T)
    assert mean.sum(axis=1) == pytest.approx(total.sum(axis=1), abs=1e-8)
    assert mean.sum(axis=0) == pytest.approx(total.sum(axis=0), abs=1e-8)


def test_very_different_sizes_are_fitted_exactly() -> None:
    rng = np.random.default_rng(1)
    rate = np.exp(rng.normal(size=(6, 1)) * 4 + rng.normal(size=(1, 8)) * 2 - 8)
    size = 10.0 ** rng.integers(2, 9, size=(6, 8))
    total = rng.poisson(rate * size).astype(float)
    total[:, 0] += 1
    found = fit(Rows(np.ones((6, 1)), np.arange(6), total, size), "poisson")
    theta = found.theta.ravel()
    mean = size * np.exp(theta[:6, None] + theta[None, 6:])
    assert mean.sum(axis=1) == pytest.approx(total.sum(axis=1), rel=1e-9)
    assert mean.sum(axis=0) == pytest.approx(total.sum(axis=0), rel=1e-9)


def test_inputs_that_do_not_suit() -> None:
    o = world(n=40, exposed=True)
    with pytest.raises(ValueError, match="above zero"):
        nonlinear_group_time(Observed(o.outcome, o.start, PERIODS, np.zeros(o.outcome.shape)), "poisson")
    with pytest.raises(ValueError, match="zero"):
        nonlinear_group_time(Observed(o.outcome - 9, o.start, PERIODS), "poisson")
    with pytest.raises(ValueError, match="zero to one"):
        nonlinear_group_time(Observed(o.outcome, o.start, PERIODS), "logit")
    with pytest.raises(ValueError, match="exposure"):
        nonlinear_group_time(o, "linear")
    with pytest.raises(ValueError, match="family"):
        nonlinear_group_time(o, "probit")  # type: ignore[arg-type]
    with pytest.raises(NonlinearError, match="no-outcome"):
        nonlinear_group_time(Observed(o.outcome * 0, o.start, PERIODS), "poisson")
    with pytest.raises(NonlinearError, match="few-clusters"):
        nonlinear_group_time(
            Observed(o.outcome, o.start, PERIODS, clusters=np.zeros(40, dtype=np.int64)), "poisson"
        )  # fmt: skip


def test_nobody_is_treated() -> None:
    o = world(n=30)
    found = nonlinear_group_time(Observed(o.outcome, np.full(30, NEVER), PERIODS), "poisson")
    assert found.att.shape == (0,)
    assert found.scores.shape == (30, 0)


def test_cells_are_those_of_group_time() -> None:
    o = world(n=100)
    found = nonlinear_group_time(o, "poisson", Rule("never"))
    every = cells(o.start, PERIODS, Rule("never", base_period="universal"))
    assert list(zip(found.cohort.tolist(), found.period.tolist(), strict=True)) == [
        (g, t) for g, t, base in every if t != base
    ]
