"""Interrupted time series beside control series: the stacked regression, and controls that ran alike before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evaltoolkit.kernels.least_squares import least_squares
from evaltoolkit.kernels.newey_west import newey_west

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ALIKE: Final = 0.20
"""P-value above which level and trend before the start count as alike (Stata ``itsamatch``)."""


@dataclass(frozen=True, slots=True)
class Stacked:
    """A regression of the treated series and J control series on the same columns, once shared and once of the treated.

    Attributes
    ----------
    shared
        Coefficients of the controls, shape (k,).
    apart
        By how much those of the treated series differ, shape (k,).
    covariance
        Of both together, shape (2k, 2k).
    df
        Rows less coefficients.
    """

    shared: FloatArray
    apart: FloatArray
    covariance: FloatArray
    df: int

    def number(self, contrast: FloatArray) -> tuple[float, float, float]:
        """Return a combination of all 2k coefficients, its standard error and its two-sided p-value by t(df)."""
        value = float(contrast @ np.concatenate([self.shared, self.apart]))
        variance = float(contrast @ self.covariance @ contrast)
        error = float(np.sqrt(max(variance, 0.0)))
        z = -abs(value) / error if error > 0 else float("nan")
        p = 2 * float(special.stdtr(self.df, z))
        return value, error, p


def stacked_regression(
    treated: FloatArray, controls: FloatArray, columns: FloatArray, steps: IntArray, lags: int
) -> Stacked:
    r"""Regress the treated and the control series on common columns and their interaction with being treated.

    .. math:: y_{it} = x_t'\beta + z_i\, x_t'\theta + u_{it}

    With :math:`x_t` = intercept, trend, level and slope, :math:`\theta` holds z, z_t, z_x and z_x_t of Stata's
    ``itsa``: the difference between the treated series and the average control in level and trend before the start, and
    in the change of level and trend after it. Estimates are those of the difference between the treated series and the
    mean of the controls. Errors are Newey-West with autocovariances within series only, factor N/(N - 2k).

    Parameters
    ----------
    treated
        Shape (n,).
    controls
        Shape (n, J).
    columns
        x, shape (n, k), of full column rank.
    steps
        Period of each row, whole numbers that rise, shape (n,).
    lags
        L >= 0.

    Returns
    -------
    Stacked

    References
    ----------
    Linden, A. (2015). Conducting interrupted time-series analysis for single- and multiple-group comparisons. Stata
    Journal 15. doi:10.1177/1536867X1501500208

    Examples
    --------
    >>> t = np.arange(6)
    >>> X = np.column_stack([np.ones(6), t])
    >>> e = np.array([0.1, -0.2, 0.1, 0.0, 0.2, -0.2])
    >>> fit = stacked_regression(5 + 2 * t + e, np.column_stack([1 + t - e, 3 + t + e]), X, t, 1)
    >>> fit.shared.round(6).tolist(), fit.df
    ([2.0, 1.0], 14)
    """
    n, k = columns.shape
    J = controls.shape[1]
    X = np.vstack([
        np.hstack([columns, columns]),
        *[np.hstack([columns, np.zeros_like(columns)]) for _ in range(J)],
    ])  # fmt: skip
    y = np.concatenate([treated, controls.T.ravel()])
    fit = least_squares(X, y)
    # Series stand so far apart that no lag reaches from one into the next.
    apart = int(steps[-1] - steps[0]) + lags + 1
    place = np.concatenate([steps - steps[0] + i * apart for i in range(J + 1)])
    covariance = newey_west(fit.scores, fit.bread, lags, place)
    return Stacked(fit.coefficients[:k], fit.coefficients[k:], covariance, (J + 1) * n - 2 * k)


def alike_before(
    treated: FloatArray, controls: FloatArray, columns: FloatArray, steps: IntArray, lags: int
) -> tuple[FloatArray, FloatArray]:
    r"""Return, for each control by itself, the p-values of its difference in level and in trend before the start.

    Each control is stacked with the treated series (``stacked_regression``); the p-values are those of z and z_t, the
    first two coefficients of :math:`\theta`. ``itsamatch`` keeps controls for which both exceed 0.20.

    Parameters
    ----------
    treated, controls, columns, steps, lags
        As for ``stacked_regression``; the first two columns are the intercept and the trend.

    Returns
    -------
    tuple
        P-values of z and of z_t, each of shape (J,).

    References
    ----------
    Linden, A. (2018). A matching framework to improve causal inference in interrupted time-series analysis. Journal of
    Evaluation in Clinical Practice 24. doi:10.1111/jep.12874

    Examples
    --------
    >>> t = np.arange(12)
    >>> e = np.cos(2.4 * t)
    >>> X = np.column_stack([np.ones(12), t])
    >>> level, trend = alike_before(5 + t + e, np.column_stack([5 + t - e, 9 + 2 * t + e]), X, t, 1)
    >>> ((level > ALIKE) & (trend > ALIKE)).tolist()
    [True, False]
    """
    k = columns.shape[1]
    found = []
    for j in range(controls.shape[1]):
        fit = stacked_regression(treated, controls[:, j : j + 1], columns, steps, lags)
        found.append([fit.number(np.eye(2 * k)[k + i])[2] for i in (0, 1)])
    p = np.array(found).reshape(-1, 2)
    return p[:, 0], p[:, 1]
