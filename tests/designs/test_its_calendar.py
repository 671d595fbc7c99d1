"""Events counted by period, periods recorded in part, and what the small-cell rule makes of them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit import errors
from evaltoolkit.results import to_json


def events(n: int = 900, seed: int = 1, first: str = "2015-01-01", days: int = 1826) -> pd.DataFrame:
    """Return one row for each of n calls on days from the first of January 2015."""
    rng = np.random.default_rng(seed)
    day = np.sort(rng.integers(0, days, n))
    dates = pd.Timestamp(first) + pd.to_timedelta(day, unit="D")
    return pd.DataFrame({
        "date": dates.strftime("%Y-%m-%d"), "minutes": rng.gamma(2, 10, n), "minor": rng.integers(0, 2, n),
        "caller": [f"C{i:05d}" for i in range(n)],
    })  # fmt: skip


def run(frame: pd.DataFrame, **changes: Any) -> Any:
    given: dict[str, Any] = {
        "outcome": ev.Outcome("date", kind="count", label="Calls"), "time": "date", "every": "month", "rows": "events",
        "interruption": "2017-07", "family": "quasi-poisson", "identifiers": ["caller"],
    }  # fmt: skip
    return ev.its(frame, **(given | changes))


def by_month(frame: pd.DataFrame) -> pd.Series[Any]:
    months = pd.PeriodIndex(frame["date"], freq="M")
    return pd.Series(1, index=months).groupby(level=0).sum().reindex(pd.period_range("2015-01", "2019-12", freq="M"))


def test_events_give_the_numbers_of_their_monthly_counts() -> None:
    frame = events()
    counts = by_month(frame).fillna(0)
    table = pd.DataFrame({"month": counts.index.astype(str), "calls": counts.to_numpy()})
    a = run(frame).result
    b = ev.its(table, outcome=ev.Outcome("calls", kind="count"), time="month", interruption="2017-07",
               family="quasi-poisson").result  # fmt: skip
    assert a.headline.estimate == pytest.approx(b.headline.estimate, rel=1e-12)
    assert a.headline.conf_high == pytest.approx(b.headline.conf_high, rel=1e-12)
    assert a.headline.n_obs == 60


def test_months_without_an_event_count_as_zero_and_it_is_said() -> None:
    frame = events(60)
    empty = int(by_month(frame).isna().sum())
    assert empty > 5
    result = run(frame, recorded={"first": "2015-01-01", "last": "2019-12-31"}, effects=["level"]).result
    assert result.headline.n_obs == 60
    check = next(d for d in result.diagnostics if d.name == "calendar")
    assert check.verdict == "pass"
    assert f"{empty} months without a row count as zero" in check.text
    assert any("count as zero" in step.label for step in result.flow)


def test_a_mean_of_no_row_is_missing_and_not_zero() -> None:
    frame = events(90)
    empty = int(by_month(frame).isna().sum())
    result = run(frame, outcome="minutes", family="gaussian", effects=["level"]).result
    check = next(d for d in result.diagnostics if d.name == "calendar")
    assert check.value == empty - sum(by_month(frame).isna().iloc[[0, -1]])
    assert "Nothing was filled in" in check.text


def test_sums_and_means_of_a_column() -> None:
    frame = events(3000)
    months = pd.PeriodIndex(frame["date"], freq="M")
    summed = run(frame, outcome=ev.Outcome("minor", kind="count")).result
    share = run(frame, outcome=ev.Outcome("minor", kind="proportion"), family="gaussian").result
    drawn = {r.study["outcome"]["kind"]: next(f for f in r.figures if f.key == "series") for r in (summed, share)}
    by = frame.groupby(months)["minor"]
    assert [row[2] for row in drawn["count"].rows] == pytest.approx(by.sum().tolist())
    assert [row[2] for row in drawn["proportion"].rows] == pytest.approx((100 * by.mean()).tolist())


def test_partial_months_are_left_out() -> None:
    frame = events(3000, first="2015-01-17", days=1826 - 16)
    plain = run(frame).result
    check = next(d for d in plain.diagnostics if d.name == "calendar")
    assert check.verdict == "caution"
    assert "Jan 2015" in check.text
    stated = run(frame, recorded={"first": "2015-01-17", "last": "2019-12-31"}).result
    assert stated.headline.n_obs == 59
    step = next(s for s in stated.flow if s.label == "Whole months of recording")
    assert step.excluded == 1
    found = next(d for d in stated.diagnostics if d.name == "calendar")
    assert found.verdict == "pass"
    assert "Jan 2015" in found.text


def test_the_last_month_may_end_midway_in_rows_of_periods_too() -> None:
    frame = pd.DataFrame({"month": pd.period_range("2015-01", periods=40, freq="M").astype(str),
                          "y": np.random.default_rng(0).normal(size=40)})  # fmt: skip
    given: dict[str, Any] = {"outcome": "y", "time": "month", "interruption": "2017-01"}
    assert ev.its(frame, recorded={"last": "2018-04-20"}, **given).result.headline.n_obs == 39
    assert ev.its(frame, recorded={"last": "2018-04-30"}, **given).result.headline.n_obs == 40
    assert ev.its(frame, recorded={"last": "2018-04"}, **given).result.headline.n_obs == 40


def test_no_small_month_and_no_identifier_leaves() -> None:
    frame = events(700)
    counts = by_month(frame)
    result = run(frame).result
    drawn = next(f for f in result.figures if f.key == "series")
    for row, n in zip(drawn.rows, counts.tolist(), strict=True):
        assert (row[2] is None) == (0 < n < 11)
    text = to_json(result)
    assert not any(name in text for name in frame["caller"])
    assert json.loads(text)["flow"][0]["n"] == 700
    few = run(events(700).assign(minutes=lambda f: f["minutes"]), outcome="minutes", family="gaussian").result
    shown = next(f for f in few.figures if f.key == "series")
    assert [row[2] is None for row in shown.rows] == [0 < n < 11 for n in counts.tolist()]


def test_a_population_is_the_same_within_a_month() -> None:
    frame = events(2000)
    year = frame["date"].str[:4].astype(int)
    outcome = ev.Outcome("date", kind="rate", population="youth", per=10_000)
    result = run(frame.assign(youth=50_000 + 10 * (year - 2015)), outcome=outcome).result
    assert result.headline.n_obs == 60
    with pytest.raises(errors.ColumnTypeError, match="differs between rows of the same month"):
        run(frame.assign(youth=np.arange(2000) + 1), outcome=outcome)


BAD: dict[str, tuple[dict[str, Any], type[errors.EvaluationError], str]] = {
    "no length of periods": ({"every": None}, errors.OptionError, "every is not given"),
    "recorded without a day": ({"recorded": {}}, errors.DesignFileError, "first, last or both"),
    "recorded no date": ({"recorded": {"last": "soon"}}, errors.PeriodError, "soon"),
    "time is the outcome of people's means": (
        {"outcome": ev.Outcome("date", kind="proportion"), "family": "gaussian"}, errors.OptionError, "'date'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_one_clear_message(name: str) -> None:
    changes, kind, words = BAD[name]
    with pytest.raises(kind) as caught:
        run(events(), **changes)
    assert words in str(caught.value)
