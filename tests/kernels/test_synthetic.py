"""Synthetic weights, estimates and draws beside slow twins written from the formulae."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.synthetic import (
    Kind,
    SyntheticError,
    SyntheticRule,
    SyntheticStudy,
    noise,
    synthetic_did,
    unit_weights,
)
from evaltoolkit.kernels.synthetic_draws import bootstrap_draws, jackknife_draws, placebo_draws
from evaltoolkit.kernels.synthetic_weights import simplex_least_squares

PERIODS = np.array([2000, 2001, 2002, 2004, 2005, 2006, 2007])  # a gap: 2003 was not observed
KINDS: tuple[Kind, ...] = ("synthetic-did", "synthetic-control", "did")


def world(seed: int = 4, free: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Three units from 2004, two from 2006, ``free`` never treated, with two factors."""
    rng = np.random.default_rng(seed)
    start = np.array([2004] * 3 + [2006] * 2 + [NEVER] * free)
    n, T = start.size, PERIODS.size
    y = rng.normal(size=(n, 2)) @ rng.normal(size=(2, T)) * 2 + rng.normal(size=(n, 1)) + rng.normal(size=(n, T)) * 0.5
    y += 3.0 * (start[:, None] <= PERIODS)
    order = rng.permutation(n)
    return y[order], start[order]


def broken(A: np.ndarray, b: np.ndarray, eta: float, x: np.ndarray) -> float:
    """How far from optimal: the gain at most possible, (x - x*)'gradient, which bounds the excess of the objective."""
    gradient = 2 * (A.T @ (A @ x - b) + eta * x)
    return float(gradient @ x - gradient.min())


