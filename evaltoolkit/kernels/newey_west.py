"""Newey-West covariance of a time series regression."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
LagRule = Literal["newey-west", "stock-watson"]
AutomaticRule = Literal["newey-west-automatic", "andrews"]

_ROUNDING: Final = 1e-9
_OPTIMAL: Final = 1.1447


def lag_by_rule(n: int, rule: LagRule = "newey-west") -> int:
    r"""Return the number of lags of a rule of thumb for n periods.

    ``newey-west``: :math:`\lfloor 4 (n/100)^{2/9} \rfloor`; ``stock-watson``: :math:`\lfloor 0.75\, n^{1/3} \rfloor`.

    References
    ----------
    Newey, W. and West, K. (1994). Automatic lag selection in covariance matrix estimation. Review of Economic Studies
    61. doi:10.2307/2297912

    Examples
    --------
    >>> lag_by_rule(31), lag_by_rule(100), lag_by_rule(31, "stock-watson"), lag_by_rule(64, "stock-watson")
    (3, 4, 2, 3)
    """
    if rule == "stock-watson":
        return int(0.75 * n ** (1 / 3) + _ROUNDING)
    return int(4 * (n / 100) ** (2 / 9) + _ROUNDING)


def automatic_bandwidth(scores: FloatArray, weights: FloatArray, rule: AutomaticRule) -> float:
    r"""Return the bandwidth that the series itself suggests for Bartlett weights; lags are its whole part.

    ``newey-west-automatic``: with :math:`h = Sw`, :math:`m = \lfloor 4(n/100)^{2/9} \rfloor` and autocovariances
    :math:`\sigma_j`, :math:`1.1447 \, [(s_1/s_0)^2 n]^{1/3}`, where :math:`s_1 = 2\sum j\sigma_j` and
    :math:`s_0 = \sigma_0 + 2\sum\sigma_j`. ``andrews``: :math:`1.1447 (\alpha n)^{1/3}` with
    :math:`\alpha = \sum w \frac{4\rho^2\sigma^4}{(1-\rho)^6(1+\rho)^2} / \sum w \frac{\sigma^4}{(1-\rho)^4}` of a
    first-order autoregression of each column. Equal to R ``sandwich::bwNeweyWest`` and ``bwAndrews`` without
    prewhitening.

    Parameters
    ----------
    scores
        Residual times row of the design, shape (n, k).
    weights
        Weight of each column, shape (k,): zero for the intercept, one for the others.
    rule
        Which.

    Returns
    -------
    float

    References
    ----------
    Newey, W. and West, K. (1994). Automatic lag selection in covariance matrix estimation. Review of Economic Studies
    61. doi:10.2307/2297912
    Andrews, D. (1991). Heteroskedasticity and autocorrelation consistent covariance matrix estimation. Econometrica
    59. doi:10.2307/2938229

    Examples
    --------
    >>> s = np.cos(0.5 * np.arange(40))[:, None]
    >>> [round(automatic_bandwidth(s, np.ones(1), rule), 2) for rule in ("newey-west-automatic", "andrews")]
    [4.05, 14.99]
    """
    n = scores.shape[0]
    if rule == "newey-west-automatic":
        h = scores @ weights
        m = lag_by_rule(n)
        sigma = np.array([float(h[: n - j] @ h[j:]) / n for j in range(m + 1)])
        j = np.arange(1, m + 1)
        s0, s1 = sigma[0] + 2 * sigma[1:].sum(), 2 * float(j @ sigma[1:])
        return _OPTIMAL * float(((s1 / s0) ** 2 * n) ** (1 / 3))
    now, before = scores[1:], scores[:-1]
    middle, earlier = now - now.mean(axis=0), before - before.mean(axis=0)
    rho = (middle * earlier).sum(axis=0) / (earlier**2).sum(axis=0)
    variance = ((middle - rho * earlier) ** 2).mean(axis=0)
    above = weights @ (4 * rho**2 * variance**2 / ((1 - rho) ** 6 * (1 + rho) ** 2))
    return _OPTIMAL * float((n * above / (weights @ (variance**2 / (1 - rho) ** 4))) ** (1 / 3))


def newey_west(scores: FloatArray, bread: FloatArray, lags: int, steps: IntArray) -> FloatArray:
    r"""Return :math:`\frac{n}{n-k} B \left(S_0 + \sum_{l=1}^{L} (1 - \tfrac{l}{L+1}) (S_l + S_l')\right) B`.

    :math:`S_l = \sum_t s_t s_{t-l}'` over pairs of periods that are l steps apart, so a period without a value breaks
    the pairs it would have been in and nothing is filled in. Equal to R ``sandwich::NeweyWest(prewhite = FALSE,
    adjust = TRUE)`` for a series without gaps.

    Parameters
    ----------
    scores
        Residual times row of the design, shape (n, k).
    bread
        (X'X)^-1, or (X'WX)^-1 of a generalized linear model, shape (k, k).
    lags
        L >= 0.
    steps
        Period of each row, whole numbers that rise, shape (n,).

    Returns
    -------
    ndarray
        Shape (k, k).

    References
    ----------
    Newey, W. and West, K. (1987). A simple, positive semi-definite, heteroskedasticity and autocorrelation consistent
    covariance matrix. Econometrica 55. doi:10.2307/1913610

    Examples
    --------
    >>> s = np.array([[1.0], [1.0], [-1.0], [-1.0]])
    >>> newey_west(s, np.array([[0.25]]), 1, np.arange(4)).round(6).tolist()
    [[0.416667]]
    """
    n, k = scores.shape
    place = (steps - steps[0]).astype(np.int64)
    full = np.zeros((int(place[-1]) + 1, k))
    full[place] = scores
    meat = full.T @ full
    for lag in range(1, min(lags, full.shape[0] - 1) + 1):
        cross = full[lag:].T @ full[:-lag]
        meat += (1 - lag / (lags + 1)) * (cross + cross.T)
    return np.asarray(n / (n - k) * bread @ meat @ bread)
