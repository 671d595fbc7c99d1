"""Groups of units with the same start and the same observed periods, and what unit and period effects leave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cohorts import NEVER

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Groups:
    """G groups of units that share their start and the periods in which they were observed.

    Attributes
    ----------
    start
        Start of each group, ascending, ``NEVER`` for starts after the last period, shape (G,).
    observed
        Shape (G, T).
    size
        Units or their weight, shape (G,).
    treated
        Which periods are treated, as 0 and 1, shape (G, T).
    code
        Group of each unit, shape (n,); -1 for units observed less than twice, which identify nothing.
    """

    start: IntArray
    observed: Mask
    size: FloatArray
    treated: FloatArray
    code: IntArray

    @property
    def mass(self) -> FloatArray:
        """Weight observed in each period, shape (G, T)."""
        found: FloatArray = self.observed * self.size[:, None]
        return found


def groups(there: Mask, start: IntArray, periods: IntArray, weights: FloatArray | None = None) -> Groups:
    """Sort units into groups.

    Parameters
    ----------
    there
        Whether a unit was observed, shape (n, T).
    start
        First treated period, ``NEVER`` for none, shape (n,).
    periods
        Ascending, shape (T,).
    weights
        Above zero, shape (n,); None for ones.

    Examples
    --------
    >>> there = np.array([[True, True, True], [True, False, True], [True, True, True], [True, False, False]])
    >>> found = groups(there, np.array([2, 2, 9, 9]), np.array([1, 2, 3]))
    >>> found.size.tolist(), found.treated.tolist(), found.code.tolist()
    ([1.0, 1.0, 1.0], [[0.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]], [1, 0, 2, -1])
    """
    w = np.ones(start.size) if weights is None else weights
    clipped = np.where(start > periods[-1], NEVER, start)
    starts, cohort = np.unique(clipped, return_inverse=True)
    if there.all() and periods.size > 1:
        size = np.bincount(cohort, weights=w, minlength=starts.size).astype(np.float64)
        observed = np.ones((starts.size, periods.size), dtype=np.bool_)
        return Groups(starts, observed, size, (periods >= starts[:, None]).astype(np.float64), cohort.astype(np.int64))
    kept = np.flatnonzero(there.sum(axis=1) > 1)
    bits = np.packbits(there[kept], axis=1)
    patterns, pattern = np.unique(bits, axis=0, return_inverse=True)
    labels, inside = np.unique(cohort[kept] * len(patterns) + pattern.ravel(), return_inverse=True)
    code = np.full(start.size, -1, dtype=np.int64)
    code[kept] = inside
    mine = starts[labels // max(len(patterns), 1)]
    observed = np.unpackbits(patterns, axis=1, count=periods.size).astype(np.bool_)[labels % max(len(patterns), 1)]
    size = np.bincount(inside, weights=w[kept], minlength=labels.size).astype(np.float64)
    return Groups(mine, observed, size, (periods >= mine[:, None]).astype(np.float64), code)


def group_means(found: Groups, values: FloatArray, weights: FloatArray | None = None) -> FloatArray:
    """Return weighted means by group and period, shape (G, T), less each period's and each group's own mean.

    Unit and period effects take both out in any case; without them large levels lose no digits. Zero where the group
    was not observed.

    Parameters
    ----------
    found
        The groups.
    values
        Shape (n, T).
    weights
        As in ``groups``.

    Examples
    --------
    >>> y = np.array([[1.0, 4], [3, 6], [5, 5]])
    >>> group_means(groups(np.isfinite(y), np.array([2, 2, 9]), np.array([1, 2])), y).round(9).tolist()
    [[-0.5, 0.5], [1.0, -1.0]]
    """
    used = found.code >= 0
    w = np.ones(used.size) if weights is None else weights
    w, code, G = w[used], found.code[used], found.size.size
    means = np.zeros((G, values.shape[1]))
    for t in range(values.shape[1]):
        y = values[:, t][used]
        there = found.observed[code, t]
        if not there.any():
            continue
        y = np.where(there, y - y[there].mean(), 0.0)
        means[:, t] = np.bincount(code, weights=w * y, minlength=G) / found.size
    level = means.sum(axis=1) / found.observed.sum(axis=1)
    return np.where(found.observed, means - level[:, None], 0.0)


def two_way_residuals(values: FloatArray, observed: Mask, size: FloatArray) -> FloatArray:
    r"""Return what unit and period effects leave of q columns: :math:`\tilde v_{it} = v_{it} - a_i - b_t`.

    Unit effects go by within-unit means; the T period effects then solve the normal equations of demeaned dummies,
    :math:`L b = \sum_i w_i (v_i - \bar v_i)`, with :math:`L = \sum_i w_i (\mathrm{diag}(o_i) - o_i o_i' / T_i)`. Exact
    with holes, where taking out row and column means is not.

    Parameters
    ----------
    values
        Shape (n, T, q), finite where observed.
    observed
        Shape (n, T), at least one period in each row.
    size
        Weights of rows, shape (n,).

    Returns
    -------
    array of shape (n, T, q)
        Zero where not observed.

    References
    ----------
    Wansbeek, T. and Kapteyn, A. (1989). Estimation of the error-components model with incomplete panels. Journal of
    Econometrics 41. doi:10.1016/0304-4076(89)90064-4

    Examples
    --------
    >>> v = np.array([[[1.0], [2], [0]], [[4.0], [5], [9]]])
    >>> seen = np.array([[True, True, False], [True, True, True]])
    >>> abs(two_way_residuals(v, seen, np.ones(2))).max().round(9) == 0
    np.True_
    """
    count = observed.sum(axis=1)
    seen = observed.astype(np.float64)
    v = np.where(observed[:, :, None], values, 0.0)
    v = np.where(observed[:, :, None], v - (v.sum(axis=1) / count[:, None])[:, None, :], 0.0)
    scaled = seen * (size / count)[:, None]
    normal = np.diag(size @ seen) - seen.T @ scaled
    effects = np.linalg.lstsq(normal, np.tensordot(size, v, axes=1), rcond=1e-12)[0]
    shift = effects[None, :, :] - ((seen @ effects) / count[:, None])[:, None, :]
    return np.where(observed[:, :, None], v - shift, 0.0)
