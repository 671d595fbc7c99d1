"""Group-time effects from repeated cross-sections, and from panels in which units come and go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from evaltoolkit.kernels.aggregate import Sizes
from evaltoolkit.kernels.cell_models import Cell
from evaltoolkit.kernels.cell_scores import factor
from evaltoolkit.kernels.cohorts import Rule
from evaltoolkit.kernels.cross_section_cells import (
    Blocks,
    Place,
    SectionModel,
    blocks,
    odds,
    section_cells,
    section_models,
)
from evaltoolkit.kernels.group_time import MANY, GroupTime, Study

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]
Signs = Literal["drdid", "derivative"]

_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class CrossSections:
    """N rows, each somebody observed in one period.

    Attributes
    ----------
    outcome
        Shape (N,); a row without an outcome or a covariate is left out.
    period, start
        Period of the row, and first treated period of whoever it observes, ``NEVER`` for none, shape (N,). Starts lie
        after the first period.
    design
        Intercept first, shape (N, k).
    weights
        Sampling weights, above zero, shape (N,); None for ones.
    units
        Codes of the units of an unbalanced panel, shape (N,); None where nobody is observed twice.
    clusters
        Codes 0 .. C - 1, shape (N,); None where units are the clusters, or rows where there are no units.
    """

    outcome: FloatArray
    period: IntArray
    start: IntArray
    design: FloatArray
    weights: FloatArray | None = None
    units: IntArray | None = None
    clusters: IntArray | None = None

    def where(self, kept: Mask) -> CrossSections:
        """Return some of the rows; codes stay as they are."""
        weights = None if self.weights is None else self.weights[kept]
        units, clusters = (None if v is None else v[kept] for v in (self.units, self.clusters))
        return CrossSections(
            self.outcome[kept], self.period[kept], self.start[kept], self.design[kept], weights, units, clusters
        )

    @property
    def codes(self) -> IntArray | None:
        """Clusters, or units where there are none, shape (N,); None where each row is its own."""
        return self.units if self.clusters is None else self.clusters

    @property
    def complete(self) -> Mask:
        """Which rows have an outcome and all covariates, shape (N,)."""
        found: Mask = np.isfinite(self.outcome) & np.isfinite(self.design).all(axis=1)
        return found


def cross_section_study(data: CrossSections, rule: Rule, signs: Signs = "drdid") -> Study:
    r"""Estimate :math:`ATT(g,t)` where each row observes somebody in one period.

    Weights w, comparison units C, period t and base b, regression :math:`\hat\mu_{C,s}(x)` of the outcome on x in C in
    period s and :math:`\hat\mu_{g,s}(x)` in the cohort, score :math:`\hat p(x)` of being in the cohort in the rows of
    both periods, odds :math:`e = \hat p / (1 - \hat p)`; means :math:`E_g` over the cohort in both periods:

    .. math:: ATT(g,t) = E_g[(\hat\mu_{g,t} - \hat\mu_{C,t}) - (\hat\mu_{g,b} - \hat\mu_{C,b})]
        - \left(\frac{\sum_{C,t} w e (Y - \hat\mu_{C,t})}{\sum_{C,t} w e}
        - \frac{\sum_{C,b} w e (Y - \hat\mu_{C,b})}{\sum_{C,b} w e}\right),

    the locally efficient doubly robust estimator. ``regression`` leaves out the odds and puts the cohort's mean outcome
    for :math:`\hat\mu_g`; ``weighting`` sets :math:`\hat\mu_C = 0` too and keeps the odds. All assume that who is
    observed does not change with time (stationarity). Scores account for the estimation of all models.

    With ``units`` this is the unbalanced panel of R ``did`` (``allow_unbalanced_panel = TRUE``): the same estimators,
    scores summed by unit, a cohort's size the number of its units (the mean weight of the rows of each). Without, a
    cohort's size is the number of its rows. As there, no factor G / (G - 1).

    Doubly robust scores follow ``drdid_rc`` of R ``DRDID`` (1.3.0 and before), which R ``did`` uses: it adds one term
    of the comparison group's regression in the base period where the derivative of the effect subtracts it. So errors
    are those of R; ``signs = "derivative"`` gives the derivative, as Python ``drdid`` 1.1.7 does (0.9% apart on R's
    example data, up to 7% where few are compared). Effects, and the other two estimators, are the same either way.

    Parameters
    ----------
    data
        The rows.
    rule
        How cells are estimated.
    signs
        ``drdid`` for the errors of R, or ``derivative``.

    Returns
    -------
    Study
        As of ``group_time_study``. Cells in which the cohort has no rows in one of the two periods are left out.
        ``n_treated`` and ``n_comparison`` are rows in the period with fewer of them.

    Raises
    ------
    CellError
        A cell has no comparison rows in one of its periods, covariates are collinear among the rows of a regression,
        or they tell the cohort apart.

    References
    ----------
    Callaway, B. and Sant'Anna, P. (2021). Difference-in-differences with multiple time periods. Journal of
    Econometrics 225. doi:10.1016/j.jeconom.2020.12.001
    Sant'Anna, P. and Zhao, J. (2020). Doubly robust difference-in-differences estimators. Journal of Econometrics 219.
    doi:10.1016/j.jeconom.2020.06.003

    Examples
    --------
    >>> period, start = np.array([1, 1, 1, 2, 2, 2]), np.array([2, 9, 9, 2, 2, 9])
    >>> rows = CrossSections(np.array([1.0, 2, 4, 6, 8, 4]), period, start, np.ones((6, 1)))
    >>> found = cross_section_study(rows, Rule())
    >>> found.cells.att.tolist(), found.levels.tolist(), found.sizes.counts.tolist()
    ([5.0], [7.0], [3.0])
    """
    rows, used = sorted_blocks(data)
    places = section_cells(rows, rule)
    found = list(section_models(rows, places, rule))
    shares = _shares(used)[rows.order]
    pieces = _pieces(rows, places, found, (shares, signs))
    cohorts = rows.starts[rows.starts <= rows.periods[-1]]
    k, width = len(places), 2 * len(places) + cohorts.size
    if data.codes is None and used.outcome.size > MANY:
        table = factor(_products(pieces, width))
    else:
        table = _summed(pieces, (n_clusters(data), width), row_codes(data)[rows.order])
        if data.clusters is None and table.shape[0] > MANY:
            table = factor(table.T @ table)
    counts = np.array([shares[_all_periods(rows, j)].sum() for j in range(cohorts.size)])
    sizes = Sizes(cohorts.astype(np.int64), counts, table[:, 2 * k :])
    att = np.zeros(k)
    for m in found:
        att[m.at] = m.att
    return Study(_cells(rows, places, att, table[:, :k]), sizes, _levels(rows, places), table[:, k : 2 * k])


def cross_section_effects(data: CrossSections, rule: Rule) -> tuple[list[Cell], FloatArray]:
    """Return the cells and their effects as ``cross_section_study`` does, without the scores.

    Raises
    ------
    CellError
        As ``cross_section_study``.

    Examples
    --------
    >>> period, start = np.array([1, 1, 1, 2, 2, 2]), np.array([2, 9, 9, 2, 2, 9])
    >>> rows = CrossSections(np.array([1.0, 2, 4, 6, 8, 4]), period, start, np.ones((6, 1)))
    >>> found = cross_section_effects(rows, Rule())
    >>> found[0], found[1].tolist()
    ([(2, 2, 1)], [5.0])
    """
    rows, _ = sorted_blocks(data)
    places = section_cells(rows, rule)
    att = np.zeros(len(places))
    for m in section_models(rows, places, rule):
        att[m.at] = m.att
    return [place[0] for place in places], att


def sorted_blocks(data: CrossSections) -> tuple[Blocks, CrossSections]:
    """Return the complete rows, sorted into blocks and as they came.

    >>> y = np.array([4.0, np.nan, 6.0])
    >>> data = CrossSections(y, np.array([2, 1, 1]), np.array([9, 9, 9]), np.ones((3, 1)))
    >>> sorted_blocks(data)[0].order.tolist(), sorted_blocks(data)[1].outcome.tolist()
    ([1, 0], [4.0, 6.0])
    """
    kept = data.complete
    used = data if kept.all() else data.where(kept)
    return blocks(used.outcome, used.period, used.start, used.design, used.weights), used


def row_codes(data: CrossSections) -> IntArray:
    """Return the cluster of each complete row; rows are numbered as they came where each is its own.

    >>> y = np.array([4.0, np.nan, 6.0])
    >>> row_codes(CrossSections(y, np.array([2, 1, 1]), np.array([9, 9, 9]), np.ones((3, 1)))).tolist()
    [0, 2]
    """
    codes = np.arange(data.outcome.size) if data.codes is None else data.codes
    return codes[data.complete]


def n_clusters(data: CrossSections) -> int:
    """Return the number of clusters, those without a complete row counted.

    >>> y = np.array([4.0, np.nan, 6.0])
    >>> n_clusters(CrossSections(y, np.array([2, 1, 1]), np.array([9, 9, 9]), np.ones((3, 1))))
    3
    """
    return data.outcome.size if data.codes is None else int(data.codes.max()) + 1


def _shares(data: CrossSections) -> FloatArray:
    """Return what each row adds to the size of its cohort: its weight, or its part of the mean weight of its unit."""
    w = np.ones(data.outcome.size) if data.weights is None else data.weights
    if data.units is None:
        return w
    found: FloatArray = w / np.bincount(data.units)[data.units]
    return found


def _all_periods(rows: Blocks, j: int) -> slice:
    return slice(rows.rows(j, 0).start, rows.rows(j, rows.periods.size - 1).stop)


def _cells(rows: Blocks, places: list[Place], att: FloatArray, scores: FloatArray) -> GroupTime:
    cohort, period, base = (np.array([p[0][m] for p in places], dtype=np.int64) for m in range(3))
    treated = [min(rows.count((j,), p) for p in sides) for _, j, _, sides in places]
    compared = [min(rows.count(others, p) for p in sides) for _, _, others, sides in places]
    return GroupTime(
        cohort, period, base, att, scores, np.array(treated, dtype=np.int64), np.array(compared, dtype=np.int64)
    )


def _levels(rows: Blocks, places: list[Place]) -> FloatArray:
    return np.array([
        rows.cross[j, sides[0], 0] / rows.weight(j, sides[0]) + rows.shift[sides[0]] for _, j, _, sides in places
    ])  # fmt: skip


Piece = tuple[slice, IntArray, FloatArray]
Use = tuple[SectionModel, int]


def _pieces(
    rows: Blocks, places: list[Place], found: list[SectionModel], how: tuple[FloatArray, Signs]
) -> Iterator[Piece]:
    """Yield influence functions in short runs of rows: which rows, which columns, values of shape (columns, rows).

    Columns are K effects, K mean outcomes of the cohort in the cell's period, and the sizes of the cohorts.
    """
    K, (shares, signs) = len(places), how
    for j in range(rows.starts.size):
        for p in range(rows.periods.size):
            block = rows.rows(j, p)
            own: list[Use] = [(m, m.sides.index(p)) for m in found if m.cohort == j and p in m.sides]
            other: list[Use] = [(m, m.sides.index(p)) for m in found if j in m.compared and p in m.sides]
            levels = [K + k for k, place in enumerate(places) if place[1] == j and place[3][0] == p]
            treated = [2 * K + j] if rows.starts[j] <= rows.periods[-1] else []
            which = np.array([m.at for m, _ in own + other] + levels + treated, dtype=np.int64)
            if not which.size or block.stop == block.start:
                continue
            n1 = rows.weight(j, p)
            level = rows.cross[j, p, 0] / n1
            for lo in range(block.start, block.stop, _BLOCK):
                s = slice(lo, min(lo + _BLOCK, block.stop))
                parts = [_cohort(own, rows, s), _comparison(other, rows, s, signs)]
                parts.append(np.broadcast_to((rows.total[s] - level * rows.size[s]) / n1, (len(levels), s.stop - lo)))
                parts.append(np.broadcast_to(shares[s], (len(treated), s.stop - lo)))
                yield s, which, np.concatenate(parts)


def _cohort(uses: list[Use], rows: Blocks, s: slice) -> FloatArray:
    """Return influence functions of the cohort's own rows on m cells, shape (m, rows)."""
    X, w = rows.X[:, s], rows.size[s]
    if not uses:
        return np.zeros((0, w.size))
    sign = _signs(uses)
    pull = np.array([m.own_pull[i] for m, i in uses]) @ X
    left = rows.total[s] - w * (np.array([m.own[i] for m, i in uses]) @ X)
    n1 = np.array([m.n_treated for m, _ in uses])[:, None]
    moved = np.array([m.gap for m, _ in uses]) @ X - np.array([[m.gap @ m.mean] for m, _ in uses])
    found: FloatArray = sign * pull * left + w * (moved / n1)
    if any(m.odds_total.any() for m, _ in uses):
        p = expit(np.array([m.score for m, _ in uses]) @ X)
        found -= w * (1 - p) * (np.array([m.follow for m, _ in uses]) @ X)
    return found


