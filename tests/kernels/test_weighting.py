"""Weights by brute force, and their errors against stacked estimating equations differentiated numerically."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import optimize
from scipy.special import expit

from evaltoolkit.kernels.arm_models import Family, fit_arm, standardize
from evaltoolkit.kernels.augmented import augmented_means, cross_fitted, predictions
from evaltoolkit.kernels.balancing import balancing_score, entropy_weights, unmet
from evaltoolkit.kernels.energy import energy_weights
from evaltoolkit.kernels.propensity import density, fit_yes_no
from evaltoolkit.kernels.score_weights import (
    Equations,
    Estimand,
    EstimatedWeights,
    score_weights,
    share_of,
    stabilized,
    truncated,
)
from evaltoolkit.kernels.standardized import Standardized
from evaltoolkit.kernels.weighted_means import Means, leverages, regression_means, weighted_means

ESTIMANDS: tuple[Estimand, ...] = ("ATT", "ATC", "ATE", "ATO", "ATM")


def world(n: int = 240, seed: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.normal(15, 2, n), rng.random(n) < 0.4]).astype(float)
    t = rng.random(n) < expit(-0.5 + 0.3 * (X[:, 0] - 15) + 0.6 * X[:, 1])
    y = 2 + 1.5 * t + 0.4 * X[:, 0] + X[:, 1] * (1 + t) + rng.normal(size=n)
    return X, t, y


def by_score(X: np.ndarray, t: np.ndarray, estimand: Estimand) -> EstimatedWeights:
    fit = fit_yes_no(X, t)
    w, slope = score_weights(fit.probability, t, estimand)
    slope = slope * density(fit.line, fit.probability, "logit")
    part = Equations(fit.score, fit.curvature, slope)
    return EstimatedWeights(w, share_of(t, estimand, w), estimand in ("ATO", "ATM"), Standardized.of(X), (part,))


def weights_at(Z: np.ndarray, t: np.ndarray, b: np.ndarray, estimand: Estimand) -> np.ndarray:
    p = expit(Z @ b)
    h = {"ATE": np.ones_like(p), "ATT": p, "ATC": 1 - p, "ATO": p * (1 - p), "ATM": np.minimum(p, 1 - p)}[estimand]
    return np.where(t, h / p, h / (1 - p))


def sandwich(psi: Callable[[np.ndarray], np.ndarray], theta: np.ndarray, contrast: np.ndarray) -> float:
    """Standard error of a contrast from the equations alone: the twin of the closed forms."""
    at = psi(theta)
    assert np.abs(at.mean(axis=0)).max() < 1e-7
    n, columns = len(at), []
    for j in range(theta.size):
        h = 1e-5 * max(1.0, abs(theta[j]))
        up, down = theta.copy(), theta.copy()
        up[j] += h
        down[j] -= h
        columns.append((psi(up).mean(axis=0) - psi(down).mean(axis=0)) / (2 * h))
    bread = np.linalg.inv(np.column_stack(columns))
    v = bread @ (at.T @ at / n) @ bread.T / n
    return float(np.sqrt(contrast @ v @ contrast))


def error(means: Means) -> float:
    v = means.covariance()
    return float(np.sqrt(v[0, 0] + v[1, 1] - 2 * v[0, 1]))


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_weighted_means_have_the_errors_of_stacked_equations(estimand: Estimand) -> None:
    X, t, y = world()
    found = by_score(X, t, estimand)
    means = weighted_means(y, t, found)
    Z = np.column_stack([np.ones(t.size), X])

    def psi(theta: np.ndarray) -> np.ndarray:
        b, m0, m1 = theta[:3], theta[3], theta[4]
        w = weights_at(Z, t, b, estimand)
        return np.column_stack([(t - expit(Z @ b))[:, None] * Z, (1 - t) * w * (y - m0), t * w * (y - m1)])

    theta = np.concatenate([fit_yes_no(X, t).coefficients, means.means])
    # Central differences: about 1e-7 relative. ATM's weights bend where p = 1/2, which no person of this world meets.
    assert error(means) == pytest.approx(sandwich(psi, theta, np.array([0, 0, 0, -1, 1.0])), rel=1e-5)


@pytest.mark.parametrize("estimand", ESTIMANDS)
@pytest.mark.parametrize("family", ["gaussian", "binomial", "poisson"])
def test_regression_means_have_the_errors_of_stacked_equations(estimand: Estimand, family: Family) -> None:
    X, t, y = world()
    outcome = {"gaussian": y, "binomial": (y > 10) * 1.0, "poisson": np.floor(np.clip(y, 0, None))}[family]
    found = by_score(X, t, estimand)
    rows = Standardized.of(X)
    means = regression_means(outcome, t, found, rows, family)
    Z = rows.Z.T
    link = {"gaussian": lambda x: x, "binomial": expit, "poisson": np.exp}[family]

    def psi(theta: np.ndarray) -> np.ndarray:
        b, b0, b1, m0, m1 = theta[:3], theta[3:6], theta[6:9], theta[9], theta[10]
        w = weights_at(Z, t, b, estimand)
        s = {"ATE": np.ones(t.size), "ATT": t * 1.0, "ATC": 1.0 - t}.get(estimand, w)
        g0, g1 = link(Z @ b0), link(Z @ b1)
        return np.column_stack([
            (t - expit(Z @ b))[:, None] * Z, ((1 - t) * w * (outcome - g0))[:, None] * Z,
            (t * w * (outcome - g1))[:, None] * Z, s * (g0 - m0), s * (g1 - m1),
        ])  # fmt: skip

    models = [fit_arm(rows, outcome, arm * found.weights, family).b for arm in (~t, t)]
    fit = fit_yes_no(X, t)
    b = np.linalg.solve(rows.back(), fit.coefficients)
    theta = np.concatenate([b, *models, means.means])
    contrast = np.concatenate([np.zeros(9), [-1, 1]])
    assert means.converged
    assert error(means) == pytest.approx(sandwich(psi, theta, contrast), rel=1e-5)


@pytest.mark.parametrize("estimand", ["ATT", "ATC", "ATE"])
def test_entropy_weights_have_the_errors_of_stacked_equations(estimand: Estimand) -> None:
    X, t, y = world()
    balanced = entropy_weights(X, t, estimand)
    means = weighted_means(y, t, balanced.found)
    rows = Standardized.of(X)
    Z = rows.Z.T
    meant = {"ATT": t * 1.0, "ATC": 1.0 - t, "ATE": np.ones(t.size)}[estimand]

    def psi(theta: np.ndarray) -> np.ndarray:
        # Tilts of the others and of the treated; a group that is not weighted keeps weight one.
        w0 = (1 - t) * (np.exp(Z @ theta[:3]) if estimand != "ATC" else 1.0)
        w1 = t * (np.exp(Z @ theta[3:6]) if estimand != "ATT" else 1.0)
        tilt0 = (w0 - meant)[:, None] * Z if estimand != "ATC" else np.tile(theta[:3], (t.size, 1))
        tilt1 = (w1 - meant)[:, None] * Z if estimand != "ATT" else np.tile(theta[3:6], (t.size, 1))
        return np.column_stack([tilt0, tilt1, w0 * (y - theta[6]), w1 * (y - theta[7])])

    def tilt(group: np.ndarray) -> np.ndarray:
        w = balanced.found.weights[group] * meant.sum() / group.sum()
        return np.linalg.lstsq(Z[group], np.log(w), rcond=None)[0]

    b0 = tilt(~t) if estimand != "ATC" else np.zeros(3)
    b1 = tilt(t) if estimand != "ATT" else np.zeros(3)
    theta = np.concatenate([b0, b1, means.means])
    contrast = np.concatenate([np.zeros(6), [-1, 1]])
    assert error(means) == pytest.approx(sandwich(psi, theta, contrast), rel=1e-5)
    assert balanced.imbalance < 1e-10


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_slopes_of_the_weights_are_derivatives(estimand: Estimand) -> None:
    p = np.array([0.1, 0.3, 0.49, 0.7, 0.9])
    for t in (np.zeros(5, dtype=bool), np.ones(5, dtype=bool)):
        up, down = (score_weights(p + d, t, estimand)[0] for d in (1e-6, -1e-6))
        np.testing.assert_allclose((up - down) / 2e-6, score_weights(p, t, estimand)[1], rtol=1e-6, atol=1e-7)


def test_entropy_weights_are_the_least_divergent_of_all_that_balance() -> None:
    X, t, _ = world(60)
    w = entropy_weights(X, t, "ATT").found.weights[~t]
    v, target, Z = w / w.sum(), X[t].mean(axis=0), X[~t]
    conditions = [
        {"type": "eq", "fun": lambda u: u.sum() - 1},
        {"type": "eq", "fun": lambda u: (u @ Z - target) / Z.std(axis=0)},
    ]
    best = optimize.minimize(
        lambda u: float(np.sum(u * np.log(u))), np.full(len(v), 1 / len(v)), jac=lambda u: np.log(u) + 1,
        bounds=[(1e-9, 1)] * len(v), constraints=conditions, method="SLSQP", options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    # The general solver stops at about 1e-6 in the weights.
    np.testing.assert_allclose(v, best.x, atol=1e-5)
    np.testing.assert_allclose(v @ Z, target, rtol=1e-11)


@pytest.mark.parametrize("estimand", ["ATT", "ATC", "ATE", "ATO"])
def test_the_balancing_score_balances_and_is_the_only_root(estimand: Estimand) -> None:
    X, t, _ = world()
    found = balancing_score(X, t, estimand)
    Z = Standardized.of(X).Z.T
    w = found.found.weights
    np.testing.assert_allclose(np.where(t, w, -w) @ Z / t.size, 0, atol=1e-10)
    root = optimize.root(
        lambda b: np.where(t, 1, -1) * weights_at(Z, t, b, estimand) @ Z / t.size, np.zeros(3), tol=1e-12
    )
    np.testing.assert_allclose(found.probability, expit(Z @ root.x), rtol=1e-8)
    np.testing.assert_allclose(w, weights_at(Z, t, root.x, estimand), rtol=1e-7)


def test_means_that_cannot_be_met_are_named() -> None:
    X, t, _ = world()
    X[:, 0] += np.where(t, 40, 0)
    assert not entropy_weights(X, t, "ATT").converged
    assert unmet(X, ~t, t) == (0,)
    assert unmet(world()[0], ~t, t) == ()


@pytest.mark.parametrize("estimand", ["ATT", "ATC", "ATE"])
def test_energy_weights_are_the_least_of_their_programme(estimand: Estimand) -> None:
    X, t, _ = world(40)
    found = energy_weights(X, t, estimand)
    assert found.converged
    Z = X / X.std(axis=0, ddof=1)
    D = np.sqrt(((Z[:, None] - Z[None]) ** 2).sum(axis=2))
    everybody = np.full(t.size, 1 / t.size)
    v1, v0 = t / t.sum(), (~t) / (~t).sum()

    def between(a: np.ndarray, b: np.ndarray) -> float:
        return float(2 * a @ D @ b - a @ D @ a - b @ D @ b)

    def value(w: np.ndarray) -> float:
        one = w * t / t.sum() if estimand != "ATT" else v1
        other = w * ~t / (~t).sum() if estimand != "ATC" else v0
        ridge = 1e-4 * float((one**2).sum() * (estimand != "ATT") + (other**2).sum() * (estimand != "ATC"))
        if estimand == "ATE":
            return between(one, everybody) + between(other, everybody) + between(one, other) + ridge
        return between(one, other) + ridge

    conditions = [{"type": "eq", "fun": lambda w, g=g: w[g].mean() - 1} for g in (t, ~t)]
    best = optimize.minimize(
        value, np.ones(t.size), bounds=[(0, None)] * t.size, constraints=conditions, method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 400},
    )  # fmt: skip
    # The general solver with numerical gradients comes to within about 1e-7 of the least value, never below it.
    assert value(found.weights) <= best.fun + 1e-10
    assert value(found.weights) == pytest.approx(best.fun, abs=1e-5)
    assert found.weights[t].mean() == pytest.approx(1, abs=1e-9)
    assert (found.weights >= 0).all()


def test_energy_weights_near_the_treated_in_every_way() -> None:
    X, t, _ = world(200)
    found = energy_weights(X, t, "ATT")
    assert found.distance < 0.3 * found.unweighted


@pytest.mark.parametrize("family", ["gaussian", "binomial", "poisson"])
def test_arm_models_are_those_of_statsmodels(family: Family) -> None:
    X, t, y = world()
    w = np.where(t, 1.0 + X[:, 1], 0.0)
    outcome = {"gaussian": y, "binomial": (y > 10) * 1.0, "poisson": np.floor(np.clip(y, 0, None))}[family]
    rows = Standardized.of(X)
    model = fit_arm(rows, outcome, w, family)
    theirs = {"gaussian": sm.families.Gaussian, "binomial": sm.families.Binomial, "poisson": sm.families.Poisson}
    fit = sm.GLM(outcome[t], sm.add_constant(X[t]), family=theirs[family](), freq_weights=w[t]).fit(tol=1e-13)
    np.testing.assert_allclose(rows.back() @ model.b, fit.params, rtol=1e-8)
    assert model.leverage(rows, w)[t].sum() == pytest.approx(3, abs=1e-9)


def test_a_column_without_variation_in_the_group_is_left_out() -> None:
    X, t, y = world()
    X[t, 1] = 1.0
    rows = Standardized.of(X)
    model = fit_arm(rows, y, t * 1.0)
    assert model.aliased.tolist() == [2]
    alone = Standardized.of(X[:, :1])
    np.testing.assert_allclose(model.mean[t], fit_arm(alone, y, t * 1.0).mean[t], rtol=1e-10)
    assert standardize(rows, model, np.ones(t.size)).mean == pytest.approx(model.mean.mean())


@pytest.mark.parametrize("estimand", ["ATT", "ATC", "ATE"])
def test_doubly_robust_means_by_hand(estimand: Estimand) -> None:
    X, t, y = world()
    rows = Standardized.of(X)
    p = fit_yes_no(X, t).probability
    nuisance = predictions(rows, y, t, p, "gaussian")
    means = augmented_means(y, t, nuisance, estimand)
    m0, m1 = nuisance.untreated, nuisance.treated
    rows_of = {"ATE": range(t.size), "ATT": np.flatnonzero(t), "ATC": np.flatnonzero(~t)}[estimand]
    total = 0.0
    for i in range(t.size):
        total += (m1[i] - m0[i]) * (i in set(rows_of))
        h = {"ATE": 1.0, "ATT": p[i], "ATC": 1 - p[i]}[estimand]
        total += h / p[i] * (y[i] - m1[i]) if t[i] else -h / (1 - p[i]) * (y[i] - m0[i])
    assert means.difference == pytest.approx(total / len(rows_of), rel=1e-10)
    assert abs(means.influence.mean(axis=1)).max() < 1e-10


def test_cross_fitting_predicts_each_fold_from_the_others() -> None:
    X, t, y = world()

    def score(of: np.ndarray, chosen: np.ndarray, at: np.ndarray) -> np.ndarray:
        b = fit_yes_no(of, chosen).coefficients
        return expit(b[0] + at @ b[1:])

    found = cross_fitted(X, y, t, score, "gaussian", folds=5, seed=7)
    again = cross_fitted(X, y, t, score, "gaussian", folds=5, seed=7)
    assert found is not None
    assert again is not None
    np.testing.assert_array_equal(found.probability, again.probability)
    # Somebody's own outcome has no part in what is predicted for them.
    changed = y.copy()
    changed[3] += 100
    other = cross_fitted(X, changed, t, score, "gaussian", folds=5, seed=7)
    assert other is not None
    assert other.treated[3] == found.treated[3]
    assert other.untreated[3] == found.untreated[3]
    assert not np.array_equal(other.treated, found.treated) or not np.array_equal(other.untreated, found.untreated)


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_size_of_weights_changes_no_estimate_and_no_error(estimand: Estimand) -> None:
    X, t, y = world()
    found = by_score(X, t, estimand)
    one, two = weighted_means(y, t, found), weighted_means(y, t, stabilized(found, t))
    assert two.difference == pytest.approx(one.difference, rel=1e-12)
    assert error(two) == pytest.approx(error(one), rel=1e-12)


def test_truncation_moves_the_largest_weights_only() -> None:
    X, t, y = world()
    found = by_score(X, t, "ATE")
    cut = truncated(found, t, 0.9)
    assert cut.weights.max() < found.weights.max()
    assert (cut.weights > 0).all()
    assert (cut.equations[0].slope[cut.weights < found.weights] == 0).all()
    assert weighted_means(y, t, cut).difference != weighted_means(y, t, found).difference


def test_leverages_are_those_of_weighted_regression() -> None:
    X, t, _ = world(80)
    found = by_score(X, t, "ATE")
    Z = np.column_stack([np.ones(t.size), X])
    mine = leverages(Standardized.of(X), t, found.weights)
    for arm in (t, ~t):
        root = np.sqrt(found.weights[arm])[:, None]
        hat = (root * Z[arm]) @ np.linalg.pinv(root * Z[arm])
        np.testing.assert_allclose(mine[arm], np.minimum(np.diag(hat), 0.95), atol=1e-10)


def test_clusters_of_one_are_no_clusters_up_to_their_factor() -> None:
    X, t, y = world()
    means = weighted_means(y, t, by_score(X, t, "ATE"))
    n = t.size
    np.testing.assert_allclose(means.covariance(np.arange(n)), means.covariance() * n / (n - 1), rtol=1e-12)
    doubled = means.covariance(np.arange(n) // 2)
    assert (np.diag(doubled) > 0).all()
