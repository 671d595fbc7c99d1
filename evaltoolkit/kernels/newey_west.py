"""Newey-West covariance of a time series regression."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
LagRule = Literal["newey-west", "stock-watson"]

_ROUNDING: Final = 1e-9


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
