"""Pooling of estimates over multiple imputations by Rubin's rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pooled:
    """One estimate pooled over m imputed data sets.

    Attributes
    ----------
    estimate, std_error
        Pooled estimate and its standard error.
    df
        Degrees of freedom of the t reference (Barnard and Rubin).
    within, between
        Mean of the variances, and variance of the estimates.
    missing_information
        Share of the information about the estimate that is lost to missing values.
    """

    estimate: float
    std_error: float
    df: float
    within: float
    between: float
    missing_information: float


def rubin(estimates: FloatArray, variances: FloatArray, df: float) -> Pooled:
    r"""Pool estimates over m imputed data sets.

    The total variance is :math:`T = \bar U + (1 + 1/m) B`, with :math:`\bar U` the mean of the variances and :math:`B`
    the variance of the estimates. With :math:`\lambda = (1 + 1/m) B / T`, the degrees of freedom are
    :math:`(1/\nu_m + 1/\nu_o)^{-1}`, :math:`\nu_m = (m-1)/\lambda^2` and
    :math:`\nu_o = \frac{\nu+1}{\nu+3}\,\nu\,(1-\lambda)`, where :math:`\nu` are those of complete data. The share of
    missing information is :math:`(r + 2/(\nu'+3))/(1+r)` with :math:`r = (1+1/m)B/\bar U` and :math:`\nu'` the pooled
    degrees of freedom.

    Parameters
    ----------
    estimates, variances
        The estimate and its squared standard error in each data set, shapes (m,) with m at least 2.
    df
        Degrees of freedom without missing values; ``inf`` for a normal reference.

    Returns
    -------
    Pooled

    Raises
    ------
    ValueError
        There are fewer than two data sets.

    References
    ----------
    Rubin, D. (1987). Multiple Imputation for Nonresponse in Surveys. Wiley. doi:10.1002/9780470316696
    Barnard, J. and Rubin, D. (1999). Small-sample degrees of freedom with multiple imputation. Biometrika 86.
    doi:10.1093/biomet/86.4.948

    Examples
    --------
    >>> pooled = rubin(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 1.0]), 100.0)
    >>> round(pooled.estimate, 3), round(pooled.std_error**2, 3), round(pooled.df, 2)
    (2.0, 2.333, 5.35)
    """
    m = estimates.size
    if m < 2:
        msg = "pooling needs at least two imputed data sets"
        raise ValueError(msg)
    within, between = float(variances.mean()), float(estimates.var(ddof=1))
    added = (1 + 1 / m) * between
    total = within + added
    if added == 0 or total == 0:
        return Pooled(float(estimates.mean()), float(np.sqrt(total)), float(df), within, between, 0.0)
    share = added / total
    mine = (m - 1) / share**2
    complete = (df + 1) / (df + 3) * df * (1 - share) if np.isfinite(df) else float("inf")
    pooled_df = mine * complete / (mine + complete) if np.isfinite(complete) and complete > 0 else mine
    ratio = added / within if within > 0 else float("inf")
    lost = (ratio + 2 / (pooled_df + 3)) / (1 + ratio) if np.isfinite(ratio) else 1.0
    return Pooled(float(estimates.mean()), float(np.sqrt(total)), float(pooled_df), within, between, float(lost))
