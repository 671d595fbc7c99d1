"""Time series counted in Spark: the same numbers and words as in memory."""

from __future__ import annotations

from typing import Any

import pytest

import evaltoolkit as ev
from evaltoolkit import errors
from tests.designs.its_worlds import EVENTS, SHARED, assert_same, events, months
from tests.spark.conftest import SparkSource


@pytest.mark.parametrize("unit", [None, "site"])
def test_events_counted_in_spark_give_what_rows_in_memory_give(unit: str | None, spark_source: SparkSource) -> None:
    frame = events()
    found = ev.its(spark_source(frame), **EVENTS, unit=unit).result
    assert_same(found, ev.its(frame, **EVENTS, unit=unit).result)


def test_people_with_days_as_texts_give_what_rows_in_memory_give(spark_source: SparkSource) -> None:
    frame = events(("a",))
    frame = frame.assign(day=frame["day"].dt.strftime("%Y-%m-%d"), score=frame["score"] + 20)
    asked: dict[str, Any] = {**SHARED, "rows": "people", "outcome": "score", "every": "week"}
    whole = frame[(frame["day"] >= "2019-01-07") & (frame["day"] <= "2022-12-25")]
    more = whole.loc[whole.index.repeat(3)]
    assert_same(ev.its(spark_source(more), **asked).result, ev.its(more, **asked).result)


def test_rows_that_are_periods_are_taken_as_they_are(spark_source: SparkSource) -> None:
    frame = months()
    asked: dict[str, Any] = {**SHARED, "interruption": "2021-01", "covariates": ["weather"],
                             "outcome": ev.Outcome("calls", kind="rate", population="youth")}  # fmt: skip
    assert_same(ev.its(spark_source(frame), **asked).result, ev.its(frame, **asked).result)


def test_a_cell_of_too_few_people_stays(spark_source: SparkSource) -> None:
    frame = events(("a",))
    month = frame["day"].dt.strftime("%Y-%m") == "2020-05"
    with pytest.raises(errors.DisclosureError, match="1 of 48 cells"):
        ev.its(spark_source(frame.drop(frame.index[month][10:])), **EVENTS)
