"""Rosenbaum bounds against all sign patterns, and location bounds against all Walsh averages."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from evaltoolkit.kernels.rosenbaum import EXACT_UP_TO, crossing, sign_bound, signed_rank, signed_rank_bound
from evaltoolkit.kernels.rosenbaum_location import location_bounds, walsh_average
from evaltoolkit.kernels.rosenbaum_sets import MatchedSets, aligned_rank_bound, aligned_ranks


def listed(ranks: np.ndarray, statistic: float, gamma: float) -> float:
    """Sum the chance of every sign pattern whose statistic is as large."""
    p, total = gamma / (1 + gamma), 0.0
    for signs in itertools.product([0, 1], repeat=ranks.size):
        if np.dot(signs, ranks) >= statistic - 1e-9:
            total += p ** sum(signs) * (1 - p) ** (ranks.size - sum(signs))
    return total


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("gamma", [1.0, 1.7])
@pytest.mark.parametrize("direction", ["greater", "less"])
def test_exact_p_values_count_every_sign_pattern(seed: int, gamma: float, direction: str) -> None:
    d = np.round(np.random.default_rng(seed).normal(0.3, 1, size=11), 1)
    found = signed_rank(d)
    statistic = found.statistic if direction == "greater" else found.ranks.sum() - found.statistic
    expected = listed(found.ranks, statistic, gamma)
    assert signed_rank_bound(found, gamma, direction) == pytest.approx(expected, rel=1e-10)  # type: ignore[arg-type]


def test_without_hidden_bias_it_is_the_usual_test() -> None:
    d = np.random.default_rng(1).normal(0.2, 1, size=30)
    expected = stats.wilcoxon(d, alternative="greater", mode="exact").pvalue
    assert signed_rank_bound(signed_rank(d)) == pytest.approx(expected, rel=1e-10)
    big = np.random.default_rng(2).normal(0.1, 1, size=EXACT_UP_TO + 50)
    expected = stats.wilcoxon(big, alternative="greater", mode="approx", correction=False).pvalue
    assert signed_rank_bound(signed_rank(big)) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("b", "c"), [(7, 2), (0, 5), (3, 0), (0, 0)])
def test_the_sign_bound_counts_every_table(b: int, c: int) -> None:
    for gamma in (1.0, 2.5):
        p = gamma / (1 + gamma)
        expected = sum(stats.binom.pmf(k, b + c, p) for k in range(b, b + c + 1))
        assert sign_bound(b, c, gamma) == pytest.approx(expected, rel=1e-10)


def test_bounds_rise_with_hidden_bias_and_the_crossing_is_where_they_meet_alpha() -> None:
    found = signed_rank(np.random.default_rng(3).normal(0.6, 1, size=80))
    values = [signed_rank_bound(found, g) for g in (1.0, 1.2, 1.5, 2.0, 3.0, 10.0)]
    assert values == sorted(values)
    gamma = crossing(lambda g: signed_rank_bound(found, g), 0.05)
    assert gamma > 1
    assert signed_rank_bound(found, gamma) == pytest.approx(0.05, rel=1e-9)
    assert crossing(lambda g: signed_rank_bound(signed_rank(-np.arange(1.0, 9)), g), 0.05) == 1.0
    assert crossing(lambda _: 0.0, 0.05) == np.inf


def averages(d: np.ndarray) -> np.ndarray:
    return np.sort([(d[i] + d[j]) / 2 for i in range(d.size) for j in range(i, d.size)])


@pytest.mark.parametrize("seed", range(40))
def test_every_walsh_average_is_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    d = np.sort(np.round(rng.normal(size=rng.integers(1, 14)), rng.integers(0, 3)))
    found = [walsh_average(d, k + 1) for k in range(d.size * (d.size + 1) // 2)]
    # One unit in the last place: the middle of two numbers is taken in another order.
    np.testing.assert_allclose(found, averages(d), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("digits", [0, 1, 8])
def test_among_many_the_search_is_exact_too(digits: int) -> None:
    d = np.sort(np.round(50 * np.random.default_rng(4).standard_t(2, size=400), digits))
    all_of_them = averages(d)
    for k in np.linspace(1, all_of_them.size, 25).astype(int).tolist():
        assert walsh_average(d, k) == pytest.approx(all_of_them[k - 1], rel=1e-12, abs=1e-12)


def test_location_bounds_are_where_the_statistic_passes_its_extremes() -> None:
    d = np.random.default_rng(5).normal(2, 3, size=90)
    plain, biased = location_bounds(d), location_bounds(d, 1.5)
    assert plain.low == plain.high == pytest.approx(np.median(averages(d)), rel=1e-12)
    assert biased.conf_low < biased.low < plain.low < biased.high < biased.conf_high
    total, share = d.size * (d.size + 1) / 2, 1.5 / 2.5

    def above(effect: float) -> float:
        return signed_rank(d - effect).statistic

    step = 1e-9
    assert above(biased.low - step) >= share * total >= above(biased.low + step) - 1
    spread = np.sqrt(share * (1 - share) * d.size * (d.size + 1) * (2 * d.size + 1) / 6)
    at_end = (above(biased.conf_low - step) - share * total) / spread
    # The statistic moves in whole steps of 1 / spread, about 0.004 here.
    assert at_end == pytest.approx(stats.norm.ppf(0.975), abs=2 / spread)


def test_location_bounds_move_with_the_data() -> None:
    d = np.random.default_rng(6).normal(size=40)
    one, moved = location_bounds(d, 2.0), location_bounds(5 - 2 * d, 2.0)
    assert moved.low == pytest.approx(5 - 2 * one.high, rel=1e-10)
    assert moved.conf_high == pytest.approx(5 - 2 * one.conf_low, rel=1e-10)


def test_few_pairs_have_no_end() -> None:
    bounds = location_bounds(np.array([1.0, 2.0, 3.0]), 1.0)
    assert (bounds.conf_low, bounds.conf_high) == (-np.inf, np.inf)


def test_sets_of_two_without_bias_are_the_permutation_test() -> None:
    """Moments of the aligned rank statistic over all choices of the treated person within sets."""
    rng = np.random.default_rng(7)
    sizes = [2, 3, 3, 4]
    sets = np.repeat(np.arange(4), sizes)
    treated = np.zeros(sets.size, dtype=bool)
    treated[[0, 2, 5, 8]] = True
    treated[8:] = ~treated[8:]
    y = rng.normal(size=sets.size)
    arranged = MatchedSets.of(y, treated, sets)
    assert arranged is not None
    found = aligned_ranks(arranged)
    values = []
    for chosen in itertools.product(*(range(m) for m in sizes)):
        starts = np.cumsum([0, *sizes[:-1]])
        signs = np.where(found.treated, 1, -1)
        values.append(float(signs @ found.ranks[starts + np.array(chosen)]))
    z = (found.statistic - np.mean(values)) / np.std(values)
    assert aligned_rank_bound(found, 1.0) == pytest.approx(stats.norm.sf(z), rel=1e-10)
    assert aligned_rank_bound(found, 1.0, "less") == pytest.approx(stats.norm.cdf(z), rel=1e-10)


def test_the_bound_of_sets_is_the_worst_over_all_hidden_covariates() -> None:
    """Every 0/1 hidden covariate in every set: none has a larger expectation than the one that is taken."""
    rng = np.random.default_rng(8)
    sets, treated = np.repeat(np.arange(3), 4), np.tile([True, False, False, False], 3)
    arranged = MatchedSets.of(rng.normal(size=12), treated, sets)
    assert arranged is not None
    found, gamma = aligned_ranks(arranged), 2.0
    expectation, variance = 0.0, 0.0
    for i in range(3):
        scores, best = found.ranks[4 * i : 4 * i + 4], (-np.inf, 0.0)
        for hidden in itertools.product([0, 1], repeat=4):
            weight = gamma ** np.array(hidden) / (gamma ** np.array(hidden)).sum()
            mean = float(weight @ scores)
            best = max(best, (mean, float(weight @ scores**2 - mean**2)))
        expectation, variance = expectation + best[0], variance + best[1]
    expected = stats.norm.sf((found.statistic - expectation) / np.sqrt(variance))
    assert aligned_rank_bound(found, gamma) == pytest.approx(expected, rel=1e-9)


def test_strata_with_several_on_both_sides_have_no_bound() -> None:
    assert MatchedSets.of(np.arange(4.0), np.array([True, True, False, False]), np.zeros(4, dtype=np.int64)) is None
