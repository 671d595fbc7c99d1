"""Triple differences: group-time effects on eligible units, beside ineligible ones and other cohorts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.aggregate import Sizes
from evaltoolkit.kernels.cell_models import Cell, Stack, models, stack
from evaltoolkit.kernels.cell_scores import loadings
from evaltoolkit.kernels.cell_terms import Model
from evaltoolkit.kernels.cohorts import NEVER, CellError, Rule, cells, comparison_units
from evaltoolkit.kernels.group_time import GroupTime, Study
from evaltoolkit.kernels.placebo_cells import Sample

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

FEWEST: Final = 5
"""Units, beyond the number of covariates, that eligible and ineligible units of a comparison cohort must each number
for it to be combined with others."""
_ALIKE: Final = 1e-10


@dataclass(frozen=True, slots=True)
class TripleStudy:
    """Triple differences with what aggregations need.

    Attributes
    ----------
    study
        The K cells, their sizes (eligible units of each cohort), and mean outcomes of eligible treated units. Counts of
        treated units are those of eligible ones; comparison units are all others in the cell.
    compared
        The C starts compared with, ``NEVER`` for never-treated units, shape (C,).
    shares
        Weight of each of them in each cell, shape (K, C): rows sum to one, or are zero in a reference cell. A weight
        can be negative.
    """

    study: Study
    compared: IntArray
    shares: FloatArray


@dataclass(frozen=True, slots=True)
class _Contrast:
    """Cells of one cohort beside one comparison cohort.

    Attributes
    ----------
    cells
        Which cells, shape (c,).
    att, scores
        Effects, shape (c,), and influence functions, shape (n, c).
    counts
        Eligible units of the cohort, units of the comparison cohort, and units of the cohort that are not eligible.
    """

    cells: IntArray
    att: FloatArray
    scores: FloatArray
    counts: tuple[int, int, int]


def triple_differences(sample: Sample, eligible: Mask) -> TripleStudy:
    r"""Estimate :math:`ATT(g,t) = E[Y_t(g) - Y_t(\infty) \mid S = g, Q = 1]` of eligible units Q = 1 of cohort g.

    With :math:`\Delta(a, b)` the difference-in-differences of units a beside b, as ``group_time`` estimates it with the
    same ``adjust`` (models of the change in b, and of being in a among a and b), and a comparison cohort c,

    .. math:: \Delta(g1, g0) + \Delta(g1, c1) - \Delta(g1, c0),

    each averaged over the covariates of the eligible treated. ``never`` compares with never-treated units. With
    ``not-yet``, each cohort c not yet treated in either period gives an estimate of its own, and these estimates are
    combined as :math:`1' \Omega^{-1} \hat\theta / 1' \Omega^{-1} 1`, the weights of least variance; pooling the cohorts
    would not identify the effect. Scores are the same sums of influence functions.

    Parameters
    ----------
    sample
        Outcomes, starts, covariates, rule, clusters and weights. Starts hold for ineligible units too: the start of the
        program where they live. A cell uses the units observed in both of its periods.
    eligible
        Q, whom the program treats once it has started, shape (n,).

    Returns
    -------
    TripleStudy

    Raises
    ------
    CellError
        A cell has nobody to compare with, or one of its three models cannot be fitted.

    Notes
    -----
    As R ``triplediff``: :math:`\Omega` is over units also where scores are summed by cluster, weights count as known,
    and no small-sample factor is applied. Other than there: a comparison cohort with fewer than ``FEWEST`` units (plus
    covariates) on either side is left out of the combination where another remains, because its own variance would be
    estimated too small; aggregations weigh cohorts by eligible units, not by all; scores above ``TRIM`` get no weight;
    with anticipation, bases follow ``cells``.

    References
    ----------
    Ortiz-Villavicencio, M. and Sant'Anna, P. (2025). Better understanding triple differences estimators.
    doi:10.48550/arXiv.2505.09942

    Examples
    --------
    >>> y = np.array([[0.0, 9], [0, 2], [0, 4], [0, 1]])
    >>> sample = Sample.of(y, np.array([2, 2, NEVER, NEVER]), np.array([1, 2]), Rule("never"))
    >>> triple_differences(sample, np.array([True, False, True, False])).study.cells.att.tolist()
    [4.0]
    """
    start = _pooled(sample)
    every = [c for c in cells(start, sample.periods, sample.rule) if _present(sample, start, eligible, c)]
    others = _others(sample, start)
    n, K = start.size, len(every)
    att, psi, shares = np.zeros(K), np.zeros((n, K)), np.zeros((K, others.size))
    n1, n0 = np.zeros(K, dtype=np.int64), np.zeros(K, dtype=np.int64)
    for g in dict.fromkeys(c[0] for c in every):
        found = _contrasts(sample, start, eligible, every, (g, others))
        for k in (k for k, c in enumerate(every) if c[0] == g):
            mine = [(i, c, int(np.searchsorted(c.cells, k))) for i, c in found if k in c.cells]
            if not mine:
                raise CellError("empty", g)
            theta = np.array([c.att[at] for _, c, at in mine])
            scores = np.column_stack([c.scores[:, at] for _, c, at in mine])
            w = np.zeros(theta.size) if every[k][1] == every[k][2] else _combined(scores)
            att[k], psi[:, k], shares[k, [i for i, _, _ in mine]] = w @ theta, scores @ w, w
            n1[k], n0[k] = mine[0][1].counts[0], mine[0][1].counts[2] + sum(c.counts[1] for _, c, _ in mine)
    by_cluster = _summed(psi, sample.clusters)
    cohort, period, base = (np.array([c[m] for c in every], dtype=np.int64) for m in range(3))
    table = GroupTime(cohort, period, base, att, by_cluster, n1, n0)
    levels, level_scores = _levels(sample, start, eligible, every)
    study = Study(table, _sizes(sample, start, eligible), levels, _summed(level_scores, sample.clusters))
    return TripleStudy(study, others, shares)


def _pooled(sample: Sample) -> IntArray:
    """Return starts with all that lie too late to matter as never."""
    last = int(sample.periods[-1]) + sample.rule.anticipation
    found: IntArray = np.where(sample.start > last, NEVER, sample.start)
    return found


def _others(sample: Sample, start: IntArray) -> IntArray:
    starts = np.unique(start)
    found: IntArray = starts[starts == NEVER] if sample.rule.comparison == "never" else starts
    return found


def _usable(sample: Sample, cell: Cell) -> tuple[Mask, int]:
    """Return who is observed in both periods of a cell, and the column of the covariates that it uses."""
    i, j = sample.places(cell)
    at = min(i, j) if sample.design.shape[1] > 1 else 0
    known = np.isfinite(sample.outcome[:, i]) & np.isfinite(sample.outcome[:, j])
    found: Mask = known & np.isfinite(sample.design[:, at]).all(axis=1)
    return found, at


def _present(sample: Sample, start: IntArray, eligible: Mask, cell: Cell) -> bool:
    return bool((_usable(sample, cell)[0] & eligible & (start == cell[0])).any())


def _whole(sample: Sample) -> bool:
    """Whether all cells use all units and the same covariates."""
    holes = np.isnan(sample.outcome).any() or np.isnan(sample.design).any()
    return sample.design.shape[1] == 1 and not bool(holes)


def _contrasts(
    sample: Sample, start: IntArray, eligible: Mask, every: list[Cell], beside: tuple[int, IntArray]
) -> list[tuple[int, _Contrast]]:
    """Return the estimates of cohort g beside each comparison cohort, with the cohort's index."""
    g, others = beside
    mine = [k for k, c in enumerate(every) if c[0] == g]
    found = []
    for batch in [mine] if _whole(sample) else [[k] for k in mine]:
        usable, at = _usable(sample, every[batch[0]])
        treated, own = ((start == g) & side & usable for side in (eligible, ~eligible))
        candidates = _candidates(sample, (start, eligible, usable), every, batch, others[others != g])
        if not own.any() or not candidates:
            raise CellError("empty", g)
        att, scores = _pair(sample, treated, own, [every[k] for k in batch], at)
        for c, fits in candidates:
            some, place = [every[k] for k in fits], np.searchsorted(batch, fits)
            sides = [(start == c) & side & usable for side in (eligible, ~eligible)]
            one, zero = (_pair(sample, treated, side, some, at) for side in sides)
            effect, influence = att[place] + one[0] - zero[0], scores[:, place] + one[1] - zero[1]
            counts = (int(treated.sum()), int((sides[0] | sides[1]).sum()), int(own.sum()))
            found.append((int(np.searchsorted(others, c)), _Contrast(fits, effect, influence, counts)))
    return found


