"""Poisson and negative binomial regression with a log link and an offset, by Newton's method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

FloatArray = NDArray[np.float64]

_ROUNDS: Final = 100
_CLOSE: Final = 1e-12
_EDGE: Final = 1e-8
_ALPHAS: Final = 10.0 ** np.arange(-7, 7)


@dataclass(frozen=True, slots=True)
class Counts:
    """Regressions of S series of counts over n periods on k columns.

    Attributes
    ----------
    coefficients
        By maximum likelihood, shape (S, k).
    expected
        Fitted counts, shape (S, n).
    exists
        Whether the maximum exists: false where counts are zero in a part of the model, shape (S,).
    """

    coefficients: FloatArray
    expected: FloatArray
    exists: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class NegativeBinomial:
    """A negative binomial regression of n counts on k columns: variance mu + mu^2/theta.

    Attributes
    ----------
    coefficients
        Shape (k,).
    expected
        Fitted counts, shape (n,).
    theta
        The size; infinite where counts vary no more than Poisson counts.
    theta_error
        From the observed information of theta at the fitted counts; NaN where theta is infinite.
    weights
        mu / (1 + mu/theta), shape (n,): X'WX is the information of the coefficients at this theta.
    log_likelihood
        With its constants.
    exists
        Whether the maximum exists.
    """

    coefficients: FloatArray
    expected: FloatArray
    theta: float
    theta_error: float
    weights: FloatArray
    log_likelihood: float
    exists: bool


def poisson(design: FloatArray, counts: FloatArray, offset: FloatArray) -> Counts:
    r"""Maximise :math:`\sum_t y_t \eta_t - e^{\eta_t},\; \eta = o + X\beta` for many series that share a design.

    Newton's method, which is iterated weighted least squares here, on orthonormal columns.

    Parameters
    ----------
    design
        Shape (n, k), of full column rank.
    counts
        Zero or more, shape (S, n).
    offset
        Log of the exposure, shape (n,) or (S, n).

    Returns
    -------
    Counts

    References
    ----------
    McCullagh, P. and Nelder, J. (1989). Generalized Linear Models, 2nd ed. doi:10.1007/978-1-4899-3242-6

    Examples
    --------
    >>> X = np.column_stack([np.ones(4), [0.0, 0, 1, 1]])
    >>> fit = poisson(X, np.array([[1.0, 3, 4, 4], [0, 0, 2, 5]]), np.zeros(4))
    >>> np.exp(fit.coefficients[0]).round(6).tolist(), fit.exists.tolist()
    ([2.0, 2.0], [True, False])
    """
    return _newton(design, counts, np.broadcast_to(offset, counts.shape), 0.0)


def negative_binomial(design: FloatArray, counts: FloatArray, offset: FloatArray) -> NegativeBinomial:
    r"""Maximise the negative binomial (NB2) likelihood in coefficients and :math:`\theta`.

    The derivative of the likelihood by :math:`\alpha = 1/\theta` at :math:`\alpha = 0` is
    :math:`\tfrac12 \sum (y-\mu)^2 - y`: where it is not positive the counts are those of Poisson. Otherwise the root of
    the score of :math:`\theta`, at the best coefficients for each :math:`\theta`, is bracketed by decades. As R
    ``MASS::glm.nb``, which stops at a relative change of 1e-8.

    Parameters
    ----------
    design
        Shape (n, k), of full column rank.
    counts, offset
        Shape (n,).

    Returns
    -------
    NegativeBinomial

    References
    ----------
    Venables, W. and Ripley, B. (2002). Modern Applied Statistics with S. doi:10.1007/978-0-387-21706-2

    Examples
    --------
    >>> fit = negative_binomial(np.ones((6, 1)), np.array([0.0, 0, 1, 2, 9, 12]), np.zeros(6))
    >>> np.exp(fit.coefficients).round(6).tolist(), round(fit.theta, 3), round(fit.theta_error, 3)
    ([4.0], 0.513, 0.38)
    """
    y, o = counts[None, :], offset[None, :]
    plain = _newton(design, y, o, 0.0)
    mu = plain.expected[0]
    wide = bool(plain.exists[0]) and float(((counts - mu) ** 2 - counts).sum()) > 0

    def _score(log_alpha: float) -> float:
        fit = _newton(design, y, o, float(np.exp(log_alpha)))
        return _theta_score(float(np.exp(-log_alpha)), counts, fit.expected[0])

    at = np.log(_ALPHAS)
    above = next((i for i in range(len(at) - 1, 0, -1) if wide and _score(at[i - 1]) < 0 <= _score(at[i])), None)
    if above is None:
        value = float((counts * np.log(mu) - mu - special.gammaln(counts + 1)).sum())
        return NegativeBinomial(plain.coefficients[0], mu, np.inf, np.nan, mu, value, bool(plain.exists[0]))
    log_alpha = float(optimize.brentq(_score, at[above - 1], at[above], xtol=1e-13, rtol=1e-13))
    return _described(_newton(design, y, o, float(np.exp(log_alpha))), counts, float(np.exp(-log_alpha)))


def _described(fit: Counts, y: FloatArray, theta: float) -> NegativeBinomial:
    mu = fit.expected[0]
    information = float((
        special.polygamma(1, theta) - special.polygamma(1, theta + y) - 1 / theta + 2 / (mu + theta)
        - (y + theta) / (mu + theta) ** 2
    ).sum())  # fmt: skip
    value = float((
        special.gammaln(theta + y) - special.gammaln(theta) - special.gammaln(y + 1) + theta * np.log(theta)
        + y * np.log(mu) - (theta + y) * np.log(theta + mu)
    ).sum())  # fmt: skip
    error = 1 / np.sqrt(information) if information > 0 else np.nan
    return NegativeBinomial(
        fit.coefficients[0], mu, theta, float(error), mu / (1 + mu / theta), value, bool(fit.exists[0])
    )


def _theta_score(theta: float, y: FloatArray, mu: FloatArray) -> float:
    return float((
        special.digamma(theta + y) - special.digamma(theta) + np.log(theta) + 1 - np.log(theta + mu)
        - (y + theta) / (mu + theta)
    ).sum())  # fmt: skip


def _newton(design: FloatArray, y: FloatArray, offset: FloatArray, alpha: float) -> Counts:
    """Iterate weighted least squares with variance mu + alpha mu^2."""
    n, k = design.shape
    q, r = np.linalg.qr(design)
    pairs = (q[:, :, None] * q[:, None, :]).reshape(n, k * k)
    mu = (y + y.mean(axis=1, keepdims=True)) / 2 + 1e-10
    eta, a = np.log(mu), np.zeros((len(y), k))
    settled = np.zeros(len(y), dtype=bool)
    for _ in range(_ROUNDS):
        weight = mu / (1 + alpha * mu)
        gram = (weight @ pairs).reshape(-1, k, k)
        working = weight * (eta - offset) + (y - mu) / (1 + alpha * mu)
        found = _solved(gram, working @ q)
        moved = np.abs(found - a).max(axis=1)
        a = found
        eta = np.clip(offset + a @ q.T, -700.0, 700.0)
        mu = np.exp(eta)
        settled = moved <= _CLOSE * np.maximum(np.abs(a).max(axis=1), 1.0)
        if settled.all():
            break
    top = y.max(axis=1)
    exists = settled & (top > 0) & np.isfinite(a).all(axis=1) & (mu.min(axis=1) >= _EDGE * top)
    return Counts(np.linalg.solve(r, a.T).T, mu, exists)


def _solved(gram: FloatArray, right: FloatArray) -> FloatArray:
    """Solve each system, with a touch on the diagonal where counts of zero have emptied it."""
    size = np.trace(gram, axis1=1, axis2=2)[:, None, None]
    ridge = np.eye(gram.shape[1]) * np.maximum(size, 1e-300) * 1e-15
    return np.asarray(np.linalg.solve(gram + ridge, right[:, :, None])[:, :, 0])
