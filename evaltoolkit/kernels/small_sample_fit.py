"""A least-squares fit with clusters and absorbed effects nested in them, ready for errors by cluster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.least_squares import least_squares

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class NestingError(ValueError):
    """Effects to be absorbed are shared by several clusters."""


@dataclass(frozen=True, slots=True)
class ClusteredFit:
    """A weighted least-squares fit, rows in order of clusters and rows without weight left out.

    Attributes
    ----------
    coefficients
        Of the kept columns, shape (r,).
    kept
        Indices of these columns among the ``n_columns`` given.
    design, residuals, weights
        The kept columns less their absorbed means, shape (N, r); unweighted residuals and weights, shape (N,).
    bread
        (X'WX)^-1, shape (r, r).
    edges
        Rows of cluster c are ``edges[c]`` to ``edges[c + 1]``, shape (G + 1,).
    absorbed
        Codes of the absorbed effects 0 .. ``n_absorbed`` - 1, shape (N,); all zero where nothing is absorbed.
    totals
        Sum of weights by absorbed effect, shape (``n_absorbed``,).
    order
        Row of the input for each row here, shape (N,).
    """

    coefficients: FloatArray
    kept: IntArray
    n_columns: int
    design: FloatArray
    residuals: FloatArray
    weights: FloatArray
    bread: FloatArray
    edges: IntArray
    absorbed: IntArray
    totals: FloatArray
    order: IntArray

    @property
    def n_clusters(self) -> int:
        """How many clusters there are."""
        return int(self.edges.size) - 1

    @property
    def n_absorbed(self) -> int:
        """How many effects are absorbed."""
        return int(self.totals.size)

    @property
    def even(self) -> bool:
        """Whether rows of one absorbed effect have one weight."""
        if self.n_absorbed == 0:
            return True
        first = np.zeros(self.n_absorbed)
        first[self.absorbed] = self.weights
        return bool(np.allclose(first[self.absorbed], self.weights, rtol=1e-12, atol=0))

    def absorbed_means(self, values: FloatArray) -> FloatArray:
        """Return weighted means by absorbed effect, one per row; zeros where nothing is absorbed."""
        return _means(values, self.weights, self.absorbed, self.totals)

    def absorbed_leverage(self) -> FloatArray:
        """Return the leverage of each row through the absorbed effects, shape (N,)."""
        if self.n_absorbed == 0:
            return np.zeros(self.weights.size)
        found: FloatArray = self.weights / self.totals[self.absorbed]
        return found


def clustered_fit(
    design: FloatArray,
    outcome: FloatArray,
    clusters: IntArray,
    weights: FloatArray | None = None,
    absorbed: IntArray | None = None,
) -> ClusteredFit:
    r"""Fit by weighted least squares after taking out the weighted mean of each absorbed effect.

    Effects nested in clusters (units, in clusters of units) may be absorbed and leave the errors by cluster what they
    are with dummies; other effects (periods) must stand in the design as dummies.

    Parameters
    ----------
    design
        Shape (N, k), without an intercept where effects are absorbed (it would count as aliased).
    outcome
        Shape (N,).
    clusters
        Codes, shape (N,).
    weights
        Shape (N,); rows of weight zero are left out; None for ones.
    absorbed
        Codes of effects that are each within one cluster, shape (N,).

    Returns
    -------
    ClusteredFit

    Raises
    ------
    NestingError
        An absorbed effect is in two clusters.
    ValueError
        There are fewer than two clusters, or the numbers do not allow a fit.

    References
    ----------
    Pustejovsky, J. and Tipton, E. (2018). Small-sample methods for cluster-robust variance estimation and hypothesis
    testing in fixed effects models. Journal of Business and Economic Statistics 36, theorem 2.
    doi:10.1080/07350015.2016.1247004

    Examples
    --------
    >>> x, y = np.array([[0.0], [1], [0], [3]]), np.array([1.0, 3, 5, 11])
    >>> fit = clustered_fit(x, y, np.array([1, 1, 2, 2]), absorbed=np.array([1, 1, 2, 2]))
    >>> fit.coefficients.round(6).tolist(), fit.n_clusters, fit.n_absorbed
    ([2.0], 2, 2)
    """
    w = np.ones(len(outcome)) if weights is None else np.asarray(weights, dtype=np.float64)
    _, code = np.unique(clusters, return_inverse=True)
    order = np.argsort(code, kind="stable")
    order = order[w[order] > 0]
    X, y, w = np.asarray(design, dtype=np.float64)[order], np.asarray(outcome, dtype=np.float64)[order], w[order]
    edges = np.concatenate([[0], np.flatnonzero(np.diff(code[order])) + 1, [order.size]]).astype(np.int64)
    if edges.size < 3:
        raise ValueError("clustered errors need at least two clusters")
    effect, totals = np.zeros(order.size, dtype=np.int64), np.zeros(0)
    if absorbed is not None:
        effect, totals = _nested(np.asarray(absorbed)[order], code[order], w)
        lengths = np.sqrt((X**2).sum(axis=0))
        X, y = X - _means(X, w, effect, totals), y - _means(y[:, None], w, effect, totals)[:, 0]
        # What is left of a column that is wholly absorbed is rounding.
        X[:, np.sqrt((X**2).sum(axis=0)) < 1e-9 * lengths] = 0.0
    fit = least_squares(X, y, w)
    return ClusteredFit(
        coefficients=fit.coefficients[fit.kept],
        kept=fit.kept,
        n_columns=X.shape[1],
        design=X[:, fit.kept],
        residuals=fit.residuals,
        weights=w,
        bread=fit.bread,
        edges=edges,
        absorbed=effect,
        totals=totals,
        order=order.astype(np.int64),
    )


def _nested(absorbed: IntArray, code: IntArray, w: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return codes and weights of the absorbed effects, each of which is in one cluster."""
    _, effect = np.unique(absorbed, return_inverse=True)
    totals = np.bincount(effect, weights=w).astype(np.float64)
    home = np.zeros(totals.size, dtype=np.int64)
    home[effect] = code
    if (home[effect] != code).any():
        raise NestingError("an absorbed effect is in two clusters")
    return effect.astype(np.int64), totals


def _means(values: FloatArray, w: FloatArray, effect: IntArray, totals: FloatArray) -> FloatArray:
    if totals.size == 0:
        return np.zeros_like(values)
    columns = [np.bincount(effect, weights=w * v, minlength=totals.size) / totals for v in values.T]
    found: FloatArray = np.stack(columns, axis=-1)[effect]
    return found
