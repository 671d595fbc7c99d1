"""A panel for regressions with unit and period effects: arrays, cohorts, and blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cohorts import NEVER

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

BLOCK = 200_000
"""Numbers in one column of a block of rows, at most: blocks stay in the cache."""

RANGE = 65_536
"""Span of starts up to which cohorts are counted rather than sorted."""

Why = Literal["always-treated", "collinear", "unidentified", "no-treated", "no-comparison", "single-cluster", "shape"]


class TwoWayError(ValueError):
    """A regression with unit and period effects cannot be estimated.

    ``always-treated``: units (by row) have no observation before their start. ``collinear``: a coefficient, by its
    label (an event time, or the place of a covariate), follows from effects and other coefficients. ``unidentified``:
    no untreated observation tells what these cells (cohort, period) would have been. ``no-treated``,
    ``no-comparison``: nothing to estimate, or to compare with. ``single-cluster``: errors need at least two clusters,
    for leave-one-out in each cell. ``shape``: arrays disagree or hold numbers that cannot be used.

    Attributes
    ----------
    why
        One of the words above.
    kind
        What ``label`` is: ``event-time``, ``covariate``, ``treatment`` or ``cell``; empty where it has none.
    label
        Event time, or place of the covariate; for a cell its place among the cells.
    cells
        Cohort and period of each cell concerned.
    units
        Rows concerned.
    """

    def __init__(
        self,
        why: Why,
        kind: str = "",
        label: int = 0,
        cells: tuple[tuple[int, int], ...] = (),
        units: tuple[int, ...] = (),
    ) -> None:
        self.why = why
        self.kind = kind
        self.label = label
        self.cells = cells
        self.units = units
        super().__init__(f"{why} {kind} {label}".strip())


@dataclass(frozen=True, slots=True)
class Panel:
    """Outcomes of n units in T periods with their cohorts; made by ``two_way_panel``.

    Attributes
    ----------
    outcome
        Shape (n, T), NaN where not observed.
    periods
        Ascending, shape (T,).
    starts
        The J different starts, ascending, ``NEVER`` for starts after the last period, shape (J,).
    cohort
        Place of each unit's start in ``starts``, shape (n,).
    clusters
        Codes 0 .. C - 1, shape (n,); None where units are the clusters.
    weights
        Shape (n,) or (n, T); None for ones.
    covariates
        Shape (n, T, p); None for none.
    groups
        Codes 0 .. R - 1 of units with period effects of their own, shape (n,); None for one group.
    complete
        Whether no outcome is missing.
    """

    outcome: FloatArray
    periods: IntArray
    starts: IntArray
    cohort: IntArray
    clusters: IntArray | None
    weights: FloatArray | None
    covariates: FloatArray | None
    groups: IntArray | None
    complete: bool

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return self.outcome.shape[0] if self.clusters is None else int(self.clusters.max()) + 1

    @property
    def n_groups(self) -> int:
        """Number of groups with period effects of their own."""
        return 1 if self.groups is None else int(self.groups.max()) + 1

    @property
    def treated(self) -> Mask:
        """Which cohorts are treated in which periods, shape (J, T)."""
        found: Mask = self.periods[None, :] >= self.starts[:, None]
        return found

    @property
    def event_time(self) -> IntArray:
        """Periods since the start, shape (J, T); ``-NEVER`` for the never treated."""
        since = self.periods[None, :] - np.where(self.starts == NEVER, 0, self.starts)[:, None]
        return np.where(self.starts[:, None] == NEVER, -NEVER, since)

    @property
    def by_cohort(self) -> bool:
        """Whether means and cross-products by cohort say all: complete, no covariates, weights constant in units."""
        plain = self.covariates is None and self.groups is None
        return self.complete and plain and (self.weights is None or self.weights.ndim == 1)


@dataclass(frozen=True, slots=True)
class Rows:
    """A block of B units of one cohort and one group.

    Attributes
    ----------
    index
        Which units, shape (B,).
    cohort, group
        Their cohort and group.
    outcome, weight
        Shape (B, T); zero and weight zero where not observed.
    covariates
        Shape (B, T, p), zero where not observed.
    """

    index: IntArray
    cohort: int
    group: int
    outcome: FloatArray
    weight: FloatArray
    covariates: FloatArray


def two_way_panel(
    outcome: FloatArray,
    start: IntArray,
    periods: IntArray,
    clusters: IntArray | None = None,
    weights: FloatArray | None = None,
    covariates: FloatArray | None = None,
    groups: IntArray | None = None,
) -> Panel:
    """Check the arrays of a panel and sort its units into cohorts.

    Parameters
    ----------
    outcome
        Shape (n, T), columns in the order of ``periods``; NaN where a unit was not observed.
    start
        First treated period of each unit, ``NEVER`` for none, shape (n,).
    periods
        Ascending, shape (T,); gaps are allowed.
    clusters
        Codes 0 .. C - 1, shape (n,); None where units are the clusters.
    weights
        Above zero, shape (n,), or not below zero (zero: not observed), shape (n, T); None for ones.
    covariates
        Shape (n, T, p), or (n, 1, p) where they do not change; an observation without them counts as not observed.
    groups
        Codes 0 .. R - 1, shape (n,): each group has period effects of its own, as with region-by-year effects.

    Returns
    -------
    Panel

    Raises
    ------
    TwoWayError
        ``shape``: arrays disagree, periods do not ascend, or a weight or outcome cannot be used.

    References
    ----------
    Wansbeek, T. and Kapteyn, A. (1989). Estimation of the error-components model with incomplete panels. Journal of
    Econometrics 41. doi:10.1016/0304-4076(89)90064-4

    Examples
    --------
    >>> panel = two_way_panel(np.zeros((3, 2)), np.array([2, 9, NEVER]), np.array([1, 2]))
    >>> panel.treated.tolist(), panel.cohort.tolist(), panel.by_cohort
    ([[False, True], [False, False]], [0, 1, 1], True)
    """
    y = np.asarray(outcome, dtype=np.float64)
    n, T = y.shape
    if start.shape != (n,) or periods.shape != (T,) or (np.diff(periods) <= 0).any() or n == 0:
        raise TwoWayError("shape")
    if any(a is not None and a.shape != (n,) for a in (clusters, groups)):
        raise TwoWayError("shape")
    if weights is not None:
        _check_weights(weights, n, T)
    x = None if covariates is None or covariates.shape[2] == 0 else covariates
    complete = bool(np.isfinite(y.sum()))
    if not complete and np.isinf(y).any():
        raise TwoWayError("shape")
    if x is not None and not np.isfinite(x).all():
        complete = False
    if weights is not None and weights.ndim == 2:
        complete = complete and bool((weights > 0).all())
    starts, cohort = _cohorts(start, int(periods[-1]))
    same = clusters is not None and int(clusters.max()) + 1 == n and bool((np.bincount(clusters) == 1).all())
    return Panel(y, periods, starts, cohort, None if same else clusters, weights, x, groups, complete)


def _check_weights(weights: FloatArray, n: int, T: int) -> None:
    if weights.shape not in ((n,), (n, T)) or not np.isfinite(weights).all():
        raise TwoWayError("shape")
    if (weights < 0).any() or (weights.ndim == 1 and not (weights > 0).all()):
        raise TwoWayError("shape")


def _cohorts(start: IntArray, last: int) -> tuple[IntArray, IntArray]:
    """Return the different starts, those after the last period as one, and the place of each unit's."""
    first = int(start.min())
    if last + 1 - first > RANGE:
        starts, cohort = np.unique(np.where(start > last, NEVER, start), return_inverse=True)
        return starts, cohort.astype(np.int64)
    place = np.minimum(start, last + 1) - min(first, last + 1)
    present = np.flatnonzero(np.bincount(place))
    lookup = np.zeros(int(present[-1]) + 1, dtype=np.int64)
    lookup[present] = np.arange(present.size)
    starts = present.astype(np.int64) + min(first, last + 1)
    return np.where(starts > last, NEVER, starts), lookup[place]


