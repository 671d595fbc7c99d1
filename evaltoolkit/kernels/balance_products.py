"""Balance of squares and products of covariates, without ever making the columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.balance import Spread, is_binary

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ProductBalance:
    """Balance of q products of two covariates, for m weightings.

    Attributes
    ----------
    one, two
        Columns that are multiplied, shape (q,); the same where it is a square.
    smd
        Standardized mean differences, shape (m, q).
    """

    one: IntArray
    two: IntArray
    smd: FloatArray


def product_balance(
    X: FloatArray, first: Mask, weightings: Sequence[FloatArray | None], spread: Spread, owner: Sequence[int]
) -> ProductBalance:
    r"""Compare the means of squares and of pairwise products of covariates between two groups.

    Of columns :math:`x_j` and :math:`x_k`, the standardized mean difference of :math:`x_j x_k` needs the weighted
    second moments :math:`X'WX` of each group, and its denominator the moments of the squares; both are matrix products
    of size k. Squares of 0/1 columns (which are the column itself) and products of two levels of one category (which
    are zero) are left out. The denominator is taken before weighting, :math:`\sqrt{p(1-p)}` for products of 0/1
    columns.

    Parameters
    ----------
    X
        Covariates, shape (n, k).
    first
        True for the first group, shape (n,).
    weightings
        Weights of shape (n,), or None for ones.
    spread
        Whose standard deviation the differences are divided by.
    owner
        The covariate behind each column, length k.

    Returns
    -------
    ProductBalance

    References
    ----------
    Austin, P. (2009). doi:10.1002/sim.3697

    Examples
    --------
    >>> X = np.array([[1.0, 1], [2, 0], [3, 1], [2, 0], [3, 1], [4, 0]])
    >>> found = product_balance(X, np.array([True] * 3 + [False] * 3), (None,), "first", (0, 1))
    >>> found.one.tolist(), found.two.tolist(), found.smd.round(3).tolist()
    ([0, 0], [0, 1], [[-1.237, 0.218]])
    """
    binary = np.array([is_binary(column) for column in X.T])
    one, two = _pairs(binary, np.asarray(owner))
    largest = np.abs(X).max(axis=0)
    scaled = X / np.where(largest > 0, largest, 1)
    squares = scaled**2
    groups = (first, ~first)
    variances = []
    for group in groups:
        n = int(group.sum())
        mean = _second(scaled[group], np.ones(n))[one, two]
        square = _second(squares[group], np.ones(n))[one, two]
        both = binary[one] & binary[two]
        variances.append(np.where(both, mean * (1 - mean), (square - mean**2) * (n / max(n - 1, 1))))
    used = {"first": variances[:1], "second": variances[1:], "pooled": variances}[spread]
    over = np.sqrt(np.clip(np.mean(used, axis=0), 0, None))
    smd = np.empty((len(weightings), one.size))
    for i, weights in enumerate(weightings):
        w = np.ones(first.size) if weights is None else weights
        m1, m2 = (_second(scaled[group], w[group])[one, two] for group in groups)
        with np.errstate(divide="ignore", invalid="ignore"):
            smd[i] = np.where(np.isclose(m1, m2, rtol=1e-12, atol=0), 0.0, (m1 - m2) / over)
    return ProductBalance(one, two, smd)


def _pairs(binary: Mask, owner: IntArray) -> tuple[IntArray, IntArray]:
    one, two = np.triu_indices(binary.size)
    kept = np.where(one == two, ~binary[one], owner[one] != owner[two])
    return one[kept], two[kept]


def _second(X: FloatArray, weights: FloatArray) -> FloatArray:
    return np.asarray((X * weights[:, None]).T @ X / weights.sum())
