"""Influence functions of cells, of the cohorts' mean outcomes and of their sizes, together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.aggregate import Sizes
from evaltoolkit.kernels.cell_models import Cell, Model, Stack
from evaltoolkit.kernels.cohorts import NEVER, Rule

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_BLOCK = 8192


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the numbers of a study stand: K effects, then the K mean outcomes of their cohorts, then J cohort sizes."""

    effects: int
    cohorts: IntArray

    @property
    def width(self) -> int:
        """Number of columns."""
        return 2 * self.effects + int(self.cohorts.size)


@dataclass(frozen=True, slots=True)
class Joint:
    """Effects, mean outcomes of the treated, and cohort sizes, with scores that stand side by side.

    Attributes
    ----------
    att, levels
        Effects, and mean outcomes of the cohort in the period of the cell, shape (K,).
    scores, level_scores
        Shape (R, K) each.
    sizes
        Weight of each cohort; ``by_cluster`` has R rows.

    Cross-products of all these columns are sums over clusters of products of influence functions. R is the number of
    clusters, one row for each, or fewer rows with the same cross-products where there are very many.
    """

    att: FloatArray
    levels: FloatArray
    scores: FloatArray
    level_scores: FloatArray
    sizes: Sizes


def joint(
    rows: Stack, found: list[Model], every: list[Cell], rule: Rule, periods: IntArray, codes: IntArray | None
) -> Joint:
    """Put effects and scores together.

    Parameters
    ----------
    rows, found, every, rule, periods
        What was estimated.
    codes
        Cluster of each row as it was given, 0 .. C - 1; None to keep cross-products only.

    Examples
    --------
    >>> from evaltoolkit.kernels.cell_models import models, stack
    >>> start, periods, rule = np.array([2, 2, 9, 9]), np.array([1, 2]), Rule()
    >>> rows, every = stack(np.array([[0, 3.0], [0, 5], [0, 1], [0, 1]]), start, np.ones((4, 1))), [(2, 2, 1)]
    >>> found = joint(rows, list(models(rows, periods, every, rule)), every, rule, periods, np.arange(4))
    >>> found.att.tolist(), found.levels.tolist(), found.scores[:, 0].round(9).tolist()
    ([3.0], [4.0], [-0.5, 0.5, 0.0, 0.0])
    """
    cohorts = rows.starts[rows.starts <= periods[-1]]
    columns = Columns(len(every), cohorts.astype(np.int64))
    att, levels = np.zeros(len(every)), _levels(rows, every, periods)
    for m in found:
        att[m.cells] = m.att
    pieces = _pieces(rows, found, every, rule, (periods, columns, levels))
    table = factor(_products(pieces, columns.width)) if codes is None else _summed(rows, pieces, columns.width, codes)
    k = len(every)
    weight = np.array([rows.size[rows.rows(int(j))].sum() for j in np.searchsorted(rows.starts, cohorts)])
    sizes = Sizes(columns.cohorts, weight, table[:, 2 * k :])
    return Joint(att, levels + _shifts(rows, every, periods), table[:, :k], table[:, k : 2 * k], sizes)


def _levels(rows: Stack, every: list[Cell], periods: IntArray) -> FloatArray:
    found = np.zeros(len(every))
    for k, (g, t, _) in enumerate(every):
        mine = rows.rows(int(np.searchsorted(rows.starts, g)))
        found[k] = rows.total[int(np.searchsorted(periods, t)), mine].sum() / rows.size[mine].sum()
    return found


def _shifts(rows: Stack, every: list[Cell], periods: IntArray) -> FloatArray:
    return np.array([rows.shift[int(np.searchsorted(periods, t))] for _, t, _ in every])


