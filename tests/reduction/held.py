"""People in memory and the same people in an engine, with everything that left it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import ibis
import numpy as np
import pandas as pd
import polars
import pytest

import evaltoolkit as ev
from evaltoolkit.data import EngineSource, connect

BASE: dict[str, Any] = {
    "treated": "served", "outcome": "score", "covariates": ["age", "need", "home"],
    "program": "the mentoring program",
}  # fmt: skip


def people(n: int = 2_000, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age, need = rng.integers(12, 18, n), rng.normal(100, 3, n)
    home = np.where(rng.random(n) < 0.4, "kin", np.where(rng.random(n) < 0.5, "group", "parent"))
    served = rng.random(n) < 1 / (1 + np.exp(1.2 - 0.3 * (need - 100) - 0.4 * (home == "group")))
    return pd.DataFrame({
        "served": served.astype(int), "age": age, "need": need, "home": home,
        "score": 10 + served + need + 0.2 * age + rng.normal(size=n),
        "enrolled": (rng.random(n) < 0.35 + 0.2 * served).astype(int), "contacts": rng.poisson(2 + served),
        "site": rng.integers(0, 30, n), "chance": 1 / (1 + np.exp(1.2 - 0.25 * (need - 100))),
        "client_id": np.arange(n),
    })  # fmt: skip


def held(frame: pd.DataFrame, engine: str = "duckdb") -> EngineSource:
    if engine == "polars":
        return connect(ibis.polars.connect({"people": polars.DataFrame(frame.to_dict("list"))}).table("people"))
    connection = ibis.duckdb.connect()
    connection.con.register("given", frame)
    connection.con.execute("create table people as select * from given order by hash(client_id)")
    return connect(connection.table("people"))


def both(frame: pd.DataFrame, engine: str = "duckdb", **changes: Any) -> tuple[Any, Any]:
    """Return the result from rows in memory and the one from an engine."""
    settings = BASE | changes
    return ev.match(frame, **settings).result, ev.match(held(frame, engine), **settings).result


def agree(one: Any, two: Any, tolerance: float = 1e-9) -> None:
    """Check that every number of two results agrees, where both have it."""
    for e, o in zip(one.estimates, two.estimates, strict=True):
        assert o.estimate == pytest.approx(e.estimate, rel=tolerance, abs=tolerance)
        assert o.std_error == pytest.approx(e.std_error, rel=tolerance, abs=tolerance)
        assert (o.df, o.n_units, o.n_clusters) == (e.df, e.n_units, e.n_clusters)
        assert (o.term, o.estimator, o.inference) == (e.term, e.estimator, e.inference)
        assert o.p_value == pytest.approx(e.p_value, rel=1e-6, abs=tolerance)
    tables = {table.key: table for table in one.tables}
    for table in two.tables:
        for mine, theirs in zip(tables[table.key].rows, table.rows, strict=True):
            for column, a, b in zip(table.columns, mine, theirs, strict=True):
                if isinstance(a, float) and b is not None and column.kind != "basis" and a == a:
                    assert b == pytest.approx(a, rel=1e-6, abs=1e-9), (table.key, mine[0], column.key)
    checks = {check.name: check for check in (*one.diagnostics, *one.sensitivity)}
    for check in (*two.diagnostics, *two.sensitivity):
        mine = checks[check.name]
        if check.name == "balance-products" and mine.value is not None and check.text != mine.text:
            # Products that rest on a few people are not among those of the engine.
            assert check.value is None or check.value <= mine.value + 1e-9
            continue
        if check.value is not None and mine.value is not None:
            assert check.value == pytest.approx(mine.value, rel=1e-6, abs=1e-9), check.name
        assert check.verdict in ("not-applicable", mine.verdict), check.name
    said = [dataclasses.replace(r.statements, methods=()) for r in (one, two)]
    assert said[1] == said[0]
    # Passes over the data and the gradient left may differ.
    assert [m.title for m in two.statements.methods] == [m.title for m in one.statements.methods]
    assert two.flow == one.flow
    assert two.estimand == one.estimand


@contextmanager
def recorded() -> Iterator[list[tuple[str, pd.DataFrame]]]:
    """Record every table that leaves an engine."""
    left: list[tuple[str, pd.DataFrame]] = []
    plain = EngineSource.executed

    def _executed(self: EngineSource, query: Any, what: str) -> pd.DataFrame:
        found = plain(self, query, what)
        left.append((what, found))
        return found

    with patch.object(EngineSource, "executed", _executed):
        yield left
