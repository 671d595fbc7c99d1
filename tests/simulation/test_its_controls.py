"""Coverage of the interval of a series beside its control, where the program did nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit.errors import EvaluationError

N, START, J = 48, 30, 12


def drawn(rng: np.random.Generator, rho: float) -> np.ndarray:
    """Return treated and control series of shape (N, J + 1): a shared shock, and own AR(1) errors of own size."""
    common = np.cumsum(rng.normal(0, 0.5, N))
    e = rng.normal(size=(N, J + 1)) * np.sqrt(1 - rho**2)
    u = np.empty((N, J + 1))
    u[0] = rng.normal(size=J + 1)
    for t in range(1, N):
        u[t] = rho * u[t - 1] + e[t]
    trend = np.arange(N)[:, None] * rng.normal(0, 0.03, J + 1)
    return np.asarray(50 + rng.normal(0, 2, J + 1) + common[:, None] + trend + u * rng.uniform(0.6, 1.6, J + 1))


def holds(wide: np.ndarray, null: float = 0.0, **settings: Any) -> bool:
    frame = pd.DataFrame({
        "unit": np.tile([f"u{j:02d}" for j in range(J + 1)], N), "t": np.repeat(2000 + np.arange(N), J + 1),
        "y": wide.ravel(),
    })  # fmt: skip
    h = ev.its(frame, time="t", interruption=2000 + START, unit="unit", treated_unit="u00",
               **({"outcome": "y"} | settings)).result.headline  # fmt: skip
    return bool(h.conf_low <= null <= h.conf_high)


def coverage(draws: int, rho: float, **settings: Any) -> float:
    rng = np.random.default_rng(20260103)
    found = []
    while len(found) < draws:
        try:
            found.append(holds(drawn(rng, rho), **settings))
        except EvaluationError:  # no control ran alike
            continue
    return float(np.mean(found))


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.0, 0.5])
@pytest.mark.parametrize("control", ["mean", "matched", "synthetic"])
def test_the_default_interval_beside_a_control(control: str, rho: float) -> None:
    # Monte Carlo error of 0.95 in 200 draws is 0.015.
    assert coverage(200, rho, control=control, effects=["level"]) >= 0.95 - 3 * 0.015


@pytest.mark.slow
def test_counts_beside_a_small_control() -> None:
    """Both of mean 12 to 30 a period with shared log-normal shocks."""
    rng = np.random.default_rng(20260104)
    inside = []
    for _ in range(200):
        shared = np.exp(np.cumsum(rng.normal(0, 0.1, N)))
        wide = rng.poisson(shared[:, None] * rng.uniform(12, 30, J + 1))
        if (wide.sum(axis=1) - wide[:, 0] <= 0).any():
            continue
        inside.append(holds(wide, 1.0, control="u01" if (wide[:, 1] > 0).all() else "mean", family="quasi-poisson",
                            outcome=ev.Outcome("y", kind="count"), effects=["level"]))  # fmt: skip
    assert np.mean(inside) >= 0.95 - 3 * 0.016
