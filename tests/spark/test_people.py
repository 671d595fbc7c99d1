"""People who stay in Spark: score, pairs, effects and balance are those of rows in memory."""

from __future__ import annotations

from typing import Any

import evaltoolkit as ev
from tests.reduction.held import BASE, agree, people
from tests.spark.conftest import SparkSource


def test_pairs_of_people_in_spark_are_those_of_rows_in_memory(spark_source: SparkSource) -> None:
    changes: dict[str, Any] = {"method": "nearest", "replace": True, "caliper": 0.2, "effect": "difference"}
    frame = people()
    agree(ev.match(frame, **BASE, **changes).result, ev.match(spark_source(frame), **BASE, **changes).result)
