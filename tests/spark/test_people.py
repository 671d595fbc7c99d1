"""People who stay in Spark: weights, strata and pairs give the numbers of rows in memory."""

from __future__ import annotations

from typing import Any

import pytest

import evaltoolkit as ev
from tests.reduction.held import BASE, agree, people
from tests.spark.conftest import SparkSource


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "weighting", "effect": "aipw"},
        {"method": "coarsened-exact", "effect": "difference"},
        {"method": "nearest", "replace": True, "caliper": 0.2, "effect": "difference"},
    ],
    ids=str,
)
def test_people_in_spark_give_what_rows_in_memory_give(changes: dict[str, Any], spark_source: SparkSource) -> None:
    frame = people()
    agree(ev.match(frame, **BASE, **changes).result, ev.match(spark_source(frame), **BASE, **changes).result)
