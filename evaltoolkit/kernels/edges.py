"""Pairs that calipers and exact columns allow, listed one by one where they are few enough."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.optimal import Edges
from evaltoolkit.kernels.pairing import Constraints

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

MOST = 20_000_000


class TooManyEdgesError(ValueError):
    """More pairs are allowed than can be listed."""


def allowed_edges(
    line: FloatArray,
    focal: Mask,
    width: float | None = None,
    strata: IntArray | None = None,
    constraints: Constraints | None = None,
    points: FloatArray | None = None,
) -> Edges:
    """List the pairs within a caliper, a stratum and other limits, with their distances.

    Parameters
    ----------
    line
        What the caliper is on, shape (n,).
    focal
        The two groups, shape (n,).
    width
        Caliper; None for none.
    strata
        Codes that must agree, shape (n,); None for no strata.
    constraints
        Other limits; None for none.
    points
        Where distances are taken, shape (n, k); None for the line itself.

    Returns
    -------
    Edges

    Raises
    ------
    TooManyEdgesError
        More than 20 million pairs are within the caliper and the strata.

    Examples
    --------
    >>> edges = allowed_edges(np.array([0.5, 0.4, 0.9]), np.array([True, False, False]), 0.2)
    >>> edges.focal.tolist(), edges.other.tolist(), edges.distance.round(3).tolist()
    ([0], [1], [0.1])
    """
    one, two = _within(line, focal, np.inf if width is None else width, strata)
    kept = np.ones(one.size, dtype=np.bool_) if width is None else np.abs(line[one] - line[two]) <= width
    limits = constraints or Constraints()
    for k, most in enumerate(limits.widths):
        far = np.abs(limits.columns[one, k] - limits.columns[two, k])
        kept &= far <= most if most >= 0 else far > -most
    for k in range(limits.apart.shape[1] if limits.apart.size else 0):
        kept &= limits.apart[one, k] != limits.apart[two, k]
    one, two = one[kept], two[kept]
    if points is None:
        return Edges(one, two, np.abs(line[one] - line[two]))
    squared = np.zeros(one.size)
    for column in points.T:
        squared += (column[one] - column[two]) ** 2
    return Edges(one, two, np.sqrt(squared))


def _within(line: FloatArray, focal: Mask, width: float, strata: IntArray | None) -> tuple[IntArray, IntArray]:
    codes = np.zeros(line.size, dtype=np.int64) if strata is None else strata
    rows = np.lexsort((line, codes))
    others, mine = rows[~focal[rows]], rows[focal[rows]]
    # A little slack, so that rounding in the search never loses a pair; the exact comparison follows.
    slack = width if np.isinf(width) else width + 1e-9 * (width + np.abs(line).max())
    low, high = np.empty(mine.size, dtype=np.int64), np.empty(mine.size, dtype=np.int64)
    for code in np.unique(codes[mine]):
        here = codes[mine] == code
        start, end = np.searchsorted(codes[others], [code, code + 1])
        theirs = line[others[start:end]]
        low[here] = start + np.searchsorted(theirs, line[mine[here]] - slack, side="left")
        high[here] = start + np.searchsorted(theirs, line[mine[here]] + slack, side="right")
    count = high - low
    if int(count.sum()) > MOST:
        raise TooManyEdgesError(f"{int(count.sum()):,} pairs are allowed")
    first = np.cumsum(count) - count
    step = np.arange(int(count.sum())) - np.repeat(first, count)
    return np.repeat(mine, count), others[np.repeat(low, count) + step]
