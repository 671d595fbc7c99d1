"""Equivalence tests beside intervals, the folded normal of scipy, and simulation at the bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evaltoolkit.kernels.equivalence import pre_period_equivalence, two_one_sided


@settings(deadline=None, max_examples=60)
@given(
    estimate=st.floats(-2, 2),
    se=st.floats(0.05, 2),
    df=st.one_of(st.just(np.inf), st.floats(1, 200)),
    alpha=st.floats(0.01, 0.2),
)
def test_two_one_sided_is_an_interval_within_the_bounds(estimate: float, se: float, df: float, alpha: float) -> None:
    law = stats.t(df) if np.isfinite(df) else stats.norm()
    low, high = -0.9, 1.3
    found = two_one_sided(estimate, se, (low, high), df, alpha)
    expected = max(law.sf((estimate - low) / se), law.cdf((estimate - high) / se))
    assert found.p_value == pytest.approx(expected, rel=1e-7, abs=1e-12)
    ends = estimate + se * law.ppf([alpha, 1 - alpha])
    assert found.smallest == pytest.approx(np.abs(ends).max(), rel=1e-7)
    at = two_one_sided(estimate, se, (-found.smallest, found.smallest), df, alpha).p_value
    assert at == pytest.approx(alpha, abs=1e-8)


def test_largest_by_the_folded_normal() -> None:
    estimates, se = np.array([0.1, -0.3, 0.05]), np.array([0.1, 0.15, 0.3])
    found = pre_period_equivalence(estimates, np.diag(se**2), 0.8)
    expected = [stats.foldnorm.cdf(abs(b) / s, 0.8 / s) for b, s in zip(estimates, se, strict=True)]
    assert found.largest.p_value == pytest.approx(max(expected))
    assert found.largest.smallest == pytest.approx(found.smallest_each.max())
    for b, s, d in zip(estimates, se, found.smallest_each, strict=True):
        # The definition: the estimate is the alpha quantile of the folded normal at the bound.
        assert stats.foldnorm.ppf(0.05, d / s) * s == pytest.approx(abs(b), rel=1e-7)
    p_at = pre_period_equivalence(estimates, np.diag(se**2), found.largest.smallest).largest.p_value
    assert p_at == pytest.approx(0.05, abs=1e-9)
    sided = [two_one_sided(b, s, (-0.8, 0.8)) for b, s in zip(estimates, se, strict=True)]
    assert found.two_one_sided.p_value == pytest.approx(max(x.p_value for x in sided))
    assert found.two_one_sided.smallest == pytest.approx(max(x.smallest for x in sided))
    assert found.two_one_sided.smallest >= found.largest.smallest


def test_mean_has_the_variance_of_a_mean() -> None:
    rng = np.random.default_rng(1)
    root = rng.normal(size=(3, 3)) / 5
    V, b = root @ root.T, np.array([0.3, -0.2, 0.1])
    found = pre_period_equivalence(b, V, 0.4)
    se = np.sqrt(np.ones(3) @ V @ np.ones(3)) / 3
    assert found.mean.p_value == pytest.approx(stats.foldnorm.cdf(abs(b.mean()) / se, 0.4 / se))
    assert stats.foldnorm.ppf(0.05, found.mean.smallest / se) * se == pytest.approx(abs(b.mean()), rel=1e-6)


@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_level_at_the_bound(rho: float) -> None:
    """One number at the bound: rejected in alpha of all samples where the others are precise, else in fewer."""
    rng = np.random.default_rng(3)
    correlation = rho + (1 - rho) * np.eye(3)
    truth, error = np.array([0.5, 0.0, 0.0]), 4 * np.sqrt(0.05 * 0.95 / 4000)
    rejected = []
    for se in (np.array([0.2, 0.02, 0.02]), np.array([0.2, 0.2, 0.2])):
        V = correlation * np.outer(se, se)
        draws = rng.multivariate_normal(truth, V, 4000)
        rejected.append(np.mean([pre_period_equivalence(x, V, 0.5).largest.p_value <= 0.05 for x in draws]))
    assert rejected[0] == pytest.approx(0.05, abs=error)
    assert rejected[1] <= 0.05 + error
    inside = np.mean([pre_period_equivalence(x, V, 1.2).largest.p_value <= 0.05 for x in draws[:500]])
    assert inside > 0.9


def test_the_base_period_is_left_out_and_scale_moves_bounds() -> None:
    b, V = np.array([0.1, 0.0, -0.2]), np.diag([0.01, 0.0, 0.02])
    with_base = pre_period_equivalence(b, V, 0.5, df=12)
    without = pre_period_equivalence(b[[0, 2]], V[np.ix_([0, 2], [0, 2])], 0.5, df=12)
    assert with_base.largest == without.largest
    assert with_base.mean == without.mean
    assert with_base.two_one_sided == without.two_one_sided
    assert np.isnan(with_base.smallest_each[1])
    ten = pre_period_equivalence(-b * 10, V * 100, 5.0, df=12)
    assert ten.largest.p_value == pytest.approx(with_base.largest.p_value)
    assert ten.mean.smallest == pytest.approx(10 * with_base.mean.smallest)


def test_an_estimate_of_nothing_supports_any_bound_by_the_folded_normal() -> None:
    """At an estimate of exactly zero the folded-normal p-value is zero; the one-sided tests still ask for a bound."""
    found = pre_period_equivalence(np.zeros(1), np.ones((1, 1)), 0.1)
    assert (found.largest.p_value, found.largest.smallest) == (0.0, 0.0)
    assert found.two_one_sided.smallest == pytest.approx(1.645, abs=1e-3)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="bounds"):
        two_one_sided(0.0, 1.0, (1.0, -1.0))
    with pytest.raises(ValueError, match="bounds"):
        two_one_sided(0.0, 0.0, (-1.0, 1.0))
    with pytest.raises(ValueError, match="bound must"):
        pre_period_equivalence(np.zeros(2), np.eye(2), 0.0)
    with pytest.raises(ValueError, match="variance"):
        pre_period_equivalence(np.zeros(2), np.zeros((2, 2)), 1.0)