def _candidates(
    sample: Sample, units: tuple[IntArray, Mask, Mask], every: list[Cell], batch: list[int], others: IntArray
) -> list[tuple[int, IntArray]]:
    """Return comparison cohorts and their cells, small cohorts only for cells that have no other."""
    start, eligible, usable = units
    least = FEWEST + sample.design.shape[2] - 1
    found, large = [], set[int]()
    for c in others.tolist():
        there = (start == c) & usable
        weakest = min(int((there & eligible).sum()), int((there & ~eligible).sum()))
        one = np.array([c])
        fits = [k for k in batch if weakest and comparison_units(one, sample.periods, sample.rule, every[k])[0]]
        found.append((c, weakest >= least, fits))
        large |= set(fits) if weakest >= least else set()
    kept = [(c, np.array([k for k in fits if enough or k not in large], dtype=np.int64)) for c, enough, fits in found]
    return [(c, fits) for c, fits in kept if fits.size]


def _pair(sample: Sample, treated: Mask, compared: Mask, some: list[Cell], at: int) -> tuple[FloatArray, FloatArray]:
    """Estimate cells of one group of units beside another: effects (c,), influence functions (n, c)."""
    units = np.flatnonzero(treated | compared)
    g = some[0][0]
    used = np.unique([sample.places(c) for c in some])
    label = np.where(treated[units], g, NEVER)
    rows = stack(sample.outcome[np.ix_(units, used)], label, sample.design[units, at], sample.weights[units])
    rule = replace(sample.rule, comparison="never")
    att, psi = np.zeros(len(some)), np.zeros((treated.size, len(some)))
    # With the last period of all, so that a cohort that starts after the periods used is not one of the never-treated.
    ends = np.append(sample.periods[used], sample.periods[-1:])
    for model in models(rows, ends, some, rule):
        att[model.cells] = model.att
        psi[np.ix_(units, model.cells)] = _influence(rows, model, rule)
    return att, psi


