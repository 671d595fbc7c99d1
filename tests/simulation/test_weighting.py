"""Intervals after weighting hold the truth about as often as they say, in a world where effects differ between people.

The full table is docs/coverage_weighting.md (benchmarks/coverage_weighting.py).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from evaltoolkit.kernels.augmented import augmented_means, predictions
from evaltoolkit.kernels.balancing import balancing_score, entropy_weights
from evaltoolkit.kernels.propensity import density, fit_yes_no
from evaltoolkit.kernels.score_weights import Equations, Estimand, EstimatedWeights, score_weights, share_of
from evaltoolkit.kernels.standardized import Standardized
from evaltoolkit.kernels.weighted_means import Means, regression_means, weighted_means

DRAWS = 600
Estimator = Callable[[np.ndarray, np.ndarray, np.ndarray], Means]


def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    X = rng.normal(size=(n, 2))
    p = expit(-0.7 + 0.6 * X[:, 0] + 0.4 * X[:, 1])
    t = rng.random(n) < p
    y = 2 * X[:, 0] + X[:, 1] + 0.3 * X[:, 0] ** 2 + t * (1 + 0.5 * X[:, 0]) + rng.normal(size=n)
    return X, t, y, p


def truth(estimand: str) -> float:
    X, _, _, p = draw(np.random.default_rng(0), 1_000_000)
    h = {"ATE": np.ones_like(p), "ATT": p, "ATC": 1 - p, "ATO": p * (1 - p), "ATM": np.minimum(p, 1 - p)}[estimand]
    return float(np.average(1 + 0.5 * X[:, 0], weights=h))


def by_score(estimand: Estimand, *, regress: bool) -> Estimator:
    def estimate(X: np.ndarray, t: np.ndarray, y: np.ndarray) -> Means:
        fit, rows = fit_yes_no(X, t), Standardized.of(X)
        w, slope = score_weights(fit.probability, t, estimand)
        part = Equations(fit.score, fit.curvature, slope * density(fit.line, fit.probability, "logit"))
        share = share_of(t, estimand, w)
        found = EstimatedWeights(w, share, estimand in ("ATO", "ATM"), rows, (part,))
        return regression_means(y, t, found, rows) if regress else weighted_means(y, t, found)

    return estimate


def doubly_robust(estimand: Estimand) -> Estimator:
    def estimate(X: np.ndarray, t: np.ndarray, y: np.ndarray) -> Means:
        nuisance = predictions(Standardized.of(X), y, t, fit_yes_no(X, t).probability, "gaussian")
        assert estimand in ("ATT", "ATC", "ATE")
        return augmented_means(y, t, nuisance, estimand)

    return estimate


WAYS: dict[str, tuple[Estimand, Estimator]] = {
    "ATE": ("ATE", by_score("ATE", regress=False)),
    "ATT": ("ATT", by_score("ATT", regress=False)),
    "ATT by regression": ("ATT", by_score("ATT", regress=True)),
    "ATO": ("ATO", by_score("ATO", regress=False)),
    "ATM": ("ATM", by_score("ATM", regress=False)),
    "entropy": ("ATT", lambda X, t, y: weighted_means(y, t, entropy_weights(X, t, "ATT").found)),
    "entropy ATE": ("ATE", lambda X, t, y: weighted_means(y, t, entropy_weights(X, t, "ATE").found)),
    "CBPS": ("ATE", lambda X, t, y: weighted_means(y, t, balancing_score(X, t, "ATE").found)),
    "doubly robust": ("ATE", doubly_robust("ATE")),
    "doubly robust ATT": ("ATT", doubly_robust("ATT")),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_intervals_hold_the_truth(way: str) -> None:
    estimand, estimate = WAYS[way]
    effect, rng = truth(estimand), np.random.default_rng(20260403)
    off, errors = [], []
    for _ in range(DRAWS):
        X, t, y, _ = draw(rng, 800)
        means = estimate(X, t, y)
        v = means.covariance()
        off.append(means.difference - effect)
        errors.append(np.sqrt(v[0, 0] + v[1, 1] - 2 * v[0, 1]))
    held = np.mean(np.abs(off) <= stats.norm.ppf(0.975) * np.array(errors))
    # 600 draws: the Monte Carlo error of 95% is 0.9 points, and small-sample bias costs about one more.
    assert 0.925 <= held <= 0.975
    assert np.sqrt(np.mean(np.square(errors))) / np.std(off) == pytest.approx(1, abs=0.09)
    # The square that no outcome model knows leaves a bias of order 1/n where weights are estimated.
    assert abs(np.mean(off)) < 0.15 * np.std(off)
