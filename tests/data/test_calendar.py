from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaltoolkit.data import Calendar, detect, parse_column
from evaltoolkit.errors import PeriodError


@pytest.mark.parametrize(
    ("unit", "low", "high"),
    [
        ("year", 1000, 2999),
        ("quarter", 4000, 11999),
        ("week", -20000, 50000),
        ("day", -200000, 300000),
        ("period", -99, 999),
    ],
)
@given(data=st.data())
def test_label_and_parse_are_inverse(unit: str, low: int, high: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(low, high))
    calendar = Calendar(unit)  # type: ignore[arg-type]
    assert calendar.parse(calendar.label(step)) == step


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([2001, 2002], "year"),
        (["2001Q1", "2001Q3"], "quarter"),
        (["2001-05", "2001-06"], "month"),
        (["2020-W01", "2020-W02", "2020-W53"], "week"),
        (["2001-01-01", "2001-02-01"], "month"),
        (["2001-01-01", "2002-01-01"], "year"),
        (["2001-01-03", "2001-01-10"], "week"),
        ([1, 2], "period"),
    ],
)
def test_detect(values: list[object], unit: str) -> None:
    column = pd.Series(values)
    assert detect(column).unit == unit
    assert len(parse_column(column, detect(column))) == len(values)


def test_a_date_that_does_not_parse_names_its_row() -> None:
    with pytest.raises(PeriodError, match="row 2"):
        detect(pd.Series(["2001-01-01", "soon"]))


def test_one_odd_period_is_named_and_not_all_the_others() -> None:
    quarters = pd.Series([f"{year}Q{q}" for year in range(2016, 2020) for q in range(1, 5)])
    quarters[6] = "spring 2017"
    with pytest.raises(PeriodError, match=r"holds quarters, and something else in row 7\b"):
        detect(quarters)


@pytest.mark.parametrize(
    ("codes", "unit", "first"),
    [([20154, 20161, 20162], "quarter", "2015 Q4"), ([201511, 201512, 201601], "month", "Nov 2015")],
)
def test_codes_of_quarters_and_months_are_read_without_gaps(codes: list[int], unit: str, first: str) -> None:
    for values in (pd.Series(codes), pd.Series(codes, dtype=float)):
        calendar = detect(values)
        assert calendar.unit == unit
        steps = parse_column(values, calendar)
        assert np.diff(steps).tolist() == [1, 1]
        assert calendar.label(int(steps[0])) == first


@pytest.mark.parametrize("codes", [[20150, 20161], [201513, 201601], [20161, 20162, 20163], [7, 8, 9]])
def test_numbers_that_are_no_codes_stay_plain_periods(codes: list[int]) -> None:
    assert detect(pd.Series(codes)).unit == "period"


@given(day=st.dates(datetime.date(1600, 1, 1), datetime.date(2400, 1, 1)))
@pytest.mark.parametrize("unit", ["day", "week", "month", "quarter", "year"])
def test_the_days_of_a_period_lie_in_it_and_those_around_it_do_not(unit: Any, day: datetime.date) -> None:
    calendar = Calendar(unit)
    step = calendar.parse(day)
    edges = calendar.days(step)
    assert edges is not None
    first, last = edges
    assert first <= day <= last
    one = datetime.timedelta(days=1)
    assert [calendar.parse(d) for d in (first - one, first, last, last + one)] == [step - 1, step, step, step + 1]


@given(day=st.dates(datetime.date(1600, 1, 1), datetime.date(2400, 1, 1)))
def test_iso_weeks(day: datetime.date) -> None:
    year, week, _ = day.isocalendar()
    assert Calendar("week").parse(f"{year}-W{week:02d}") == Calendar("week").parse(day)


def test_a_week_that_the_year_does_not_have() -> None:
    with pytest.raises(PeriodError, match="2021-W53"):
        Calendar("week").parse("2021-W53")


@given(day=st.dates(datetime.date(1600, 1, 1), datetime.date(2400, 1, 1)))
def test_months_and_weekdays_of_days(day: datetime.date) -> None:
    calendar = Calendar("day")
    steps = np.array([calendar.parse(day)])
    months, weekdays = calendar.months(steps), calendar.weekdays(steps)
    assert months is not None
    assert weekdays is not None
    assert (int(months[0]) + 1, int(weekdays[0])) == (day.month, day.weekday())


@given(year=st.integers(1900, 2090))
def test_the_turn_of_the_year_does_not_drift(year: int) -> None:
    """The first of July has the same place in every year, up to leap days."""
    calendar = Calendar("day")
    found = calendar.turn(np.array([calendar.parse(datetime.date(y, 7, 1)) for y in (1970, year)]))
    assert found is not None
    place, length = found
    apart = abs(place[1] - place[0])
    assert min(apart, length - apart) < 2
