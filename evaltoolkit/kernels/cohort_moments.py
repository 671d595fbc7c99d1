"""The moment table: a complete panel as sums over cells of units alike in start and covariates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.moment_cells import MomentsError, added, grouped, joint_codes

__all__ = ["CohortMoments", "MomentsError", "cohort_moments", "combined"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

MEMORY = 40_960
"""Numbers in a block of outcomes, at most: a block stays in the cache."""

MOST = 1 << 26
"""Numbers in the cross-products of a table, at most: beyond it covariates are no cells but continuous."""

MANY = 6
"""Decimals from which on a shift is not rounded."""


@dataclass(frozen=True, slots=True)
class CohortMoments:
    """Sums over the units of S cells, each a start with values of the covariates, less a shift of every period.

    Attributes
    ----------
    starts
        The J different starts, ascending, shape (J,).
    periods
        Ascending, shape (T,).
    design
        Intercept first, then covariates of each cell, shape (S, k).
    cohort
        Place of each cell's start in ``starts``, shape (S,).
    units
        Units in each cell, shape (S,).
    n, m
        Sums of w, shape (S,), and of w Y, shape (S, T).
    N2, M2, Q
        Sums of the squared weight, shape (S,), of it times Y, shape (S, T), and times Y Y', shape (S, T, T).
    shift
        Taken out of every outcome of a period before it was summed, shape (T,).
    there
        Periods in which the units of a cell were observed, shape (S, T), where cells are alike in that too: sums over
        other periods are zero. None where every unit was observed in every period.
    """

    starts: IntArray
    periods: IntArray
    design: FloatArray
    cohort: IntArray
    units: IntArray
    n: FloatArray
    m: FloatArray
    N2: FloatArray
    M2: FloatArray
    Q: FloatArray
    shift: FloatArray
    there: Mask | None = None

    def shifted(self, shift: FloatArray) -> CohortMoments:
        r"""Return the same sums with another shift, by :math:`Q + M_2 d' + d M_2' + N_2 d d'` and the like.

        >>> one = cohort_moments(np.array([[1.0, 4]]), np.array([2]), np.array([1, 2]), np.ones((1, 1)))
        >>> one.shifted(np.array([0.0, 1.0])).Q[0].tolist()
        [[1.0, 3.0], [3.0, 9.0]]
        """
        d = np.broadcast_to(self.shift - shift, self.m.shape)
        d = d if self.there is None else d * self.there
        m, M2 = self.m + self.n[:, None] * d, self.M2 + self.N2[:, None] * d
        Q = self.Q + self.M2[:, :, None] * d[:, None, :] + d[:, :, None] * M2[:, None, :]
        return replace(self, m=m, M2=M2, Q=Q, shift=np.asarray(shift, dtype=np.float64))


def cohort_moments(
    outcome: FloatArray,
    start: IntArray,
    periods: IntArray,
    design: FloatArray,
    weights: FloatArray | None = None,
    shift: FloatArray | None = None,
) -> CohortMoments:
    r"""Reduce a complete panel to sums by cell: one pass over the outcomes.

    Cell s holds :math:`\sum w,\ \sum w Y,\ \sum w^2,\ \sum w^2 Y,\ \sum w^2 Y Y'` of its units, with
    :math:`Y_t` the outcome less ``shift``. Sums are additive over disjoint sets of units. Nothing else is needed for
    any estimate whose influence function is :math:`w_i (a_s' Y_i + b_s)`.

    Parameters
    ----------
    outcome
        Shape (n, T), columns in the order of ``periods``; none missing.
    start
        First treated period of each unit, ``NEVER`` for none, shape (n,).
    periods
        Ascending, shape (T,).
    design
        Intercept first, then covariates that do not change over time and take few values, shape (n, k).
    weights
        Above zero, shape (n,); None for ones.
    shift
        Shape (T,); None for rough means by period, rounded so that sums of whole numbers stay exact. Estimates do not
        depend on it, but without it large levels lose digits.

    Returns
    -------
    CohortMoments
        Cells in ascending order of start, then of covariates.

    Raises
    ------
    MomentsError
        ``holes``, ``shape``, ``cells``.

    References
    ----------
    Wong, J., Forsell, E., Lewis, R., Mao, T. and Wardrop, M. (2021). You only compress once: optimal data compression
    for estimating linear models. arXiv:2102.11297.

    Examples
    --------
    >>> y = np.array([[1.0, 3], [2, 6], [0, 0]])
    >>> found = cohort_moments(y, np.array([2, 2, 9]), np.array([1, 2]), np.ones((3, 1)), shift=np.zeros(2))
    >>> found.n.tolist(), found.m.tolist(), found.Q[0].tolist()
    ([2.0, 1.0], [[3.0, 9.0], [0.0, 0.0]], [[5.0, 15.0], [15.0, 45.0]])
    """
    y = checked(outcome, start, periods, design, weights)
    level = rough_shift(y) if shift is None else np.asarray(shift, dtype=np.float64)
    if level.shape != periods.shape or not np.isfinite(level).all():
        raise MomentsError("shape")
    T = y.shape[1]
    codes, kept = joint_codes([start, *design.T], MOST // (T * T))
    starts, cohort = np.unique(start[kept], return_inverse=True)
    units = np.bincount(codes, minlength=kept.size)
    first, second = (np.zeros((kept.size, T + 1)) for _ in range(2))
    Q = np.zeros((kept.size, T, T))
    for s, index in _blocks(codes, units, max(64, MEMORY // T)):
        z = y.take(index, axis=0)
        z -= level
        if weights is None:
            first[s, 1:] += np.ones(index.size) @ z
        else:
            w = weights[index]
            z *= w[:, None]
            first[s] += [w.sum(), *(np.ones(index.size) @ z)]
            second[s] += [w @ w, *(w @ z)]
        Q[s] += z.T @ z
    if weights is None:
        first[:, 0] = units
        second = first
    return CohortMoments(
        starts.astype(np.int64), periods.astype(np.int64), design[kept].astype(np.float64), cohort.astype(np.int64),
        units.astype(np.int64), first[:, 0], first[:, 1:], second[:, 0], second[:, 1:], Q, level,
    )  # fmt: skip


def checked(
    outcome: FloatArray, start: IntArray, periods: IntArray, design: FloatArray, weights: FloatArray | None
) -> FloatArray:
    """Return the outcome as numbers, or say why the panel has no moment table.

    >>> try:
    ...     checked(np.array([[np.nan, 1.0]]), np.array([2]), np.array([1, 2]), np.ones((1, 1)), None)
    ... except MomentsError as error:
    ...     print(error.why)
    holes
    """
    y = np.asarray(outcome, dtype=np.float64)
    if y.ndim != 2 or design.ndim != 2 or y.shape[0] == 0:
        raise MomentsError("shape")
    n, T = y.shape
    if start.shape != (n,) or periods.shape != (T,) or design.shape[0] != n or (np.diff(periods) <= 0).any():
        raise MomentsError("shape")
    if weights is not None and (weights.shape != (n,) or not (weights > 0).all() or not np.isfinite(weights).all()):
        raise MomentsError("shape")
    for values in (y, design):
        # A sum is finite unless something in it is not, or it overflows: only then is a second look needed.
        if not np.isfinite(values.sum()):
            if np.isnan(values).any():
                raise MomentsError("holes")
            raise MomentsError("shape")
    return y


def rough_shift(outcome: FloatArray) -> FloatArray:
    """Return rough means by period, shape (T,), as whole numbers where the spread within periods allows it.

    >>> rough_shift(np.array([[1000.2, 0.52], [1003.0, 0.54]])).tolist()
    [1002.0, 0.5]
    """
    part = outcome[:: max(1, outcome.shape[0] // 4096)]
    mean, spread = part.mean(axis=0), part.std(axis=0)
    decimals = np.floor(-np.log10(np.where(spread > 0, spread, 1.0)))
    unit = 10.0 ** np.clip(decimals, 0, 300)
    # One decimal where the spread is below 1, two below 0.1 ...: what is left of the mean stays within five spreads.
    found: FloatArray = np.where(spread > 0, np.round(mean * unit) / unit, mean)
    return found


def _blocks(codes: IntArray, units: IntArray, step: int) -> list[tuple[int, IntArray]]:
    """Return each cell's units, in blocks of at most so many."""
    order = grouped(codes, units.size)
    edges = np.concatenate([[0], np.cumsum(units)])
    found = []
    for s in range(units.size):
        end = int(edges[s + 1])
        found += [(s, order[lo : min(lo + step, end)]) for lo in range(int(edges[s]), end, step)]
    return found


