"""Units that stay in Spark: effects and errors of rows in memory."""

from __future__ import annotations

import pytest

from evaltoolkit.kernels.cohorts import NEVER, Rule
from tests.reduction.wide_units import check, spec, world
from tests.spark.conftest import SparkSource


@pytest.mark.parametrize("way", [(False, False), (True, True)])
def test_effects_with_a_continuous_covariate(way: tuple[bool, bool], spark_source: SparkSource) -> None:
    frame = world(n=800)
    frame = frame[frame["start"].isin([2003, NEVER])].reset_index(drop=True)
    check(spark_source(frame), frame, spec(Rule("never"), way, ("z1",)))
