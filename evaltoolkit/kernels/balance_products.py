"""Balance of squares and products of covariates, without ever making the columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.balance import Spread, is_binary

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


_ROWS = 8192
LOST: Final = 1e-11
"""Variance of a product, relative to its mean square, below which it is not told from rounding."""


@dataclass(frozen=True, slots=True)
class ProductBalance:
    """Balance of q products of two covariates, for m weightings.

    Attributes
    ----------
    one, two
        Columns that are multiplied, shape (q,); the same where it is a square.
    smd
        Standardized mean differences, shape (m, q); NaN where a product hardly varies beside its size.
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
    one, two = product_pairs(binary, np.asarray(owner))
    largest = np.abs(X).max(axis=0)
    given = [w for w in weightings if w is not None]
    scaled = X / np.where(largest > 0, largest, 1)
    means, squares = _seconds(scaled, first, [np.ones(first.size), *given], (one, two))
    plain = means[0]
    sizes = np.array([first.sum(), (~first).sum()])[:, None]
    variances = np.where(
        binary[one] & binary[two], plain * (1 - plain), (squares - plain**2) * sizes / np.maximum(sizes - 1, 1)
    )
    # Far from zero, a product varies too little beside its size for second moments to tell.
    variances = np.where(variances < LOST * squares, np.nan, variances)
    used = {"first": variances[:1], "second": variances[1:], "pooled": variances}[spread]
    over = np.sqrt(np.clip(used.mean(axis=0), 0, None))
    later = iter(range(1, len(given) + 1))
    chosen = means[[0 if w is None else next(later) for w in weightings]]
    m1, m2 = chosen[:, 0], chosen[:, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        smd = np.where(np.isclose(m1, m2, rtol=1e-12, atol=0), 0.0, (m1 - m2) / over)
    return ProductBalance(one, two, smd)


def product_pairs(binary: Mask, owner: IntArray) -> tuple[IntArray, IntArray]:
    """Return which columns are multiplied: no squares of 0/1 columns, no two levels of one category.

    >>> [part.tolist() for part in product_pairs(np.array([False, True, True]), np.array([0, 1, 1]))]
    [[0, 0, 0], [0, 1, 2]]
    """
    one, two = np.triu_indices(binary.size)
    kept = np.where(one == two, ~binary[one], owner[one] != owner[two])
    return one[kept], two[kept]


def _seconds(
    X: FloatArray, first: Mask, weights: list[FloatArray], pair: tuple[IntArray, IntArray]
) -> tuple[FloatArray, FloatArray]:
    """Return weighted means of products (m, 2, q) and plain means of their squares (2, q), in blocks of rows."""
    k, groups = X.shape[1], (first, ~first)
    steps = [np.where(group, w, 0.0) / w[group].sum() for w in weights for group in groups]
    plain = [group / group.sum() for group in groups]
    means, squares = np.zeros((len(steps), k, k)), np.zeros((2, k, k))
    for start in range(0, first.size, _ROWS):
        block = slice(start, start + _ROWS)
        x = X[block]
        for i, step in enumerate(steps):
            means[i] += (x * step[block, None]).T @ x
        square = x * x
        for i, step in enumerate(plain):
            squares[i] += (square * step[block, None]).T @ square
    return means[:, *pair].reshape(len(weights), 2, -1), squares[:, *pair]
