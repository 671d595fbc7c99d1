"""Group-time effects under other assignments of starts, as weights on outcomes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cell_models import Cell, Stack, models, stack
from evaltoolkit.kernels.cell_scores import loadings
from evaltoolkit.kernels.cell_terms import Model
from evaltoolkit.kernels.cohorts import CellError, Rule, comparison_units

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Codes = NDArray[np.int16]

Found = tuple[FloatArray, FloatArray, FloatArray]
"""Values (P, K), mass (P, K, J) and counts (P, J)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A panel and how its cells are estimated.

    Attributes
    ----------
    outcome
        Shape (n, T), NaN where a unit was not observed.
    start
        First treated period, ``NEVER`` for none, shape (n,).
    periods
        Ascending, shape (T,).
    design
        Intercept first, shape (n, T, k) or (n, 1, k).
    rule
        How cells are estimated.
    clusters
        Codes 0 .. C - 1, shape (n,).
    weights
        Above zero, shape (n,).
    """

    outcome: FloatArray
    start: IntArray
    periods: IntArray
    design: FloatArray
    rule: Rule
    clusters: IntArray
    weights: FloatArray

    @classmethod
    def of(
        cls,
        outcome: FloatArray,
        start: IntArray,
        periods: IntArray,
        rule: Rule,
        design: FloatArray | None = None,
        clusters: IntArray | None = None,
    ) -> Sample:
        """Return a sample without weights; without covariates and with units as clusters where these are None."""
        n = outcome.shape[0]
        X = np.ones((n, 1, 1)) if design is None else design
        return cls(outcome, start, periods, X, rule, np.arange(n) if clusters is None else clusters, np.ones(n))

    @property
    def adjusted(self) -> bool:
        """Whether there are covariates."""
        return bool(self.design.shape[2] > 1)

    def places(self, cell: Cell) -> tuple[int, int]:
        """Return the columns of a cell's period and of its base."""
        return int(np.searchsorted(self.periods, cell[1])), int(np.searchsorted(self.periods, cell[2]))


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums by cluster from which cells without covariates follow under any assignment.

    Attributes
    ----------
    table
        By cluster, the sum of each of Q changes and the weight behind it in the column of the cluster's own start:
        shape (C, Q, 1 + J).
    weight
        Weight of each cluster, shape (C,).
    places
        For each cell: index of its start, of its change (-1 for a reference cell), and of the starts compared with.
    """

    table: FloatArray
    weight: FloatArray
    places: tuple[tuple[int, int, IntArray], ...]

    @classmethod
    def of(cls, sample: Sample, cohorts: IntArray, observed: Codes, every: list[Cell]) -> Sums:
        """Add up one pass over the outcomes."""
        pairs = sorted({sample.places(c) for c in every if c[1] != c[2]})
        size, J = observed.size, cohorts.size
        table = np.zeros((size, len(pairs), 1 + J))
        for q, (i, j) in enumerate(pairs):
            change = sample.outcome[:, i] - sample.outcome[:, j]
            there = np.isfinite(change)
            w = sample.weights * there
            # A constant taken out of all changes moves no effect, and large ones lose no digits.
            change = np.where(there, change - np.nanmean(change) if there.any() else 0.0, 0.0)
            table[:, q, 0] = np.bincount(sample.clusters, weights=w * change, minlength=size)
            own = np.bincount(sample.clusters, weights=w, minlength=size)
            table[np.arange(size), q, 1 + observed.astype(np.int64)] = own
        places = []
        for cell in every:
            compared = np.flatnonzero(comparison_units(cohorts, sample.periods, sample.rule, cell))
            if compared.size == 0:
                raise CellError("empty", cell[0])
            q = -1 if cell[1] == cell[2] else pairs.index(sample.places(cell))
            places.append((int(np.searchsorted(cohorts, cell[0])), q, compared))
        weight = np.bincount(sample.clusters, weights=sample.weights, minlength=size).astype(np.float64)
        return cls(table, weight, tuple(places))


def by_sums(sums: Sums, codes: Codes) -> Found:
    """Return every cell under every assignment from sums by cluster.

    Parameters
    ----------
    sums
        The sums.
    codes
        Start of each cluster in each assignment, shape (P, C).

    Examples
    --------
    >>> y, start, rule = np.array([[1.0, 2, 9], [0, 1, 3], [1, 2, 5]]), np.array([3, 9, 9]), Rule()
    >>> codes = np.array([[0, 1, 1], [1, 0, 1]], dtype=np.int16)
    >>> sums = Sums.of(Sample.of(y, start, np.array([1, 2, 3]), rule), np.array([3, 9]), codes[0], [(3, 3, 2)])
    >>> values, mass, _ = by_sums(sums, codes)
    >>> values.round(9).tolist(), mass.tolist()
    ([[4.5], [-3.0]], [[[1.0, -1.0]], [[-0.5, 0.5]]])
    """
    size, Q, width = sums.table.shape
    J = width - 1
    flat = sums.table.reshape(size, Q * width)
    member = [(codes == j).astype(np.float64) for j in range(J)]
    counts = np.stack([m @ sums.weight for m in member], axis=1)
    group = np.stack([(m @ flat).reshape(-1, Q, width) for m in member], axis=1)
    found = np.zeros((codes.shape[0], len(sums.places), width))
    for k, (j, q, compared) in enumerate(sums.places):
        if q >= 0:
            found[:, k] = _mean(group[:, j, q]) - _mean(group[:, compared, q].sum(axis=1))
    return found[:, :, 0], found[:, :, 1:], counts


def _mean(sums: FloatArray) -> FloatArray:
    total = sums[:, 1:].sum(axis=1, keepdims=True)
    found: FloatArray = np.where(total > 0, sums / np.where(total > 0, total, 1.0), np.nan)
    return found


def by_refitting(sample: Sample, cohorts: IntArray, codes: Codes, every: list[Cell]) -> Found:
    """Return every cell under every assignment, each fitted anew; counts are missing where that fails.

    Parameters
    ----------
    sample, cohorts, every
        The data, the starts, and the cells.
    codes
        Start of each cluster in each assignment, shape (P, C).

    Raises
    ------
    CellError
        A cell cannot be estimated under the first assignment.
    """
    P, K, J = codes.shape[0], len(every), cohorts.size
    values, mass, counts = np.full((P, K), np.nan), np.full((P, K, J), np.nan), np.full((P, J), np.nan)
    truly = np.eye(J)[codes[0][sample.clusters]]
    change = np.stack([np.subtract(*(sample.outcome[:, i] for i in sample.places(c))) for c in every])
    change = np.where(np.isfinite(change), change, 0.0)
    for p in range(P):
        mine = codes[p][sample.clusters]
        try:
            weight = _weights(sample, cohorts[mine], every)
        except (CellError, np.linalg.LinAlgError):
            if p == 0:
                raise
            continue
        values[p] = (weight * change).sum(axis=1)
        mass[p] = weight @ truly
        counts[p] = np.bincount(mine, weights=sample.weights, minlength=J)
    return values, mass, counts


def _weights(sample: Sample, start: IntArray, every: list[Cell]) -> FloatArray:
    """Return the weights on units' changes whose sums are the effects, shape (K, n); missing for a lost cell."""
    found = np.zeros((len(every), start.size))
    if not (np.isnan(sample.outcome).any() or np.isnan(sample.design).any() or sample.design.shape[1] > 1):
        rows = stack(sample.outcome, start, sample.design[:, 0], sample.weights)
        for model in models(rows, sample.periods, every, sample.rule):
            found[model.cells] = _spread(rows, model, sample.rule)
        return found
    there = np.asarray(np.isfinite(sample.outcome))
    known = np.asarray(np.isfinite(sample.design).all(axis=2))
    for k, cell in enumerate(every):
        i, j = sample.places(cell)
        if i == j:
            continue
        at = min(i, j) if sample.design.shape[1] > 1 else 0
        both = (start == cell[0]) | comparison_units(start, sample.periods, sample.rule, cell)
        units = np.flatnonzero(there[:, i] & there[:, j] & known[:, at] & both)
        if not (start[units] == cell[0]).any():
            found[k] = np.nan
            continue
        pair = np.array(sorted((i, j)))
        rows = stack(sample.outcome[np.ix_(units, pair)], start[units], sample.design[units, at], sample.weights[units])
        ends = np.append(sample.periods[pair], sample.periods[-1:])
        found[k, units] = _spread(rows, next(models(rows, ends, [cell], sample.rule)), sample.rule)
    return found


def _spread(rows: Stack, model: Model, rule: Rule) -> FloatArray:
    found = np.zeros(rows.order.size)
    for j in (model.cohort, *model.compared):
        s = rows.rows(j)
        found[rows.order[s]] = loadings(model, j, rows.X[:, s], rule)[0] * rows.size[s]
    return found
