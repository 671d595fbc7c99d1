"""Scores, weights, effects and their errors against R's glm and WeightIt 1.4.0, and doubly robust means, on lalonde.

The reference file states for every entry the R call that made it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaltoolkit.kernels.augmented import augmented_means, predictions
from evaltoolkit.kernels.balance import effective_size
from evaltoolkit.kernels.balancing import balancing_score, entropy_weights
from evaltoolkit.kernels.propensity import density, fit_yes_no
from evaltoolkit.kernels.score_weights import Equations, EstimatedWeights, score_weights, share_of
from evaltoolkit.kernels.standardized import Standardized
from evaltoolkit.kernels.weighted_means import Means, weighted_means

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "matching_golden.json").exists(), reason="reference values are not here")

# R's glm stops when the deviance changes by less than 1e-8 of itself, which leaves its coefficients right to about
# 1e-8 and its errors, taken from the step before, to 5e-5.
COEFFICIENTS, ERRORS, CLOSE = 2e-8, 1e-4, 5e-8


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((FOLDER / "matching_golden.json").read_text())
    return read


@pytest.fixture(scope="module")
def lalonde() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    d = pd.read_csv(FOLDER / "lalonde.csv")
    columns = [d["age"], d["educ"], d["race"] == "hispan", d["race"] == "white", d["married"], d["nodegree"]]
    X = np.column_stack([*columns, d["re74"], d["re75"]]).astype(float)
    return X, d["treat"].to_numpy() == 1, d["re78"].to_numpy(dtype=float)


def error(means: Means) -> float:
    v = means.covariance()
    return float(np.sqrt(v[0, 0] + v[1, 1] - 2 * v[0, 1]))


def by_score(X: np.ndarray, t: np.ndarray, estimand: Any) -> EstimatedWeights:
    fit = fit_yes_no(X, t)
    w, slope = score_weights(fit.probability, t, estimand)
    part = Equations(fit.score, fit.curvature, slope * density(fit.line, fit.probability, "logit"))
    return EstimatedWeights(w, share_of(t, estimand, w), estimand == "ATO", Standardized.of(X), (part,))


def test_the_logit_is_that_of_glm(golden: dict[str, Any], lalonde: Any) -> None:
    X, t, _ = lalonde
    fit, reference = fit_yes_no(X, t), golden["ps_logit"]
    np.testing.assert_allclose(fit.coefficients, list(reference["coef"].values()), rtol=COEFFICIENTS)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance)), list(reference["se"].values()), rtol=ERRORS)
    np.testing.assert_allclose(fit.probability, reference["ps"], rtol=CLOSE)
    assert fit.log_likelihood == pytest.approx(reference["loglik"], rel=1e-12)
    assert fit.gradient < 1e-10


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATO"])
def test_weights_effects_and_errors_are_those_of_weightit(golden: dict[str, Any], lalonde: Any, estimand: Any) -> None:
    X, t, y = lalonde
    found, reference = by_score(X, t, estimand), golden["weighting"][estimand]
    means = weighted_means(y, t, found)
    np.testing.assert_allclose(found.weights, reference["weights"], rtol=CLOSE)
    assert means.difference == pytest.approx(reference["estimate"], rel=CLOSE)
    assert error(means) == pytest.approx(reference["se_mestimation"], rel=CLOSE)
    assert effective_size(found.weights[t]) == pytest.approx(reference["ess"]["treated"], rel=CLOSE)
    assert effective_size(found.weights[~t]) == pytest.approx(reference["ess"]["control"], rel=CLOSE)
    given = EstimatedWeights(found.weights, found.share)
    assert error(weighted_means(y, t, given)) == pytest.approx(reference["se_robust_fixed_HC0"], rel=CLOSE)


def test_entropy_balancing_reaches_the_exact_dual(golden: dict[str, Any], lalonde: Any) -> None:
    X, t, y = lalonde
    balanced, reference = entropy_weights(X, t, "ATT"), golden["weighting"]
    exact = weighted_means(y, t, balanced.found)
    assert balanced.imbalance < 1e-10
    assert exact.difference == pytest.approx(reference["ebal_ATT_exact"]["estimate"], rel=1e-10)
    # WeightIt stops at an imbalance of 1e-5.
    np.testing.assert_allclose(balanced.found.weights, reference["ebal_ATT"]["weights"], rtol=2e-4)
    assert exact.difference == pytest.approx(reference["ebal_ATT"]["estimate"], rel=2e-5)


def test_the_error_of_entropy_balancing_with_and_without_the_means_to_be_met(
    golden: dict[str, Any], lalonde: Any
) -> None:
    """WeightIt takes the means of the treated as known. They are estimated too: then it is the error of CBPS."""
    X, t, y = lalonde
    found = entropy_weights(X, t, "ATT").found
    reference = golden["weighting"]
    assert error(weighted_means(y, t, found)) == pytest.approx(reference["cbps_ATT"]["se_mestimation"], rel=2e-5)
    w = np.where(t, 0.0, found.weights)
    Z = (X - X[t].mean(axis=0)) / X.std(axis=0)
    m1, m0 = y[t].mean(), float(np.average(y, weights=w))
    pull = np.linalg.solve((Z * w[:, None]).T @ Z, Z.T @ (w * (y - m0)))
    phi = t * (y - m1) / t.sum() - w * (y - m0 - Z @ pull) / w.sum()
    assert float(np.sqrt(phi @ phi)) == pytest.approx(reference["ebal_ATT"]["se_mestimation"], rel=1e-5)


def test_the_balancing_score_is_that_of_weightit(golden: dict[str, Any], lalonde: Any) -> None:
    X, t, y = lalonde
    balanced, reference = balancing_score(X, t, "ATT"), golden["weighting"]["cbps_ATT"]
    # WeightIt stops early here as well: 1e-4 in the scores, and 4e-5 in the effect.
    np.testing.assert_allclose(balanced.probability, reference["ps"], atol=2e-4)
    means = weighted_means(y, t, balanced.found)
    assert means.difference == pytest.approx(reference["estimate"], rel=5e-5)
    assert error(means) == pytest.approx(reference["se_mestimation"], rel=2e-5)


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_doubly_robust_effects_by_hand_in_r(golden: dict[str, Any], lalonde: Any, estimand: Any) -> None:
    X, t, y = lalonde
    nuisance = predictions(Standardized.of(X), y, t, fit_yes_no(X, t).probability, "gaussian")
    means = augmented_means(y, t, nuisance, estimand)
    assert means.difference == pytest.approx(golden["aipw"][estimand]["estimate"], rel=CLOSE)
    assert error(means) == pytest.approx(golden["aipw"][estimand]["se_if"], rel=CLOSE)
