"""Regression with second-order or seasonal autoregressive errors, integrated over both of their numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.arma_process import Orders, coefficients_of, expanded, whiten
from evaltoolkit.kernels.autoregression import MarginalAR1, widths

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FIRST: Final[FloatArray] = np.concatenate([np.linspace(-0.9, 0.9, 31), [0.93, 0.96, 0.98, 0.99]])
"""Autocorrelations one period apart that are averaged over."""

SECOND: Final[FloatArray] = np.linspace(-0.9, 0.9, 25)
"""Partial autocorrelations two periods apart, or autocorrelations a cycle apart, that are averaged over."""

_EXACT: Final = 1e-20
_NONE: Final = np.zeros(0)


def marginal_ar2(design: FloatArray, outcome: FloatArray, steps: IntArray) -> MarginalAR1:
    r"""Fit a regression with errors :math:`u_t = \phi_1 u_{t-1} + \phi_2 u_{t-2} + e_t` on a grid, and weigh the fits.

    The grid is of the partial autocorrelations :math:`r_1 = \phi_1/(1-\phi_2)` and :math:`r_2 = \phi_2`, 35 by 25. With
    :math:`s^2 = RSS/(n-k)` the weight is

    .. math:: w \propto s^{-(n-k)} |V|^{-1/2} |X'V^{-1}X|^{-1/2} (1-r_1^2)^{-1/2} \Delta(r_1) \Delta(r_2)

    that is, as for the first-order autoregression, with a flat prior of :math:`r_2`. Numbers are mixtures of t as
    there.

    Parameters
    ----------
    design
        Shape (n, k), of full column rank, n > k.
    outcome, steps
        Shape (n,); steps are whole numbers that rise, gaps need no filling.

    Returns
    -------
    MarginalAR1
        With :math:`r_1` as ``rho`` and :math:`r_2` as ``second``.

    Raises
    ------
    ValueError
        The outcome follows the design without error.

    References
    ----------
    Barndorff-Nielsen, O. and Schou, G. (1973). On the parametrization of autoregressive models by partial
    autocorrelations. Journal of Multivariate Analysis 3. doi:10.1016/0047-259X(73)90030-4

    Examples
    --------
    >>> t = np.arange(30)
    >>> fit = marginal_ar2(np.column_stack([np.ones(30), t]), 2 + 0.5 * t + np.cos(2.4 * t), t)
    >>> fit.centre.round(1).tolist(), fit.coefficients.shape
    ([2.0, 0.5], (875, 2))
    """
    return _integrated(design, outcome, steps, coefficients_of)


def marginal_seasonal_ar(design: FloatArray, outcome: FloatArray, steps: IntArray, cycle: int) -> MarginalAR1:
    r"""Fit a regression with errors :math:`(1-\rho B)(1-\Phi B^s) u_t = e_t` on a grid, and weigh the fits.

    As ``marginal_ar2``, with :math:`\Phi` in the place of :math:`r_2`.

    Parameters
    ----------
    design, outcome, steps
        As for ``marginal_ar2``.
    cycle
        Periods s of a cycle, 2 or more.

    Returns
    -------
    MarginalAR1
        With :math:`\rho` as ``rho`` and :math:`\Phi` as ``second``.

    Raises
    ------
    ValueError
        The outcome follows the design without error.

    References
    ----------
    Box, G. and Jenkins, G. (1970). Time Series Analysis: Forecasting and Control. Holden-Day.

    Examples
    --------
    >>> t = np.arange(36)
    >>> fit = marginal_seasonal_ar(np.ones((36, 1)), np.cos(2.4 * t), t, 4)
    >>> round(float(fit.weights.sum()), 9), fit.df
    (1.0, 35)
    """
    orders = Orders(1, 0, 1, 0, cycle)
    return _integrated(design, outcome, steps, lambda pair: expanded(pair, orders)[0])


def _integrated(
    design: FloatArray, outcome: FloatArray, steps: IntArray, autoregression: Callable[[FloatArray], FloatArray]
) -> MarginalAR1:
    n, k = design.shape
    q, r = np.linalg.qr(design)
    plain = q.T @ outcome
    rows = np.column_stack([q, outcome - q @ plain])
    pairs = np.array([(a, b) for a in FIRST for b in SECOND])
    grams, halves = _precisions(rows, steps, np.array([autoregression(pair) for pair in pairs]))
    inverse = np.linalg.inv(grams[:, :k, :k])
    shift = np.einsum("gij,gj->gi", inverse, grams[:, :k, k])
    s2 = (grams[:, k, k] - np.einsum("gi,gi->g", shift, grams[:, :k, k])) / (n - k)
    if not np.all(s2 > _EXACT * max(float((outcome**2).mean()), 1e-300) * (1 - pairs**2).prod(axis=1)):
        raise ValueError("the outcome follows the design without error")
    cells = np.log(np.outer(widths(FIRST), widths(SECOND)).ravel()) - np.log1p(-(pairs[:, 0] ** 2)) / 2
    log_weight = -(n - k) / 2 * np.log(s2) + halves - np.linalg.slogdet(grams[:, :k, :k])[1] / 2 + cells
    weights = np.exp(log_weight - log_weight.max())
    back = np.linalg.inv(r)
    return MarginalAR1(
        pairs[:, 0], weights / weights.sum(), (plain + shift) @ back.T,
        s2[:, None, None] * (back @ inverse @ back.T), n - k, pairs[:, 1],
    )  # fmt: skip


def _precisions(rows: FloatArray, steps: IntArray, ar: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return Z'V^-1Z and half the log determinant of V^-1 for each autoregression, shapes (G, p, p) and (G,)."""
    n, m = rows.shape[0], ar.shape[1]
    if n <= m or int(steps[-1] - steps[0]) + 1 != n:
        grams, halves = np.empty((len(ar), rows.shape[1], rows.shape[1])), np.empty(len(ar))
        for g, one in enumerate(ar):
            white, halves[g] = whiten(rows, steps, one, _NONE)
            grams[g] = white.T @ white
        return grams, halves
    lags = np.flatnonzero(np.abs(ar).max(axis=0) > 0) + 1
    filters = np.column_stack([np.ones(len(ar)), -ar[:, lags - 1]])
    shifted = np.stack([rows[m - lag : n - lag] for lag in (0, *lags.tolist())])
    products = np.einsum("ant,bns->abts", shifted, shifted, optimize=True)
    rest = np.einsum("ga,gb,abts->gts", filters, filters, products, optimize=True)
    factor = np.linalg.cholesky(_first_covariances(ar))
    first = np.linalg.solve(factor, np.broadcast_to(rows[:m], (len(ar), *rows[:m].shape)))
    half = -np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    return rest + np.swapaxes(first, 1, 2) @ first, half


def _first_covariances(ar: FloatArray) -> FloatArray:
    """Return the covariance of as many neighbours as there are lags, innovations of variance one, (G, p, p)."""
    p = ar.shape[1]
    far = np.abs(np.arange(p + 1)[:, None] - np.arange(p + 1))
    system = np.zeros((len(ar), p + 1, p + 1))
    filled = np.column_stack([np.ones(len(ar)), -ar])
    for i in range(p + 1):
        for j in range(p + 1):
            system[:, i, far[i, j]] += filled[:, j]
    gamma = np.linalg.solve(system, np.broadcast_to(np.eye(p + 1)[:, :1], (len(ar), p + 1, 1)))[:, :, 0]
    return np.asarray(gamma[:, far[:p, :p]])
