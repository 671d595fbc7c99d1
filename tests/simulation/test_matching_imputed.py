"""Coverage of matched effects pooled over imputations, and of changes on the matched sample, in worlds with known truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev

WORLDS = 120
# 95 of 100 intervals hold the truth; with 120 worlds three standard errors are 6 of 100. Errors that treat the score as
# given are too wide rather than too narrow, so coverage may be higher.
LOWEST = 0.89


def world(seed: int, n: int = 300) -> pd.DataFrame:
    """The effect is 1 for everybody; x is missing at random given z, more often where z is high."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    x = 0.6 * z + rng.normal(scale=0.8, size=n)
    served = rng.random(n) < 1 / (1 + np.exp(1.1 - 0.5 * x - 0.4 * z))
    lasting = rng.normal(size=n) + 0.8 * served
    frame = pd.DataFrame({"served": served.astype(int), "x": x, "z": z})
    frame["y"] = served + x + z + rng.normal(size=n)
    frame["before"] = lasting + rng.normal(scale=0.7, size=n)
    frame["after"] = lasting + 1 + served + 0.3 * z + rng.normal(scale=0.7, size=n)
    frame.loc[rng.random(n) < 1 / (1 + np.exp(1.5 - z)), "x"] = np.nan
    return frame


def held(outcome: str, **settings: Any) -> tuple[float, float]:
    """Return the share of intervals that hold the truth, and the mean estimate."""
    found = [ev.match(world(s), treated="served", outcome=outcome, **settings).result.headline for s in range(WORLDS)]
    return float(np.mean([h.conf_low <= 1 <= h.conf_high for h in found])), float(np.mean([h.estimate for h in found]))


@pytest.mark.slow
def test_pooled_intervals_hold() -> None:
    share, mean = held("y", covariates=["x", "z"], incomplete="impute", imputations=5)
    assert share >= LOWEST
    assert mean == pytest.approx(1, abs=0.06)


@pytest.mark.slow
def test_changes_on_the_matched_sample_hold() -> None:
    share, mean = held("after", covariates=["z"], outcome_before=["before"])
    assert share >= LOWEST
    assert mean == pytest.approx(1, abs=0.06)
