"""Sandwich covariances: heteroskedastic, clustered one way, clustered two ways."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Covariance:
    """A covariance matrix of r coefficients and what it rests on.

    Attributes
    ----------
    matrix
        Shape (r, r).
    n_clusters
        Clusters on each way; (n,) rows where there are none.
    df
        Degrees of freedom for a t reference: the smallest number of clusters less one, or n - r without clusters.
    name
        What it is called.
    """

    matrix: FloatArray
    n_clusters: tuple[int, ...]
    df: int
    name: str


def heteroskedastic(scores: FloatArray, bread: FloatArray) -> Covariance:
    r"""HC1: :math:`\frac{n}{n-r} B \left(\sum_i s_i s_i'\right) B` with bread :math:`B` and scores :math:`s_i`.

    Parameters
    ----------
    scores
        Shape (n, r): w_i e_i x_i.
    bread
        Shape (r, r): (X'WX)^-1.

    Returns
    -------
    Covariance

    References
    ----------
    MacKinnon, J. and White, H. (1985). Some heteroskedasticity-consistent covariance matrix estimators with improved
    finite sample properties. Journal of Econometrics 29. doi:10.1016/0304-4076(85)90158-7

    Examples
    --------
    >>> heteroskedastic(np.array([[1.0], [-1.0], [2.0], [-2.0]]), np.array([[0.25]])).matrix.round(6).tolist()
    [[0.833333]]
    """
    n, r = scores.shape
    return Covariance(n / (n - r) * _sandwich(scores, bread), (n,), n - r, "HC1")


def clustered(scores: FloatArray, bread: FloatArray, clusters: Codes) -> Covariance:
    r"""CR1: :math:`\frac{G}{G-1}\frac{n-1}{n-r} B \left(\sum_g s_g s_g'\right) B`, with :math:`s_g` summed in clusters.

    The factors are those of R ``sandwich::vcovCL(type = "HC1", cadjust = TRUE)``.

    Parameters
    ----------
    scores
        Shape (n, r).
    bread
        Shape (r, r).
    clusters
        Integer codes, shape (n,).

    Returns
    -------
    Covariance

    Raises
    ------
    ValueError
        There are fewer than two clusters.

    References
    ----------
    Zeileis, A., Koell, S. and Graham, N. (2020). Various versatile variances. Journal of Statistical Software 95(1).
    doi:10.18637/jss.v095.i01

    Examples
    --------
    >>> s = np.array([[1.0], [-1.0], [2.0], [-2.0]])
    >>> clustered(s, np.array([[0.25]]), np.array([0, 1, 0, 1])).matrix.round(6).tolist()
    [[2.25]]
    """
    part, g = _cluster_part(scores, bread, clusters)
    n, r = scores.shape
    return Covariance((n - 1) / (n - r) * part, (g,), g - 1, "CR1")


def clustered_two_ways(scores: FloatArray, bread: FloatArray, first: Codes, second: Codes) -> Covariance:
    r"""Two-way CR1: :math:`V = V_1 + V_2 - V_{1 \cap 2}`, each with its own :math:`G/(G-1)`, times (n-1)/(n-r).

    Where the difference is not positive semi-definite, negative eigenvalues are set to zero.

    Parameters
    ----------
    scores
        Shape (n, r).
    bread
        Shape (r, r).
    first, second
        Integer codes of the two ways, shape (n,).

    Returns
    -------
    Covariance

    Raises
    ------
    ValueError
        One way has fewer than two clusters.

    References
    ----------
    Cameron, A., Gelbach, J. and Miller, D. (2011). Robust inference with multiway clustering. Journal of Business and
    Economic Statistics 29. doi:10.1198/jbes.2010.07136

    Examples
    --------
    >>> s = np.array([[1.0], [-1.0], [2.0], [-2.0]])
    >>> v = clustered_two_ways(s, np.array([[0.25]]), np.array([0, 1, 0, 1]), np.array([0, 1, 2, 3]))
    >>> v.matrix.round(6).tolist(), v.n_clusters, v.df
    ([[2.25]], (2, 4), 1)
    """
    v1, g1 = _cluster_part(scores, bread, first)
    v2, g2 = _cluster_part(scores, bread, second)
    _, b = np.unique(second, return_inverse=True)
    both = np.asarray(first, dtype=np.int64) * (int(b.max()) + 1) + b
    v12, _ = _cluster_part(scores, bread, both)
    n, r = scores.shape
    matrix = (n - 1) / (n - r) * (v1 + v2 - v12)
    values, vectors = np.linalg.eigh(matrix)
    if (values < 0).any():
        matrix = (vectors * np.clip(values, 0, None)) @ vectors.T
    return Covariance(matrix, (g1, g2), min(g1, g2) - 1, "two-way CR1")


def _sandwich(scores: FloatArray, bread: FloatArray) -> FloatArray:
    half = scores @ bread
    meat: FloatArray = half.T @ half
    return meat


def _cluster_part(scores: FloatArray, bread: FloatArray, clusters: Codes) -> tuple[FloatArray, int]:
    labels, codes = np.unique(clusters, return_inverse=True)
    g = int(labels.size)
    if g < 2:
        raise ValueError("clustered errors need at least two clusters")
    sums = np.column_stack([np.bincount(codes, weights=c, minlength=g).astype(np.float64) for c in scores.T])
    return g / (g - 1) * _sandwich(sums, bread), g
