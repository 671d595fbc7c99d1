from __future__ import annotations

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
