"""Cells of a value that show nobody: each holds no one or enough people of every part of the sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from evaltoolkit.designs.matching.fitted import Fitted
from evaltoolkit.kernels.distributions import bandwidth
from evaltoolkit.results import SmallCells

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_FINEST = 60
_FEWEST = 8
_POINTS = 81


@dataclass(frozen=True, slots=True)
class SafeCells:
    """A value in cells, all that a figure of its distribution is made from.

    Attributes
    ----------
    edges
        Edges of the c cells, shape (c + 1,).
    shares
        Share of a group in each cell: before and after matching (first axis), treated and comparison (second axis),
        shape (2, 2, c). NaN before matching for a group of which few were left out.
    """

    edges: FloatArray
    shares: FloatArray


def safe_cells(fitted: Fitted, values: FloatArray) -> SafeCells | None:
    """Put a value into cells of round numbers, wide enough that none shows a small count.

    In every cell each part of the sample (treated and comparison people, matched and left out) counts no one or at
    least as many people as may be shown, so that neither a share nor the difference of two gives a small count away.
    A group of which few are left out is put into cells after matching only.

    Returns
    -------
    SafeCells or None
        None where even one cell would show a small count.
    """
    edges = round_edges(values)
    t, used = fitted.people.treated, fitted.used
    cells = fitted.cells if fitted.study.counts_people else SmallCells(threshold=1)
    bins = edges.size - 1
    fine = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bins - 1)
    part = 2 * ~t + ~used
    counted = np.bincount(4 * fine + part, minlength=4 * bins).reshape(bins, 4).T
    matched, left_out = [counted[0], counted[2]], [counted[1], counted[3]]
    hidden = _undrawn(matched, left_out, cells)
    counts = [*matched, *(c for c, gone in zip(left_out, hidden, strict=True) if c.any() and not gone)]
    starts = merged(np.array(counts), cells)
    if starts.size == 0:
        return None
    kept = np.append(edges[starts], edges[-1])
    w = fitted.matched.weights
    before = np.array([matched[g] + left_out[g] for g in (0, 1)], dtype=np.float64)
    after = np.bincount(2 * fine + ~t, w, minlength=2 * bins).reshape(bins, 2).T
    heights = np.add.reduceat(np.array([before, after]), starts, axis=-1)
    totals = heights.sum(axis=-1, keepdims=True)
    shares = heights / np.where(totals > 0, totals, 1)
    shares[0, np.array(hidden)] = np.nan
    return SafeCells(kept, shares)


def _undrawn(matched: list[IntArray], left_out: list[IntArray], cells: SmallCells) -> tuple[bool, bool]:
    """Return for each group whether it is drawn after matching only.

    It is where so few of it are left out that their number is hidden, or where cells that do not show them would be too
    few to see anything.
    """
    hidden = [cells.hides(int(counts.sum())) for counts in left_out]
    for g in np.argsort([counts.sum() for counts in left_out]):
        open_ones = [c for c, gone in zip(left_out, hidden, strict=True) if c.any() and not gone]
        found = merged(np.array([*matched, *open_ones]), cells).size
        without = [c for k, c in enumerate(left_out) if c.any() and not hidden[k] and k != g]
        if found < _FEWEST and merged(np.array([*matched, *without]), cells).size > 1.5 * found:
            hidden[g] = True
    return hidden[0], hidden[1]


def round_edges(values: FloatArray) -> FloatArray:
    """Return edges at round numbers around values, at most about sixty; between them where values are round themselves.

    >>> round_edges(np.array([0.0, 0.513, 1.0]))[[0, 1, -1]].tolist()
    [0.0, 0.02, 1.0]
    >>> round_edges(np.array([17.0, 55.0]))[[0, 1, -1]].tolist()
    [16.5, 17.5, 55.5]
    """
    low, high = float(values.min()), float(values.max())
    raw = (high - low) / _FINEST or 1.0
    size = 10.0 ** np.floor(np.log10(raw))
    step = next(size * s for s in (1, 2, 5, 10) if size * s >= raw * (1 - 1e-9))
    steps = values / step
    if bool((np.abs(steps - np.rint(steps)) < 1e-9).all()):
        whole = np.arange(np.rint(steps.min()) - 0.5, np.rint(steps.max()) + 1)
    else:
        first = np.floor(low / step + 1e-9)
        whole = np.arange(first, max(np.ceil(high / step - 1e-9), first + 1) + 0.5)
    return np.asarray(np.round(whole * step, max(0, 2 - int(np.floor(np.log10(step))))))


def merged(counts: IntArray, cells: SmallCells) -> IntArray:
    """Return where cells begin when neighbours are joined until no part of a cell is a small count.

    Parameters
    ----------
    counts
        Counts of each part in each fine cell, shape (parts, fine cells).
    cells
        Which counts are small.

    Returns
    -------
    ndarray
        First fine cell of each cell; empty where all together are still small.

    Examples
    --------
    >>> merged(np.array([[20, 3, 9, 0, 5], [15, 0, 30, 0, 0]]), SmallCells()).tolist()
    [0, 1]
    """
    starts: list[int] = []
    begin, held = 0, np.zeros(counts.shape[0], dtype=np.int64)
    for k in range(counts.shape[1]):
        held += counts[:, k]
        if held.any() and not any(cells.hides(int(n)) for n in held):
            starts.append(begin)
            begin, held = k + 1, np.zeros_like(held)
    # What is left at the end joins the cell before it; two sums that may be shown add up to one that may.
    while starts and any(cells.hides(int(n)) for n in counts[:, starts[-1] :].sum(axis=1)):
        starts.pop()
    return np.array(starts, dtype=np.int64)


def smoothed(found: SafeCells, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return points and smooth densities there, made from the shares of the cells alone, reflected at the ends.

    Returns
    -------
    tuple
        Points, shape (p,), and heights: before and after, treated and comparison, shape (2, 2, p).
    """
    low, high = found.edges[0], found.edges[-1]
    at = np.linspace(low, high, _POINTS)
    width = bandwidth(values)
    width = max(width if np.isfinite(width) else 0.0, (high - low) / 40)
    left, right = found.edges[:-1], found.edges[1:]
    kernel = np.zeros((at.size, left.size))
    for points in (at, 2 * low - at, 2 * high - at):
        kernel += ndtr((points[:, None] - left) / width) - ndtr((points[:, None] - right) / width)
    return at, found.shares @ (kernel / (right - left)).T


def cumulated(found: SafeCells) -> tuple[FloatArray, FloatArray]:
    """Return the edges and the shares at or below them, from 0 to 1, shapes (c + 1,) and (2, 2, c + 1)."""
    summed = np.cumsum(found.shares, axis=-1)
    start = np.where(np.isnan(summed[..., :1]), np.nan, 0.0)
    return found.edges, np.concatenate([start, np.minimum(summed, 1.0)], axis=-1)
