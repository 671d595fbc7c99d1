"""Cells of units alike in start and covariates: their codes, their order, and sums over them."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Why = Literal["holes", "shape", "cells", "different", "weights"]


class MomentsError(ValueError):
    """A panel has no moment table, or tables do not go together.

    ``holes``: an outcome or covariate is missing. ``shape``: arrays disagree or hold numbers that cannot be used.
    ``cells``: covariates take so many different values that a table saves nothing. ``different``: tables have
    different periods or covariates. ``weights``: sums of squared weights are needed and are not there.
    """

    def __init__(self, why: Why) -> None:
        self.why = why
        super().__init__(why)


def grouped(codes: IntArray, size: int) -> IntArray:
    """Return the order that sorts codes 0 .. size - 1, those alike as they stood.

    >>> grouped(np.array([1, 0, 1]), 2).tolist()
    [1, 0, 2]
    """
    # numpy sorts small integers by counting.
    small = codes.astype(np.uint8 if size <= 256 else np.uint16) if size <= 65_536 else codes
    return np.argsort(small, kind="stable")


def joint_codes(columns: list[NDArray[np.generic]], most: int) -> tuple[IntArray, IntArray]:
    """Return codes 0 .. S - 1 of rows alike in all columns, in ascending order, and one row of each.

    Parameters
    ----------
    columns
        At least one, shape (n,) each.
    most
        Number of codes beyond which to give up.

    Raises
    ------
    MomentsError
        ``cells``: there are more.

    Examples
    --------
    >>> codes, rows = joint_codes([np.array([2, 1, 2]), np.array([0.5, 0.5, 0.0])], 9)
    >>> codes.tolist(), rows.tolist()
    ([2, 0, 1], [1, 2, 0])
    """
    n = columns[0].size
    codes, size = np.zeros(n, dtype=np.int64), 1
    for column in columns:
        values, place = _places(column)
        if values == 1:
            continue
        codes, size = _dense(codes * values + place, size * values)
        if size > most:
            raise MomentsError("cells")
    rows = np.empty(size, dtype=np.int64)
    rows[codes] = np.arange(n)
    return codes, rows


def _places(column: NDArray[np.generic]) -> tuple[int, IntArray]:
    """Return how many different values there are, and the place of each row's: fast where they are few."""
    values = np.unique(column[:: max(1, column.size // 4096)])
    while True:
        place = np.minimum(np.searchsorted(values, column), values.size - 1)
        missed = values[place] != column
        if not missed.any():
            return int(values.size), place.astype(np.int64)
        values = np.union1d(values, column[missed])


def _dense(codes: IntArray, span: int) -> tuple[IntArray, int]:
    if span > 4 * codes.size + 65_536:
        values, found = np.unique(codes, return_inverse=True)
        return found.astype(np.int64), int(values.size)
    present = np.flatnonzero(np.bincount(codes, minlength=span))
    if present.size == span:
        return codes, span
    lookup = np.zeros(span, dtype=np.int64)
    lookup[present] = np.arange(present.size)
    return lookup[codes], int(present.size)


def added(codes: IntArray, values: FloatArray, size: int) -> FloatArray:
    """Add up rows with the same code.

    >>> added(np.array([1, 0, 1]), np.array([[1.0], [2], [3]]), 2).tolist()
    [[2.0], [4.0]]
    """
    found = np.zeros((size, *values.shape[1:]))
    np.add.at(found, codes, values)
    return found
