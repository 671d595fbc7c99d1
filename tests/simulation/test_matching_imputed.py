"""Coverage of effects pooled over imputations, and of changes on the matched sample, in worlds with known truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaltoolkit.data import FrameSource
from evaltoolkit.designs.matching.imputed import fit_each
from evaltoolkit.pipeline import prepare
from evaltoolkit.study import study_from

WORLDS = 100
# 95 of 100 intervals hold the truth; with 100 worlds three standard errors are 7 of 100. Errors that treat the score as
# given are too wide rather than too narrow, so coverage may be higher.
LOWEST = 0.88


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
    study = study_from({
        "design": "propensity-score-matching", "title": "A world", "outcome": {"column": outcome}, "treated": "served",
        "caliper": 0.2, **settings,
    })  # fmt: skip
    effects = []
    for seed in range(WORLDS):
        ready = prepare(study, FrameSource(world(seed)))
        effects.append(fit_each(study, ready.options, ready.sample.content).main)
    inside = [low <= 1 <= high for low, high in (e.interval(0.95) for e in effects)]
    return float(np.mean(inside)), float(np.mean([e.estimate for e in effects]))


@pytest.mark.slow
def test_pooled_intervals_hold() -> None:
    share, mean = held("y", covariates=["x", "z"], incomplete="impute", imputations=4)
    assert share >= LOWEST
    assert mean == pytest.approx(1, abs=0.06)


@pytest.mark.slow
def test_changes_on_the_matched_sample_hold() -> None:
    share, mean = held("after", covariates=["z"], outcome_before=["before"])
    assert share >= LOWEST
    assert mean == pytest.approx(1, abs=0.06)
