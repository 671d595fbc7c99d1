"""An effect estimated again without each period in turn, the errors' autocorrelation integrated out each time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.autoregression import GRID, prior, whitening

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def without_each_period(
    design: FloatArray, outcome: FloatArray, contrast: FloatArray, steps: IntArray, grid: FloatArray = GRID
) -> FloatArray:
    r"""Return :math:`c'\hat\beta` without the first, the second, ... period, shape (n,).

    Leaving period i out is the same as giving it a coefficient of its own. With :math:`P = V^{-1}`,
    :math:`A = X'PX`, :math:`r = P(y - X b)` and :math:`p_i = P_{ii} - (PX)_i A^{-1} (PX)_i'`, for every autocorrelation

    .. math:: b_{(i)} = b - A^{-1} (PX)_i' r_i / p_i, \quad RSS_{(i)} = RSS - r_i^2 / p_i, \quad
        |A_{(i)}| = |A|\, p_i,

    and the weights of ``marginal_ar1`` follow. Equal to that function on the series without the period, its calendar
    kept.

    Parameters
    ----------
    design, outcome
        Shapes (n, k) and (n,), n > k + 1.
    contrast
        c, shape (k,).
    steps
        Period of each row, shape (n,).
    grid
        Autocorrelations, shape (G,); a single 0 for independent errors.

    Returns
    -------
    ndarray
        NaN where the period is all that identifies some coefficient.

    References
    ----------
    Cook, R. and Weisberg, S. (1982). Residuals and Influence in Regression. Chapman and Hall. hdl:11299/37076

    Examples
    --------
    >>> y = np.array([1.0, 2.0, 3.0, 10.0])
    >>> without_each_period(np.ones((4, 1)), y, np.ones(1), np.arange(4), np.zeros(1)).round(6).tolist()
    [5.0, 4.666667, 4.333333, 2.0]
    """
    n, k = design.shape
    q, upper = np.linalg.qr(design)
    keep, carry = whitening(steps, grid)
    y = outcome - q @ (q.T @ outcome)
    before = np.vstack([np.zeros((1, k + 1)), np.column_stack([q, y])[:-1]])
    white = keep[:, :, None] * (np.column_stack([q, y]) - carry[:, :, None] * before)
    ahead = np.concatenate([keep[:, 1:] * carry[:, 1:], np.zeros((grid.size, 1))], axis=1)
    back = keep[:, :, None] * white - ahead[:, :, None] * np.concatenate([white[:, 1:], white[:, :1]], axis=1)
    inverse = np.linalg.inv(np.swapaxes(white[:, :, :k], 1, 2) @ white[:, :, :k])
    b = (inverse @ (np.swapaxes(white[:, :, :k], 1, 2) @ white[:, :, k:]))[:, :, 0]
    r = back[:, :, k] - np.einsum("gnk,gk->gn", back[:, :, :k], b)
    rss = (white[:, :, k] ** 2).sum(axis=1) - np.einsum("gk,gnk,gn->g", b, white[:, :, :k], white[:, :, k])
    moved = np.einsum("gnk,gkl->gnl", back[:, :, :k], inverse)
    own = keep**2 + ahead**2
    p = own - (moved * back[:, :, :k]).sum(axis=2)
    known = (p > 1e-9 * own).all(axis=0)
    p = np.where(known, p, 1.0)
    df = n - 1 - k
    left = np.maximum(rss[:, None] - r**2 / p, 1e-300)
    base = prior(steps, grid) + np.linalg.slogdet(inverse)[1] / 2
    log_weight = base[:, None] - df / 2 * np.log(left) - np.log(p) / 2
    weights = np.exp(log_weight - log_weight.max(axis=0))
    c = np.linalg.solve(upper.T, contrast)
    found = (b @ c)[:, None] - (moved @ c) * r / p
    plain = float(c @ (q.T @ outcome))
    return np.asarray(np.where(known, plain + (weights * found).sum(axis=0) / weights.sum(axis=0), np.nan))
