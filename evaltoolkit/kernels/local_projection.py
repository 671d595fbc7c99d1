"""Local-projection difference-in-differences: one regression of a long difference for each horizon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.stacked_types import Linear, Types, clusters_used, correction, linear_scores, types

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

EVERY: Final = 0
"""The base that averages every period before the start."""


class ProjectionError(ValueError):
    """No horizon can be estimated: nowhere do units that start meet clean comparison units."""

    def __init__(self) -> None:
        super().__init__("no horizon can be estimated")


@dataclass(frozen=True, slots=True)
class Horizons:
    """What is projected.

    Attributes
    ----------
    before, after
        Horizons from ``-before`` to -2 and from 0 to ``after``.
    weighting
        Cohorts weighted by their ``variance`` of treatment and size, as least squares does, or every treated unit
        ``equal``.
    comparison
        Units ``never`` treated, or ``not-yet`` treated at the horizon (at the start, for horizons before it).
    base
        Periods before the start whose mean is the base (premean differencing): 1, more, or ``EVERY``.
    fixed
        Whether every horizon uses the same units: comparison units not treated by horizon ``after``, and only units
        observed at all horizons from 0 to ``after``.
    """

    before: int = 0
    after: int = 0
    weighting: Literal["variance", "equal"] = "variance"
    comparison: Literal["never", "not-yet"] = "not-yet"
    base: int = 1
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Projection:
    """Effects at m horizons, and pooled ones.

    Attributes
    ----------
    horizon
        Those that can be estimated, shape (m,).
    effects, scores
        Shapes (m,) and (C, m). ``scores.T @ scores`` is the covariance. C is the number of clusters, or smaller where
        there are very many (then rows are no clusters).
    pooled, pooled_scores
        Effect of the mean outcome of horizons 0 to ``after``, and of those from ``-before`` to -2: shapes (2,) and
        (C, 2); missing where there is none.
    n_treated, n_comparison
        Units that start, and rows of comparison units (a unit counts in every period it serves), behind each horizon,
        shape (m,).
    n_clusters
        Clusters behind each horizon, shape (m,); the reference is t with one less.
    """

    horizon: IntArray
    effects: FloatArray
    scores: FloatArray
    pooled: FloatArray
    pooled_scores: FloatArray
    n_treated: IntArray
    n_comparison: IntArray
    n_clusters: IntArray


@dataclass(frozen=True, slots=True)
class Target:
    """Offsets from the start whose mean outcome is projected, and how far comparison units must stay untreated."""

    offsets: IntArray
    reach: int


@dataclass(frozen=True, slots=True)
class Block:
    """The sample of one period: types that start and that are compared, shape (J,), and what is differenced, (J, T)."""

    time: int
    treated: Mask
    compared: Mask
    contrast: FloatArray


@dataclass(frozen=True, slots=True)
class _Row:
    point: float
    slope: FloatArray
    constant: FloatArray
    used: Mask
    n_treated: int
    n_comparison: int
    parameters: int


def local_projection(
    outcome: FloatArray,
    start: IntArray,
    periods: IntArray,
    horizons: Horizons,
    clusters: IntArray | None = None,
    weights: FloatArray | None = None,
) -> Projection:
    r"""Estimate :math:`\beta_h` of :math:`y_{i,t+h} - y_{i,t-1} = \beta_h \Delta D_{it} + \delta_t^h + e_{it}^h`.

    Each regression uses rows of units that start in t and of clean comparison units, not treated by t + h. With
    :math:`n_{1t}, n_{0t}` of both and their mean long differences,
    :math:`\beta_h = \sum_t \omega_t (\bar\Delta_{1t} - \bar\Delta_{0t}) / \sum_t \omega_t`, where :math:`\omega_t` is
    :math:`n_{1t} n_{0t} / (n_{1t} + n_{0t})` for ``variance`` and :math:`n_{1t}` for ``equal`` weights. The former are
    the weights of a stacked regression with effects of cohort by unit and cohort by period; the latter give Callaway
    and Sant'Anna's not-yet-treated event study with the last period before the start as base.

    Scores for ``variance`` carry :math:`\sqrt{G/(G-1) \cdot (N-1)/(N-K)}` with N rows and K = 1 + periods (period
    effects are counted, as in R fixest and Stata reghdfe; the reference is t(G - 1)). Scores for ``equal`` are those of
    regression adjustment (Stata ``teffects ra``, without a factor), which are Callaway and Sant'Anna's. The option rw
    of Stata lpdid takes the weighted regression's errors in their place.

    Parameters
    ----------
    outcome
        Shape (n, T), NaN where a unit was not observed. A unit is in a row where the periods differenced were observed
        (with base ``EVERY``, some period before the start).
    start
        First treated period, ``NEVER`` for none, shape (n,). Units treated by the first period are never used.
    periods
        Ascending, shape (T,). Horizons are in the same units; the base is the last period observed before the start.
    horizons
        What is projected.
    clusters
        Codes 0 .. C - 1, shape (n,); None where units are the clusters.
    weights
        Sampling weights, above zero, shape (n,); None for ones.

    Returns
    -------
    Projection

    Raises
    ------
    ProjectionError
        No horizon can be estimated.

    References
    ----------
    Dube, A., Girardi, D., Jorda, O. and Taylor, A. (2025). A local projections approach to difference-in-differences.
    Journal of Applied Econometrics 40. doi:10.1002/jae.70000

    Examples
    --------
    >>> from evaltoolkit.kernels.cohorts import NEVER
    >>> y = np.array([[1.0, 4, 6], [0, 3, 5], [1, 2, 9], [4, 5, 6]])
    >>> found = local_projection(y, np.array([2, 2, 3, NEVER]), np.array([1, 2, 3]), Horizons(after=1))
    >>> found.horizon.tolist(), found.effects.round(6).tolist(), found.n_comparison.tolist()
    ([0, 1], [3.333333, 3.0], [3, 1])
    """
    table = types(outcome, start[:, None], weights)
    labels, goals = targets(horizons)
    rows = [_row(table, sample(table, periods, horizons, goal), horizons.weighting) for goal in goals]
    point = np.array([r.point for r in rows])
    here = np.isfinite(point)
    if not here[: labels.size].any():
        raise ProjectionError
    used = np.stack([r.used for r in rows], axis=1)
    slope, constant = np.stack([r.slope for r in rows], axis=1), np.stack([r.constant for r in rows], axis=1)
    groups = np.array([clusters_used(table, u, clusters) for u in used.T], dtype=np.int64)
    scores = linear_scores(table, Linear(point, slope, constant, np.asarray(used.any(axis=1))), clusters)
    if horizons.weighting == "variance":
        sizes = [(r.n_treated + r.n_comparison, r.parameters) for r in rows]
        scores = scores * np.array([correction(int(g), n, k) for g, (n, k) in zip(groups, sizes, strict=True)])
    own = np.flatnonzero(here[: labels.size])
    counts = np.array([(r.n_treated, r.n_comparison) for r in rows], dtype=np.int64)[own]
    return Projection(
        horizon=labels[own],
        effects=point[own],
        scores=scores[:, own],
        pooled=point[labels.size :],
        pooled_scores=np.where(here, scores, np.nan)[:, labels.size :],
        n_treated=counts[:, 0],
        n_comparison=counts[:, 1],
        n_clusters=groups[own],
    )


def local_projection_points(
    outcome: FloatArray, start: IntArray, periods: IntArray, horizons: Horizons, weights: FloatArray | None = None
) -> FloatArray:
    """Return effects from ``-before`` to -2 and from 0 to ``after``, then those pooled after and before the start.

    Missing where there is none: the same length whatever is in the panel, made for leaving out clusters.

    Examples
    --------
    >>> from evaltoolkit.kernels.cohorts import NEVER
    >>> y = np.array([[0.0, 3, 5], [1, 2, 9], [4, 5, 6]])
    >>> start, periods = np.array([2, 3, NEVER]), np.array([1, 2, 3])
    >>> local_projection_points(y, start, periods, Horizons(after=1, weighting="equal")).tolist()
    [4.0, 3.0, 2.5, nan]
    """
    table = types(outcome, start[:, None], weights)
    goals = targets(horizons)[1]
    return np.array([_row(table, sample(table, periods, horizons, goal), horizons.weighting).point for goal in goals])


def targets(horizons: Horizons) -> tuple[IntArray, list[Target]]:
    """Return the horizons, and what is projected for each of them and for the pooled effects after and before.

    Examples
    --------
    >>> labels, goals = targets(Horizons(before=3, after=1))
    >>> labels.tolist(), [g.offsets.tolist() for g in goals], [g.reach for g in goals]
    ([-3, -2, 0, 1], [[-3], [-2], [0], [1], [0, 1], [-3, -2]], [0, 0, 0, 1, 1, 0])
    """
    early, late = np.arange(-horizons.before, -1, dtype=np.int64), np.arange(horizons.after + 1, dtype=np.int64)
    labels = np.concatenate([early, late])
    offsets = [*labels[:, None], late, early]
    reach = [horizons.after if horizons.fixed else max(int(o.max(initial=0)), 0) for o in offsets]
    return labels, [Target(o, r) for o, r in zip(offsets, reach, strict=True)]


def sample(table: Types, periods: IntArray, horizons: Horizons, goal: Target) -> list[Block]:
    """Return the sample of a regression, period by period.

    Examples
    --------
    >>> table = types(np.zeros((3, 3)), np.array([[2], [3], [9]]))
    >>> [b.compared.tolist() for b in sample(table, np.array([1, 2, 3]), Horizons(), Target(np.array([0]), 0))]
    [[False, True, True], [False, False, True]]
    """
    start, last = table.label[:, 0], int(periods[-1])
    times = np.union1d(periods[1:], start[(start > periods[0]) & (start <= last)])
    offsets = np.union1d(goal.offsets, np.arange(horizons.after + 1)) if horizons.fixed else goal.offsets
    found = []
    for t in times.tolist() if goal.offsets.size else []:
        before = np.arange(np.searchsorted(periods, t))[-horizons.base :]
        needed = np.searchsorted(periods, t + offsets)
        if before.size < horizons.base or needed[-1] == periods.size or (periods[needed] != t + offsets).any():
            continue
        seen = table.observed[:, needed].all(axis=1)
        base = np.zeros(table.observed.shape)
        base[:, before] = table.observed[:, before]
        count = base.sum(axis=1)
        seen &= count == before.size if horizons.base != EVERY else count > 0
        contrast = -base / np.maximum(count, 1)[:, None]
        contrast[:, np.searchsorted(periods, t + goal.offsets)] += 1 / goal.offsets.size
        bound = last if horizons.comparison == "never" else t + goal.reach
        found.append(Block(t, seen & (start == t), seen & (start > bound), contrast))
    return found


def _row(table: Types, blocks: list[Block], weighting: str) -> _Row:
    J, T = table.observed.shape
    sides = np.array([(b.treated, b.compared) for b in blocks]).reshape(-1, 2, J)
    sums = np.array([(b.contrast * table.total).sum(axis=1) for b in blocks]).reshape(-1, J)
    size = sides @ table.size
    both = (size > 0).all(axis=1)
    filled = np.where(size > 0, size, 1.0)
    mean = np.einsum("bsj,bj->bs", sides, sums) / filled
    n1, n0 = size.T
    share = np.where(both, n1 * (n0 / filled.sum(axis=1) if weighting == "variance" else 1.0), 0.0)
    total = share.sum()
    slope, constant, units = np.zeros((J, T)), np.zeros(J), sides @ table.units
    kept = units.sum(axis=1) > 0
    counts = (int(units[:, 0].sum()), int(units[:, 1].sum()), 1 + int(kept.sum()))
    used: Mask = np.asarray(sides.any(axis=(0, 1)))
    if total == 0:
        return _Row(np.nan, slope, constant, used, *counts)
    point = float(share @ (mean[:, 0] - mean[:, 1]) / total)
    # Residuals are from the regression's period effect, or from comparison units' mean in regression adjustment.
    p = n1 / filled.sum(axis=1) if weighting == "variance" else np.zeros(len(blocks))
    center = (1 - p) * mean[:, 1] + p * (mean[:, 0] - point)
    for b in np.flatnonzero(both):
        for s, sign in enumerate((1.0, -1.0)):
            mine, each = sides[b, s], sign * share[b] / size[b, s] / total
            slope[mine] += each * blocks[b].contrast[mine]
            constant[mine] -= each * (center[b] + (point if s == 0 else 0.0))
    return _Row(point, slope, constant, used, *counts)