@settings(max_examples=150, deadline=None)
@given(
    m=st.integers(1, 12), p=st.integers(1, 15), seed=st.integers(0, 10**6), power=st.integers(-6, 6),
    ridge=st.sampled_from([0.0, 1e-10, 1e-4, 1.0, 1e3]), copies=st.booleans(),
)  # fmt: skip
def test_weights_are_optimal(m: int, p: int, seed: int, power: int, ridge: float, *, copies: bool) -> None:
    rng = np.random.default_rng(seed)
    unit = 10.0**power
    A, b = rng.normal(size=(m, p)) * unit, rng.normal(size=m) * unit
    if copies:
        A[:, p // 2 :] = A[:, : p - p // 2]
    x = simplex_least_squares(A, b, ridge * unit**2)
    assert x.min() >= 0
    assert x.sum() == pytest.approx(1, abs=1e-12)
    # The floor of the ridge is 1e-12 of the mean square of a column of A - b, so the excess is at most that.
    room = 1e-11 * float(((A - b[:, None]) ** 2).sum())
    assert broken(A, b, ridge * unit**2, x) <= room


@pytest.mark.parametrize(("m", "p", "ridge"), [(8, 900, 2.0), (8, 900, 1e-3), (8, 900, 0.0), (40, 400, 0.0)])
def test_weights_on_many_columns_are_optimal(m: int, p: int, ridge: float) -> None:
    rng = np.random.default_rng(1)
    A, b = rng.normal(size=(m, p)), rng.normal(size=m) * 0.5
    x = simplex_least_squares(A, b, ridge)
    assert x.sum() == pytest.approx(1, abs=1e-12)
    assert broken(A, b, ridge, x) <= 1e-11 * m


def test_weights_of_a_target_out_of_reach_and_of_equal_columns() -> None:
    assert simplex_least_squares(np.eye(3), np.array([9.0, 0, 0]), 0.0).round(12).tolist() == [1, 0, 0]
    assert simplex_least_squares(np.ones((2, 4)), np.zeros(2), 0.0) == pytest.approx(np.full(4, 0.25), abs=1e-9)
    assert simplex_least_squares(np.zeros((2, 4)), np.zeros(2), 0.0).tolist() == [0.25] * 4
    with pytest.raises(ValueError, match="finite"):
        simplex_least_squares(np.array([[np.nan]]), np.zeros(1), 0.0)


def slow(y: np.ndarray, start: np.ndarray, kind: Kind, found: SyntheticStudy) -> dict[tuple[int, int], float]:
    """Every cohort's effect in every period, from the weights found, by the words of the definition."""
    effects = {}
    for j, g in enumerate(sorted(set(start) - {NEVER})):
        before = [k for k, t in enumerate(PERIODS) if t < g]
        mine = np.mean([y[i] for i in range(len(y)) if start[i] == g], axis=0)
        theirs = sum(w * y[i] for w, i in zip(found.omega[j], np.flatnonzero(start == NEVER), strict=True))
        reference = sum(found.lambda_[j, k] * (mine[k] - theirs[k]) for k in before)
        for k, t in enumerate(PERIODS):
            effects[int(g), int(t)] = float(mine[k] - theirs[k] - reference)
    return effects


@pytest.mark.parametrize("kind", KINDS)
def test_estimates_and_averages_equal_the_slow_twin(kind: Kind) -> None:
    y, start = world()
    found = synthetic_did(y, start, PERIODS, SyntheticRule(kind))
    effects = slow(y, start, kind, found)
    for (g, t), effect in effects.items():
        assert found.gaps[found.cohorts == g, t == PERIODS] == pytest.approx(effect, abs=1e-12)
    size = {2004: 3, 2006: 2}
    after = [(size[g], v) for (g, t), v in effects.items() if t >= g]
    assert found.att == pytest.approx(np.average([v for _, v in after], weights=[n for n, _ in after]), abs=1e-12)
    for e, row in zip(found.event_time, found.by_event_time, strict=True):
        here = [(size[g], v) for (g, t), v in effects.items() if t - g == e]
        assert row == pytest.approx(np.average([v for _, v in here], weights=[n for n, _ in here]), abs=1e-12)
    if kind != "synthetic-control":
        assert (found.lambda_ * found.gaps).sum(axis=1) == pytest.approx(0, abs=1e-12)


def test_weights_solve_the_stated_problems() -> None:
    y, start = world()
    found, free = synthetic_did(y, start, PERIODS), y[start == NEVER]
    for j, g in enumerate(found.cohorts):
        t0 = int((g > PERIODS).sum())
        mine, past, after = y[start == g].mean(axis=0)[:t0], free[:, :t0], free[:, t0:].mean(axis=1)
        sigma = np.std([b - a for row in past for a, b in itertools.pairwise(row)], ddof=1)
        assert noise(past) == pytest.approx(sigma)
        assert found.zeta[j] == pytest.approx((found.n_treated[j] * (PERIODS.size - t0)) ** 0.25 * sigma)
        A, b = past.T - past.mean(axis=1), mine - mine.mean()
        assert broken(A, b, t0 * found.zeta[j] ** 2, found.omega[j]) <= 1e-11 * float((A**2).sum())
        A, b = past - past.mean(axis=0), after - after.mean()
        assert broken(A, b, len(free) * (1e-6 * sigma) ** 2, found.lambda_[j, :t0]) <= 1e-11 * float((A**2).sum())
        left = mine - found.omega[j] @ past
        assert found.fit_rmse[j] == pytest.approx(left.std())


def test_did_is_the_difference_of_means() -> None:
    y, start = world()
    found = synthetic_did(y, start, PERIODS, SyntheticRule("did"))
    before, free = PERIODS < 2004, y[start == NEVER]
    change = [m[:, ~before].mean() - m[:, before].mean() for m in (y[start == 2004], free)]
    assert found.by_cohort[0] == pytest.approx(change[0] - change[1], abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_invariances(kind: Kind) -> None:
    y, start = world()
    rule = SyntheticRule(kind)
    one = synthetic_did(y, start, PERIODS, rule)
    order = np.random.default_rng(0).permutation(start.size)
    assert synthetic_did(y[order], start[order], PERIODS, rule).gaps == pytest.approx(one.gaps, abs=1e-7)
    assert synthetic_did(1e3 * y, start, PERIODS, rule).gaps == pytest.approx(1e3 * one.gaps, abs=1e-4)
    # A common path that is not a line would change the scale of the noise, and with it the ridge.
    common = y + 1e4 + np.arange(7.0)
    assert synthetic_did(common, start, PERIODS, rule).gaps == pytest.approx(one.gaps, abs=1e-6)
    if kind != "synthetic-control":
        apart = y + np.random.default_rng(1).normal(size=(start.size, 1))
        assert synthetic_did(apart, start, PERIODS, rule).att == pytest.approx(one.att, abs=1e-7)


def test_controls_doubled_are_the_same_with_half_the_ridge() -> None:
    """Two copies share a weight, and the sum of squares of halves is half: twice the squared ridge makes up for it."""
    past, aim = np.random.default_rng(3).normal(size=(2, 6, 5))
    one = unit_weights(past, aim[0], 0.7, intercept=True)
    two = unit_weights(np.vstack([past, past]), aim[0], 0.7 * np.sqrt(2), intercept=True)
    assert two[:6] + two[6:] == pytest.approx(one, abs=1e-10)
    assert two[:6] == pytest.approx(two[6:], abs=1e-10)


def test_a_perfect_donor_and_a_known_effect_are_found() -> None:
    rng = np.random.default_rng(2)
    free = rng.normal(size=(5, 7)).cumsum(axis=1)
    mine = 0.25 * free[1] + 0.75 * free[4] + 2.0 * (PERIODS >= 2005)
    start = np.array([NEVER] * 5 + [2005])
    found = synthetic_did(np.vstack([free, mine]), start, PERIODS, SyntheticRule("synthetic-control"))
    assert found.att == pytest.approx(2.0, abs=1e-5)
    assert found.fit_rmse[0] < 1e-5


def test_one_period_before_is_difference_in_differences() -> None:
    y, start = world()
    first = np.where(start < NEVER, 2001, NEVER)
    one, two = (synthetic_did(y[:, :4], first, PERIODS[:4], SyntheticRule(k)) for k in ("synthetic-did", "did"))
    assert one.gaps == pytest.approx(two.gaps, abs=1e-9)


def test_anticipation_moves_the_weights_away_from_the_start() -> None:
    y, start = world()
    found = synthetic_did(y, start, PERIODS, SyntheticRule(anticipation=2))
    moved = synthetic_did(np.where((PERIODS == 2005) & (start == 2006)[:, None], y + 50, y), start, PERIODS,
                          SyntheticRule(anticipation=2))  # fmt: skip
    assert found.att == pytest.approx(moved.att, abs=1e-12)
    assert (found.lambda_[:, PERIODS >= 2004] == 0).all()
    assert (found.lambda_[0, PERIODS >= 2002] == 0).all()


def test_placebos_equal_estimating_again() -> None:
    y, start = world(free=7)
    study = synthetic_did(y, start, PERIODS)
    found = placebo_draws(study, y, PERIODS, 400, 1)
    free, expected = y[start == NEVER], []
    for first in itertools.combinations(range(7), 3):
        for second in itertools.combinations(sorted(set(range(7)) - set(first)), 2):
            s = np.full(7, NEVER)
            s[list(first)], s[list(second)] = 2004, 2006
            expected.append(synthetic_did(free, s, PERIODS, study.rule, study.zeta).att)
    assert found.exact
    assert np.sort(found.att) == pytest.approx(np.sort(expected), abs=1e-10)
    assert found.att.size == 210
    assert found.std_error == pytest.approx(np.std(expected))
    spread = np.sqrt(np.diag(found.covariance(found.by_event_time)))
    assert spread == pytest.approx(found.by_event_time.std(axis=0))


def test_sampled_placebos() -> None:
    y, start = world()
    study = synthetic_did(y, start, PERIODS)
    one, two, other = (placebo_draws(study, y, PERIODS, 60, seed) for seed in (1, 1, 2))
    assert not one.exact
    assert one.att.size == 60
    assert one.att.tolist() == two.att.tolist()
    assert one.att.tolist() != other.att.tolist()
    assert 0 < one.p_value(study.att) <= 1
    assert one.p_value(1e9) == pytest.approx(1 / 61)
    assert one.p_value(0.0) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_jackknife_equals_leaving_out(kind: Kind) -> None:
    y, start = world()
    study = synthetic_did(y, start, PERIODS, SyntheticRule(kind))
    found = jackknife_draws(study, y, start, PERIODS)
    for i in range(start.size):
        total = count = 0.0
        for j, g in enumerate(study.cohorts):
            mine = [k for k in range(start.size) if start[k] == g and k != i]
            w = {k: study.omega[j, m] for m, k in enumerate(study.controls) if k != i}
            curve = y[mine].mean(axis=0) - sum(v * y[k] for k, v in w.items()) / sum(w.values())
            after = g <= PERIODS
            effect = curve[after].mean() - study.lambda_[j] @ curve
            total += effect * len(mine) * after.sum()
            count += len(mine) * after.sum()
        assert found.att[i] == pytest.approx(total / count, abs=1e-12)
    n = start.size
    assert found.std_error == pytest.approx(np.sqrt((n - 1) / n * (n - 1) * found.att.var(ddof=1)))


def test_bootstrap() -> None:
    y, start = world()
    study = synthetic_did(y, start, PERIODS)
    found = bootstrap_draws(study, y, start, PERIODS, 60, 5)
    assert found.att.size == 60
    assert np.isfinite(found.att).all()
    assert np.isnan(found.by_cohort).any() == (np.isnan(found.by_event_time).any())
    rng, used = np.random.default_rng(5), np.concatenate([np.flatnonzero(start < NEVER), study.controls])
    pick = used[rng.integers(0, used.size, used.size)]
    assert (np.unique(start[pick]).size, found.att[0]) == (
        3, pytest.approx(synthetic_did(y[pick], start[pick], PERIODS, study.rule, study.zeta).att),
    )  # fmt: skip


def test_what_cannot_be_estimated_says_why() -> None:
    y, start = world()

    def why(outcome: np.ndarray, s: np.ndarray) -> tuple[str, int]:
        with pytest.raises(SyntheticError) as caught:
            synthetic_did(outcome, s, PERIODS)
        return caught.value.why, caught.value.cohort

    hole = y.copy()
    hole[0, 0] = np.nan
    assert why(hole, start)[0] == "missing"
    assert why(y, np.where(start == NEVER, 2007, start))[0] == "no-comparison"
    assert why(y, np.where(start == NEVER, NEVER, 2000))[0] == "no-past"
    few = np.where(start == 2006, 2006, np.where(np.arange(start.size) < 9, 2004, start))
    study = synthetic_did(y, few, PERIODS)
    with pytest.raises(SyntheticError, match="few-controls"):
        placebo_draws(study, y, PERIODS, 9, 1)
    lonely = start.copy()
    lonely[np.flatnonzero(start == 2006)[0]] = NEVER
    with pytest.raises(SyntheticError) as caught:
        jackknife_draws(synthetic_did(y, lonely, PERIODS), y, lonely, PERIODS)
    assert (caught.value.why, caught.value.cohort) == ("one-treated", 2006)
    single = np.where(lonely == 2004, NEVER, lonely)
    with pytest.raises(SyntheticError, match="one-treated"):
        bootstrap_draws(synthetic_did(y, single, PERIODS), y, single, PERIODS, 9, 1)
