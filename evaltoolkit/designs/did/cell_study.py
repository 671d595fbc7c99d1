"""Group-time effects and their aggregations, with what their covariance is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.family import Deletions, Family, Measured, joined
from evaltoolkit.kernels.aggregate import Kind, Sizes, aggregate, membership, point, row_labels
from evaltoolkit.kernels.group_time import GroupTime, Study

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]
Rows = Kind | Literal["cells"]


@dataclass(frozen=True, slots=True)
class Average:
    """An aggregation of cells.

    Attributes
    ----------
    kind
        Which aggregation, or ``cells``.
    among
        Cells that enter it, shape (K,).
    kept
        Which rows of an aggregation of all cells remain, shape (m,).
    """

    kind: Rows
    among: Mask
    kept: Mask


class Law(Protocol):
    """How intervals are found where the spread of scores does not give them."""

    def applied(self, of: Average, rows: Family, whole: Family) -> tuple[Family, Family]:
        """Return the rows of an aggregation, and its overall value, with their intervals."""
        ...


@dataclass(frozen=True, slots=True)
class Deleted:
    """What is found without each of C clusters.

    Attributes
    ----------
    effects, levels
        Shape (C, K).
    counts
        Cohort sizes, shape (C, J); with known weights of the cells, those weights, shape (C, K).
    present
        Which clusters have units of which cohort, shape (C, J).
    how
        How the spread follows; None for the deletions of C clusters.
    """

    effects: FloatArray
    levels: FloatArray
    counts: FloatArray
    present: Mask
    how: Deletions | None = None

    @property
    def by(self) -> Deletions:
        """How the spread follows."""
        return Deletions(self.effects.shape[0]) if self.how is None else self.how


@dataclass(frozen=True, slots=True)
class CellStudy:
    """Group-time effects with mean outcomes of the treated, ready to be aggregated.

    Attributes
    ----------
    found
        The cells, cohort sizes, and mean outcomes of the treated with their scores.
    shown_by_event_time
        Which cells enter averages by event time, shape (K,).
    weights
        Known weights of the cells, shape (K,); None where cells weigh by cohort size, which is estimated.
    df
        Degrees of freedom of analytic errors; infinite for normal.
    deleted
        Estimates without each cluster, for the jackknife.
    law
        How intervals are found, where neither scores nor the jackknife give them.
    n_comparison_clusters
        Clusters with a unit that is never treated in the periods used.
    before
        Event times before the start, where they are estimated apart from the cells: their covariance with the others
        counts as zero.
    """

    found: Study
    shown_by_event_time: Mask
    weights: FloatArray | None
    df: float
    deleted: Deleted | None
    law: Law | None
    n_comparison_clusters: int
    before: Family | None = None

    @property
    def cells(self) -> GroupTime:
        """The cells."""
        return self.found.cells

    @property
    def sizes(self) -> Sizes:
        """Cohort sizes."""
        return self.found.sizes

    def family(self, kind: Rows) -> Family:
        """Return the rows of an aggregation, or the cells themselves."""
        rows = self._effects(kind)[0]
        return rows if kind != "dynamic" or self.before is None else joined(self.before, rows)

    def overall(self, kind: Kind) -> Family:
        """Return the overall value of an aggregation."""
        return self._effects(kind)[1]

    def log_ratio(self, kind: Kind) -> Family | None:
        """Return the log of the treated mean over its counterfactual, where both lie above zero.

        Where intervals do not come from scores, the treated mean counts as fixed: it was observed.
        """
        effect = self.overall(kind)
        with_program = self._plain(kind, self.found.levels, self.found.level_scores, "levels")[1]
        mean, without = float(with_program.values[0]), float(with_program.values[0] - effect.values[0])
        if mean <= 0 or without <= 0:
            return None
        value = np.array([np.log(mean / without)])
        if self.law is not None:
            return _fixed_mean(effect, mean, value)
        if self.deleted is None:
            spread = with_program.spread / mean - (with_program.spread - effect.spread) / without
            return Family(effect.labels, value, spread, effect.df)
        by = self.deleted.by
        means = mean + by.apart(with_program.spread)
        withouts = without + by.apart(with_program.spread - effect.spread)
        with np.errstate(invalid="ignore", divide="ignore"):
            logs = np.where((means > 0) & (withouts > 0), np.log(means / withouts), np.nan)
        return Family(effect.labels, value, by.spread(logs - value), effect.df)

    def among(self, kind: Rows) -> Mask:
        """Return which cells enter an aggregation, shape (K,)."""
        return self.shown_by_event_time if kind == "dynamic" else np.ones_like(self.shown_by_event_time)

    def _effects(self, kind: Rows) -> tuple[Family, Family]:
        rows, whole = self._plain(kind, self.cells.att, self.cells.scores, "effects")
        return (rows, whole) if self.law is None else self.law.applied(self.average(kind, rows.labels), rows, whole)

    def average(self, kind: Rows, labels: IntArray) -> Average:
        """Return an aggregation with the rows that have these labels."""
        every = labels if kind == "cells" else row_labels(kind, self.cells.cohort, self.cells.period)
        return Average(kind, self.among(kind), np.isin(every, labels))

    def _plain(
        self, kind: Rows, values: FloatArray, scores: FloatArray, which: Literal["effects", "levels"]
    ) -> tuple[Family, Family]:
        c, sizes, used = self.cells, self.sizes, self.among(kind)
        cohort, period = c.cohort[used], c.period[used]
        inside = np.eye(c.att.size) if kind == "cells" else membership(kind, cohort, period)
        df, whole_df = self._df(inside, cohort), self._df(membership("simple", c.cohort, c.period), c.cohort)
        deleted = None if self.deleted is None else getattr(self.deleted, which)[:, used]
        none = np.zeros(1, dtype=np.int64)
        if kind == "cells":
            spread = scores
            if deleted is not None and self.deleted is not None:
                spread = self.deleted.by.spread(deleted - values)
            return Family(np.arange(c.att.size), values, spread, df), Family(none, np.zeros(1), spread[:, :1], whole_df)
        known = None if self.weights is None else self.weights[used]
        found = aggregate(kind, cohort, period, values[used], scores[:, used], sizes, known)
        rows, whole = found.row_scores, found.overall_scores[:, None]
        if deleted is not None and self.deleted is not None:
            counts = self.deleted.counts if self.weights is None else self.deleted.counts[:, used]
            part, all_of = point(kind, cohort, period, deleted, counts, None if known is not None else sizes.cohorts)
            by = self.deleted.by
            rows, whole = by.spread(part - found.rows), by.spread((all_of - found.overall)[:, None])
        labels = row_labels(kind, cohort, period)
        return (
            Family(labels, found.rows, rows, df if labels.size else df[:0]),
            Family(none, np.array([found.overall]), whole, whole_df),
        )

    def _df(self, inside: FloatArray, cohort: IntArray) -> FloatArray:
        """Return the clusters behind each row less one, at most the comparison clusters, for the jackknife."""
        if self.deleted is None:
            return np.full(inside.shape[0], self.df)
        place = np.searchsorted(self.sizes.cohorts, cohort)
        clusters = [int(self.deleted.present[:, np.unique(place[row > 0])].any(axis=1).sum()) for row in inside]
        return np.array([min(n, self.n_comparison_clusters) - 1.0 for n in clusters])


def _fixed_mean(effect: Family, mean: float, value: FloatArray) -> Family:
    m = effect.known[0] if effect.known is not None else None
    if m is None:
        without = mean - float(effect.values[0])
        return Family(effect.labels, value, effect.spread / without, effect.df)
    low, high = (None if v is None or v >= mean else float(np.log(mean / (mean - v))) for v in (m.low, m.high))
    fine = low is not None and high is not None
    one = Measured(float(value[0]), None, low if fine else None, high if fine else None, m.p_value, m.df)
    return Family(effect.labels, value, effect.spread, effect.df, (one,))
