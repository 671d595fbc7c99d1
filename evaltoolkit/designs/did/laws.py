"""Intervals for few treated clusters: by reassigned starts, or from the spread of comparison clusters."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.cell_study import Average, Rows
from evaltoolkit.designs.did.family import Family, Measured, bounded
from evaltoolkit.kernels.aggregate import membership
from evaltoolkit.kernels.cluster_means import GroupMeans, Means
from evaltoolkit.kernels.donors import donors
from evaltoolkit.kernels.few_treated import Spread, scaled, welch
from evaltoolkit.kernels.multiplier import Law as MultiplierLaw
from evaltoolkit.kernels.multiplier import Multiplied, multiplier_bootstrap
from evaltoolkit.kernels.randomization import Inverted, Placebos, by_randomization, joint_test
from evaltoolkit.kernels.randomization_bands import reach_together

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]
MANY_CLUSTERS = 1000
"""Clusters beyond which the discreteness of multipliers is of no account."""


@dataclass
class Reassigned:
    """Randomization inference: what the estimates would be, had the starts fallen on other clusters.

    Attributes
    ----------
    placebos
        Estimates under all assignments.
    level
        Of the intervals.
    alone
        Cohorts of one cluster, where there are too few clusters for one of them to stand out at the level: what rests
        on such a cohort only gets no interval.
    seen
        What was found before.
    """

    placebos: Placebos
    level: float
    alone: frozenset[int]
    seen: dict[tuple[Rows, bytes], tuple[Measured, ...]] = field(default_factory=dict)

    def applied(self, of: Average, rows: Family, whole: Family) -> tuple[Family, Family]:
        """Return rows and overall value with intervals by randomization."""
        key = (of.kind, of.among.tobytes())
        if key not in self.seen:
            found = _bounded(*by_randomization(self.placebos, of.kind, self.level, of.among))
            self.seen[key] = tuple(
                bounded(m.estimate, np.inf, np.inf, m.p_value or np.nan) if lonely else m
                for m, lonely in zip(found, self._lonely(of, len(found)), strict=True)
            )
        return _given(of, self.seen[key], rows, whole)

    def _lonely(self, of: Average, size: int) -> list[bool]:
        p = self.placebos
        inside = np.eye(p.cohort.size) if of.kind == "cells" else membership(of.kind, p.cohort, p.period)
        behind = [set(p.cohort[(row > 0) & of.among].tolist()) for row in inside]
        lonely = [len(cohorts) == 1 and cohorts <= self.alone for cohorts in behind]
        every = len(set(p.cohort.tolist())) == 1 and set(p.cohort.tolist()) <= self.alone
        return lonely if of.kind == "cells" else [*lonely[: size - 1], every]

    def reach(self, of: Average) -> FloatArray:
        """Return how far the band for all rows together reaches, shape (m,)."""
        return reach_together(self.placebos, of.kind, self.level, of.among)[of.kept]

    def pretest(self, early: Mask) -> tuple[float, float]:
        """Return the joint statistic of cells before the start, and its p-value."""
        return joint_test(self.placebos, early)


@dataclass
class Donors:
    """Conley and Taber, or Ferman and Pinto: what never-treated clusters do in place of treated ones."""

    means: Means
    level: float
    draws: int
    seed: int
    sized: bool

    def applied(self, of: Average, rows: Family, whole: Family) -> tuple[Family, Family]:
        """Return rows and overall value with intervals from comparison clusters."""
        test = donors(self.means, of.kind, self.level, self.draws, self.seed, sized=self.sized, among=of.among)
        values = np.zeros(test.p_value.size)
        values[: of.kept.size][of.kept] = rows.values if of.kept.size else 0.0
        if of.kind != "cells":
            values[-1] = whole.values[0]
        return _given(of, _bounded(values, test), rows, whole)


@dataclass
class Errors:
    """Standard errors with degrees of freedom of their own, from spreads within cohorts or the never-treated spread."""

    means: Means | GroupMeans
    way: Literal["welch", "scaled"]

    def checked(self) -> None:
        """Find out whether the method fits the data.

        Raises
        ------
        FewTreatedError
            It does not.
        """
        self._spread("simple", None)

    def _spread(self, kind: Rows, among: Mask | None) -> Spread:
        if isinstance(self.means, GroupMeans) or self.way == "welch":
            return welch(self.means, kind, among)
        return scaled(self.means, kind, among)

    def applied(self, of: Average, rows: Family, whole: Family) -> tuple[Family, Family]:
        """Return rows and overall value with other errors and the correlations they have."""
        found = self._spread(of.kind, of.among)
        error = np.where(np.isfinite(found.std_error), found.std_error, 0.0)
        df = np.where(np.isfinite(found.df), found.df, 0.0)
        size = of.kept.size
        rows = rows.rescaled(error[:size][of.kept], df[:size][of.kept])
        return rows, whole if of.kind == "cells" else whole.rescaled(error[-1:], df[-1:])


@dataclass
class Bootstrapped:
    """Multiplier bootstrap of R ``did``: errors from the interquartile range of draws, band from their largest t."""

    level: float
    draws: int
    seed: int
    clusters: int

    @property
    def law(self) -> MultiplierLaw:
        """Of the multipliers: with many clusters draws from the normal, else Mammen's, with very few Webb's."""
        return "gaussian" if self.clusters > MANY_CLUSTERS else "mammen" if self.clusters > 12 else "webb"

    def drawn(self, family: Family) -> Multiplied:
        """Return what the draws say of a family."""
        return multiplier_bootstrap(
            family.values, family.spread, self.law, level=self.level, draws=self.draws, seed=self.seed
        )

    def applied(self, of: Average, rows: Family, whole: Family) -> tuple[Family, Family]:
        """Return rows and overall value with other errors and the correlations they have."""
        return self._with(rows), whole if of.kind == "cells" else self._with(whole)

    def _with(self, family: Family) -> Family:
        if not family.values.size:
            return family
        error = self.drawn(family).std_error
        return family.rescaled(np.where(np.isfinite(error), error, 0.0), family.df)


def _bounded(values: FloatArray, test: Inverted) -> tuple[Measured, ...]:
    return tuple(
        bounded(float(v), float(a), float(b), float(p))
        for v, a, b, p in zip(values, test.low, test.high, test.p_value, strict=True)
    )


def _given(of: Average, known: tuple[Measured, ...], rows: Family, whole: Family) -> tuple[Family, Family]:
    """Give rows and overall value their intervals; what is zero by definition has none."""
    mine = [m for m, kept in zip(known, of.kept, strict=False) if kept]
    still = rows.std_error == 0
    bare = [bounded(m.estimate, np.inf, np.inf, np.nan) if s else m for m, s in zip(mine, still, strict=True)]
    rows = dataclasses.replace(rows, known=tuple(bare))
    return rows, whole if of.kind == "cells" else dataclasses.replace(whole, known=known[-1:])
