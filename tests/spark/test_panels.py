"""Panels on Spark: the same sums and the same evaluation as in DuckDB."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit.data import EngineSource

SparkSource = Callable[[pd.DataFrame], EngineSource]


def panel(n: int = 900, periods: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    start = rng.choice([0.0, 2018, 2020], n)
    frame = pd.DataFrame({
        "id": np.repeat(np.arange(n), periods), "year": np.tile(np.arange(2016, 2016 + periods), n),
        "g": np.repeat(np.where(start > 0, start, np.nan), periods), "x": np.repeat(rng.integers(0, 2, n), periods),
        "state": np.repeat(rng.integers(0, 70, n), periods),
    })  # fmt: skip
    frame["y"] = 50 + rng.normal(size=len(frame)) + frame.x + (frame.year >= frame.g) * 1.5
    return frame.sample(frac=1, random_state=1).reset_index(drop=True)


def in_duckdb(frame: pd.DataFrame, folder: Any) -> EngineSource:
    file = folder / "panel.db"
    with duckdb.connect(os.fspath(file)) as connection:
        connection.register("given", frame)
        connection.execute("create table panel as select * from given")
    return ev.connect(f"duckdb:///{file}?table=panel")


@pytest.mark.parametrize(
    "way", [{"covariates": ["x"]}, {"cluster": "state"}, {"estimator": "twfe"}, {"comparison": "never-treated"}]
)
def test_spark_gives_what_duckdb_gives(way: dict[str, Any], spark_source: SparkSource, tmp_path: Any) -> None:
    frame = panel()
    asked = {"outcome": "y", "unit": "id", "time": "year", "first_treated": "g", **way}
    a = ev.did(in_duckdb(frame, tmp_path), **asked).tidy()
    b = ev.did(spark_source(frame), **asked).tidy()
    both = a.merge(b, on=["kind", "term"], suffixes=("", "_spark"), validate="1:1")
    assert len(both) == len(a) == len(b)
    for column in ("estimate", "std_error", "conf_low", "conf_high", "n_units"):
        np.testing.assert_allclose(both[column], both[f"{column}_spark"], rtol=1e-10, atol=1e-11, err_msg=column)


def test_a_small_cell_does_not_leave_spark(spark_source: SparkSource) -> None:
    frame = panel()
    ten = frame.id.isin(frame[frame.g == 2018].id.unique()[:10])
    source = spark_source(frame.assign(x=frame.x.where(~ten, 7).where(ten | (frame.g != 2018), 0)))
    steps: list[str] = []
    source.reports(steps.append)
    result = ev.did(
        source, outcome="y", unit="id", time="year", first_treated="g", rows="people", covariates=["x"]
    ).result  # fmt: skip
    assert "the sums" not in steps
    assert any("would have rested on fewer than 11 people" in d.text for d in result.diagnostics)
