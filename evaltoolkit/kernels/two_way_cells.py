"""Effects by cohort and period, ready for aggregation with known weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CellEffects:
    """Effects in K cells, each a cohort in a period.

    Attributes
    ----------
    cohort, period
        Start of the cohort, and period, shape (K,).
    att
        Effects, shape (K,).
    scores
        Shape (C, K): ``scores.T @ scores`` is the covariance, any small-sample factor included. Where units are the
        clusters and there are very many, rows are no clusters.
    weight
        Observations of the cell, or their weights, shape (K,): the weights of its aggregations.
    n
        Observations of the cell, shape (K,).
    df
        Degrees of freedom of a t reference: clusters less one.
    """

    cohort: IntArray
    period: IntArray
    att: FloatArray
    scores: FloatArray
    weight: FloatArray
    n: IntArray
    df: int

    @property
    def event_time(self) -> IntArray:
        """Periods since the start, shape (K,)."""
        return self.period - self.cohort

    def weighted(self, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return averages of cells with given weights, rows of shape (m, K), and their scores, shape (C, m).

        >>> ones = np.ones(2, dtype=np.int64)
        >>> cells = CellEffects(ones, ones, np.array([1.0, 3]), np.eye(2), np.ones(2), ones, 1)
        >>> cells.weighted(np.array([[0.5, 0.5]]))[0].tolist()
        [2.0]
        """
        return rows @ self.att, self.scores @ rows.T