def combined(*tables: CohortMoments) -> CohortMoments:
    """Add tables of disjoint units: what one reduction of all units would have found.

    Tables with the same shift are added as they are, so that sums of whole numbers stay exact; otherwise all are
    brought to a rounded mean of the outcomes first, which changes nothing but rounding.

    Parameters
    ----------
    tables
        At least one, with the same periods and covariates; cells may differ. No unit may be in two of them.

    Raises
    ------
    MomentsError
        ``different``: periods or numbers of covariates differ.

    Examples
    --------
    >>> y, start, periods = np.array([[1.0, 3], [2, 6], [0, 0]]), np.array([2, 2, 9]), np.array([1, 2])
    >>> a, b = (cohort_moments(y[s], start[s], periods, np.ones((3, 1))[s]) for s in (slice(1), slice(1, 3)))
    >>> found = combined(a, b)
    >>> found.units.tolist(), (found.m + found.n[:, None] * found.shift).tolist()
    ([2, 1], [[3.0, 9.0], [0.0, 0.0]])
    """
    shift = common_shift([(t.n, t.m, t.shift) for t in tables], [(t.periods, t.design) for t in tables])
    parts = [t if np.array_equal(t.shift, shift) else t.shifted(shift) for t in tables]
    start = np.concatenate([t.starts[t.cohort] for t in parts])
    design, there = (
        np.concatenate([t.design for t in parts]),
        patterns([(t.there, t.cohort.size) for t in parts], shift),
    )
    codes, kept = joint_codes([start, *design.T, *there.T], MOST // shift.size**2)
    starts, cohort = np.unique(start[kept], return_inverse=True)
    n, m, N2, M2, Q = (
        added(codes, np.concatenate([getattr(t, name) for t in parts]), kept.size)
        for name in ("n", "m", "N2", "M2", "Q")
    )
    units = np.bincount(codes, weights=np.concatenate([t.units for t in parts])).astype(np.int64)
    return CohortMoments(
        starts, tables[0].periods, design[kept], cohort.astype(np.int64), units, n, m, N2, M2, Q, shift,
        None if there.all() else there[kept],
    )  # fmt: skip


def patterns(of: list[tuple[Mask | None, int]], shift: FloatArray) -> Mask:
    """Return which periods the cells of several tables were observed in, one below the other, shape (S, T).

    Parameters
    ----------
    of
        ``there`` and number of cells of each table.
    shift
        Shape (T,).

    Examples
    --------
    >>> patterns([(None, 1), (np.array([[True, False]]), 1)], np.zeros(2)).tolist()
    [[True, True], [True, False]]
    """
    every = [np.ones((size, shift.size), dtype=np.bool_) if there is None else there for there, size in of]
    return np.concatenate(every)


def common_shift(
    sums: list[tuple[FloatArray, FloatArray, FloatArray]], frames: list[tuple[IntArray, FloatArray]]
) -> FloatArray:
    """Return one shift for tables with sums n, m and shift: theirs where they agree, else their rounded mean.

    Parameters
    ----------
    sums
        n, m and shift of each table.
    frames
        Periods and covariates of each table, which have to go together.

    Raises
    ------
    MomentsError
        ``different``.

    Examples
    --------
    >>> frame = (np.array([1]), np.ones((1, 1)))
    >>> parts = [(np.ones(1), np.zeros((1, 1)), np.array([c])) for c in (2.0, 4.0)]
    >>> common_shift(parts, [frame, frame]).tolist()
    [3.0]
    """
    periods, design = frames[0]
    if not all(np.array_equal(p, periods) and d.shape[1] == design.shape[1] for p, d in frames):
        raise MomentsError("different")
    first = sums[0][2]
    if all(np.array_equal(shift, first) for _, _, shift in sums):
        return first
    total = sum(float(n.sum()) for n, _, _ in sums)
    mean: FloatArray = sum((m.sum(axis=0) + n.sum() * c for n, m, c in sums), np.zeros(first.size)) / total
    # As fine as the finest of the shifts, so that whole numbers stay whole.
    fine = np.max([_decimals(c) for _, _, c in sums], axis=0)
    return np.where(fine < MANY, np.round(mean * 10.0**fine) / 10.0**fine, mean)


def _decimals(values: FloatArray) -> FloatArray:
    """Return how many decimals each number has, ``MANY`` at most."""
    found = np.full(values.size, float(MANY))
    for d in range(MANY - 1, -1, -1):
        found[np.round(values, d) == values] = d
    return found
