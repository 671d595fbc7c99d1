"""Outcome models against statsmodels, standardized means against sums by hand and derivatives by differences."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import statsmodels.api as sm

from evaltoolkit.kernels.g_computation import Family, mean_of, outcome_model, standardize

FAMILIES: dict[Family, type] = {
    "gaussian": sm.families.Gaussian, "binomial": sm.families.Binomial, "poisson": sm.families.Poisson
}  # fmt: skip


def world(family: Family, n: int = 250) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x, t = rng.normal(size=(n, 2)), (rng.random(n) < 0.4).astype(float)
    design = np.column_stack([np.ones(n), t, x, t[:, None] * x])
    mean = mean_of(-0.4 + 0.5 * t + x @ np.array([0.4, -0.3]), family)
    draw = {"gaussian": rng.normal, "binomial": lambda m: rng.binomial(1, m), "poisson": rng.poisson}[family]
    return design, draw(mean).astype(float), rng.integers(0, 4, n).astype(float)


@pytest.mark.parametrize("family", FAMILIES)
def test_coefficients_and_information_equal_statsmodels(family: Family) -> None:
    X, y, w = world(family)
    fit = outcome_model(X, y, w, family)
    theirs = sm.GLM(y, X, FAMILIES[family](), freq_weights=w).fit(tol=1e-14, maxiter=200)
    assert fit.exists
    # Both iterate to 1e-12 of the linear predictor.
    np.testing.assert_allclose(fit.coefficients, theirs.params, rtol=1e-8, atol=1e-10)
    scale = theirs.scale if family == "gaussian" else 1.0
    np.testing.assert_allclose(fit.bread * scale, theirs.cov_params(), rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(fit.scores.sum(axis=0), 0, atol=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_slopes_are_derivatives(family: Family) -> None:
    X, y, w = world(family)
    fit = outcome_model(X, y, w, family)
    zero, one = X.copy(), X.copy()
    zero[:, [1, 4, 5]], one[:, 1], one[:, 4:] = 0.0, 1.0, X[:, 2:4]
    target = np.linspace(0, 1, y.size)
    found = standardize(fit, zero, one, target)
    assert found.means[1] == pytest.approx(np.average(mean_of(one @ fit.coefficients, family), weights=target))
    step = 1e-6
    for j in range(X.shape[1]):
        ends = []
        for sign in (-1, 1):
            moved = fit.coefficients.copy()
            moved[j] += sign * step
            ends.append(standardize(dataclasses.replace(fit, coefficients=moved), zero, one, target).means)
        np.testing.assert_allclose((ends[1] - ends[0]) / (2 * step), found.slopes[:, j], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_a_group_without_events_has_no_estimate(family: Family) -> None:
    t = np.repeat([0.0, 1.0], 20)
    y = np.where(t == 1, 0.0, np.arange(40) % 2)
    assert not outcome_model(np.column_stack([np.ones(40), t]), y, np.ones(40), family).exists


def test_large_but_finite_predictors_exist() -> None:
    x = np.concatenate([np.linspace(-1, 1, 60), [30.0]])
    y = np.concatenate([(np.arange(60) * 7 % 10 < 3 + np.arange(60) / 12).astype(float), [1.0]])
    assert outcome_model(np.column_stack([np.ones(61), x]), y, np.ones(61), "binomial").exists


def test_dependent_columns_are_named() -> None:
    X, y, w = world("binomial")
    fit = outcome_model(np.column_stack([X, X[:, 2] + 1]), y, w, "binomial")
    assert fit.aliased.tolist() == [6]


def test_outcomes_outside_the_family_are_refused() -> None:
    one = np.ones((3, 1))
    with pytest.raises(ValueError, match="between 0 and 1"):
        outcome_model(one, np.array([0.0, 1, 2]), np.ones(3), "binomial")
    with pytest.raises(ValueError, match="negative"):
        outcome_model(one, np.array([0.0, -1, 2]), np.ones(3), "poisson")
