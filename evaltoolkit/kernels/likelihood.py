"""Logistic regression by Newton's method, with a plain answer where no estimate exists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

FloatArray = NDArray[np.float64]

_ITERATIONS = 60
_STEP = 1e-12
_EDGE = 1e-9


@dataclass(frozen=True, slots=True)
class Logit:
    """A logistic regression of n rows on k columns.

    Attributes
    ----------
    coefficients
        Shape (k,).
    probabilities
        Fitted, shape (n,).
    information
        X'WX with W = p(1 - p) at the coefficients, shape (k, k).
    exists
        Whether the maximum of the likelihood exists: false where some combination of columns separates the rows.
    """

    coefficients: FloatArray
    probabilities: FloatArray
    information: FloatArray
    exists: bool


def logit(design: FloatArray, chosen: NDArray[np.bool_]) -> Logit:
    r"""Maximise :math:`\sum_i d_i x_i'\beta - \log(1 + e^{x_i'\beta})` by Newton's method with step halving.

    Columns are scaled to unit length inside, so their units do not matter.

    Parameters
    ----------
    design
        Shape (n, k), of full column rank.
    chosen
        The yes/no outcome d, shape (n,).

    Returns
    -------
    Logit

    References
    ----------
    Albert, A. and Anderson, J. (1984). On the existence of maximum likelihood estimates in logistic regression
    models. Biometrika 71. doi:10.1093/biomet/71.1.1

    Examples
    --------
    >>> X = np.column_stack([np.ones(4), [0.0, 0, 1, 1]])
    >>> fit = logit(X, np.array([False, True, False, True]))
    >>> fit.probabilities.round(6).tolist(), fit.exists
    ([0.5, 0.5, 0.5, 0.5], True)
    >>> logit(X, np.array([False, False, True, True])).exists
    False
    """
    d = chosen.astype(np.float64)
    length = np.sqrt((design**2).mean(axis=0))
    length = np.where(length > 0, length, 1.0)
    X = design / length
    beta = np.zeros(X.shape[1])
    value = _value(X, d, beta)
    converged = False
    for _ in range(_ITERATIONS):
        p = expit(X @ beta)
        step = np.linalg.lstsq((X * (p * (1 - p))[:, None]).T @ X, X.T @ (d - p), rcond=None)[0]
        beta, value = _improved(X, d, beta, step, value)
        if np.abs(step).max() <= _STEP * max(1.0, float(np.abs(beta).max())):
            converged = True
            break
    p = expit(X @ beta)
    information = (X * (p * (1 - p))[:, None]).T @ X
    inside = converged and float(p.min()) > _EDGE and float(p.max()) < 1 - _EDGE
    return Logit(beta / length, p, information * np.outer(length, length), inside)


def _value(X: FloatArray, d: FloatArray, beta: FloatArray) -> float:
    line = X @ beta
    return float((d * line - np.logaddexp(0.0, line)).sum())


def _improved(
    X: FloatArray, d: FloatArray, beta: FloatArray, step: FloatArray, value: float
) -> tuple[FloatArray, float]:
    size = 1.0
    while size > 1e-6:
        trial = beta + size * step
        found = _value(X, d, trial)
        if found >= value - 1e-12 * abs(value):
            return trial, found
        size /= 2
    return beta, value
