"""Weights from a propensity score, and what their errors need to know of how they were estimated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.standardized import Standardized

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]
Estimand = Literal["ATT", "ATC", "ATE", "ATO", "ATM"]


@dataclass(frozen=True, slots=True)
class Equations:
    """Estimating equations sum of score_i z_i = 0 of parameters that weights follow from through z_i'b.

    Attributes
    ----------
    score, curvature
        score_i, and its fall with z_i'b, shape (n,).
    slope
        How a weight grows with z_i'b, shape (n,).
    """

    score: FloatArray
    curvature: FloatArray
    slope: FloatArray


@dataclass(frozen=True, slots=True)
class EstimatedWeights:
    """Weights of n people under which the two groups stand for the same people.

    Attributes
    ----------
    weights
        Shape (n,).
    share
        How much each counts among the people whom the effect is about, shape (n,).
    moving
        Whether ``share`` is the weights themselves, so that it moves with them.
    rows
        Covariates of the estimating equations; None where weights are taken as given.
    equations
        Each part of the parameters that weights follow from.
    """

    weights: FloatArray
    share: FloatArray
    moving: bool = False
    rows: Standardized | None = None
    equations: tuple[Equations, ...] = ()


def share_of(treated: Mask, estimand: Estimand, weights: FloatArray) -> FloatArray:
    """Return how much each person counts among those whom the effect is about.

    >>> share_of(np.array([True, False]), "ATC", np.ones(2)).tolist()
    [0.0, 1.0]
    """
    if estimand == "ATE":
        return np.ones(treated.size)
    if estimand in ("ATO", "ATM"):
        return weights
    return (treated if estimand == "ATT" else ~treated).astype(np.float64)


def score_weights(probability: FloatArray, treated: Mask, estimand: Estimand) -> tuple[FloatArray, FloatArray]:
    r"""Return weights :math:`h(p)/p` of the treated and :math:`h(p)/(1-p)` of the others, and their slopes in p.

    h(p) is 1 for ATE, p for ATT, 1 - p for ATC, p(1 - p) for ATO (overlap weights) and min(p, 1 - p) for ATM (matching
    weights).

    Parameters
    ----------
    probability
        Strictly between 0 and 1, shape (n,).
    treated
        Shape (n,).
    estimand
        Whose effect.

    Returns
    -------
    tuple
        Weights and dw/dp, each of shape (n,).

    References
    ----------
    Li, F., Morgan, K. and Zaslavsky, A. (2018). Balancing covariates via propensity score weighting. Journal of the
    American Statistical Association 113. doi:10.1080/01621459.2016.1260466
    Li, L. and Greene, T. (2013). A weighting analogue to pair matching in propensity score analysis. International
    Journal of Biostatistics 9. doi:10.1515/ijb-2012-0030

    Examples
    --------
    >>> p, t = np.array([0.2, 0.5]), np.array([True, False])
    >>> [score_weights(p, t, e)[0].round(3).tolist() for e in ("ATE", "ATT", "ATC", "ATO", "ATM")]
    [[5.0, 2.0], [1.0, 1.0], [4.0, 1.0], [0.8, 0.5], [1.0, 1.0]]
    """
    p = probability
    q = 1 - p
    # w and dw/dp of the treated, then of the others, written so that nothing is divided where it cancels.
    with np.errstate(divide="ignore", invalid="ignore"):
        if estimand == "ATE":
            one, other = (1 / p, -1 / p**2), (1 / q, 1 / q**2)
        elif estimand == "ATT":
            one, other = (np.ones_like(p), np.zeros_like(p)), (p / q, 1 / q**2)
        elif estimand == "ATC":
            one, other = (q / p, -1 / p**2), (np.ones_like(p), np.zeros_like(p))
        elif estimand == "ATO":
            one, other = (q, np.full_like(p, -1.0)), (p, np.ones_like(p))
        else:
            low = p <= q
            one = np.where(low, 1.0, q / p), np.where(low, 0.0, -1 / p**2)
            other = np.where(low, p / q, 1.0), np.where(low, 1 / q**2, 0.0)
    return np.where(treated, one[0], other[0]), np.where(treated, one[1], other[1])


def stabilized(found: EstimatedWeights, treated: Mask) -> EstimatedWeights:
    """Multiply weights by their group's share of people, which changes their size but no comparison.

    >>> stabilized(EstimatedWeights(np.array([4.0, 2, 2]), np.ones(3)), np.array([True, False, False])).weights.round(
    ...     3).tolist()
    [1.333, 1.333, 1.333]
    """
    by = np.where(treated, treated.mean(), (~treated).mean())
    return _times(found, by)


def scaled_to_one(found: EstimatedWeights, treated: Mask) -> EstimatedWeights:
    """Divide weights by their group's mean.

    >>> scaled_to_one(EstimatedWeights(np.array([4.0, 1, 3]), np.ones(3)), np.array([True, False, False])).weights
    array([1. , 0.5, 1.5])
    """
    w = found.weights
    return _times(found, np.where(treated, 1 / w[treated].mean(), 1 / w[~treated].mean()))


def _times(found: EstimatedWeights, by: FloatArray) -> EstimatedWeights:
    weights = found.weights * by
    return replace(
        found,
        weights=weights,
        share=weights if found.moving else found.share,
        equations=tuple(replace(part, slope=part.slope * by) for part in found.equations),
    )


def truncated(found: EstimatedWeights, treated: Mask, quantile: float) -> EstimatedWeights:
    """Set weights above a quantile of their group's weights to that quantile, which is then taken as given.

    Groups whose weights are all the same are left alone.

    References
    ----------
    Cole, S. and Hernán, M. (2008). Constructing inverse probability weights for marginal structural models. American
    Journal of Epidemiology 168. doi:10.1093/aje/kwn164

    Examples
    --------
    >>> w = EstimatedWeights(np.array([1.0, 1, 9, 1, 1]), np.ones(5))
    >>> truncated(w, np.array([True, True, True, False, False]), 0.5).weights.tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    w = found.weights
    limit = np.where(treated, np.quantile(w[treated], quantile), np.quantile(w[~treated], quantile))
    over = w > limit
    weights = np.where(over, limit, w)
    return replace(
        found,
        weights=weights,
        share=weights if found.moving else found.share,
        equations=tuple(replace(part, slope=np.where(over, 0.0, part.slope)) for part in found.equations),
    )
