"""Coverage of the errors after matching in worlds with known truth; docs/coverage_matching.md has the long runs."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from scipy.special import expit

from evaltoolkit.kernels.abadie_imbens import abadie_imbens, conditional_variances
from evaltoolkit.kernels.estimated_score import score_correction
from evaltoolkit.kernels.pairing import Pairs, Rule, pair_nearest
from evaltoolkit.kernels.propensity import fit_yes_no

Whose = Literal["ATT", "ATC", "ATE"]
TRUTH = 1.0


def one_study(rng: np.random.Generator, n: int, whose: Whose) -> tuple[float, float, float]:
    """Return the estimate, its error with the score taken as known, and with its estimation accounted for."""
    X = rng.normal(size=(n, 2))
    t = rng.random(n) < expit(-0.8 + X @ np.array([0.6, 0.4]))
    # Much of the outcome lies across the score, so that its estimation helps.
    y = X @ np.array([2.0, -1.0]) + TRUTH * t + rng.normal(size=n)
    fit = fit_yes_no(X, t)
    rule = Rule(replace=True, ties="average")
    parts = [pair_nearest(fit.line, g, rule) for g in {"ATT": (t,), "ATC": (~t,), "ATE": (t, ~t)}[whose]]
    pairs = Pairs(*(np.concatenate([getattr(p, k) for p in parts]) for k in ("focal", "match", "weight")))
    found = abadie_imbens(y, t, pairs, conditional_variances(fit.line, y, t, 2))
    step = score_correction(np.column_stack([np.ones(n), X]), fit.line, y, t, whose, found.estimate)
    return found.estimate, found.std_error, float(np.sqrt(found.std_error**2 + step.variance))


def studies(runs: int, n: int, whose: Whose) -> Any:
    rng = np.random.default_rng(20260402)
    return np.array([one_study(rng, n, whose) for _ in range(runs)]).T


@pytest.mark.parametrize("whose", ["ATT", "ATE"])
def test_accounting_for_the_score_brings_the_error_to_the_spread(whose: Whose) -> None:
    estimate, known, corrected = studies(120, 500, whose)
    spread = estimate.std()
    # The spread of 120 estimates is itself known to 6.5%: three of these.
    assert np.sqrt((corrected**2).mean()) == pytest.approx(spread, rel=0.2)
    assert np.sqrt((known**2).mean()) > 1.1 * spread


@pytest.mark.slow
@pytest.mark.parametrize("whose", ["ATT", "ATC", "ATE"])
def test_coverage_of_abadie_imbens_intervals(whose: Whose) -> None:
    # With 1,000 people few treated are matches of many, and the effect on the untreated is held 92 to 94 times in 100.
    estimate, known, corrected = studies(1000, 3000, whose)
    held = np.abs(estimate - TRUTH) <= 1.96 * corrected
    # Binomial error 0.7 points, three of them, and a point for what is not yet large-sample.
    assert 0.92 <= held.mean() <= 0.982
    assert (np.abs(estimate - TRUTH) <= 1.96 * known).mean() > 0.97
