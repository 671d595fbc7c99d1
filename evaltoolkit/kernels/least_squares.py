"""Weighted least squares by QR, with the columns that add nothing named by index."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

FloatArray = NDArray[np.float64]

_BLOCK = 65_536
"""Numbers in a block of rows: it stays in the cache while it is factored."""


@dataclass(frozen=True, slots=True)
class LeastSquares:
    """A weighted least-squares fit of n rows on k columns, of which r are kept.

    Attributes
    ----------
    coefficients
        One per column, shape (k,); NaN for aliased columns.
    kept, aliased
        Indices of the columns that are estimated, shape (r,), and of those that are combinations of earlier ones.
    residuals
        Unweighted residuals y - Xb, shape (n,).
    scores
        w_i e_i x_i for the kept columns, shape (n, r).
    bread
        (X'WX)^-1 for the kept columns, shape (r, r).
    df_residual
        n - r, rows with weight zero not counted.
    """

    coefficients: FloatArray
    kept: NDArray[np.int64]
    aliased: NDArray[np.int64]
    residuals: FloatArray
    scores: FloatArray
    bread: FloatArray
    df_residual: int


def least_squares(
    design: FloatArray, outcome: FloatArray, weights: FloatArray | None = None, *, tolerance: float = 1e-7
) -> LeastSquares:
    r"""Fit :math:`\hat\beta = \arg\min_\beta \sum_i w_i (y_i - x_i'\beta)^2`.

    Rows are factored in blocks and the triangles put together (a tall and skinny QR): one pass over the rows, no
    matrix beside the design, and the accuracy of a QR of all rows.

    A column is aliased where, after the columns kept before it are taken out, less than ``tolerance`` of its
    (weighted) length is left; it gets no coefficient, as in R's ``lm``.

    Parameters
    ----------
    design
        Shape (n, k).
    outcome
        Shape (n,).
    weights
        Non-negative, shape (n,); None for ones.
    tolerance
        Share of a column's length below which it counts as aliased.

    Returns
    -------
    LeastSquares

    Raises
    ------
    ValueError
        Shapes disagree, a weight is negative or a number is not finite.

    References
    ----------
    Golub, G. and Van Loan, C. (2013). Matrix Computations, 4th ed., section 5.3. doi:10.56021/9781421407944
    Demmel, J., Grigori, L., Hoemmen, M. and Langou, J. (2012). Communication-optimal parallel and sequential QR and LU
    factorizations. SIAM Journal on Scientific Computing 34. doi:10.1137/080731992

    Examples
    --------
    >>> X = np.column_stack([np.ones(4), [0.0, 1, 2, 3], [0.0, 2, 4, 6]])
    >>> fit = least_squares(X, np.array([1.0, 3, 5, 7]))
    >>> fit.coefficients.round(6).tolist(), fit.aliased.tolist()
    ([1.0, 2.0, nan], [2])
    """
    X, y = np.asarray(design, dtype=np.float64), np.asarray(outcome, dtype=np.float64)
    w = np.ones(y.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if X.ndim != 2 or X.shape[0] != y.size or w.size != y.size:
        raise ValueError("design, outcome and weights must have the same number of rows")
    if not (np.isfinite(X).all() and np.isfinite(y).all() and np.isfinite(w).all() and (w >= 0).all()):
        raise ValueError("design, outcome and weights must be finite, and weights not negative")
    kept, r, target = _independent(_triangle(X, y, None if weights is None else np.sqrt(w)), tolerance)
    half = linalg.solve_triangular(r, np.eye(kept.size), check_finite=False)
    beta = linalg.solve_triangular(r, target, check_finite=False)
    coefficients = np.full(X.shape[1], np.nan)
    coefficients[kept] = beta
    residuals = y - X[:, kept] @ beta
    return LeastSquares(
        coefficients=coefficients,
        kept=kept,
        aliased=np.setdiff1d(np.arange(X.shape[1]), kept),
        residuals=residuals,
        scores=X[:, kept] * (w * residuals)[:, None],
        bread=half @ half.T,
        df_residual=int((w > 0).sum()) - kept.size,
    )


def _triangle(X: FloatArray, y: FloatArray, root: FloatArray | None) -> FloatArray:
    """Return the triangle of a QR of (X, y), rows times ``root``; shape (min(n, k + 1), k + 1)."""
    n, k = X.shape
    step = max(_BLOCK // (k + 1), 4 * (k + 1))
    found = np.zeros((0, k + 1))
    for at in range(0, n, step):
        part = np.column_stack([X[at : at + step], y[at : at + step]])
        if root is not None:
            part *= root[at : at + step, None]
        found = np.asarray(np.linalg.qr(np.concatenate([found, part]), mode="r"))
    return found


def _independent(triangle: FloatArray, tolerance: float) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
    """Drop the first dependent column and factor again, until none is left; return the rest with Q'y."""
    X, y = triangle[:, :-1], triangle[:, -1]
    lengths = np.sqrt((X**2).sum(axis=0))
    kept = np.flatnonzero(lengths > 0)
    r, target = X[: X.shape[1]], y[: X.shape[1]]
    while True:
        if kept.size == 0:
            raise ValueError("no column of the design varies")
        if r.shape != (kept.size, kept.size):
            q, r = np.linalg.qr(X[:, kept])
            target = q.T @ y
        rank = min(r.shape)
        dependent = np.flatnonzero(np.abs(np.diag(r)) / lengths[kept[:rank]] < tolerance)
        if dependent.size:
            kept = np.delete(kept, dependent[0])
        elif kept.size > rank:
            kept = kept[:rank]
        else:
            return kept.astype(np.int64), r, target
