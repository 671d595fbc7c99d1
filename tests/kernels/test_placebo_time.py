"""Moved starts beside a loop over cells, and estimates without a part beside estimates from the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.kernels.aggregate import aggregate, point
from evaltoolkit.kernels.cohorts import NEVER, CellError, Rule
from evaltoolkit.kernels.group_time import effects, group_time, group_time_study
from evaltoolkit.kernels.placebo_time import (
    PlaceboError,
    PlaceboPanel,
    group_time_influence,
    influence,
    leave_one_out,
    placebo_panel,
    placebos_in_time,
)

PERIODS = np.array([2000, 2001, 2002, 2004, 2005, 2007])  # gaps
STARTS = np.array([2000, 2002, 2003, 2005, 2007, NEVER])


def world(seed: int = 0, n: int = 60, holes: float = 0.0, p: int = 0) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    start = STARTS[rng.integers(1, 6, n)]
    x = rng.normal(size=(n, 1, p))
    y = rng.normal(size=(n, 6)) + np.arange(6) + (start[:, None] <= PERIODS)
    y = np.where(rng.random((n, 6)) < holes, np.nan, y)
    return y, start, np.concatenate([np.ones((n, 1, 1)), x], axis=2)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1000), shift=st.integers(1, 4), anticipation=st.integers(0, 2))
def test_panel_equals_the_slow_twin(seed: int, shift: int, anticipation: int) -> None:
    rng = np.random.default_rng(seed)
    start, y = STARTS[rng.integers(0, 6, 12)], rng.normal(size=(12, 6))
    rows, lost = {}, set()
    for i in range(12):
        clean = [t for t in PERIODS if t + anticipation < start[i]]
        if start[i] == NEVER:
            rows[i] = (NEVER, PERIODS)
        elif len(clean) > shift:
            rows[i] = (clean[-shift], clean)
        else:
            lost.add(int(start[i]))
    last = max((t for i, (_, clean) in rows.items() if start[i] < NEVER for t in clean), default=None)
    if last is None:
        with pytest.raises(PlaceboError):
            placebo_panel(y, start, PERIODS, shift, anticipation)
        return
    found = placebo_panel(y, start, PERIODS, shift, anticipation)
    assert found.units.tolist() == list(rows)
    assert found.lost.tolist() == sorted(lost)
    assert found.periods.tolist() == [t for t in PERIODS if t <= last]
    assert found.truly.tolist() == start[found.units].tolist()
    for r, i in enumerate(rows):
        moved, clean = rows[i]
        assert found.start[r] == moved
        for c, t in enumerate(found.periods):
            if t in clean:
                assert found.outcome[r, c] == y[i, c]
            else:
                assert np.isnan(found.outcome[r, c])


def estimate(p: PlaceboPanel) -> tuple[float, np.ndarray]:
    found = group_time_study(p.outcome, p.start, p.periods, np.ones((p.start.size, 1, 1)), Rule())
    g = found.cells
    simple = aggregate("simple", g.cohort, g.period, g.att, g.scores, found.sizes)
    psi = np.zeros(60)
    psi[p.units] = simple.overall_scores
    return simple.overall, psi


def test_real_effects_do_not_reach_the_placebo() -> None:
    y, start, _ = world()
    treated = (start[:, None] <= PERIODS) * 100.0
    one, two = (placebos_in_time((v, start, PERIODS), [1, 2, 3], estimate) for v in (y, y + treated))
    assert one.estimate.tolist() == two.estimate.tolist()
    assert one.std_error.tolist() == two.std_error.tolist()
    trend = y + np.where(start < NEVER, 1.0, 0.0)[:, None] * np.arange(6)
    assert (placebos_in_time((trend, start, PERIODS), [1, 2], estimate).estimate > 0.5).all()


def test_one_cohort_repeats_the_leads() -> None:
    """With one cohort a start one period earlier gives the lead before the start, error included."""
    y, start, _ = world(1)
    start = np.where(start < NEVER, 2005, NEVER)
    found = placebos_in_time((y, start, PERIODS), [1], estimate)
    cells = group_time(y, start, PERIODS, np.ones((60, 1, 1)), Rule("never"))
    k = cells.period.tolist().index(2004)
    assert found.estimate[0] == pytest.approx(cells.att[k], abs=1e-12)
    assert found.std_error[0] == pytest.approx(np.sqrt(cells.scores[:, k] @ cells.scores[:, k]), abs=1e-12)
    assert found.cohorts.tolist() == [1]


def test_joint_test_and_missing_shifts() -> None:
    y, start, _ = world(2)
    found = placebos_in_time((y, start, PERIODS), [1, 2, 9], estimate, df=59)
    assert np.isnan(found.estimate[2])
    assert np.isnan(found.p_value[2])
    assert found.cohorts[2] == 0
    assert found.test is not None
    assert found.test.q == 2
    assert found.test.df_reference == 58
    again = placebos_in_time((y, start, PERIODS), [1], estimate)
    assert again.estimate[0] == found.estimate[0]
    assert again.test is not None
    z = again.estimate[0] / again.std_error[0]
    assert again.test.statistic == pytest.approx(z**2)
    assert again.test.p_value == pytest.approx(again.p_value[0])
    short = placebos_in_time((y, start, PERIODS), [1, 2], lambda p: (1.0, np.ones(p.shift)))
    assert short.test is None


def test_a_shift_of_nothing_is_refused() -> None:
    y, start, _ = world()
    with pytest.raises(ValueError, match="at least one"):
        placebo_panel(y, start, PERIODS, 0)


@pytest.mark.parametrize("holes", [0.0, 0.1])
@pytest.mark.parametrize("p", [0, 1])
@pytest.mark.parametrize("by", ["cohort", "cluster"])
@pytest.mark.parametrize("kind", ["simple", "dynamic", "group", "calendar"])
def test_influence_equals_estimating_again(kind: Any, by: str, p: int, holes: float) -> None:
    y, start, design = world(3, 80, holes, p)
    labels = start if by == "cohort" else 10 * (np.arange(80) // 8)
    rule = Rule("not-yet", "regression")

    def points(kept: np.ndarray) -> float:
        every, att = effects(y[kept], start[kept], PERIODS, design[kept], rule)
        cohorts = np.unique(start[kept][start[kept] < NEVER])
        counts = np.array([[(start[kept] == g).sum() for g in cohorts]], dtype=float)
        g, t = (np.array([c[m] for c in every]) for m in range(2))
        return float(point(kind, g, t, att, counts, cohorts)[1][0])

    found = group_time_influence(y, start, PERIODS, design, rule, kind, labels)
    twin = influence(points, labels)
    assert found.full == pytest.approx(twin.full, abs=1e-12)
    assert found.labels.tolist() == twin.labels.tolist() == np.unique(labels).tolist()
    assert found.size.tolist() == twin.size.tolist()
    assert found.estimate == pytest.approx(twin.estimate, abs=1e-11, nan_ok=True)
    assert np.isfinite(found.estimate[:-1]).all()
    # Without the never treated, the last cohort has nothing to be compared with.
    assert np.isnan(found.estimate[-1]) == (by == "cohort")


def test_what_influence_says() -> None:
    y = np.array([1.0, 2, 3, 10])
    found = influence(lambda kept: float(y[kept].mean()), np.arange(4))
    assert found.change == pytest.approx([1, 2 / 3, 1 / 3, -2])
    assert found.largest == 3
    assert found.span == (2.0, 5.0)
    assert found.keeps_sign
    assert found.std_error == pytest.approx(y.std(ddof=1) / 2)
    signs = influence(lambda kept: float((y - 3)[kept].mean()), np.arange(4), np.array([3]))
    assert not signs.keeps_sign
    assert signs.labels.tolist() == [3]


def test_a_part_without_which_there_is_no_estimate() -> None:
    def points(kept: np.ndarray) -> float:
        if 0 not in kept:
            raise CellError("empty", 1)
        return float(kept.size)

    found = influence(points, np.array([0, 1, 1]))
    assert np.isnan(found.estimate[0])
    assert found.estimate[1] == 1
    assert found.largest == 1
    assert np.isnan(found.std_error)

    def never(kept: np.ndarray) -> float:
        if kept.size < 3:
            raise CellError("empty", 1)
        return 1.0

    nothing = influence(never, np.array([0, 1, 1]))
    assert nothing.largest == -1
    assert np.isnan(nothing.span).all()
    with pytest.raises(CellError):
        influence(points, np.zeros(0, dtype=np.int64))


def test_leave_one_out_covers_everybody() -> None:
    labels = np.random.default_rng(4).integers(0, 5, 30)
    left = np.concatenate([np.setdiff1d(np.arange(30), kept) for _, kept in leave_one_out(labels)])
    assert sorted(left.tolist()) == list(range(30))
