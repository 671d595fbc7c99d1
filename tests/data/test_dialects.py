"""Queries in the words of other engines: compiled, not run."""

from __future__ import annotations

from typing import Any

import ibis
import pytest

from evaltoolkit.contract import small_cells
from evaltoolkit.data import EngineSource
from evaltoolkit.data.asked import asked
from evaltoolkit.reduction.series import cells_of, looked_at
from evaltoolkit.reduction.series_release import SeriesPlan
from evaltoolkit.study import Study, study_from

DIALECTS = (
    "athena", "bigquery", "clickhouse", "databricks", "duckdb", "mssql", "mysql", "oracle", "postgres", "snowflake",
    "sqlite", "trino",
)  # fmt: skip


def _study() -> Study:
    return study_from(
        {
            "design": "interrupted-time-series", "title": "t", "time": "day", "interruption": "2021-01",
            "outcome": {"column": "calls", "kind": "count", "population": "youth"}, "unit": "site",
            "data": {
                "missing": ["-99", "unknown"], "rows": "people",
                "keep": [{"column": "youth", "op": ">=", "value": 10}, {"column": "kind", "op": "in", "value": ["a"]}],
            },
        }
    )  # fmt: skip


class _Named(EngineSource):
    """A table that is nowhere, of an engine that is named."""

    engine = ""

    @property
    def backend(self) -> str:
        return self.engine


def _asked(study: Study, dialect: str) -> Any:
    kinds = {"day": "date", "calls": "decimal(10, 2)", "youth": "float64", "site": "string", "kind": "string"}
    source = _Named(ibis.table(kinds, name="t"), "t")
    source.engine = dialect
    return asked(source, study, look=lambda *_: None)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_a_study_asks_for_compiles(dialect: str) -> None:
    sql = str(ibis.to_sql(_asked(_study(), dialect), dialect=dialect))
    assert "unknown" in sql
    assert "99" in sql


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("every", ["week", "month", "quarter", "year"])
def test_a_series_compiles(dialect: str, every: Any) -> None:
    if (dialect, every) == ("mysql", "week"):
        pytest.skip("Ibis has no weeks of MySQL")
    study = _study()
    plan = SeriesPlan(
        time="day", every=every, unit="site", value="calls", counts=True, within=("youth",), people=("youth",),
        carried=None, rule=small_cells(study), noun="people",
    )  # fmt: skip
    table = _asked(study, dialect)
    unit = {"week": "W", "month": "M", "quarter": "Q", "year": "Y"}[every]
    cells = cells_of(table, table["day"].truncate(unit), study, plan, day=table["day"])
    for query in (cells, looked_at(cells, plan)):
        assert "GROUP BY" in str(ibis.to_sql(query, dialect=dialect))
