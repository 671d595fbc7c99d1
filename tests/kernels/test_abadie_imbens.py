"""Abadie-Imbens errors against sums over all pairs of units, and the search on a line against a sort of everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.kernels.abadie_imbens import abadie_imbens, arm_predictions, conditional_variances
from evaltoolkit.kernels.estimated_score import score_correction
from evaltoolkit.kernels.line_neighbours import nearest_window
from evaltoolkit.kernels.pairing import Pairs, Rule, pair_nearest

Data = tuple[np.ndarray, np.ndarray, np.ndarray]


def world(seed: int, n: int = 40, digits: int = 3) -> Data:
    """Few distinct scores, so that ties are everywhere."""
    rng = np.random.default_rng(seed)
    # Powers of two, whose differences are exact: what ties by rounding alone is not at issue here.
    step = 2.0**-digits
    score, treated = step * np.round(rng.normal(size=n) / step), rng.random(n) < 0.4
    treated[:3], treated[-3:] = True, False
    return score, treated, rng.normal(size=n) + treated


def both_ways(score: np.ndarray, treated: np.ndarray, rule: Rule) -> Pairs:
    a, b = pair_nearest(score, treated, rule), pair_nearest(score, ~treated, rule)
    return Pairs(*(np.concatenate([getattr(a, k), getattr(b, k)]) for k in ("focal", "match", "weight")))


def by_hand(
    score: np.ndarray, treated: np.ndarray, y: np.ndarray, focal: np.ndarray, m: int, j: int
) -> tuple[float, float]:
    """Return estimate and variance from every distance there is."""
    n = y.size
    gaps, K, K2 = {}, np.zeros(n), np.zeros(n)
    for i in np.flatnonzero(focal):
        others = np.flatnonzero(treated != treated[i])
        distance = np.abs(score[others] - score[i])
        chosen = others[distance <= np.sort(distance)[m - 1]]
        gaps[i] = (1 if treated[i] else -1) * (y[i] - y[chosen].mean())
        K[chosen] += 1 / chosen.size
        K2[chosen] += 1 / chosen.size**2
    variance = np.zeros(n)
    for i in range(n):
        same = np.flatnonzero((treated == treated[i]) & (np.arange(n) != i))
        distance = np.abs(score[same] - score[i])
        near = same[distance <= np.sort(distance)[j - 1]]
        variance[i] = y[np.append(near, i)].var(ddof=1)
    tau = np.array(list(gaps.values()))
    total = ((tau - tau.mean()) ** 2).sum() + (variance * (K**2 - K2 + 2 * focal * K)).sum()
    return float(tau.mean()), float(total / tau.size**2)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("m", "j"), [(1, 1), (2, 3)])
@pytest.mark.parametrize("whose", ["ATT", "ATC", "ATE"])
def test_errors_equal_the_sums_over_all_units(seed: int, m: int, j: int, whose: str) -> None:
    score, treated, y = world(seed)
    rule = Rule(ratio=m, replace=True, ties="average")
    focal = {"ATT": treated, "ATC": ~treated, "ATE": np.ones_like(treated)}[whose]
    pairs = both_ways(score, treated, rule) if whose == "ATE" else pair_nearest(score, focal, rule)
    found = abadie_imbens(y, treated, pairs, conditional_variances(score, y, treated, j))
    estimate, variance = by_hand(score, treated, y, focal, m, j)
    # Rounding only.
    assert found.estimate == pytest.approx(estimate, rel=1e-12)
    assert found.std_error**2 == pytest.approx(variance, rel=1e-10)


def test_without_replacement_it_is_the_paired_error() -> None:
    score, treated, y = world(3, 60, 20)
    pairs = pair_nearest(score, treated, Rule())
    found = abadie_imbens(y, treated, pairs)
    gaps = y[pairs.focal] - y[pairs.match]
    assert found.std_error == pytest.approx(gaps.std() / np.sqrt(gaps.size), rel=1e-12)


def test_a_line_and_a_space_of_one_dimension_agree() -> None:
    score, treated, y = world(4, 80)
    # Eighths, whose differences are exact: in space distances tie to 1e-12, on a line to the last digit.
    score = np.round(8 * score) / 8
    strata = (np.arange(80) % 3).astype(np.int64)
    on_line = conditional_variances(score, y, treated, 2, strata)
    in_space = conditional_variances(score[:, None], y, treated, 2, strata)
    np.testing.assert_allclose(on_line, in_space, rtol=1e-9, atol=1e-12)


def test_bias_adjustment_finds_a_linear_outcome_exactly() -> None:
    rng = np.random.default_rng(2)
    x, treated = rng.normal(size=(50, 2)), np.arange(50) < 20
    y = 3 + x @ np.array([1.0, -2.0]) + 0.7 * treated
    pairs = pair_nearest(x[:, 0] + x[:, 1], treated, Rule(replace=True))
    adjusted = abadie_imbens(y, treated, pairs, predicted=arm_predictions(x, y, treated, pairs))
    assert adjusted.estimate == pytest.approx(0.7, abs=1e-12)
    assert abs(abadie_imbens(y, treated, pairs).estimate - 0.7) > 0.01


def test_row_order_and_a_constant_change_nothing() -> None:
    score, treated, y = world(7)
    rule = Rule(replace=True, ties="average")
    first = abadie_imbens(y, treated, pair_nearest(score, treated, rule), conditional_variances(score, y, treated, 2))
    p = np.random.default_rng(1).permutation(y.size)
    s, t, o = score[p], treated[p], y[p] + 1000
    again = abadie_imbens(o, t, pair_nearest(s, t, rule), conditional_variances(s, o, t, 2))
    assert again.estimate == pytest.approx(first.estimate, rel=1e-10)
    assert again.std_error == pytest.approx(first.std_error, rel=1e-8)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_the_window_holds_the_nearest_and_their_ties(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.sort(np.round(rng.normal(size=rng.integers(1, 20)), rng.integers(0, 2)))
    queries = np.round(rng.normal(size=7), 1)
    window = nearest_window(values, queries, k)
    for q, a, b in zip(queries, window.start, window.stop, strict=True):
        distance = np.abs(values - q)
        expected = distance <= np.sort(distance)[min(k, values.size) - 1]
        assert np.flatnonzero(expected).tolist() == list(range(a, b))


def test_the_correction_does_not_depend_on_the_units_of_covariates() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(300, 2))
    line = -0.5 + x @ np.array([0.6, 0.3])
    treated = rng.random(300) < 1 / (1 + np.exp(-line))
    y = x[:, 0] + treated + rng.normal(size=300)
    one = np.column_stack([np.ones(300), x])
    other = np.column_stack([np.ones(300), 10 + 3 * x[:, 0], x[:, 1] - x[:, 0]])
    for whose in ("ATT", "ATC", "ATE"):
        first, again = (score_correction(d, line, y, treated, whose, 1.0) for d in (one, other))  # type: ignore[arg-type]
        assert first.variance == pytest.approx(again.variance, rel=1e-8)
        assert first.gain > 0
        assert (first.loss > 0) == (whose != "ATE")


def test_treated_and_comparison_may_change_places() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=200)
    treated = rng.random(200) < 1 / (1 + np.exp(-x))
    y = x + rng.normal(size=200)
    design = np.column_stack([np.ones(200), x])
    att = score_correction(design, x, y, treated, "ATT", 0.2)
    atc = score_correction(design, -x, -y, ~treated, "ATC", 0.2)
    assert (att.gain, att.loss) == pytest.approx((atc.gain, atc.loss), rel=1e-10)
