"""Who was observed when, summed by start: all that tables, figures and words need of a sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.reduction import Panel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Facts:
    """Sums over the units of J starts in T periods.

    Attributes
    ----------
    starts
        Different starts, ascending; those after the last period are never treated in the periods used, shape (J,).
    periods
        Shape (T,).
    units, clusters
        Units, and clusters with a unit, of each start, shape (J,).
    n_clusters, treated_clusters, comparison_clusters
        Clusters in all, with a unit that becomes treated, and with one that does not.
    seen
        Units observed, shape (J, T).
    mass, total
        Sums of weights, and of weighted outcomes, of those observed, shape (J, T).
    counts
        People or events behind the outcomes, shape (J, T); None where the outcome counts none.
    """

    starts: IntArray
    periods: IntArray
    units: IntArray
    clusters: IntArray
    n_clusters: int
    treated_clusters: int
    comparison_clusters: int
    seen: IntArray
    mass: FloatArray
    total: FloatArray
    counts: FloatArray | None

    @property
    def treated(self) -> Mask:
        """Which starts lie in the periods used, shape (J,)."""
        found: Mask = self.starts <= self.periods[-1]
        return found

    @property
    def cohorts(self) -> IntArray:
        """Starts of the treated cohorts, ascending."""
        return self.starts[self.treated]

    @property
    def n_units(self) -> int:
        """Units in all."""
        return int(self.units.sum())

    @property
    def n_compared(self) -> int:
        """Units that are not treated in the periods used."""
        return int(self.units[~self.treated].sum())

    @property
    def whole(self) -> bool:
        """Whether every unit was observed in every period."""
        return bool((self.seen == self.units[:, None]).all())

    def size(self, cohorts: IntArray) -> int:
        """Return the number of units of some cohorts."""
        return int(self.units[np.isin(self.starts, cohorts)].sum())

    def means(self, group: Mask) -> FloatArray:
        """Return the mean of some starts' observed units in each period, by weight, shape (T,); missing without any.

        >>> one = np.array([1])
        >>> facts = Facts(one, one, one, one, 1, 1, 0, one[:, None], np.full((1, 1), 2.0), np.full((1, 1), 6.0), None)
        >>> facts.means(np.array([True])).tolist()
        [3.0]
        """
        mass = self.mass[group].sum(axis=0)
        found: FloatArray = self.total[group].sum(axis=0) / np.where(mass > 0, mass, 1.0)
        found[mass == 0] = np.nan
        return found


def facts_of(panel: Panel) -> Facts:
    """Return the sums of a panel."""
    starts, code = np.unique(panel.start, return_inverse=True)
    J, T = starts.size, panel.periods.size
    there = np.isfinite(panel.outcome)
    weights = np.ones(code.size) if panel.weights is None else panel.weights
    seen, mass, total, counts = (np.zeros((J, T)) for _ in range(4))
    for j in range(J):
        mine = code == j
        on, w = there[mine], weights[mine]
        seen[j] = on.sum(axis=0)
        mass[j] = w @ on
        total[j] = w @ np.where(on, panel.outcome[mine], 0.0)
        if panel.counts is not None:
            counts[j] = np.nansum(panel.counts[mine], axis=0)
    pairs = np.unique(np.column_stack([code, panel.clusters]), axis=0)
    treated = starts[pairs[:, 0]] <= panel.periods[-1]
    return Facts(
        starts.astype(np.int64), panel.periods, np.bincount(code, minlength=J).astype(np.int64),
        np.bincount(pairs[:, 0], minlength=J).astype(np.int64), panel.n_clusters,
        int(np.unique(pairs[treated, 1]).size), int(np.unique(pairs[~treated, 1]).size),
        seen.astype(np.int64), mass, total, None if panel.counts is None else counts,
    )  # fmt: skip
