"""Randomization inference: what the estimates would be had other clusters started."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.aggregate import Kind, membership, row_labels
from evaltoolkit.kernels.assignments import Assignments
from evaltoolkit.kernels.cohorts import cells
from evaltoolkit.kernels.placebo_cells import Sample, Sums, by_refitting, by_sums

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]
Rows = Kind | Literal["cells"]

_BLOCK = 2_000_000
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Placebos:
    """Effects of K cells under P assignments, as they depend on outcomes and on the starts observed.

    Attributes
    ----------
    cohort, period, base
        The cells, shape (K,).
    cohorts
        The J starts.
    anticipation
        Periods before the start in which effects may show.
    values
        Estimates with the outcomes observed, shape (P, K), the first row under the starts observed; missing where an
        assignment has no such cell.
    mass
        Weight that an estimate puts on the units that truly start in each period, shape (P, K, J): an effect of
        size one of cohort j adds this to it.
    counts
        Units, or their weight, by start, shape (P, J).
    failed
        Assignments that are left out because an estimate does not exist under them.
    exact
        Whether these are all assignments under which the estimates exist.
    """

    cohort: IntArray
    period: IntArray
    base: IntArray
    cohorts: IntArray
    anticipation: int
    values: FloatArray
    mass: FloatArray
    counts: FloatArray
    failed: int
    exact: bool

    @property
    def event_time(self) -> IntArray:
        """Periods since the start, shape (K,)."""
        return self.period - self.cohort

    @property
    def touched(self) -> Mask:
        """Which cells the program may have changed, shape (K,)."""
        found: Mask = (self.period + self.anticipation >= self.cohort) & (self.period != self.base)
        return found


def placebos(sample: Sample, table: Assignments) -> Placebos:
    r"""Estimate every cell under every assignment.

    An estimate is linear in outcomes: under assignment :math:`\pi` it is :math:`\sum_i w_{i}(\pi)(Y_{it} - Y_{ib})`.
    Without covariates it comes from sums by cluster. With covariates each assignment is fitted anew; one under which a
    model cannot be fitted is left out, which keeps tests exact because models of starts know covariates only.

    Parameters
    ----------
    sample
        The data; a cell uses the units observed in both of its periods, and is left out where its cohort has none.
    table
        The assignments of its clusters.

    Returns
    -------
    Placebos

    Raises
    ------
    CellError
        A cell cannot be estimated with the starts observed: nothing to compare with, or covariates in the way.

    Examples
    --------
    >>> from evaltoolkit.kernels.assignments import assignments
    >>> from evaltoolkit.kernels.cohorts import Rule
    >>> y = np.array([[1.0, 2, 9], [0, 1, 3], [1, 2, 5]])
    >>> sample = Sample.of(y, np.array([3, 9, 9]), np.array([1, 2, 3]), Rule())
    >>> placebos(sample, assignments(sample.start, sample.clusters, 99, 1)).values[:, 1].tolist()
    [4.5, -3.0, -1.5]
    """
    every = cells(sample.start, sample.periods, sample.rule)
    if sample.adjusted:
        values, mass, counts = by_refitting(sample, table.cohorts, table.codes, every)
    else:
        sums = Sums.of(sample, table.cohorts, table.codes[0], every)
        # Sums by start of every change, or the assignments themselves, are the largest things in a block.
        step = max(1, _BLOCK // max(table.cohorts.size * sums.table[0].size, table.codes.shape[1]))
        parts = [by_sums(sums, table.codes[i : i + step]) for i in range(0, table.codes.shape[0], step)]
        values, mass, counts = (np.concatenate(p) for p in zip(*parts, strict=True))
    fine, here = np.isfinite(counts[:, 0]), np.isfinite(values[0])
    every = [cell for cell, known in zip(every, here, strict=True) if known]
    cohort, period, base = (np.array([c[m] for c in every], dtype=np.int64) for m in range(3))
    return Placebos(
        cohort, period, base, table.cohorts, sample.rule.anticipation, values[fine][:, here], mass[fine][:, here],
        counts[fine], int((~fine).sum()), table.exact,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Inverted:
    """Tests turned into intervals.

    Attributes
    ----------
    low, high
        Ends, shape (m,); infinite where the assignments are too few for the level.
    p_value
        Of no effect, shape (m,): at least 1 over the number of assignments.
    """

    low: FloatArray
    high: FloatArray
    p_value: FloatArray


def invert(placebo: FloatArray, slope: FloatArray, observed: FloatArray, level: float) -> Inverted:
    r"""Return the values of a constant effect that a two-sided randomization test does not reject.

    With effect :math:`\tau` taken out, the statistic is :math:`T - \tau` and, under assignment :math:`\pi`,
    :math:`T_\pi - \tau s_\pi`. Assignment :math:`\pi` speaks for :math:`\tau` while
    :math:`|T_\pi - \tau s_\pi| \ge |T - \tau|`, that is between :math:`(T - T_\pi)/(1 - s_\pi)` and
    :math:`(T + T_\pi)/(1 + s_\pi)`. Both ends of the interval are order statistics of these numbers: no grid. An
    assignment with :math:`|s_\pi| > 1` counts as speaking for every value, which can only lengthen the interval.

    Parameters
    ----------
    placebo, slope
        :math:`T_\pi` and :math:`s_\pi` of all assignments but the one observed, shape (B, m). Missing numbers count as
        speaking for every value.
    observed
        :math:`T`, shape (m,).
    level
        Of the intervals, as 0.95.

    Returns
    -------
    Inverted

    References
    ----------
    Rosenbaum, P. (2002). Observational Studies, section 2.6. doi:10.1007/978-1-4757-3692-2

    Examples
    --------
    >>> found = invert(np.arange(-10.0, 10)[:, None], np.zeros((20, 1)), np.array([12.0]), 0.9)
    >>> found.low.tolist(), found.high.tolist(), found.p_value.round(4).tolist()
    ([3.0], [21.0], [0.0476])
    """
    size = placebo.shape[0] + 1
    unknown = ~np.isfinite(placebo) | ~np.isfinite(slope)
    away, back = _nearly(1 - slope, 1.0), _nearly(1 + slope, 1.0)
    size_of = np.maximum(np.abs(observed), np.abs(placebo))
    with np.errstate(invalid="ignore", divide="ignore"):
        one, two = _nearly(observed - placebo, size_of) / away, _nearly(observed + placebo, size_of) / back
        always = unknown | (away < 0) | (back < 0) | np.isnan(one) | np.isnan(two)
    upper = np.where(always, np.inf, np.maximum(one, two))
    lower = np.where(always, -np.inf, np.minimum(one, two))
    as_large = unknown | (np.abs(placebo) >= np.abs(observed) * (1 - _SAME))
    p = (1 + as_large.sum(axis=0)) / size
    most = math.floor((1 - level) * size + _SAME)
    if most < 1 or size == 1:
        return Inverted(np.full(observed.shape, -np.inf), np.full(observed.shape, np.inf), p)
    low = np.partition(lower, most - 1, axis=0)[most - 1]
    high = -np.partition(-upper, most - 1, axis=0)[most - 1]
    return Inverted(low, high, p)


def _nearly(x: FloatArray, scale: FloatArray | float) -> FloatArray:
    """Return numbers that are zero but for rounding as zero."""
    found: FloatArray = np.where(np.abs(x) <= _SAME * scale, 0.0, x)
    return found


def shares(
    kind: Rows, cells_of: tuple[IntArray, IntArray], counts: FloatArray, cohorts: IntArray, there: Mask
) -> FloatArray:
    """Return the weight of each cell in each row of an aggregation, and in the overall value, which stands last.

    Parameters
    ----------
    kind
        Which aggregation; ``cells`` has a row for each cell and no overall value, ``simple`` an overall value alone.
    cells_of
        Cohort and period of the cells, shape (K,) each.
    counts
        Units by start in P assignments, shape (P, J).
    cohorts
        The starts, shape (J,).
    there
        Which cells an assignment has, shape (P, K); a row of none has weight zero throughout.

    Returns
    -------
    array of shape (P, m + 1, K)

    Examples
    --------
    >>> two = (np.array([3, 3, 4]), np.array([3, 4, 4]))
    >>> shares("group", two, np.array([[1.0, 3]]), np.array([3, 4]), np.ones((1, 3), dtype=bool))[0].tolist()
    [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [0.125, 0.125, 0.75]]
    """
    cohort, period = cells_of
    if kind == "cells":
        alone: FloatArray = np.eye(cohort.size) * there[:, None, :]
        return alone
    size = counts[:, np.searchsorted(cohorts, cohort)] * there
    share = _scaled(size[:, None, :] * membership(kind, cohort, period))
    if kind == "simple":
        return share
    labels = row_labels(kind, cohort, period)
    each = counts[:, np.searchsorted(cohorts, labels)] if kind == "group" else np.ones(share.shape[:2])
    each = each * (share.sum(axis=2) > 0) * ((labels >= 0) if kind == "dynamic" else 1)
    return np.concatenate([share, np.einsum("pm,pmk->pk", _scaled(each), share)[:, None, :]], axis=1)


def _scaled(weight: FloatArray) -> FloatArray:
    """Return weights that add up to one along the last axis, or zeros where there are none."""
    total = weight.sum(axis=-1, keepdims=True)
    found: FloatArray = weight / np.where(total > 0, total, 1.0)
    return found


def by_randomization(
    found: Placebos, kind: Rows, level: float, among: Mask | None = None
) -> tuple[FloatArray, Inverted]:
    r"""Test and bound every row of an aggregation, and its overall value.

    The treated cells that a row averages have a constant effect :math:`\tau`; effects of the other treated cells are
    taken out as estimated. For a row of cells before the start nothing is taken out for :math:`\tau`: its interval is
    the estimate plus and minus what assignments alone would give. Exact for a value over all treated cells where their
    effect is constant and clusters are exchangeable (starts as good as dealt out at random, or errors of the same law
    in all clusters); otherwise approximate, and wide rather than narrow where effects differ.

    Parameters
    ----------
    found
        Estimates under all assignments.
    kind
        Which aggregation, or ``cells``.
    level
        Of the intervals.
    among
        Cells that are averaged, shape (K,); None for all. A row without any is missing.

    Returns
    -------
    tuple
        Estimates, and tests, m + 1 each: rows in the order of ``row_labels``, then the overall value; one value for
        ``simple``; K for ``cells``.

    References
    ----------
    MacKinnon, J. and Webb, M. (2020). Randomization inference for difference-in-differences with few treated clusters.
    Journal of Econometrics 218. doi:10.1016/j.jeconom.2020.04.024

    Examples
    --------
    >>> from evaltoolkit.kernels.assignments import assignments
    >>> from evaltoolkit.kernels.cohorts import Rule
    >>> y = np.array([[1.0, 2, 9], *([0, 1, v] for v in range(20))])
    >>> start = np.array([3] + [9] * 20)
    >>> sample = Sample.of(y, start, np.array([1, 2, 3]), Rule())
    >>> values, test = by_randomization(placebos(sample, assignments(start, sample.clusters, 99, 1)), "simple", 0.9)
    >>> values.round(9).tolist(), test.p_value.round(3).tolist()
    ([-1.5], [0.905])
    """
    cells_of = (found.cohort, found.period)
    used = np.ones(found.cohort.size, dtype=np.bool_) if among is None else among
    first = shares(kind, cells_of, found.counts[:1], found.cohorts, np.isfinite(found.values[:1]) & used)[0]
    target = (first != 0) & found.touched
    rest = lift(found, (found.touched & ~target) * found.values[0])
    unit = lift(found, target * 1.0)
    values, slopes = [], []
    step = max(1, _BLOCK // max(first.size, 1))
    for i in range(0, found.values.shape[0], step):
        v, mass = found.values[i : i + step], found.mass[i : i + step]
        there = np.isfinite(v)
        weight = shares(kind, cells_of, found.counts[i : i + step], found.cohorts, there & used)
        known = np.where(there[:, :, None], mass, 0.0)
        without = np.where(there, v, 0.0)[:, :, None] - np.einsum("pkj,kjr->pkr", known, rest, optimize=True)
        value = np.einsum("prk,pkr->pr", weight, without)
        values.append(np.where(weight.sum(axis=2) > 0, value, np.nan))
        slopes.append(np.einsum("prk,pkj,kjr->pr", weight, known, unit, optimize=True))
    value, slope = np.concatenate(values), np.concatenate(slopes)
    return value[0], invert(value[1:], slope[1:], value[0], level)


def lift(found: Placebos, effects: FloatArray) -> FloatArray:
    """Return how far effects on cells move the change of a unit of each start.

    Parameters
    ----------
    found
        The cells.
    effects
        Of each cell, in r cases, shape (r, K).

    Returns
    -------
    array of shape (K, J, r)
    """
    when = (found.period[:, None] == found.period) * 1.0 - (found.base[:, None] == found.period)
    whose = (found.cohorts[:, None] == found.cohort) * 1.0
    moved: FloatArray = np.einsum("kl,jl,rl->kjr", when, whose, effects, optimize=True)
    return moved


def joint_test(found: Placebos, which: Mask) -> tuple[float, float]:
    r"""Test that several cells before the start are all zero: :math:`W = v' S^+ v` with S over all assignments.

    Effects after the start are taken out as estimated.

    Parameters
    ----------
    found
        Estimates under all assignments.
    which
        The cells, shape (K,).

    Returns
    -------
    tuple
        W of the starts observed, and the share of assignments with one as large; NaN without cells.

    References
    ----------
    Hemerik, J. and Goeman, J. (2018). Exact testing with random permutations. TEST 27. doi:10.1007/s11749-017-0571-1

    Examples
    --------
    >>> from evaltoolkit.kernels.assignments import assignments
    >>> from evaltoolkit.kernels.cohorts import Rule
    >>> y = np.array([[1.0, 2, 9], *([0, v * v, v] for v in range(20))])
    >>> start = np.array([3] + [9] * 20)
    >>> found = placebos(Sample.of(y, start, np.array([1, 2, 3]), Rule()), assignments(start, np.arange(21), 99, 1))
    >>> round(joint_test(found, found.event_time < 0)[1], 3)
    0.333
    """
    kept = which & (found.period != found.base) & np.isfinite(found.values).all(axis=0)
    if not kept.any():
        return float("nan"), float("nan")
    effects = lift(found, (found.touched * found.values[0])[None, :])
    v = found.values[:, kept] - np.einsum("pkj,kjr->pk", found.mass[:, kept], effects[kept])
    scale = np.sqrt((v**2).mean(axis=0))
    z = v / np.where(scale > 0, scale, 1.0)
    W = np.einsum("pi,ij,pj->p", z, np.linalg.pinv(z.T @ z / z.shape[0], rcond=1e-9, hermitian=True), z, optimize=True)
    return float(W[0]), float(np.mean(W[0] * (1 - _SAME) <= W))
