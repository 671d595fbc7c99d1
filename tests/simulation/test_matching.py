"""Bias and coverage of the matched estimate in a world with known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev

TRUTH = 1.0


def world(rng: np.random.Generator, n: int = 400) -> pd.DataFrame:
    x, z = rng.normal(size=n), rng.normal(size=n)
    served = rng.random(n) < 1 / (1 + np.exp(1.2 - 0.7 * x - 0.4 * z))
    y = 2 + x + 0.5 * z + TRUTH * served + rng.normal(size=n)
    return pd.DataFrame({"served": served.astype(int), "x": x, "z": z, "y": y})


def study(runs: int, **changes: object) -> tuple[float, float, float]:
    rng = np.random.default_rng(20260101)
    estimates, covered = [], []
    for _ in range(runs):
        h = ev.match(world(rng), treated="served", outcome="y", covariates=["x", "z"], **changes).result.headline
        estimates.append(h.estimate)
        covered.append(h.conf_low <= TRUTH <= h.conf_high)
    return float(np.mean(estimates) - TRUTH), float(np.std(estimates) / np.sqrt(runs)), float(np.mean(covered))


@pytest.mark.parametrize("changes", [{}, {"replace": True}, {"ratio": 2}], ids=["pairs", "replacement", "ratio"])
def test_regression_on_pairs_is_unbiased_and_covers(changes: dict[str, object]) -> None:
    bias, error, coverage = study(60, **changes)
    # Four Monte Carlo standard errors; the outcome is linear, so that adjustment removes what matching leaves.
    assert abs(bias) < 4 * error + 1e-9
    # Of 60 intervals at 95%, fewer than 51 (85%) has probability below 0.002.
    assert coverage >= 0.85


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"replace": True}, {"ratio": 2}], ids=["pairs", "replacement", "ratio"])
def test_coverage_of_many_runs(changes: dict[str, object]) -> None:
    bias, error, coverage = study(600, **changes)
    assert abs(bias) < 4 * error
    # Three binomial standard errors (0.9 points each) around 95%, and two points for the score taken as given.
    assert 0.90 <= coverage <= 0.99


def test_without_matching_the_comparison_is_biased() -> None:
    """The world is hard enough: the raw difference is far from the truth."""
    frame = world(np.random.default_rng(1), 20_000)
    raw = frame.loc[frame["served"] == 1, "y"].mean() - frame.loc[frame["served"] == 0, "y"].mean()
    assert raw - TRUTH > 0.5
