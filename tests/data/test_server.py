"""Panels and people on a PostgreSQL server: what DuckDB and memory give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from tests.reduction.held import BASE, agree, people


def panel(n: int = 600, periods: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    start = rng.choice([0.0, 2018, 2019], n)
    frame = pd.DataFrame({
        "id": np.repeat(np.arange(n), periods), "year": np.tile(np.arange(2016, 2016 + periods), n),
        "g": np.repeat(np.where(start > 0, start, np.nan), periods), "x": np.repeat(rng.integers(0, 2, n), periods),
        "z": np.repeat(rng.normal(size=n), periods), "state": np.repeat(rng.integers(0, 60, n), periods),
    })  # fmt: skip
    frame["y"] = 50 + rng.normal(size=len(frame)) + frame.x + frame.z + (frame.year >= frame.g) * 1.5
    return frame


def sent(frame: pd.DataFrame, name: str) -> Any:
    import psycopg

    kinds = {"i": "bigint", "f": "double precision", "O": "text"}
    columns = ", ".join(f'"{c}" {kinds.get(frame[c].dtype.kind, "text")}' for c in frame.columns)
    with psycopg.connect(user="me", dbname="postgres") as connection:
        connection.execute(f"drop table if exists {name}")
        connection.execute(f"create table {name} ({columns})")
        with connection.cursor().copy(f"copy {name} from stdin") as copy:
            for row in frame.itertuples(index=False):
                copy.write_row(tuple(None if pd.isna(v) else getattr(v, "item", lambda v=v: v)() for v in row))
    return ev.connect(f"postgres://me@/postgres?table={name}")


@pytest.mark.parametrize(
    "way",
    [{"covariates": ["x"]}, {"cluster": "state"}, {"estimator": "twfe"}, {"covariates": ["z"], "release": "strict"}],
)
def test_a_server_reduces_panels(way: dict[str, Any], server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", server)
    frame = panel()
    asked = {"outcome": "y", "unit": "id", "time": "year", "first_treated": "g", "inference": "analytic"}
    a = ev.did(frame, **asked, **{k: v for k, v in way.items() if k != "release"}).tidy()
    b = ev.did(sent(frame, "panel"), **asked, **way).tidy()
    both = a.merge(b, on=["kind", "term", "cohort", "time", "event_time"], suffixes=("", "_server"), validate="1:1")
    assert len(both) == len(b)
    for column in ("estimate", "std_error"):
        np.testing.assert_allclose(both[column], both[f"{column}_server"], rtol=1e-9, atol=1e-10, err_msg=column)


@pytest.mark.parametrize(
    "way", [{"method": "weighting"}, {"method": "nearest", "replace": True}, {"method": "coarsened-exact"}]
)
def test_a_server_matches_people(way: dict[str, Any], server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", server)
    frame = people(1500)
    agree(ev.match(frame, **BASE, **way).result, ev.match(sent(frame, "people"), **BASE, **way).result)
