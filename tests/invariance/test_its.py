"""What must not change an interrupted time series, and what must change it in a known way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evaltoolkit as ev

quick = settings(max_examples=8, deadline=None)
seeds = st.integers(0, 10_000)


def series(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 40))
    start = int(rng.integers(8, n - 8))
    y = 50 + 0.3 * np.arange(n) + 4.0 * (np.arange(n) >= start) + rng.normal(0, 3, n)
    exposure = rng.uniform(9e4, 1.1e5, n)
    counts = rng.poisson(exposure * 3e-4 * np.exp(0.3 * (np.arange(n) >= start)))
    return pd.DataFrame({"t": 2000 + np.arange(n), "y": y, "n": counts, "people": exposure, "start": 2000 + start})


def run(frame: pd.DataFrame, outcome: Any = "y", **changes: Any) -> dict[str, Any]:
    given_ = {"time": "t", "interruption": int(frame["start"].iloc[0]), **changes}
    return {e.term: e for e in ev.its(frame, outcome=outcome, **given_).result.estimates if e.standing != "sensitivity"}


def counted(frame: pd.DataFrame, **changes: Any) -> dict[str, Any]:
    outcome = ev.Outcome(column="n", kind="rate", population="people", per=changes.pop("per", 1000))
    return run(frame, outcome, family="quasi-poisson", **changes)


@quick
@given(seed=seeds)
def test_the_order_of_rows(seed: int) -> None:
    frame = series(seed)
    a, b = run(frame), run(frame.sample(frac=1, random_state=seed))
    assert b["average"].estimate == pytest.approx(a["average"].estimate, rel=1e-12)
    assert b["average"].conf_low == pytest.approx(a["average"].conf_low, rel=1e-12)


@quick
@given(seed=seeds, shift=st.floats(-40, 400), times=st.floats(0.01, 50))
def test_a_line_of_the_outcome(seed: int, shift: float, times: float) -> None:
    frame = series(seed)
    a, b = run(frame), run(frame.assign(y=shift + times * frame["y"]))
    for term in ("average", "level", "slope", "cumulative"):
        assert b[term].estimate == pytest.approx(times * a[term].estimate, rel=1e-6, abs=1e-7 * times)
        assert b[term].std_error == pytest.approx(times * a[term].std_error, rel=1e-6)
        assert b[term].p_value == pytest.approx(a[term].p_value, abs=1e-7)


@quick
@given(seed=seeds, years=st.integers(-500, 500))
def test_the_calendar_moved(seed: int, years: int) -> None:
    frame = series(seed)
    a, b = run(frame), run(frame.assign(t=frame["t"] + years, start=frame["start"] + years))
    assert b["average"].estimate == pytest.approx(a["average"].estimate, rel=1e-9)
    assert b["average"].conf_high == pytest.approx(a["average"].conf_high, rel=1e-9)


@quick
@given(seed=seeds, times=st.floats(0.01, 100))
def test_another_unit_of_the_population(seed: int, times: float) -> None:
    frame = series(seed)
    a, b = counted(frame), counted(frame.assign(people=times * frame["people"]), per=1000 * times)
    for term in ("rate-ratio", "average difference", "cumulative"):
        assert b[term].estimate == pytest.approx(a[term].estimate, rel=1e-7)
        assert b[term].conf_low == pytest.approx(a[term].conf_low, rel=1e-6)


@quick
@given(seed=seeds, trend=st.floats(-2, 2))
def test_a_trend_of_its_own(seed: int, trend: float) -> None:
    frame = series(seed)
    a, b = run(frame), run(frame.assign(y=frame["y"] + 200 + trend * (frame["t"] - 2000)))
    assert b["trend"].estimate == pytest.approx(a["trend"].estimate + trend, abs=1e-8)
    assert b["average"].estimate == pytest.approx(a["average"].estimate, abs=1e-7)
