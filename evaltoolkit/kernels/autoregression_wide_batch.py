"""Many series that share a design, by second-order or seasonal autoregressive errors integrated over both numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.arma_process import Orders, coefficients_of, expanded, whiten
from evaltoolkit.kernels.autoregression import widths
from evaltoolkit.kernels.autoregression_batch import Intervals, Profiles, intervals_of, joined
from evaltoolkit.kernels.autoregression_wide import FIRST, SECOND

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_BLOCK: Final = 512
_NONE: Final = np.zeros(0)


def marginal_ar2_batch(
    outcomes: FloatArray, design: FloatArray, steps: IntArray, contrasts: FloatArray, level: float = 0.95
) -> Intervals:
    r"""Return linear numbers :math:`c'\beta` of many series by ``marginal_ar2`` and ``mixture``.

    Parameters
    ----------
    outcomes
        Shape (S, n).
    design
        Shape (n, k), of full column rank.
    steps
        Period of each column of the outcomes, whole numbers that rise, shape (n,).
    contrasts
        Rows c, shape (m, k).
    level
        Confidence level.

    Returns
    -------
    Intervals
        With the mean of :math:`r_1` as the autocorrelation.

    References
    ----------
    As for ``marginal_ar2``.

    Examples
    --------
    >>> t = np.arange(24)
    >>> found = marginal_ar2_batch(np.cos([2.4 * t]), np.column_stack([np.ones(24), t]), t, np.eye(2))
    >>> bool((found.low < found.high).all()), found.df
    (True, 22)
    """
    return _integrated(outcomes, design, steps, contrasts, level, coefficients_of)


def marginal_seasonal_ar_batch(
    outcomes: FloatArray, design: FloatArray, steps: IntArray, contrasts: FloatArray, level: float = 0.95,
    *, cycle: int,
) -> Intervals:  # fmt: skip
    r"""Return linear numbers :math:`c'\beta` of many series by ``marginal_seasonal_ar`` and ``mixture``.

    Parameters
    ----------
    outcomes, design, steps, contrasts, level
        As for ``marginal_ar2_batch``.
    cycle
        Periods of a cycle, 2 or more.

    Returns
    -------
    Intervals
        With the mean of :math:`\rho` as the autocorrelation.

    References
    ----------
    As for ``marginal_seasonal_ar``.

    Examples
    --------
    >>> t = np.arange(24)
    >>> found = marginal_seasonal_ar_batch(np.cos([2.4 * t]), np.ones((24, 1)), t, np.ones((1, 1)), cycle=4)
    >>> found.estimate.shape
    (1, 1)
    """
    orders = Orders(1, 0, 1, 0, cycle)
    return _integrated(outcomes, design, steps, contrasts, level, lambda pair: expanded(pair, orders)[0])


def _integrated(
    outcomes: FloatArray, design: FloatArray, steps: IntArray, contrasts: FloatArray, level: float,
    autoregression: Callable[[FloatArray], FloatArray],
) -> Intervals:  # fmt: skip
    n, k = design.shape
    pairs = np.array([(a, b) for a in FIRST for b in SECOND])
    cells = np.log(np.outer(widths(FIRST), widths(SECOND)).ravel()) - np.log1p(-(pairs[:, 0] ** 2)) / 2
    q, r = np.linalg.qr(design)
    rows = np.linalg.solve(r.T, contrasts.T).T
    blocks = [outcomes[i : i + _BLOCK] for i in range(0, len(outcomes), _BLOCK)]
    plain = [y @ q for y in blocks]
    parts = [[np.empty((len(pairs), len(y), len(rows))), np.empty((len(y), len(pairs)))] for y in blocks]
    scales, half = np.empty((len(pairs), 1, len(rows))), np.empty(len(pairs))
    for g, pair in enumerate(pairs):
        white, log_det = whiten(np.eye(n), steps, autoregression(pair), _NONE)
        turn, factor = np.linalg.qr(white @ q)
        moves = np.linalg.solve(factor.T, rows.T).T
        scales[g, 0] = np.sqrt((moves**2).sum(axis=1))
        half[g] = log_det - np.log(np.abs(np.diagonal(factor))).sum()
        for y, known, (centres, rss) in zip(blocks, plain, parts, strict=True):
            left = (y - known @ q.T) @ white.T
            along = left @ turn
            centres[g] = known @ rows.T + along @ moves.T
            rss[:, g] = (left**2).sum(axis=1) - (along**2).sum(axis=1)
    weight = half + cells
    made = [
        intervals_of(y, Profiles(c, scales, rss, np.broadcast_to(weight, rss.shape)), level, pairs[:, 0], n - k)
        for y, (c, rss) in zip(blocks, parts, strict=True)
    ]
    return joined(made, n - k)
