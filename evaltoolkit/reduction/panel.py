"""A panel as arrays: one row per unit, one column per period."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

_LOOK = 100_000
"""Rows looked at for the number of periods."""
_ROWS = 8192
"""Units looked at at once."""


@dataclass(frozen=True, slots=True)
class Panel:
    """n units in T periods.

    Attributes
    ----------
    outcome
        Shape (n, T); missing where a unit was not observed.
    start
        First treated period, ``kernels.group_time.NEVER`` for none, shape (n,).
    periods
        Period codes, ascending, shape (T,).
    covariates
        Shape (n, T, p); p may be 0. Missing where a unit was not observed.
    clusters
        Codes 0 .. C - 1, shape (n,).
    counts
        Number of people or events behind each outcome, shape (n, T); None where the outcome counts none.
    weights
        Sampling weights, above zero, shape (n,); None for ones.
    units
        Names of the units, for the researcher's products only, shape (n,).
    exposure
        Population or person-time behind each outcome, in the outcome's denominator, shape (n, T); None without one.
        ``outcome * exposure`` is the count.
    eligible
        Whom the program treats once it has started where they are, shape (n,); None where all are.
    groups
        Codes of groups with period effects of their own, shape (n,); None where all share them.
    treatment
        Treatment in each period where it may go off again, shape (n, T); None where it stays.
    """

    outcome: FloatArray
    start: IntArray
    periods: IntArray
    covariates: FloatArray
    clusters: IntArray
    counts: FloatArray | None
    weights: FloatArray | None
    units: NDArray[Any]
    exposure: FloatArray | None = None
    eligible: Mask | None = None
    groups: IntArray | None = None
    treatment: FloatArray | None = None

    def where(self, kept: Mask) -> Panel:
        """Return some of the units, shape (n,); clusters are numbered anew."""
        changed = {
            f.name: value[kept]
            for f in dataclasses.fields(self)
            if f.name != "periods" and (value := getattr(self, f.name)) is not None
        }
        found = dataclasses.replace(self, **changed)
        return dataclasses.replace(found, clusters=np.unique(found.clusters, return_inverse=True)[1].astype(np.int64))

    @property
    def design(self) -> FloatArray:
        """Intercept and covariates, shape (n, T, p + 1), or (n, 1, p + 1) where no covariate changes over time."""
        X = self.covariates
        known = np.isfinite(X)
        first = np.take_along_axis(X, known.argmax(axis=1)[:, None, :], axis=1) if X.shape[2] else X[:, :1, :]
        if bool(((first == X) | ~known).all()):
            X = first
        return np.concatenate([np.ones((*X.shape[:2], 1)), X], axis=2)

    @property
    def whole(self) -> bool:
        """Whether every unit was observed in every period."""
        return bool(np.isfinite(self.outcome).all())

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return int(self.clusters.max()) + 1


def balanced(unit: NDArray[Any], period: NDArray[Any]) -> NDArray[Any] | None:
    """Return the periods, shape (T,), where rows are sorted by unit and period and no unit lacks one; None elsewhere.

    Then any column has shape (n, T) as it stands. Two passes over the codes, none where the first units disagree.

    >>> balanced(np.array([4, 4, 7, 7]), np.array([1, 2, 1, 2])).tolist()
    [1, 2]
    >>> balanced(np.array([4, 4, 7]), np.array([1, 2, 1])) is None
    True
    """
    n = unit.size
    T = int(np.searchsorted(unit[:_LOOK], unit[0], side="right")) if n else 0
    if T == 0 or n % T or n != period.size:
        return None
    units, steps = unit.reshape(-1, T), period.reshape(-1, T)
    if not (np.diff(steps[0]) > 0).all():
        return None
    for at in range(0, units.shape[0], _ROWS):
        part = units[at : at + _ROWS]
        later = units[at + 1 : at + _ROWS + 1, 0]
        whole = (part == part[:, :1]).all() and (steps[at : at + _ROWS] == steps[0]).all()
        if not whole or not (later > part[: later.size, 0]).all():
            return None
    found: NDArray[Any] = steps[0]
    return found


def widen(unit: IntArray, period: IntArray, values: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Lay long values out by unit and period, shape (n, T); missing where there is no row.

    >>> widen(np.array([0, 1, 1]), np.array([0, 0, 1]), np.array([5.0, 6, 7]), (2, 2)).tolist()
    [[5.0, nan], [6.0, 7.0]]
    """
    periods = balanced(unit, period) if unit.size == shape[0] * shape[1] else None
    if periods is not None and periods.size == shape[1]:
        return values.reshape(shape).astype(np.float64)
    wide = np.full(shape, np.nan)
    wide[unit, period] = values
    return wide
