"""Augmented inverse-probability weighting: doubly robust means, with cross-fitting as an option."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.arm_models import Family, fit_arm
from evaltoolkit.kernels.standardized import Standardized
from evaltoolkit.kernels.weighted_means import Means

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]
Estimand = Literal["ATT", "ATC", "ATE"]

# From the covariates and treatment of those it is fitted on and the covariates of all: probabilities of all, or None
# where no fit exists.
Scorer = Callable[[FloatArray, Mask, FloatArray], FloatArray | None]


@dataclass(frozen=True, slots=True)
class Nuisance:
    """Predictions for n people: their score, and their outcome without and with the program.

    Attributes
    ----------
    probability
        Shape (n,).
    untreated, treated
        Predicted outcomes, shape (n,).
    aliased
        Covariate columns left out of an outcome model.
    converged
        Whether every model reached an estimate.
    """

    probability: FloatArray
    untreated: FloatArray
    treated: FloatArray
    aliased: tuple[int, ...] = ()
    converged: bool = True


def predictions(
    rows: Standardized, outcome: FloatArray, treated: Mask, probability: FloatArray, family: Family
) -> Nuisance:
    """Fit the outcome in each group and predict it for everybody, beside a score that is given.

    Parameters
    ----------
    rows
        Covariates of n people.
    outcome, treated, probability
        Shape (n,).
    family
        Of the outcome models.

    Returns
    -------
    Nuisance

    Examples
    --------
    >>> rows, t = Standardized.of(np.array([[0.0], [1], [0], [2]])), np.array([True, True, False, False])
    >>> predictions(rows, np.array([1.0, 2, 0, 4]), t, np.full(4, 0.5), "gaussian").treated.round(9).tolist()
    [1.0, 2.0, 1.0, 3.0]
    """
    models = [fit_arm(rows, outcome, arm.astype(np.float64), family) for arm in (~treated, treated)]
    left = {int(j) - 1 for model in models for j in model.aliased if j > 0}
    return Nuisance(
        probability, models[0].mean, models[1].mean, tuple(sorted(left)), all(model.converged for model in models)
    )


def augmented_means(outcome: FloatArray, treated: Mask, nuisance: Nuisance, estimand: Estimand) -> Means:
    r"""Doubly robust means, right where the score or the outcome models are.

    For ATE :math:`\mu_1 = \frac1n \sum_i m_1(x_i) + t_i \{y_i - m_1(x_i)\}/p_i`, and :math:`\mu_0` alike. For ATT
    :math:`\mu_1` is the mean of the treated and
    :math:`\mu_0 = \frac{1}{n_1} \sum_i t_i m_0(x_i) + (1 - t_i) \frac{p_i}{1 - p_i} \{y_i - m_0(x_i)\}`.
    ATC mirrors it. Influence functions treat score and models as given, which is right to first order where both are.

    Parameters
    ----------
    outcome, treated
        Shape (n,).
    nuisance
        The score and predicted outcomes.
    estimand
        Whose effect.

    Returns
    -------
    Means

    References
    ----------
    Robins, J., Rotnitzky, A. and Zhao, L. (1994). Estimation of regression coefficients when some regressors are not
    always observed. Journal of the American Statistical Association 89. doi:10.1080/01621459.1994.10476818
    Glynn, A. and Quinn, K. (2010). An introduction to the augmented inverse propensity weighted estimator. Political
    Analysis 18. doi:10.1093/pan/mpp036

    Examples
    --------
    >>> y, t = np.array([3.0, 5, 1, 2]), np.array([True, True, False, False])
    >>> n = Nuisance(np.full(4, 0.5), np.full(4, 1.5), np.full(4, 4.0))
    >>> augmented_means(y, t, n, "ATE").means.tolist(), augmented_means(y, t, n, "ATT").difference
    ([1.5, 4.0], 2.5)
    """
    t, p = treated.astype(np.float64), nuisance.probability
    # Predictions and weighted residuals of each group, and who is meant.
    if estimand == "ATE":
        meant = np.ones_like(t)
        parts = (
            nuisance.untreated + (1 - t) * (outcome - nuisance.untreated) / (1 - p),
            nuisance.treated + t * (outcome - nuisance.treated) / p,
        )
    elif estimand == "ATT":
        meant = t
        parts = (t * nuisance.untreated + (1 - t) * p / (1 - p) * (outcome - nuisance.untreated), t * outcome)
    else:
        meant = 1 - t
        parts = ((1 - t) * outcome, (1 - t) * nuisance.treated + t * (1 - p) / p * (outcome - nuisance.treated))
    share = float(meant.mean())
    means = np.array([float(part.mean()) for part in parts]) / share
    influence = np.stack([(part - meant * mean) / share for part, mean in zip(parts, means, strict=True)])
    return Means(means, influence, nuisance.aliased, nuisance.converged)


def cross_fitted(
    X: FloatArray, outcome: FloatArray, treated: Mask, score: Scorer, family: Family, *, folds: int, seed: int
) -> Nuisance | None:
    """Predict everybody from models fitted on the other folds; folds keep the shares of both groups.

    Parameters
    ----------
    X
        Covariates, shape (n, k).
    outcome, treated
        Shape (n,).
    score
        Fits the score on some and predicts it for others.
    family
        Of the outcome models.
    folds
        Number of folds, 2 or more.
    seed
        Of the random folds.

    Returns
    -------
    Nuisance or None
        None where the score does not exist in some fold.

    References
    ----------
    Chernozhukov, V. et al. (2018). Double/debiased machine learning for treatment and structural parameters. The
    Econometrics Journal 21. doi:10.1111/ectj.12097

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(size=(40, 1)); t = np.arange(40) % 2 == 0
    >>> half = lambda X, t, Z: np.full(len(Z), 0.5)
    >>> found = cross_fitted(x, x[:, 0] + t, t, half, "gaussian", folds=4, seed=1)
    >>> bool(np.allclose(found.treated - found.untreated, 1))
    True
    """
    fold = _folds(treated, folds, seed)
    n = treated.size
    p, one, zero = np.empty(n), np.empty(n), np.empty(n)
    aliased: set[int] = set()
    converged = True
    rows = Standardized.of(X)
    for k in range(folds):
        here, there = fold == k, fold != k
        given = score(X[there], treated[there], X[here])
        if given is None:
            return None
        # Weights of zero keep a fold out of the models that predict it.
        models = [fit_arm(rows, outcome, (arm & there).astype(np.float64), family) for arm in (~treated, treated)]
        p[here], zero[here], one[here] = given, models[0].mean[here], models[1].mean[here]
        aliased |= {int(j) - 1 for model in models for j in model.aliased if j > 0}
        converged = converged and all(model.converged for model in models)
    return Nuisance(p, zero, one, tuple(sorted(aliased)), converged)


def _folds(treated: Mask, folds: int, seed: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    fold = np.empty(treated.size, dtype=np.int64)
    for group in (treated, ~treated):
        fold[group] = rng.permutation(int(group.sum())) % folds
    return fold


def averaged(found: list[Means]) -> Means:
    """Average repetitions with other folds, estimates and influence functions alike.

    >>> one = Means(np.array([1.0, 2.0]), np.zeros((2, 3)))
    >>> averaged([one, Means(np.array([3.0, 4.0]), np.ones((2, 3)))]).means.tolist()
    [2.0, 3.0]
    """
    return Means(
        np.mean([m.means for m in found], axis=0),
        np.mean([m.influence for m in found], axis=0),
        tuple(sorted({j for m in found for j in m.aliased})),
        all(m.converged for m in found),
    )
