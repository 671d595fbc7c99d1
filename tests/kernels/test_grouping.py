"""Strata, subclasses, kernel weights and cardinality against literal twins."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.kernels.cardinality import largest_balanced
from evaltoolkit.kernels.grouping import coarsened, same_values, set_weights, subclasses
from evaltoolkit.kernels.smoothing import smoothed_weights

# Sums of a few dozen weights near 1.
CLOSE = 1e-12
seeds = st.integers(0, 2**31)


@given(seeds, st.sampled_from(["ATT", "ATC", "ATE"]))
@settings(max_examples=40, deadline=None)
def test_weights_make_each_stratum_stand_for_whose_effect_it_is(seed, estimand) -> None:
    rng = np.random.default_rng(seed)
    n = 60
    sets, treated = rng.integers(-1, 6, n), rng.random(n) < 0.4
    weights = set_weights(sets, treated, estimand)
    goal = {"ATT": treated, "ATC": ~treated, "ATE": np.ones(n, bool)}[estimand]
    there = [s for s in range(6) if {0, 1} <= set(treated[sets == s].astype(int))]
    want = np.array([(goal & (sets == s)).sum() for s in there], dtype=float)
    for group in (treated, ~treated):
        got = np.array([weights[group & (sets == s)].sum() for s in there])
        np.testing.assert_allclose(got / got.sum(), want / want.sum(), rtol=1e-10)
        used = group & (weights > 0)
        assert weights[used].mean() == pytest.approx(1)
    assert (weights[~np.isin(sets, there)] == 0).all()
    if estimand == "ATT":
        assert set(weights[treated & (weights > 0)]) == {1.0}


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_strata_are_people_who_agree_on_everything(seed) -> None:
    rng = np.random.default_rng(seed)
    columns = [rng.integers(0, 3, 40), np.array(list("abc"))[rng.integers(0, 3, 40)]]
    treated = rng.random(40) < 0.5
    sets = same_values(columns, treated)
    for i, j in itertools.combinations(range(40), 2):
        alike = all(c[i] == c[j] for c in columns)
        if sets[i] >= 0 or sets[j] >= 0:
            assert (sets[i] == sets[j]) == alike
    for i in np.flatnonzero(sets < 0):
        alike = np.logical_and.reduce([c == c[i] for c in columns])
        assert treated[alike].all() or not treated[alike].any()


def test_bins_are_those_of_their_rules() -> None:
    x = np.array([0.0, 1, 2, 3, 4, 5, 6, 7, 8, 16])
    assert np.unique(coarsened(x, 4)).tolist() == [0, 1, 2, 3]
    assert coarsened(x, 4).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 3]
    # ceil(log2(10) + 1) = 5 bins of width 3.2
    np.testing.assert_array_equal(coarsened(x), np.minimum(x // 3.2, 4))
    # 2 * 4.5 / 10^(1/3) = 4.177..., so that 16 / 4.177 needs 4 bins
    np.testing.assert_array_equal(coarsened(x, "freedman-diaconis"), coarsened(x, 4))
    # 3.5 * 4.686 / 10^(1/3) = 7.61, so that 16 / 7.61 needs 3 bins
    np.testing.assert_array_equal(coarsened(x, "scott"), coarsened(x, 3))
    assert coarsened(x, [2, 5]).tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 2, 2]
    mostly = np.r_[np.zeros(95), np.arange(1.0, 6)]
    assert np.unique(coarsened(mostly, "freedman-diaconis")).size > 1


@given(seeds, st.integers(2, 6), st.sampled_from(["ATT", "ATC", "ATE"]))
@settings(max_examples=40, deadline=None)
def test_subclasses_lie_between_quantiles_and_none_lacks_a_group(seed, count, estimand) -> None:
    rng = np.random.default_rng(seed)
    treated = rng.random(50) < 0.4
    treated[:8] = [True, False] * 4
    treated[8:16] = [False, True] * 4
    score = rng.random(50) + treated
    found, cuts = subclasses(score, treated, count, estimand)
    of = {"ATT": score[treated], "ATC": score[~treated], "ATE": score}[estimand]
    np.testing.assert_allclose(cuts, np.quantile(of, np.arange(count + 1) / count))
    for group in (treated, ~treated):
        assert set(found[group]) == set(range(count))
    outside = np.array([max(0, min(int((cuts[1:-1] <= x).sum()), count - 1)) for x in score])
    groups = [treated, ~treated]
    lacking = [g for g in groups if len(set(outside[g])) < count]
    for g in groups:
        if not any(g is h for h in lacking):
            np.testing.assert_array_equal(found[g], outside[g])


def test_too_few_people_for_the_subclasses() -> None:
    with pytest.raises(ValueError, match="fewer people"):
        subclasses(np.arange(6.0), np.array([True] * 2 + [False] * 4), 3)


HEIGHTS = {
    "uniform": lambda u: (u <= 1) * 1.0,
    "epanechnikov": lambda u: np.clip(1 - u**2, 0, None) * (u <= 1),
    "triangular": lambda u: np.clip(1 - u, 0, None),
    "biweight": lambda u: np.clip(1 - u**2, 0, None) ** 2 * (u <= 1),
    "gaussian": lambda u: np.exp(-(u**2) / 2),
}


@given(seeds, st.sampled_from(sorted(HEIGHTS)), st.booleans())
@settings(max_examples=60, deadline=None)
def test_kernel_weights_are_the_dense_formula(seed, kernel, in_strata) -> None:
    rng = np.random.default_rng(seed)
    score, focal = rng.random(40), rng.random(40) < 0.4
    focal[:2] = [True, False]
    strata = rng.integers(0, 2, 40) if in_strata else np.zeros(40, dtype=np.int64)
    heights = HEIGHTS[kernel](np.abs(score[focal][:, None] - score[~focal][None]) / 0.15)
    heights = heights * (strata[focal][:, None] == strata[~focal][None])
    total = heights.sum(axis=1, keepdims=True)
    dealt = np.divide(heights, total, out=np.zeros_like(heights), where=total > 0).sum(axis=0)
    weights = smoothed_weights(score, focal, 0.15, kernel, strata if in_strata else None)
    np.testing.assert_array_equal(weights[focal], (total[:, 0] > 0) * 1.0)
    if dealt.sum() > 0:
        np.testing.assert_allclose(weights[~focal], dealt * (dealt > 0).sum() / dealt.sum(), atol=CLOSE, rtol=1e-10)


@given(seeds, st.integers(1, 2))
@settings(max_examples=15, deadline=None)
def test_the_largest_balanced_sample_is_found(seed, ratio) -> None:
    rng = np.random.default_rng(seed)
    X, focal = rng.integers(0, 4, (11, 1)).astype(float), np.arange(11) < 4
    tolerance = np.array([0.3])
    found = largest_balanced(X, focal, tolerance, ratio)
    best = 0
    for size in range(1, 5):
        means = [X[list(c), 0].mean() for c in itertools.combinations(range(4), size)]
        others = [X[list(c), 0].mean() for c in itertools.combinations(range(4, 11), size * ratio)]
        if others and min(abs(a - b) for a in means for b in others) <= 0.3 + 1e-9:
            best = size
    assert (found.chosen & focal).sum() == best
    if best:
        assert (found.chosen & ~focal).sum() == ratio * best
        assert abs(X[found.chosen & focal].mean() - X[found.chosen & ~focal].mean()) <= 0.3 + 1e-6
        assert found.bound == best
