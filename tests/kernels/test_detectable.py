"""Detectable effects beside simulation, and placebo starts beside words."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evaltoolkit.kernels.assignments import AssignmentError
from evaltoolkit.kernels.cohorts import NEVER, Rule
from evaltoolkit.kernels.detectable import (
    PlaceboRule,
    detectable_by_t,
    minimum_detectable,
    placebo_starts,
    power_curve,
    power_of_t,
)
from evaltoolkit.kernels.group_time import effects

PERIODS = np.array([2000, 2001, 2003, 2004, 2005, 2006, 2007])  # a gap: 2002 was not observed


@pytest.mark.parametrize("df", [1.0, 4.0, 30.0, np.inf])
@pytest.mark.parametrize("alpha", [0.05, 0.1])
def test_closed_form(df: float, alpha: float) -> None:
    law = stats.t(df) if np.isfinite(df) else stats.norm()
    expected = 0.3 * (law.ppf(1 - alpha / 2) + law.ppf(0.9))
    assert minimum_detectable(0.3, df, alpha=alpha, power=0.9) == pytest.approx(expected)


@pytest.mark.parametrize("df", [2.0, 5.0, 40.0, 1e4])
@pytest.mark.parametrize("effect", [0.0, 0.5, 1.5, -3.0])
def test_power_is_that_of_the_noncentral_t(df: float, effect: float) -> None:
    edge = stats.t.ppf(0.975, df)
    away = effect / 0.7
    expected = stats.nct.sf(edge, df, away) + stats.nct.cdf(-edge, df, away)
    assert power_of_t(effect, 0.7, df) == pytest.approx(expected, abs=1e-8)


@settings(deadline=None, max_examples=30)
@given(df=st.floats(1, 500), power=st.floats(0.1, 0.99), scale=st.floats(1e-3, 1e3))
def test_detectable_effect_has_the_power(df: float, power: float, scale: float) -> None:
    effect = detectable_by_t(scale, df, power=power)
    assert power_of_t(effect, scale, df) == pytest.approx(power, abs=1e-8)
    assert effect == pytest.approx(scale * detectable_by_t(1.0, df, power=power), rel=1e-6)


def test_power_in_a_simulated_test() -> None:
    rng = np.random.default_rng(1)
    t = (rng.normal(size=200_000) + 2.0) / np.sqrt(rng.chisquare(4, 200_000) / 4)
    rejected = (np.abs(t) > stats.t.ppf(0.975, 4)).mean()
    assert power_of_t(2.0, 1.0, 4) == pytest.approx(rejected, abs=4 * np.sqrt(0.25 / 200_000))


@pytest.mark.parametrize(("se", "df", "power"), [(0.0, 5, 0.8), (1.0, 0, 0.8), (1.0, 5, 1.0), (np.nan, 5, 0.8)])
def test_what_is_out_of_range(se: float, df: float, power: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        minimum_detectable(se, df, power=power)


def test_less_power_than_the_level_takes_no_effect() -> None:
    assert detectable_by_t(1.0, 10, alpha=0.1, power=0.05) == 0.0


def study(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    start = np.array([2005, 2005, 2006, 2009, *[NEVER] * 6])  # 2009 lies after the last period
    y = rng.normal(size=(10, 7)) + rng.normal(size=(10, 1)) + np.arange(7)
    y[:, 4:] += 100.0 * (start[:, None] <= PERIODS[None, 4:])
    return y, start


def simple(y: np.ndarray, start: np.ndarray, periods: np.ndarray) -> float:
    cells, att = effects(y, start, periods, np.ones((len(y), 1, 1)), Rule("never"))
    return float(np.mean([a for (g, t, _), a in zip(cells, att, strict=True) if t >= g]))


def test_the_pattern_of_adoption_is_moved_back() -> None:
    y, start = study()
    seen = []

    def watch(outcome: np.ndarray, moved: np.ndarray, periods: np.ndarray) -> float:
        seen.append((outcome, moved, periods))
        return 0.0

    found = placebo_starts(y, start, PERIODS, watch)
    assert found.first.tolist() == [2001, 2003, 2004]
    # One period separates the two cohorts; the last pattern has no room for the later one.
    expected = [(2001, 2003), (2003, 2004), (2004, NEVER)]
    for (outcome, moved, periods), (early, late) in zip(seen, expected, strict=True):
        assert periods.tolist() == [2000, 2001, 2003, 2004]
        assert np.array_equal(outcome, y[:, :4])
        assert moved.tolist() == [early, early, late, *[NEVER] * 7]


def test_the_never_treated_stay_so_where_the_first_start_is_in_the_last_period() -> None:
    y, _ = study()
    start = np.array([2007, 2007, *[NEVER] * 6, 2010, 2010])
    seen = []

    def watch(outcome: np.ndarray, moved: np.ndarray, periods: np.ndarray) -> float:
        seen.append(moved)
        return 0.0

    placebo_starts(y, start, PERIODS, watch)
    assert [row[0] for row in seen] == [2001, 2003, 2004, 2005, 2006]
    assert all((row[2:] == NEVER).all() for row in seen)


def test_placebos_do_not_see_the_effect() -> None:
    y, start = study()
    found = placebo_starts(y, start, PERIODS, simple)
    assert found.failed == 0
    assert np.abs(found.estimates).max() < 10
    by_hand = simple(y[:, :4], np.where(start == 2005, 2003, np.where(start == 2006, 2004, NEVER)), PERIODS[:4])
    assert found.estimates[1] == pytest.approx(by_hand)
    assert found.spread == pytest.approx(found.estimates.std(ddof=1))


def test_room_and_anticipation() -> None:
    y, start = study()
    rule = PlaceboRule(anticipation=1, fewest_before=2)
    assert placebo_starts(y, start, PERIODS, simple, rule).first.tolist() == [2003]
    assert placebo_starts(y, start, PERIODS, simple, PlaceboRule(fewest_after=2)).first.tolist() == [2001, 2003]
    with pytest.raises(ValueError, match="too few"):
        placebo_starts(y, start, PERIODS, simple, PlaceboRule(fewest_before=4))
    with pytest.raises(ValueError, match="nobody"):
        placebo_starts(y, np.full(10, NEVER), PERIODS, simple)
    with pytest.raises(ValueError, match="nobody"):
        placebo_starts(y, np.full(10, 2009), PERIODS, simple)


def test_starts_are_dealt_out_in_every_way() -> None:
    y, _ = study()
    start = np.array([2004, NEVER, NEVER, NEVER, NEVER])
    rule = PlaceboRule(draws=99, fewest_before=2)
    found = placebo_starts(y[:5], start, PERIODS, simple, rule)
    expected = {round(simple(y[:5, :3], np.array(row), PERIODS[:3]), 9) for row in permutations([2003, *[NEVER] * 4])}
    assert {round(float(v), 9) for v in found.estimates} == expected
    assert found.estimates.size == 5
    assert found.observed_rows.tolist() == [True, False, False, False, False]
    observed = simple(y[:5, :3], np.array([2003, *[NEVER] * 4]), PERIODS[:3])
    assert found.estimates[0] == pytest.approx(observed)


def test_clusters_stay_together() -> None:
    y, _ = study()
    start = np.array([2004, 2004, *[NEVER] * 6])
    clusters = np.repeat(np.arange(4), 2)
    seen = []

    def watch(outcome: np.ndarray, moved: np.ndarray, periods: np.ndarray) -> float:
        seen.append(moved)
        return 0.0

    placebo_starts(y[:8], start, PERIODS, watch, PlaceboRule(draws=99, fewest_before=2), clusters)
    assert len(seen) == 4
    assert all((row.reshape(4, 2)[:, 0] == row.reshape(4, 2)[:, 1]).all() for row in seen)
    with pytest.raises(AssignmentError):
        placebo_starts(y[:8], start, PERIODS, watch, PlaceboRule(draws=9), np.array([0, 1, 1, 2, 2, 3, 3, 0]))


def test_what_cannot_be_estimated_is_counted() -> None:
    y, start = study()

    def fails(outcome: np.ndarray, moved: np.ndarray, periods: np.ndarray) -> float:
        if moved.min() == 2001:
            raise ValueError
        return float("nan") if moved.min() == 2003 else 1.0

    found = placebo_starts(y, start, PERIODS, fails)
    assert (found.failed, found.estimates.tolist(), found.first.tolist()) == (2, [1.0], [2004])
    assert np.isnan(found.spread)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 1000), size=st.integers(1, 300), alpha=st.floats(0.02, 0.3), power=st.floats(0.05, 0.95))
def test_curve_by_counting(seed: int, size: int, alpha: float, power: float) -> None:
    p = np.random.default_rng(seed).normal(0.3, 1, size)
    grid = np.linspace(-4, 4, 9)
    found = power_curve(p, grid, alpha=alpha, power=power)
    if np.isinf(found.critical):
        assert 1 / (size + 1) > alpha - 1e-9
        assert found.power.max() == 0
        return
    c = found.critical
    assert (1 + (np.abs(p) >= c).sum()) / (size + 1) <= alpha + 1e-9
    assert (1 + (np.abs(p) >= c - 1e-9).sum()) / (size + 1) > alpha - 1e-9
    expected = [(np.abs(p + e) >= c).mean() for e in grid]
    assert found.power == pytest.approx(expected, abs=1e-12)

    # One side of the test is counted: the other side's share shrinks as effects grow.
    def least(effect: float) -> float:
        return min((p + effect >= c).mean(), (p - effect <= -c).mean())

    assert least(found.detectable + 1e-9) >= power - 1e-9
    assert found.detectable == 0 or least(found.detectable - 1e-6) < power


def test_no_placebos() -> None:
    with pytest.raises(ValueError, match="no placebos"):
        power_curve(np.zeros(0), np.zeros(1))
