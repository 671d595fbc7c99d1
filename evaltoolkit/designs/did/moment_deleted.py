"""What is found without each unit, from a moment table that knows no unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from evaltoolkit.designs.did.cell_estimators import CellEstimator, Estimated, GroupTimes
from evaltoolkit.designs.did.cell_study import Deleted
from evaltoolkit.designs.did.family import Deletions
from evaltoolkit.designs.did.refitting import placed
from evaltoolkit.kernels.cohort_moments import CohortMoments
from evaltoolkit.kernels.jackknife import effect_of_means
from evaltoolkit.kernels.moment_cells import added
from evaltoolkit.kernels.moment_points import by_start, group_sums, root
from evaltoolkit.reduction import Panel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def leaves_units_out(moments: CohortMoments) -> bool:
    """Return whether sums tell what is found without each unit: all units count alike, and there are no covariates."""
    alike = bool(np.allclose(moments.n, moments.units, rtol=1e-12, atol=0))
    return alike and moments.design.shape[1] == 1 and (moments.there is None or bool(moments.there.all()))


@dataclass(frozen=True, slots=True)
class UnitDeletions:
    r"""R cases that stand for the deletions of all units.

    Without unit i the mean of its start is :math:`\bar Y - (Y_i - \bar Y) / (n - 1)`, and estimates are linear in the
    means of the starts. So the squares of their distances add up, over the units of a start, to n times that of the
    case in which the start counts one unit less, and the squares of the moves along a root of the second moments.

    Attributes
    ----------
    starts, periods
        Shapes (J,) and (T,).
    units
        Units of each start in each case, shape (R, J).
    mean
        Mean outcome of each start in each case, missing where it has no unit, shape (R, J, T).
    whole
        Units of each start, shape (J,).
    by
        How the spread follows from the cases.
    """

    starts: IntArray
    periods: IntArray
    units: IntArray
    mean: FloatArray
    whole: IntArray
    by: Deletions

    def panels(self) -> list[Panel]:
        """Return each case as a panel of the means: two rows for a start of several units."""
        return [self._panel(units, mean) for units, mean in zip(self.units, self.mean, strict=True)]

    def treated_means(self) -> FloatArray:
        """Return the mean outcome of treated observations in each case, shape (R,)."""
        on = self.periods >= self.starts[:, None]
        weight = np.where(self.units[:, :, None] > 0, self.units[:, :, None] * on, 0.0)
        total = weight.sum(axis=(1, 2))
        sums = np.where(weight > 0, weight * self.mean, 0.0).sum(axis=(1, 2))
        return np.asarray(sums / np.where(total > 0, total, np.nan), dtype=np.float64)

    def _panel(self, units: IntArray, mean: FloatArray) -> Panel:
        rows = np.repeat(np.arange(units.size), np.minimum(units, 2))
        return Panel(
            outcome=mean[rows],
            start=self.starts[rows],
            periods=self.periods,
            covariates=np.zeros((rows.size, self.periods.size, 0)),
            clusters=np.arange(rows.size),
            counts=None,
            weights=units[rows] / np.minimum(units[rows], 2),
            units=np.arange(rows.size),
        )


def unit_deletions(moments: CohortMoments) -> UnitDeletions:
    """Return cases that stand for the deletions of all units."""
    group, starts = by_start(moments, int(moments.starts.max()))
    J, T = starts.size, moments.periods.size
    sums, kept = group_sums(moments, group, J), group >= 0
    N2, M2, Q = (added(group[kept], v[kept], J) for v in (moments.N2, moments.M2, moments.Q))
    points = root(N2, M2, Q, sums.units)[1]
    points = points.reshape(J, T + 1, T)[:, 1:]
    middle = sums.m / sums.n[:, None] + moments.shift
    units: list[IntArray] = []
    mean: list[FloatArray] = []
    blocks: list[FloatArray] = []
    for j, n in enumerate(sums.units.tolist()):
        moves = np.array([v for v in points[j] if v.any()] if n > 1 else []).reshape(-1, T)
        # A move as long as that of one unit, so that what is not linear is followed where it is needed.
        step = 1 / np.sqrt(n)
        here = np.repeat(middle[None], 1 + moves.shape[0], axis=0)
        here[1:, j] -= step * moves / max(n - 1, 1)
        if n == 1:
            here[:, j] = np.nan
        units.append(np.repeat((sums.units - (np.arange(J) == j))[None], here.shape[0], axis=0))
        mean.append(here)
        block = np.eye(here.shape[0]) / step
        block[1:, 0] = -1 / step
        blocks.append(block)
    by = Deletions(int(sums.units.sum()), block_diag(*blocks))
    return UnitDeletions(starts, moments.periods, np.concatenate(units), np.concatenate(mean), sums.units, by)


def deleted_units(moments: CohortMoments, estimator: CellEstimator, of: Estimated) -> Deleted:
    """Return what stands for the effects without each unit."""
    cases = unit_deletions(moments)
    c, starts = of.study.cells, cases.starts
    effects = _by_means(cases, estimator, of) if isinstance(estimator, GroupTimes) else np.array(
        [placed(c, estimator.estimated, panel) for panel in cases.panels()]
    )  # fmt: skip
    mine = np.searchsorted(starts, c.cohort)
    levels = cases.mean[:, mine, np.searchsorted(cases.periods, c.period)]
    cohorts = np.searchsorted(starts, of.study.sizes.cohorts)
    counts = cases.units[:, cohorts].astype(np.float64)
    if of.weights is not None:
        counts = of.weights * cases.units[:, mine] / cases.whole[mine]
    treated = np.repeat(np.arange(cohorts.size), cases.whole[cohorts])
    present = treated[:, None] == np.arange(cohorts.size)
    return Deleted(effects, levels, counts, present, cases.by)


def _by_means(cases: UnitDeletions, estimator: GroupTimes, of: Estimated) -> FloatArray:
    """Return group-time effects in each case, shape (R, K)."""
    c, periods = of.study.cells, cases.periods
    found = np.zeros((cases.units.shape[0], c.att.size))
    how = cases.starts, periods, estimator.rule
    for k, cell in enumerate(zip(c.cohort.tolist(), c.period.tolist(), c.base.tolist(), strict=True)):
        to, since = (int(np.searchsorted(periods, t)) for t in cell[1:])
        change = cases.mean[:, :, to] - cases.mean[:, :, since]
        found[:, k] = effect_of_means(cell, how, change, cases.units.astype(np.float64))
    return found