def _influence(rows: Stack, model: Model, rule: Rule) -> FloatArray:
    found = np.zeros((rows.order.size, model.cells.size))
    for j in (model.cohort, *model.compared):
        s = rows.rows(j)
        alpha, rest = loadings(model, j, rows.X[:, s], rule)
        change = rows.total[model.to, s] - rows.total[model.since, s]
        found[rows.order[s]] = (alpha * change + rows.size[s] * rest).T
    return found


def _combined(scores: FloatArray) -> FloatArray:
    """Return the weights of least variance of estimates with influence functions (n, C)."""
    size = scores.shape[1]
    omega = np.cov(scores, rowvar=False).reshape(size, size)
    spread = np.sqrt(np.diag(omega))
    if size == 1 or not (spread > 0).all():
        return np.full(size, 1 / size)
    values, vectors = np.linalg.eigh(omega / np.outer(spread, spread))
    if values[0] < _ALIKE * values[-1]:
        return np.full(size, 1 / size)
    total = (vectors / values) @ (vectors.T @ (1 / spread)) / spread
    found: FloatArray = total / total.sum()
    return found


def _levels(sample: Sample, start: IntArray, eligible: Mask, every: list[Cell]) -> tuple[FloatArray, FloatArray]:
    """Return mean outcomes of eligible treated units in the period of each cell, and their influence functions."""
    levels, psi = np.zeros(len(every)), np.zeros((start.size, len(every)))
    for k, cell in enumerate(every):
        y = sample.outcome[:, sample.places(cell)[0]]
        w = sample.weights * ((start == cell[0]) & eligible & np.isfinite(y))
        y = np.where(w > 0, y, 0.0)
        levels[k] = w @ y / w.sum()
        psi[:, k] = w * (y - levels[k]) / w.sum()
    return levels, psi


def _sizes(sample: Sample, start: IntArray, eligible: Mask) -> Sizes:
    cohorts = np.unique(start[(start <= sample.periods[-1]) & eligible])
    member = sample.weights[:, None] * ((start[:, None] == cohorts) & eligible[:, None])
    by_cluster = _summed(member, sample.clusters)
    return Sizes(cohorts, by_cluster.sum(axis=0), by_cluster)


def _summed(values: FloatArray, clusters: IntArray) -> FloatArray:
    size = int(clusters.max()) + 1
    found = np.zeros((size, values.shape[1]))
    np.add.at(found, clusters, values)
    return found
