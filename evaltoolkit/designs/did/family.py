"""Estimates that belong together, with what their covariance is made of."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Family:
    """m estimates that belong together.

    Attributes
    ----------
    labels
        What each stands for: event times, cohorts, periods; shape (m,).
    values
        Shape (m,).
    spread
        Shape (C, m): the covariance is ``spread.T @ spread``. Missing where no standard error exists.
    df
        Degrees of freedom of the t reference, shape (m,); infinite for normal.
    known
        Intervals found in another way (by randomization, by a bootstrap), one for each; None where they follow from
        ``spread`` and ``df``.
    """

    labels: IntArray
    values: FloatArray
    spread: FloatArray
    df: FloatArray
    known: tuple[Measured, ...] | None = None

    @functools.cached_property
    def covariance(self) -> FloatArray:
        """Covariance matrix, shape (m, m)."""
        found: FloatArray = self.spread.T @ self.spread
        return found

    @functools.cached_property
    def std_error(self) -> FloatArray:
        """Standard errors, shape (m,)."""
        found: FloatArray = np.sqrt(np.einsum("ij,ij->j", self.spread, self.spread))
        return found

    def one(self, i: int, level: float) -> Measured:
        """Return one estimate with its interval."""
        if self.known is not None:
            return self.known[i]
        return measured(float(self.values[i]), float(self.std_error[i]), float(self.df[i]), level)

    def rescaled(self, std_error: FloatArray, df: FloatArray) -> Family:
        """Return the family with other standard errors and degrees of freedom, and the correlations it has."""
        mine = self.std_error
        with np.errstate(invalid="ignore", divide="ignore"):
            factor = np.where(mine > 0, std_error / mine, 0.0)
        return dataclasses.replace(self, spread=self.spread * factor, df=df)

    def where(self, kept: NDArray[np.bool_]) -> Family:
        """Return some of the estimates."""
        known = None if self.known is None else tuple(m for m, k in zip(self.known, kept, strict=True) if k)
        return Family(self.labels[kept], self.values[kept], self.spread[:, kept], self.df[kept], known)

    def without_errors(self) -> Family:
        """Return the estimates alone."""
        return dataclasses.replace(self, spread=np.full_like(self.spread, np.nan), known=None)


def joined(first: Family, second: Family) -> Family:
    """Return two families as one, with no covariance between them."""
    a, b = first.spread, second.spread
    spread = np.block([[a, np.zeros((a.shape[0], b.shape[1]))], [np.zeros((b.shape[0], a.shape[1])), b]])
    labels = np.concatenate([first.labels, second.labels])
    values, df = np.concatenate([first.values, second.values]), np.concatenate([first.df, second.df])
    return Family(labels, values, spread, df)


@dataclass(frozen=True, slots=True)
class Deletions:
    """How the spread of the jackknife follows from estimates without each of so many clusters.

    Attributes
    ----------
    size
        Number of clusters, C.
    mix
        Where R other deletions stand for those of clusters: what their distances from the estimate are multiplied by,
        shape (R, R).
    """

    size: int
    mix: FloatArray | None = None

    def spread(self, apart: FloatArray) -> FloatArray:
        """Return rows whose cross-product is the covariance, from distances of deletions from the estimate."""
        scale = float(np.sqrt((self.size - 1) / self.size))
        found: FloatArray = scale * (apart if self.mix is None else self.mix @ apart)
        return found

    def apart(self, spread: FloatArray) -> FloatArray:
        """Return the distances that a spread is made of."""
        scale = float(np.sqrt((self.size - 1) / self.size))
        if self.mix is None:
            return spread / scale
        return np.asarray(np.linalg.solve(self.mix, spread) / scale, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Measured:
    """An estimate with its interval; what does not exist is None. ``df`` is None for a normal reference."""

    estimate: float
    std_error: float | None
    low: float | None
    high: float | None
    p_value: float | None
    df: float | None


def measured(estimate: float, std_error: float, df: float, level: float) -> Measured:
    """Return an estimate with its interval; without a positive standard error or a degree of freedom, without one."""
    if not np.isfinite(std_error) or std_error <= 0 or df < 1:
        return Measured(estimate, None, None, None, None, None)
    # scipy.special and not scipy.stats, which takes half a second to import
    known = np.isfinite(df)
    tail, z = (1 - level) / 2, -abs(estimate) / std_error
    reach = -float(special.stdtrit(df, tail) if known else special.ndtri(tail)) * std_error
    p = 2 * float(special.stdtr(df, z) if known else special.ndtr(z))
    return Measured(estimate, std_error, estimate - reach, estimate + reach, p, df if np.isfinite(df) else None)


def bounded(estimate: float, low: float, high: float, p_value: float) -> Measured:
    """Return an estimate with an interval that comes without a standard error; ends that are infinite are none."""
    fine = np.isfinite(low) and np.isfinite(high)
    p = p_value if np.isfinite(p_value) else None
    return Measured(estimate, None, float(low) if fine else None, float(high) if fine else None, p, None)