def segments(panel: Panel) -> list[tuple[int, int, IntArray]]:
    """Return cohort, group and units of every cohort in every group that has any.

    >>> panel = two_way_panel(np.zeros((3, 2)), np.array([2, 9, 2]), np.array([1, 2]))
    >>> [(j, r, rows.tolist()) for j, r, rows in segments(panel)]
    [(0, 0, [0, 2]), (1, 0, [1])]
    """
    J = panel.starts.size
    key = panel.cohort if panel.groups is None else panel.groups * J + panel.cohort
    size = np.bincount(key)
    small = key.astype(np.uint8 if size.size <= 256 else np.uint16) if size.size <= RANGE else key
    order = np.argsort(small, kind="stable")
    ends = np.cumsum(size)
    return [(int(k % J), int(k // J), order[ends[k] - size[k] : ends[k]]) for k in np.flatnonzero(size)]


def shifts(panel: Panel) -> tuple[FloatArray, FloatArray]:
    """Return rough means by period of the outcome, shape (T,), and the covariates, shape (T, p).

    Effects of periods take them out in any case; without them large levels lose no digits.

    >>> shifts(two_way_panel(np.array([[1.0, 4], [3, 6]]), np.array([2, 9]), np.array([1, 2])))[0].tolist()
    [2.0, 5.0]
    """
    step = max(1, panel.outcome.shape[0] // 4096)
    p = 0 if panel.covariates is None else panel.covariates.shape[2]
    T = panel.periods.size
    y = _rough(panel.outcome[::step])
    if panel.covariates is None:
        return y, np.zeros((T, p))
    x = panel.covariates[::step]
    # One level for all periods: products of a covariate with periods or cells must stay in the span.
    level = _rough(x.reshape(-1, p))
    return y, np.broadcast_to(level, (T, p)).copy()


def _rough(values: FloatArray) -> FloatArray:
    there = np.isfinite(values)
    found: FloatArray = np.where(there, values, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return found


def blocks(panel: Panel, width: int = 1) -> Iterator[Rows]:
    """Yield all units in blocks, outcomes and covariates less their ``shifts``.

    Parameters
    ----------
    panel
        The panel.
    width
        Number of columns that will be made of each block: more columns, fewer rows.

    Examples
    --------
    >>> panel = two_way_panel(np.array([[1.0, 4], [3, 6]]), np.array([2, 9]), np.array([1, 2]))
    >>> [(rows.cohort, rows.outcome.tolist()) for rows in blocks(panel)]
    [(0, [[-1.0, -1.0]]), (1, [[1.0, 1.0]])]
    """
    y0, x0 = shifts(panel)
    T = panel.periods.size
    step = max(64, BLOCK // (T * width))
    for j, r, rows in segments(panel):
        for begin in range(0, rows.size, step):
            index = rows[begin : begin + step]
            yield _rows(panel, index, (j, r), (y0, x0))


def _rows(panel: Panel, index: IntArray, place: tuple[int, int], shift: tuple[FloatArray, FloatArray]) -> Rows:
    y = panel.outcome[index] - shift[0]
    x = np.zeros((*y.shape, 0))
    w = np.ones(y.shape)
    if panel.weights is not None:
        mine = panel.weights[index]
        w = mine.copy() if mine.ndim == 2 else w * mine[:, None]
    if panel.covariates is not None:
        x = np.broadcast_to(panel.covariates[index], (*y.shape, shift[1].shape[1])) - shift[1]
    if not panel.complete:
        there = np.isfinite(y) & np.isfinite(x).all(axis=2) & (w > 0)
        y, w, x = np.where(there, y, 0.0), np.where(there, w, 0.0), np.where(there[:, :, None], x, 0.0)
    return Rows(index, place[0], place[1], y, w, x)
