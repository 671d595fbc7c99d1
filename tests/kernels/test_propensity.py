"""Yes/no regressions against statsmodels, brute force and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import optimize
from scipy.special import expit

from evaltoolkit.kernels.propensity import _TERMS, Link, fit_firth, fit_yes_no
from evaltoolkit.kernels.standardized import Standardized

LINKS: tuple[Link, ...] = ("logit", "probit", "cloglog")
FAMILIES = {
    "logit": sm.families.links.Logit, "probit": sm.families.links.Probit, "cloglog": sm.families.links.CLogLog,
}  # fmt: skip


def world(n: int = 500, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.normal(50, 9, n), rng.random(n) < 0.3, 1e4 * rng.gamma(2, 1, n)]).astype(float)
    return X, rng.random(n) < expit(-3 + 0.04 * X[:, 0] + 0.7 * X[:, 1] - 3e-5 * X[:, 2])


@pytest.mark.parametrize("link", LINKS)
def test_estimates_and_errors_are_those_of_statsmodels(link: Link) -> None:
    X, t = world()
    fit = fit_yes_no(X, t, link)
    family = sm.families.Binomial(FAMILIES[link]())
    theirs = sm.GLM(t.astype(float), sm.add_constant(X), family=family).fit(tol=1e-14, maxiter=500)
    # Scoring as statsmodels does it converges linearly for links other than the logit: 1e-7 is what it reaches.
    np.testing.assert_allclose(fit.coefficients, theirs.params, rtol=1e-7)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance)), theirs.bse, rtol=1e-6)
    assert fit.converged
    assert fit.gradient <= 1e-10
    Z = Standardized.of(X).Z
    np.testing.assert_allclose(Z @ fit.score / t.size, 0, atol=1e-10)


@pytest.mark.parametrize("link", LINKS)
def test_score_and_curvature_are_derivatives(link: Link) -> None:
    line = np.linspace(-4, 2, 13)
    for t in (np.zeros(13), np.ones(13)):
        _, score, curvature = _TERMS[link](t, line)
        h = 1e-5
        values = [[_TERMS[link](t[:1], np.array([x + d]))[0] for x in line] for d in (-h, h)]
        slopes = [_TERMS[link](t, line + d)[1] for d in (-h, h)]
        # Central differences of step 1e-5 are good to about 1e-10 relative to the third derivative.
        np.testing.assert_allclose((np.array(values[1]) - values[0]) / (2 * h), score, atol=1e-8)
        np.testing.assert_allclose((slopes[1] - slopes[0]) / (2 * h), -curvature, atol=1e-8)


@pytest.mark.parametrize("link", LINKS)
def test_far_away_the_terms_stay_finite(link: Link) -> None:
    line = np.array([-60.0, -30.0, 30.0])
    for t in (np.zeros(3), np.ones(3)):
        assert all(np.isfinite(part).all() for part in _TERMS[link](t, line))


@pytest.mark.parametrize("link", LINKS)
def test_shift_scale_and_order_change_nothing(link: Link) -> None:
    X, t = world()
    base = fit_yes_no(X, t, link).probability
    moved = fit_yes_no(1e5 * (X + 1e4), t, link).probability
    order = np.random.default_rng(0).permutation(t.size)
    # A shift of 1e4 standard deviations costs four digits of the covariates.
    np.testing.assert_allclose(moved, base, rtol=1e-9)
    np.testing.assert_allclose(fit_yes_no(X[order], t[order], link).probability, base[order], rtol=1e-11)


def test_many_rows_reach_the_same_answer_as_repeated_few() -> None:
    """The first guess from part of the rows changes nothing."""
    X, t = world(300)
    few = fit_yes_no(X, t)
    many = fit_yes_no(np.tile(X, (200, 1)), np.tile(t, 200))
    assert many.converged
    np.testing.assert_allclose(many.coefficients, few.coefficients, rtol=1e-9)


@pytest.mark.parametrize("link", LINKS)
def test_separation_does_not_converge(link: Link) -> None:
    X, t = world()
    X[:, 0] += np.where(t, 100, 0)
    assert not fit_yes_no(X, t, link).converged
    quasi = np.column_stack([X[:, 1:2] * t[:, None], X[:, 2]])
    assert not fit_yes_no(quasi, t, link).converged


def test_firth_is_half_added_to_each_cell_of_a_table() -> None:
    x = np.repeat([0.0, 0, 1, 1], [7, 3, 9, 0])[:, None]
    t = np.repeat([False, True, False, True], [7, 3, 9, 0])
    fit = fit_firth(x, t)
    assert fit.converged
    np.testing.assert_allclose(fit.coefficients[0], np.log(3.5 / 7.5), rtol=1e-8)
    np.testing.assert_allclose(fit.coefficients.sum(), np.log(0.5 / 9.5), rtol=1e-8)


def test_firth_is_the_maximum_of_the_penalized_likelihood() -> None:
    X, t = world(80)
    X[:, 0] += np.where(t, 100, 0)
    fit = fit_firth(X, t)
    Z = Standardized.of(X).Z.T

    def value(b: np.ndarray) -> float:
        p = expit(Z @ b)
        information = (Z * (p * (1 - p))[:, None]).T @ Z
        return -float(t @ (Z @ b) - np.logaddexp(0, Z @ b).sum() + 0.5 * np.linalg.slogdet(information)[1])

    best = optimize.minimize(value, np.zeros(4), method="BFGS", options={"gtol": 1e-7})
    assert fit.converged
    assert ((fit.probability > 0) & (fit.probability < 1)).all()
    # BFGS with numerical gradients is good to about 1e-5.
    np.testing.assert_allclose(fit.probability, expit(Z @ best.x), atol=1e-5)
    assert -fit.log_likelihood <= best.fun + 1e-9
