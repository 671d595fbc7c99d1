"""Bias: every way of making people comparable removes what the covariates explain."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from evaltoolkit.kernels.distances import pair_nearest_points, straightened
from evaltoolkit.kernels.grouping import coarsened, same_values, set_weights, subclasses
from evaltoolkit.kernels.optimal import full_match
from evaltoolkit.kernels.pairing import Rule, matching_weights, pair_nearest
from evaltoolkit.kernels.propensity import fit_yes_no
from evaltoolkit.kernels.smoothing import smoothed_weights

pytestmark = pytest.mark.slow

DRAWS = 200
TRUTH = 1.0

Way = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
WAYS: dict[str, Way] = {
    "caliper": lambda X, p, t: matching_weights(pair_nearest(p, t, Rule(caliper=0.1 * p.std())), t),
    "replacing": lambda X, p, t: matching_weights(pair_nearest(p, t, Rule(replace=True)), t),
    "mahalanobis": lambda X, p, t: matching_weights(
        pair_nearest_points(straightened(X, t), t, Rule(replace=True, order="data")), t
    ),
    "full": lambda X, p, t: set_weights(full_match(p, t).code, t),
    "full ATE": lambda X, p, t: set_weights(full_match(p, t).code, t, "ATE"),
    "subclass": lambda X, p, t: set_weights(subclasses(p, t, 20)[0], t),
    "coarsened": lambda X, p, t: set_weights(same_values([coarsened(x, 9) for x in X.T], t), t),
    "kernel": lambda X, p, t: smoothed_weights(p, t, 0.02),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_the_mean_effect_is_the_truth(way: str) -> None:
    """Without weights the two groups differ by about 0.9 beside the effect."""
    rng = np.random.default_rng(11)
    found, naive = [], []
    for _ in range(DRAWS):
        X = rng.normal(size=(800, 2))
        t = rng.random(800) < 1 / (1 + np.exp(1.2 - 0.6 * X.sum(axis=1)))
        y = TRUTH * t + X.sum(axis=1) + rng.normal(size=800)
        w = WAYS[way](X, fit_yes_no(X, t).probability, t)
        found.append(np.average(y[t], weights=w[t]) - np.average(y[~t], weights=w[~t]))
        naive.append(y[t].mean() - y[~t].mean())
    assert np.mean(naive) - TRUTH > 0.6
    # 4 Monte Carlo errors, and what coarse ranges or distant pairs leave: at most 6 % of the difference to be removed.
    allowed = 4 * np.std(found) / np.sqrt(DRAWS) + 0.06 * (np.mean(naive) - TRUTH)
    assert abs(np.mean(found) - TRUTH) < allowed