def _comparison(uses: list[Use], rows: Blocks, s: slice, signs: Signs) -> FloatArray:
    """Return influence functions of rows compared with on m cells, shape (m, rows)."""
    X, w = rows.X[:, s], rows.size[s]
    if not uses:
        return np.zeros((0, w.size))
    sign = _signs(uses)
    alpha = np.array([m.moved[i] for m, i in uses]) @ X
    left = rows.total[s] - w * (np.array([m.slope[i] for m, i in uses]) @ X)
    if not any(m.odds_total.any() for m, _ in uses):
        plain: FloatArray = sign * alpha * left
        return plain
    p = expit(np.array([m.score for m, _ in uses]) @ X)
    share = odds(p) / np.array([[m.odds_total[i]] for m, i in uses])
    theirs = np.array([[m.theirs[i]] for m, i in uses])
    found: FloatArray = sign * share * (w * theirs - left)
    found += sign * alpha * left
    if signs == "drdid":
        found += 2 * (np.array([i * m.other_sign for m, i in uses]) @ X) * left
    found += w * p * (np.array([m.follow for m, _ in uses]) @ X)
    return found


def _signs(uses: list[Use]) -> FloatArray:
    return np.array([[1.0 - 2.0 * i] for _, i in uses])


def _summed(pieces: Iterator[Piece], shape: tuple[int, int], codes: IntArray) -> FloatArray:
    """Sum influence functions in clusters; codes are in the order of the sorted rows."""
    table = np.zeros(shape)
    for s, which, psi in pieces:
        members, place = np.unique(codes[s], return_inverse=True)
        if members.size == place.size:
            table[codes[s][:, None], which[None, :]] += psi.T
            continue
        for k, values in zip(which, psi, strict=True):
            table[members, k] += np.bincount(place, weights=values, minlength=members.size)
    return table


def _products(pieces: Iterator[Piece], width: int) -> FloatArray:
    found = np.zeros((width, width))
    for _, which, psi in pieces:
        found[np.ix_(which, which)] += psi @ psi.T
    return found
