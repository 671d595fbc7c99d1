"""Rows of time series to be counted in engines, and how a result is compared with another."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

import evaltoolkit as ev
from evaltoolkit.results import Estimate

SHARED = {"time": "day", "interruption": "2021-01-01", "every": "month"}
EVENTS = {**SHARED, "rows": "events", "outcome": ev.Outcome("day", kind="count", population="youth")}


def events(sites: tuple[str, ...] = ("a", "b", "c"), rate: float = 40.0) -> pd.DataFrame:
    """Return one row for each event of 48 months at some sites, in no order; the program began in 2021."""
    rng = np.random.default_rng(11)
    months = pd.period_range("2019-01", periods=48, freq="M")
    parts = []
    for site in sites:
        for j, month in enumerate(months):
            n = int(rng.poisson(rate * (1.4 if j >= 24 else 1.0))) + 11
            days = month.start_time + pd.to_timedelta(rng.integers(0, month.days_in_month, n), unit="D")
            parts.append(
                pd.DataFrame(
                    {"day": days, "site": site, "youth": 1000.0 + 10 * month.year, "score": rng.normal(5, 2, n)}
                )
            )
    frame = pd.concat(parts).sample(frac=1, random_state=5).reset_index(drop=True)
    hits = pd.Series(rng.integers(1, 4, len(frame)) * 1.0)
    return frame.assign(hits=hits.mask(rng.random(len(frame)) < 0.02), start="2021-01", spare=1.0)


def months() -> pd.DataFrame:
    """Return one row a month: events, population, a covariate and a control."""
    rng = np.random.default_rng(7)
    labels = pd.period_range("2019-01", periods=48, freq="M").astype(str)
    calls = rng.poisson(60, 48) * 1.0
    return pd.DataFrame(
        {
            "day": labels, "calls": calls, "youth": 5000.0 + np.arange(48), "weather": rng.normal(size=48),
            "elsewhere": rng.poisson(50, 48) * 1.0, "others": 4000.0 + np.arange(48), "note": "x",
        }
    )  # fmt: skip


def numbers(rows: tuple[Estimate, ...]) -> list[dict[str, Any]]:
    """Return the numbers of estimates by name."""
    return [dataclasses.asdict(row) for row in rows]


def assert_same(found: ev.Result, expected: ev.Result, rtol: float = 1e-12) -> None:
    """Compare all that a result says but where its data came from; numbers to rounding of sums in another order."""
    a, b = numbers(found.estimates), numbers(expected.estimates)
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        for name, value in other.items():
            if isinstance(value, float):
                np.testing.assert_allclose(one[name], value, rtol=rtol, atol=rtol, err_msg=f"{other['term']} {name}")
            else:
                assert one[name] == value, (other["term"], name)
    assert found.flow == expected.flow
    assert [d.text for d in found.diagnostics] == [d.text for d in expected.diagnostics]
    assert found.statements == expected.statements
