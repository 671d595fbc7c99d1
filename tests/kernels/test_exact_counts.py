"""The exact law of few events, by listing every series, and against the binomial law where there is no trend to fit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import optimize, special, stats

from evaltoolkit.kernels.exact_counts import exact_level


def listed(y: np.ndarray, t: np.ndarray, after: np.ndarray, e: np.ndarray) -> dict[int, float]:
    """Weigh every series with the same total and the same sum of times."""
    law: dict[int, float] = {}
    for z in itertools.product(range(int(y.sum()) + 1), repeat=y.size):
        other = np.array(z)
        if other.sum() == y.sum() and other @ t == y @ t:
            weight = float(np.exp((other * np.log(e) - special.gammaln(other + 1)).sum()))
            law[int(other[after].sum())] = law.get(int(other[after].sum()), 0.0) + weight
    return law


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_series_listed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    t = np.array([0, 1, 2, 4, 5, 6])  # a period without a value
    y, after, e = rng.integers(0, 3, 6), t >= 4, rng.uniform(0.5, 2, 6)
    law = exact_level(y, t, after, e)
    known = listed(y, t, after, e)
    assert law.support.tolist() == sorted(known)
    p = np.exp(law.log_weights - special.logsumexp(law.log_weights))
    assert p == pytest.approx([known[a] / sum(known.values()) for a in sorted(known)], rel=1e-9)


def test_tails_meet_at_the_ends_of_the_interval() -> None:
    rng = np.random.default_rng(4)
    t = np.arange(36)
    y = rng.poisson(0.5 * np.where(t >= 18, 2.5, 1.0))
    law = exact_level(y, t, t >= 18, np.ones(36))
    low, high = law.interval(0.9)
    assert law.p_value(low) == pytest.approx(0.1, abs=1e-9)
    assert law.p_value(high) == pytest.approx(0.1, abs=1e-9)
    assert low < law.estimate() < high
    p = np.exp(law.log_weights + law.estimate() * law.support)
    assert p @ law.support / p.sum() == pytest.approx(law.observed, rel=1e-9)


def test_all_times_alike_is_the_binomial_law() -> None:
    """With two periods the sum of times fixes the split; with times that repeat, none of it: Clopper and Pearson."""
    t = np.zeros(8, dtype=np.int64)
    after = np.arange(8) >= 5
    y = np.array([1, 0, 2, 0, 1, 3, 2, 1])
    law = exact_level(y, t, after, np.ones(8))
    low, high = law.interval(0.95)
    p = stats.binomtest(6, 10, 3 / 8).proportion_ci(0.95, method="exact")
    ratio = [np.log(q / (1 - q) * 5 / 3) for q in (p.low, p.high)]
    assert [low, high] == pytest.approx(ratio, rel=1e-8)


def test_nothing_bounds_a_ratio_at_the_end_of_the_support() -> None:
    t = np.arange(10)
    y = np.where(t == 9, 1, 0)
    law = exact_level(y, t, t >= 6, np.ones(10))
    assert law.interval(0.95) == (-np.inf, np.inf)
    assert np.isinf(law.estimate())


@pytest.mark.parametrize("ratio", [1.0, 3.0])
def test_it_holds_its_level(ratio: float) -> None:
    """At least 95% of intervals hold the truth, under a trend; binomial error of 400 draws is 1.1 points."""
    rng = np.random.default_rng(6)
    t = np.arange(36)
    mu = 0.3 * np.exp(0.02 * (t - 18)) * np.where(t >= 18, ratio, 1.0)
    held = 0
    for _ in range(400):
        low, high = exact_level(rng.poisson(mu), t, t >= 18, np.ones(36)).interval(0.95)
        held += low <= np.log(ratio) <= high
    assert held / 400 > 0.93


def test_an_upper_end_by_search() -> None:
    t = np.arange(12)
    y = np.array([0, 1, 0, 0, 2, 0, 1, 0, 2, 1, 0, 3])
    law = exact_level(y, t, t >= 6, np.ones(12))
    found = optimize.brentq(lambda b: law.p_value(b) - 0.05, law.estimate(), 20.0)
    assert law.interval(0.95)[1] == pytest.approx(found, abs=1e-8)
    with pytest.raises(ValueError, match="events"):
        exact_level(y * 100, t, t >= 6, np.ones(12))
