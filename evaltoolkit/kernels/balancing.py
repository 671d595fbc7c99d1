"""Weights that balance the means of covariates exactly: entropy balancing and the covariate balancing score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from evaltoolkit.kernels.score_weights import Equations, Estimand, EstimatedWeights, scaled_to_one, share_of
from evaltoolkit.kernels.standardized import Loss, Minimum, Standardized, minimize

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

# A linear programme leaves so much of a standardized covariate unmet by rounding.
_MET = 1e-7


@dataclass(frozen=True, slots=True)
class Balancing:
    """Balancing weights of n people.

    Attributes
    ----------
    found
        The weights with their estimating equations.
    probability
        Covariate balancing score, shape (n,); None for entropy balancing.
    iterations
        Passes over all rows.
    imbalance
        Largest difference of weighted means from those to be met, in standard deviations over both groups.
    converged
        False where no weights meet them.
    """

    found: EstimatedWeights
    probability: FloatArray | None
    iterations: int
    imbalance: float
    converged: bool


def entropy_weights(X: FloatArray, treated: Mask, estimand: Estimand) -> Balancing:
    r"""Find weights of least :math:`\sum w \log w` under which covariate means equal those of the people meant.

    By the dual: :math:`w_i = e^{z_i'b}` with :math:`\sum_{i \in g} w_i z_i = \sum_{i \in \text{meant}} z_i`, solved by
    Newton's method to a mean gradient of 1e-10 or less. For ATT the others are weighted, for ATC the treated, for ATE
    both. Weights have mean one in each group.

    Parameters
    ----------
    X
        Covariates without an intercept, shape (n, k).
    treated
        Shape (n,).
    estimand
        ATT, ATC or ATE.

    Returns
    -------
    Balancing

    References
    ----------
    Hainmueller, J. (2012). Entropy balancing for causal effects. Political Analysis 20. doi:10.1093/pan/mpr025
    Zhao, Q. and Percival, D. (2017). Entropy balancing is doubly robust. Journal of Causal Inference 5.
    doi:10.1515/jci-2016-0010

    Examples
    --------
    >>> X, t = np.array([[1.0], [2], [0], [1], [2], [3]]), np.array([1, 1, 0, 0, 0, 0], dtype=bool)
    >>> e = entropy_weights(X, t, "ATT")
    >>> e.converged, round(float(np.average(X[~t, 0], weights=e.found.weights[~t])), 9)
    (True, 1.5)
    """
    rows, t = Standardized.of(X), treated.astype(np.float64)
    weights, equations, minima = np.ones(t.size), [], []
    sides = {"ATT": ((1 - t, t),), "ATC": ((t, 1 - t),), "ATE": ((t, np.ones_like(t)), (1 - t, np.ones_like(t)))}
    for group, meant in sides[estimand]:
        least = minimize(rows, _exponential(group, meant))
        with np.errstate(over="ignore"):
            w = np.where(group == 1, np.exp(least.line), 0.0)
        weights = np.where(group == 1, w, weights)
        equations.append(Equations(least.score, least.curvature, w))
        minima.append((least, float(meant.mean())))
    found = EstimatedWeights(weights, share_of(treated, estimand, weights), rows=rows, equations=tuple(equations))
    converged = all(least.converged for least, _ in minima)
    return Balancing(
        found=scaled_to_one(found, treated) if converged else found,
        probability=None,
        iterations=max(least.iterations for least, _ in minima),
        imbalance=max(least.gradient / size for least, size in minima),
        converged=converged,
    )


def balancing_score(X: FloatArray, treated: Mask, estimand: Estimand) -> Balancing:
    r"""Fit a logit score whose weights balance covariate means exactly (just-identified CBPS).

    Solves :math:`\sum_i (2t_i - 1) w_i(b) z_i = 0` by Newton's method, with the weights of the estimand at
    :math:`p_i = 1/(1 + e^{-z_i'b})`. For ATO these are the likelihood equations of the logit.

    Parameters
    ----------
    X
        Covariates without an intercept, shape (n, k).
    treated
        Shape (n,).
    estimand
        ATT, ATC, ATE or ATO.

    Returns
    -------
    Balancing

    References
    ----------
    Imai, K. and Ratkovic, M. (2014). Covariate balancing propensity score. Journal of the Royal Statistical Society B
    76. doi:10.1111/rssb.12027

    Examples
    --------
    >>> X, t = np.array([[1.0], [2], [0], [1], [2], [3]]), np.array([1, 1, 0, 0, 0, 0], dtype=bool)
    >>> c = balancing_score(X, t, "ATE")
    >>> w = c.found.weights
    >>> c.converged, round(float(np.average(X[t, 0], weights=w[t]) - np.average(X[~t, 0], weights=w[~t])), 9)
    (True, 0.0)
    """
    rows, t = Standardized.of(X), treated.astype(np.float64)
    least = minimize(rows, _balancing(t, estimand))
    weights, slope = _score_weights(least, treated, estimand)
    found = EstimatedWeights(
        weights=weights,
        share=share_of(treated, estimand, weights),
        moving=estimand == "ATO",
        rows=rows,
        equations=(Equations(least.score, least.curvature, slope),),
    )
    size = float(weights[treated].sum()) / t.size
    return Balancing(found, _expit(least.line), least.iterations, least.gradient / size, least.converged)


def _expit(line: FloatArray) -> FloatArray:
    with np.errstate(over="ignore"):
        found: FloatArray = 1 / (1 + np.exp(-line))
    return found


def _score_weights(least: Minimum, treated: Mask, estimand: Estimand) -> tuple[FloatArray, FloatArray]:
    """Weights and their slope in z'b, by the odds: exact however near the score is to 0 or 1."""
    with np.errstate(over="ignore"):
        odds = np.exp(least.line)
        inverse = np.exp(-least.line)
    p = _expit(least.line)
    both = p * (1 - p)
    one, other = {
        "ATE": ((1 + inverse, -inverse), (1 + odds, odds)),
        "ATT": ((np.ones_like(p), np.zeros_like(p)), (odds, odds)),
        "ATC": ((inverse, -inverse), (np.ones_like(p), np.zeros_like(p))),
        "ATO": ((1 - p, -both), (p, both)),
    }[estimand]
    return np.where(treated, one[0], other[0]), np.where(treated, one[1], other[1])


