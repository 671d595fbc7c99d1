"""The k nearest of sorted numbers, ties and all, without a loop over rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Window:
    """For q queries, the stretch of m sorted values that holds their nearest ones.

    Attributes
    ----------
    start, stop
        The stretch is ``values[start:stop]``, shape (q,).
    """

    start: IntArray
    stop: IntArray

    @property
    def size(self) -> IntArray:
        """How many values each stretch holds, shape (q,)."""
        return self.stop - self.start

    def sums(self, numbers: FloatArray) -> FloatArray:
        """Return sums over each stretch of numbers that stand beside the values; (m,) gives (q,), (m, k) gives (q, k).

        The numbers are summed around their mean, so that a large common level costs no digits.
        """
        level = numbers.mean(axis=0)
        total = np.concatenate([np.zeros((1, *numbers.shape[1:])), np.cumsum(numbers - level, axis=0)])
        size = self.size if numbers.ndim == 1 else self.size[:, None]
        found: FloatArray = total[self.stop] - total[self.start] + size * level
        return found

    def spread(self, numbers: FloatArray, m: int) -> FloatArray:
        """Return for each of m values the sum of the queries' numbers, shape (q,), over the stretches it stands in."""
        begun = np.bincount(self.start, weights=numbers, minlength=m + 1)
        ended = np.bincount(self.stop, weights=numbers, minlength=m + 1)
        found: FloatArray = np.cumsum(begun - ended)[:m].astype(np.float64)
        return found


def nearest_window(values: FloatArray, queries: FloatArray, k: int) -> Window:
    r"""Find the k values nearest to each query, with all that are as near as the k-th.

    The k nearest of sorted numbers stand side by side: the stretch starts at the k below the query and moves up while
    the number after it is nearer than its first one. Then it takes in equal distances on both sides, so that the order
    of rows is of no account.

    Parameters
    ----------
    values
        Ascending, shape (m,), m at least 1.
    queries
        Shape (q,).
    k
        At least 1; all m values where there are fewer.

    Returns
    -------
    Window

    Raises
    ------
    ValueError
        There is no value, or k is below 1.

    References
    ----------
    Abadie, A. and Imbens, G. (2006), section 2 (matches with ties). doi:10.1111/j.1468-0262.2006.00655.x

    Examples
    --------
    >>> window = nearest_window(np.array([0.0, 1, 1, 4]), np.array([0.9, 2.5]), 1)
    >>> window.start.tolist(), window.stop.tolist()
    ([1, 1], [3, 4])
    """
    m = values.size
    if m == 0 or k < 1:
        raise ValueError("nearest values need at least one value and k of at least 1")
    k = min(k, m)
    start = np.clip(np.searchsorted(values, queries) - k, 0, m - k)
    for _ in range(k):
        after = np.minimum(start + k, m - 1)
        start += (start + k < m) & (values[after] - queries < queries - values[start])
    stop = start + k
    reach = np.maximum(queries - values[start], values[stop - 1] - queries)
    return Window(*_with_ties(values, queries, reach, start, stop))


def _with_ties(
    values: FloatArray, queries: FloatArray, reach: FloatArray, start: IntArray, stop: IntArray
) -> tuple[IntArray, IntArray]:
    m = values.size
    below = np.maximum(start - 1, 0)
    more = (start > 0) & (queries - values[below] <= reach)
    start, stop = start.copy(), stop.copy()
    start[more] = np.searchsorted(values, values[below[more]], side="left")
    above = np.minimum(stop, m - 1)
    more = (stop < m) & (values[above] - queries <= reach)
    stop[more] = np.searchsorted(values, values[above[more]], side="right")
    return start.astype(np.int64), stop.astype(np.int64)
