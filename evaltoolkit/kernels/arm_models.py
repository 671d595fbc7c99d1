"""Outcome models of one group, and means of their predictions over other people, with influence functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.special import expit

from evaltoolkit.kernels.standardized import Loss, Standardized, minimize

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Family = Literal["gaussian", "binomial", "poisson"]

# Share of a column's weighted square left, after the columns before it, below which it is aliased: 1e-5 of its length.
_ALIASED = 1e-10
# A linear predictor beyond this means that the outcome is told apart by covariates within the group.
_FAR = 30.0


@dataclass(frozen=True, slots=True)
class ArmModel:
    """A weighted outcome model of one group: mean of y = g(z'b), g the identity, the logistic or the exponential.

    Attributes
    ----------
    b
        Coefficients of the standardized covariates, the intercept first, 0 where aliased, shape (k + 1,).
    kept
        Indices of the coefficients that are estimated, shape (r,).
    mean, slope
        Predictions for all n people, and their slope in z'b, shape (n,).
    score
        w_i (y_i - mean_i) of the group's people, 0 for others, shape (n,).
    bread
        Inverse of the mean of w_i slope_i z_i z_i' over all n people, for the kept columns, shape (r, r).
    converged
        Whether an estimate was reached.
    """

    b: FloatArray
    kept: IntArray
    mean: FloatArray
    slope: FloatArray
    score: FloatArray
    bread: FloatArray
    converged: bool

    @property
    def aliased(self) -> IntArray:
        """Indices of coefficients that could not be estimated."""
        return np.setdiff1d(np.arange(self.b.size), self.kept)

    def leverage(self, rows: Standardized, weights: FloatArray) -> FloatArray:
        """Return how much each person of the group pulls the fit to itself, shape (n,): 0 to 1 within the group."""
        Z = rows.Z[self.kept]
        found: FloatArray = weights * self.slope * np.einsum("ij,ij->j", self.bread @ Z, Z) / rows.n
        return found


def fit_arm(rows: Standardized, outcome: FloatArray, weights: FloatArray, family: Family = "gaussian") -> ArmModel:
    r"""Fit the outcome of those with weight above zero: :math:`\sum_i w_i \{y_i - g(z_i'b)\} z_i = 0`.

    Parameters
    ----------
    rows
        Covariates of n people.
    outcome, weights
        Shape (n,); weight 0 for the other group.
    family
        gaussian (identity), binomial (logistic) or poisson (exponential), the canonical links.

    Returns
    -------
    ArmModel

    References
    ----------
    McCullagh, P. and Nelder, J. (1989). Generalized Linear Models, 2nd ed. doi:10.1201/9780203753736

    Examples
    --------
    >>> rows = Standardized.of(np.array([[0.0], [1], [2], [3]]))
    >>> fit_arm(rows, np.array([1.0, 3, 5, 0]), np.array([1.0, 1, 1, 0])).mean.round(9).tolist()
    [1.0, 3.0, 5.0, 7.0]
    """
    kept = independent(rows.gram(weights))
    part = (
        Standardized(np.ascontiguousarray(rows.Z[kept]), rows.center, rows.spread) if kept.size < len(rows.Z) else rows
    )
    if family == "gaussian":
        b, converged = _least_squares(part, outcome, weights), True
    else:
        least = minimize(part, _loss(outcome, weights, family))
        b, converged = least.b, least.converged
    line = part.line(b)
    mean, slope = _prediction(line, family)
    used = weights > 0
    score = np.where(used, weights * (outcome - mean), 0.0)
    gram = part.gram(weights * slope) / rows.n
    full = np.zeros(len(rows.Z))
    full[kept] = b
    converged = converged and (family == "gaussian" or float(np.abs(line[used]).max()) < _FAR)
    bread = np.asarray(np.linalg.pinv(gram, hermitian=True), dtype=np.float64)
    return ArmModel(full, kept, mean, slope, score, bread, converged)


def _least_squares(rows: Standardized, y: FloatArray, w: FloatArray) -> FloatArray:
    factor = linalg.cho_factor(rows.gram(w))
    b: FloatArray = linalg.cho_solve(factor, rows.total(w * y))
    # One step of refinement takes back what the squared condition of the normal equations loses.
    b += linalg.cho_solve(factor, rows.total(w * (y - rows.line(b))))
    return b


def independent(gram: FloatArray) -> IntArray:
    """Return columns, from the first, that are no combination of those before them.

    >>> Z = np.array([[1.0, 1, 1], [0, 1, 2], [0, 2, 4]])
    >>> independent(Z @ Z.T).tolist()
    [0, 1]
    """
    left, kept = gram.copy(), []
    for j in range(len(gram)):
        if left[j, j] <= _ALIASED * gram[j, j] or gram[j, j] <= 0:
            continue
        kept.append(j)
        left = left - np.outer(left[:, j], left[j]) / left[j, j]
    return np.array(kept, dtype=np.int64)


def _loss(y: FloatArray, w: FloatArray, family: Family) -> Loss:
    def _binomial(part: slice, line: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        p, v = expit(line), w[part]
        return float(v @ (np.logaddexp(0.0, line) - y[part] * line)), v * (y[part] - p), v * p * (1 - p)

    def _poisson(part: slice, line: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        v = w[part]
        mean = np.where(v > 0, np.exp(np.minimum(line, 700.0)), 0.0)
        return float(v @ (mean - y[part] * line)), v * (y[part] - mean), v * mean

    return _binomial if family == "binomial" else _poisson


def _prediction(line: FloatArray, family: Family) -> tuple[FloatArray, FloatArray]:
    if family == "gaussian":
        return line, np.ones_like(line)
    if family == "binomial":
        p = expit(line)
        return p, p * (1 - p)
    mean = np.exp(np.minimum(line, 700.0))
    return mean, mean


@dataclass(frozen=True, slots=True)
class Standardization:
    """The mean of an arm model's predictions over people counted by their share.

    Attributes
    ----------
    mean
        Sum of share_i mean_i over the sum of shares.
    influence
        Influence function with weights and shares taken as given, shape (n,).
    pull
        How the mean answers to the model's equations, for the kept columns, shape (r,).
    """

    mean: float
    influence: FloatArray
    pull: FloatArray


def standardize(rows: Standardized, model: ArmModel, share: FloatArray) -> Standardization:
    r"""Average predictions over people: g-computation, :math:`\hat\mu = \sum_i s_i g(z_i'b) / \sum_i s_i`.

    Its influence function is :math:`\frac{n s_i}{S}(g_i - \hat\mu) + G' B w_i (y_i - g_i) z_i` with
    :math:`G = \sum_i s_i g_i' z_i / S` and bread B.

    Parameters
    ----------
    rows, model
        Covariates, and the model of one group.
    share
        How much each person counts, shape (n,).

    Returns
    -------
    Standardization

    References
    ----------
    Snowden, J., Rose, S. and Mortimer, K. (2011). Implementation of G-computation on a simulated data set. American
    Journal of Epidemiology 173. doi:10.1093/aje/kwq472

    Examples
    --------
    >>> rows = Standardized.of(np.array([[0.0], [1], [2], [3]]))
    >>> model = fit_arm(rows, np.array([1.0, 3, 5, 0]), np.array([1.0, 1, 1, 0]))
    >>> round(standardize(rows, model, np.ones(4)).mean, 9)
    4.0
    """
    total = float(share.sum())
    mean = float(share @ model.mean) / total
    G = rows.total(share * model.slope)[model.kept] / total
    pull = model.bread @ G
    whole = np.zeros(model.b.size)
    whole[model.kept] = pull
    influence = share * (model.mean - mean) * (rows.n / total) + model.score * rows.line(whole)
    return Standardization(mean, influence, pull)