def loadings(model: Model, j: int, X: FloatArray, rule: Rule) -> tuple[FloatArray, FloatArray]:
    r"""Return :math:`\alpha_i` and :math:`c_{ik}` of :math:`\psi_{ik} = w_i (\alpha_i (Y_{it} - Y_{ib}) + c_{ik})`.

    Parameters
    ----------
    model
        A model in which rows of start j are the cohort, or are compared with it.
    j
        Index of the start.
    X
        Covariates of the rows, shape (k, rows).
    rule
        How cells are estimated.

    Returns
    -------
    tuple
        Shapes (rows,) and (c, rows).
    """
    e, p = model.odds(X, rule)
    pull = model.follow.T @ X
    if j == model.cohort:
        alpha = np.full(X.shape[1], 1.0 / model.n_treated)
        rest = -model.treated[:, None] / model.n_treated - (1 - p) * pull
        # ``treated`` holds the cohort's mean change less the regression; the regression's intercept is in the slope.
    else:
        share = e / model.odds_total if model.odds_total > 0 else np.zeros_like(e)
        alpha = model.moved @ X - share
        rest = share * model.theirs[:, None] + p * pull
    return alpha, rest - alpha * (model.gap.T @ X)


Piece = tuple[slice, IntArray, FloatArray]


def _pieces(
    rows: Stack, found: list[Model], every: list[Cell], rule: Rule, place: tuple[IntArray, Columns, FloatArray]
) -> Iterator[Piece]:
    """Yield influence functions block by block: which rows, which columns, values of shape (columns, rows)."""
    periods, columns, levels = place
    for j, g in enumerate(rows.starts.tolist()):
        used = [m for m in found if j == m.cohort or j in m.compared]
        mine = np.array([k for k, c in enumerate(every) if c[0] == g], dtype=np.int64)
        at = np.searchsorted(periods, [every[k][1] for k in mine])
        which = np.concatenate([*(m.cells for m in used), columns.effects + mine])
        if g != NEVER and g in columns.cohorts:
            which = np.append(which, 2 * columns.effects + np.searchsorted(columns.cohorts, g))
        n1 = float(rows.size[rows.rows(j)].sum())
        if not which.size:
            continue
        for lo in range(int(rows.edges[j]), int(rows.edges[j + 1]), _BLOCK):
            s = slice(lo, min(lo + _BLOCK, int(rows.edges[j + 1])))
            w, total = rows.size[s], rows.total[:, s]
            parts = [_effects(m, j, rows.X[:, s], (total, w), rule) for m in used]
            parts.append((total[at] - levels[mine][:, None] * w) / n1)
            parts.append(np.broadcast_to(w, (which.size - sum(p.shape[0] for p in parts), w.size)))
            yield s, which, np.concatenate(parts)


def _effects(m: Model, j: int, X: FloatArray, values: tuple[FloatArray, FloatArray], rule: Rule) -> FloatArray:
    total, w = values
    alpha, rest = loadings(m, j, X, rule)
    found: FloatArray = alpha * (total[m.to] - total[m.since]) + w * rest
    return found


def _summed(rows: Stack, pieces: Iterator[Piece], width: int, codes: IntArray) -> FloatArray:
    size = int(codes.max()) + 1
    table = np.zeros((size, width))
    alone = size == codes.size
    for s, which, psi in pieces:
        mine = codes[rows.order[s]]
        if alone:
            table[mine[:, None], which[None, :]] = psi.T
        else:
            for k, values in zip(which, psi, strict=True):
                table[:, k] += np.bincount(mine, weights=values, minlength=size)
    return table


def _products(pieces: Iterator[Piece], width: int) -> FloatArray:
    found = np.zeros((width, width))
    for _, which, psi in pieces:
        found[np.ix_(which, which)] += psi @ psi.T
    return found


def factor(products: FloatArray) -> FloatArray:
    """Return F with ``F.T @ F`` equal to the matrix, which is positive semi-definite."""
    scale = np.sqrt(np.clip(np.diag(products), 0.0, None))
    inside = scale > 0
    part = products[np.ix_(inside, inside)] / np.outer(scale[inside], scale[inside])
    values, vectors = np.linalg.eigh((part + part.T) / 2)
    found = np.zeros((int(inside.sum()), scale.size))
    found[:, inside] = (vectors * np.sqrt(np.clip(values, 0.0, None))).T * scale[inside]
    return found
