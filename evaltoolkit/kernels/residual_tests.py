"""Tests for dependence between the residuals of neighbouring periods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evaltoolkit.kernels.quadratic_form import quadratic_form_below

FloatArray = NDArray[np.float64]

EXACT_BELOW: Final = 100


@dataclass(frozen=True, slots=True)
class DependenceTest:
    """A test: its statistic, degrees of freedom (None for a law without any) and p-value."""

    statistic: float
    df: int | None
    p_value: float


def autocorrelations(residuals: FloatArray, lags: int) -> FloatArray:
    r"""Return :math:`r_l = \sum_t (e_t - \bar e)(e_{t-l} - \bar e) / \sum_t (e_t - \bar e)^2` for l = 1 .. ``lags``.

    As R ``acf``.

    Examples
    --------
    >>> autocorrelations(np.array([1.0, -1.0, 1.0, -1.0]), 2).tolist()
    [-0.75, 0.5]
    """
    e = residuals - residuals.mean()
    total = float(e @ e)
    return np.array([float(e[lag:] @ e[:-lag]) / total for lag in range(1, lags + 1)])


def partial_autocorrelations(acf: FloatArray) -> FloatArray:
    r"""Return partial autocorrelations from autocorrelations at lags 1, 2, ..., by the Durbin-Levinson recursion.

    As R ``pacf``.

    References
    ----------
    Durbin, J. (1960). The fitting of time-series models. Review of the International Statistical Institute 28.
    doi:10.2307/1401322

    Examples
    --------
    >>> partial_autocorrelations(np.array([0.5, 0.25, 0.125])).round(12).tolist()
    [0.5, 0.0, 0.0]
    """
    found = np.empty(acf.size)
    phi = np.empty(0)
    for lag in range(acf.size):
        last = (acf[lag] - phi @ acf[:lag][::-1]) / (1 - phi @ acf[:lag])
        phi = np.append(phi - last * phi[::-1], last)
        found[lag] = last
    return found


def durbin_watson(residuals: FloatArray, design: FloatArray) -> DependenceTest:
    r"""Return :math:`d = \sum_t (e_t - e_{t-1})^2 / \sum_t e_t^2` with a two-sided p-value, as R ``lmtest::dwtest``.

    With normal errors d is a ratio of quadratic forms, so :math:`P(D < d) = P(\sum_i (\nu_i - d) z_i^2 < 0)`, where the
    :math:`\nu_i` are the eigenvalues of the differencing form on the residual space. The p-value is exact for fewer
    than 100 periods (by inversion of the characteristic function, absolute error below 1e-12) and from the normal
    distribution with the exact mean and variance otherwise.

    Parameters
    ----------
    residuals
        Least-squares residuals, shape (n,).
    design
        Columns of the regression, shape (n, k), of full rank.

    Returns
    -------
    DependenceTest
        ``df`` is None.

    References
    ----------
    Durbin, J. and Watson, G. (1971). Testing for serial correlation in least squares regression III. Biometrika 58.
    doi:10.1093/biomet/58.1.1. Imhof, J. (1961). Computing the distribution of quadratic forms in normal variables.
    Biometrika 48. doi:10.1093/biomet/48.3-4.419

    Examples
    --------
    >>> X = np.ones((6, 1))
    >>> found = durbin_watson(np.array([1.0, -1, 1, -1, 1, -1]), X)
    >>> round(found.statistic, 4), found.p_value < 0.1
    (3.3333, True)
    """
    e, n = residuals, residuals.size
    d = float(np.diff(e) @ np.diff(e)) / float(e @ e)
    q = np.linalg.qr(design, mode="complete")[0]
    left = np.diff(q[:, design.shape[1] :], axis=0)
    form = left.T @ left
    if n < EXACT_BELOW:
        below = quadratic_form_below(np.linalg.eigvalsh(form) - d)
    else:
        m = n - design.shape[1]
        mean = float(np.trace(form)) / m
        spread = 2 / (m + 2) * (float((form**2).sum()) / m - mean**2)
        below = float(special.ndtr((d - mean) / np.sqrt(spread)))
    return DependenceTest(d, None, min(1.0, 2 * min(below, 1 - below)))


def breusch_godfrey(residuals: FloatArray, design: FloatArray, lags: int) -> DependenceTest:
    r"""Return n times the R squared of the residuals on the columns and their own past, as R ``lmtest::bgtest``.

    Residuals before the first period count as zero. For least squares with columns given in advance and errors of one
    variance it is the test of Cumby and Huizinga, the default of Stata's ``actest``.

    Parameters
    ----------
    residuals, design
        Shapes (n,) and (n, k).
    lags
        Periods looked back, from 1.

    Returns
    -------
    DependenceTest
        Chi-square with ``lags`` degrees of freedom.

    References
    ----------
    Breusch, T. (1978). Testing for autocorrelation in dynamic linear models. Australian Economic Papers 17.
    doi:10.1111/j.1467-8454.1978.tb00635.x

    Examples
    --------
    >>> found = breusch_godfrey(np.array([1.0, -1, 1, -1, 1, -1]), np.ones((6, 1)), 1)
    >>> round(found.statistic, 4), found.df
    (5.1724, 1)
    """
    return cumby_huizinga(residuals, design, lags)


def breusch_godfrey_f(residuals: FloatArray, design: FloatArray, lags: int) -> tuple[float, float]:
    """Return the F form of the Breusch-Godfrey test, on ``lags`` and n - k - ``lags`` degrees of freedom, and its p.

    Examples
    --------
    >>> f, p = breusch_godfrey_f(np.array([1.0, -1, 1, -1, 1, -0.5]), np.ones((6, 1)), 1)
    >>> round(f, 2), round(p, 3)
    (15.8, 0.016)
    """
    n, k = design.shape
    share = breusch_godfrey(residuals, design, lags).statistic / n
    df = n - k - lags
    f = share / lags / ((1 - share) / df)
    return f, float(special.fdtrc(lags, df, f))


def cumby_huizinga(
    residuals: FloatArray, design: FloatArray, last: int, first: int = 1, *, robust: bool = False
) -> DependenceTest:
    r"""Test that residuals ``first`` to ``last`` periods apart are unrelated, when nearer ones may be related.

    With :math:`q` = first - 1, :math:`w_{ts} = e_{t-s} - x_t'(X'X)^{-1}X'L_s e` and :math:`\xi_{ts} = w_{ts} e_t`, the
    statistic is :math:`\bar\xi' V^{-1} \bar\xi \cdot n`. The variance is
    :math:`V = \sum_{|j| \le q} \hat\gamma_j \frac1n \sum_t w_t w_{t-j}'` for errors of one variance, and
    :math:`\sum_{|j| \le q} \frac1n \sum_t \xi_t \xi_{t-j}'` with ``robust``. The defaults are those of Stata's
    ``actest``, and equal to Breusch-Godfrey for ``first`` = 1.

    Parameters
    ----------
    residuals, design
        Shapes (n,) and (n, k).
    last, first
        The periods apart, 1 <= ``first`` <= ``last``.
    robust
        Whether the errors' variance may change.

    Returns
    -------
    DependenceTest
        Chi-square; NaN where the estimated variance is not positive.

    References
    ----------
    Cumby, R. and Huizinga, J. (1992). Testing the autocorrelation structure of disturbances in ordinary least squares
    and instrumental variables regressions. Econometrica 60. doi:10.2307/2951684

    Examples
    --------
    >>> e = np.array([1.0, -1, 1, -1, 1, -1])
    >>> round(cumby_huizinga(e, np.ones((6, 1)), 1).statistic, 4)
    5.1724
    """
    e, n, q = residuals, residuals.size, first - 1
    past = np.column_stack([np.concatenate([np.zeros(s), e[:-s]]) for s in range(first, last + 1)])
    w = past - design @ np.linalg.lstsq(design, past, rcond=None)[0]
    moment = past.T @ e / n
    source = w * e[:, None] if robust else w
    variance = np.zeros((past.shape[1], past.shape[1]))
    for j in range(q + 1):
        cross = source[j:].T @ source[: n - j] / n
        shared = 1.0 if robust else float(e[j:] @ e[: n - j]) / n
        variance += shared * (cross if j == 0 else cross + cross.T)
    df = last - first + 1
    if np.linalg.eigvalsh(variance)[0] <= 0:
        return DependenceTest(float("nan"), df, float("nan"))
    statistic = n * float(moment @ np.linalg.solve(variance, moment))
    return DependenceTest(statistic, df, float(special.chdtrc(df, statistic)))


def ljung_box(residuals: FloatArray, lags: int) -> DependenceTest:
    r"""Return :math:`n(n+2) \sum_l r_l^2/(n-l)`, as R ``Box.test(type = "Ljung-Box")``.

    References
    ----------
    Ljung, G. and Box, G. (1978). On a measure of lack of fit in time series models. Biometrika 65.
    doi:10.1093/biomet/65.2.297

    Examples
    --------
    >>> found = ljung_box(np.array([1.0, -1, 1, -1, 1, -1]), 1)
    >>> round(found.statistic, 4), round(found.p_value, 4)
    (6.6667, 0.0098)
    """
    n, r = residuals.size, autocorrelations(residuals, lags)
    statistic = n * (n + 2) * float((r**2 / (n - np.arange(1, lags + 1))).sum())
    return DependenceTest(statistic, lags, float(special.chdtrc(lags, statistic)))


def box_pierce(residuals: FloatArray, lags: int) -> DependenceTest:
    r"""Return :math:`n \sum_l r_l^2`, as R ``Box.test``.

    References
    ----------
    Box, G. and Pierce, D. (1970). Distribution of residual autocorrelations in autoregressive-integrated moving average
    time series models. Journal of the American Statistical Association 65. doi:10.1080/01621459.1970.10481180

    Examples
    --------
    >>> round(box_pierce(np.array([1.0, -1, 1, -1, 1, -1]), 1).statistic, 4)
    4.1667
    """
    statistic = residuals.size * float((autocorrelations(residuals, lags) ** 2).sum())
    return DependenceTest(statistic, lags, float(special.chdtrc(lags, statistic)))
