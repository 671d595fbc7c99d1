"""Rows of a fit multiplied by the adjustment matrix of their cluster, many small clusters or few large ones."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.small_sample_fit import ClusteredFit

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SINGULAR: Final = 1e-8
"""Eigenvalue of I - H, at most one, below which a direction counts as fitted exactly (clubSandwich: 1e-12)."""
BLOCK: Final = 4_000_000
"""Numbers held at once in a stack of matrices of clusters."""


def by_cluster(fit: ClusteredFit, rows: FloatArray) -> FloatArray:
    """Return sums of rows by cluster, shape (G, columns).

    Examples
    --------
    >>> from evaltoolkit.kernels.small_sample_fit import clustered_fit
    >>> fit = clustered_fit(np.ones((3, 1)), np.array([1.0, 2, 4]), np.array([0, 0, 1]))
    >>> by_cluster(fit, np.array([[1.0], [2], [4]])).ravel().tolist()
    [3.0, 4.0]
    """
    found: FloatArray = np.add.reduceat(rows, fit.edges[:-1], axis=0)
    return found


def rooted(fit: ClusteredFit, kind: str, contrasts: FloatArray, theta: FloatArray) -> FloatArray:
    r"""Return :math:`a_c = A_c' W_c X_c M L'` for every cluster, shape (N, q).

    Clusters of one size are taken together as a stack of m x m matrices. A large cluster uses that
    :math:`A_c - I` has the rank of the design at most, so that no m x m matrix is made.

    Parameters
    ----------
    fit
        The fit.
    kind
        ``CR2`` or ``CR3``.
    contrasts
        :math:`L`, shape (q, r).
    theta
        Diagonal of the working covariance, shape (N,).

    Examples
    --------
    >>> from evaltoolkit.kernels.small_sample_fit import clustered_fit
    >>> fit = clustered_fit(np.ones((4, 1)), np.array([1.0, 2, 4, 5]), np.array([0, 0, 1, 1]))
    >>> rooted(fit, "CR3", np.ones((1, 1)), np.ones(4)).round(6).ravel().tolist()
    [0.5, 0.5, 0.5, 0.5]
    """
    plain = fit.weights[:, None] * (fit.design @ (fit.bread @ contrasts.T))
    found = np.empty_like(plain)
    half = fit.design * (fit.weights * np.sqrt(theta))[:, None]
    middle = fit.bread @ (half.T @ half) @ fit.bread
    sizes = np.diff(fit.edges)
    even = fit.even
    for m in np.unique(sizes).tolist():
        mine = np.flatnonzero(sizes == m)
        if m > 2 * (2 * fit.kept.size + 8) and even:
            for c in mine.tolist():
                rows = np.arange(fit.edges[c], fit.edges[c + 1])
                found[rows] = _thin(fit, kind, rows, plain[rows], theta[rows], middle)
            continue
        step = max(1, BLOCK // (m * m))
        for at in range(0, mine.size, step):
            rows = fit.edges[mine[at : at + step]][:, None] + np.arange(m)[None, :]
            found[rows] = _stacked(fit, kind, rows, plain[rows], theta[rows], middle)
    return found


def _power(values: FloatArray, scale: FloatArray | float, power: float) -> FloatArray:
    """Raise eigenvalues to a power; those that are zero beside the scale give zero."""
    live = values > SINGULAR * scale
    found: FloatArray = np.where(live, np.where(live, values, 1.0) ** power, 0.0)
    return found


def _stacked(
    fit: ClusteredFit, kind: str, rows: IntArray, plain: FloatArray, theta: FloatArray, middle: FloatArray
) -> FloatArray:
    """Work on clusters of one size, rows (g, m)."""
    X, w = fit.design[rows], fit.weights[rows]
    m = rows.shape[1]
    code = fit.absorbed[rows]
    same = np.zeros((1, m, m))
    if fit.n_absorbed:
        same = (code[:, :, None] == code[:, None, :]) / fit.totals[code][:, :, None]
    if kind == "CR3":
        root = np.sqrt(w)
        Z = X * root[:, :, None]
        kept = np.eye(m) - Z @ fit.bread @ Z.swapaxes(1, 2) - same * root[:, :, None] * root[:, None, :]
        return root[:, :, None] * _applied(kept, plain / root[:, :, None], -1.0)
    left = np.eye(m) - same * w[:, None, :]
    F = left @ (X * (theta * w)[:, :, None])
    mixed = X @ fit.bread @ F.swapaxes(1, 2)
    inside = (left * theta[:, None, :]) @ left.swapaxes(1, 2) - mixed - mixed.swapaxes(1, 2)
    inside = inside + X @ middle @ X.swapaxes(1, 2)
    d = np.sqrt(theta)
    return d[:, :, None] * _applied(inside * d[:, :, None] * d[:, None, :], plain * d[:, :, None], -0.5)


def _applied(matrices: FloatArray, columns: FloatArray, power: float) -> FloatArray:
    scale = np.abs(np.einsum("gii->gi", matrices)).max(axis=1)[:, None]
    values, vectors = np.linalg.eigh(matrices)
    turned = vectors.swapaxes(1, 2) @ columns
    return np.asarray(vectors @ (_power(values, scale, power)[:, :, None] * turned), dtype=np.float64)


def _thin(
    fit: ClusteredFit, kind: str, rows: IntArray, plain: FloatArray, theta: FloatArray, middle: FloatArray
) -> FloatArray:
    """Work on one large cluster with one weight for each absorbed effect, which then is orthogonal to the rest."""
    X, w, k = fit.design[rows], fit.weights[rows], fit.kept.size
    if kind == "CR3":
        root = np.sqrt(w)
        short: FloatArray = root[:, None] * _low_rank(X * root[:, None], -fit.bread, plain / root[:, None], -1.0)
        return short
    if not np.allclose(theta, theta[0], rtol=1e-12, atol=0):
        whole: FloatArray = _stacked(fit, kind, rows[None], plain[None], theta[None], middle)[0]
        return whole
    # Where theta is one number, A = (I + Z S Z')^(+1/2) with Z = [X, theta w X].
    t = float(theta[0])
    if np.allclose(w * t, w[0] * t, rtol=1e-12, atol=0):
        return _low_rank(X, (middle - 2 * float(w[0]) * t * fit.bread) / t, plain, -0.5)
    Z = np.concatenate([X, X * (w * t)[:, None]], axis=1)
    S = np.block([[middle, -fit.bread], [-fit.bread, np.zeros((k, k))]]) / t
    return _low_rank(Z, S, plain, -0.5)


def _low_rank(Z: FloatArray, S: FloatArray, columns: FloatArray, power: float) -> FloatArray:
    """Return (I + Z S Z')^power times columns from a factor of Z."""
    q, r = np.linalg.qr(Z)
    values, vectors = np.linalg.eigh(np.eye(r.shape[0]) + r @ S @ r.T)
    Q = q @ vectors
    change = _power(values, 1.0, power) - 1.0
    return np.asarray(columns + Q @ (change[:, None] * (Q.T @ columns)), dtype=np.float64)
