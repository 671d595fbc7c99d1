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


def widen(unit: IntArray, period: IntArray, values: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Lay long values out by unit and period, shape (n, T); missing where there is no row.

    >>> widen(np.array([0, 1, 1]), np.array([0, 0, 1]), np.array([5.0, 6, 7]), (2, 2)).tolist()
    [[5.0, nan], [6.0, 7.0]]
    """
    wide = np.full(shape, np.nan)
    wide[unit, period] = values
    return wide