def _exponential(group: FloatArray, meant: FloatArray) -> Loss:
    def _loss(part: slice, line: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        w = np.where(group[part] == 1, np.exp(line), 0.0)
        return float(w.sum() - meant[part] @ line), meant[part] - w, w

    return _loss


def _balancing(t: FloatArray, estimand: Estimand) -> Loss:
    if estimand == "ATT":
        return _exponential(1 - t, t)

    def _both(part: slice, line: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        d = t[part]
        w = np.exp(np.where(d == 1, -line, line))
        return float((w + np.where(d == 1, -line, line)).sum()), np.where(d == 1, 1 + w, -1 - w), w

    def _untreated(part: slice, line: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        d = t[part]
        w = np.where(d == 1, np.exp(-line), 0.0)
        return float(w.sum() + (1 - d) @ line), w - (1 - d), w

    def _overlap(part: slice, line: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        d, p = t[part], _expit(line)
        return float((np.logaddexp(0.0, line) - d * line).sum()), d - p, p * (1 - p)

    return {"ATE": _both, "ATC": _untreated, "ATO": _overlap}[estimand]


def unmet(X: FloatArray, group: Mask, meant: Mask) -> tuple[int, ...]:
    """Return covariates whose means among the people meant no weights of the group can meet at once.

    By linear programming: the least sum of standardized differences over all weights that are not negative.

    Parameters
    ----------
    X
        Shape (n, k).
    group, meant
        Who is weighted, and whose means are to be met, shape (n,).

    Returns
    -------
    tuple of int
        Columns with a difference at the least; empty where weights exist.

    Examples
    --------
    >>> X = np.array([[5.0, 0], [5, 1], [1, 0], [2, 1], [3, 0]])
    >>> unmet(X, np.array([0, 0, 1, 1, 1], dtype=bool), np.array([1, 1, 0, 0, 0], dtype=bool))
    (0,)
    """
    spread = X.std(axis=0)
    Z = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1)
    mine, target = Z[group], Z[meant].mean(axis=0)
    m, k = mine.shape
    A = np.vstack([np.hstack([mine.T, np.eye(k), -np.eye(k)]), np.concatenate([np.ones(m), np.zeros(2 * k)])])
    cost = np.concatenate([np.zeros(m), np.ones(2 * k)])
    solved = linprog(cost, A_eq=A, b_eq=np.concatenate([target, [1.0]]), bounds=(0, None), method="highs")
    if solved.status != 0:
        return ()
    gap = solved.x[m : m + k] + solved.x[m + k :]
    return tuple(int(j) for j in np.flatnonzero(gap > _MET))
