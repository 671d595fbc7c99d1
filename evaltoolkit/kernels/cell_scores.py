"""Influence functions of cells, of the cohorts' mean outcomes and of their sizes, together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.aggregate import Sizes
from evaltoolkit.kernels.cell_logit import spans
from evaltoolkit.kernels.cell_models import Cell, Stack
from evaltoolkit.kernels.cell_terms import Model
from evaltoolkit.kernels.cohorts import NEVER, Rule

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_ALONE = 250_000
_LEAST = 32


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
        linear = [_linear(m, j, rows.total.shape[0]) for m in used]
        for s in spans([rows.rows(j)]):
            w, total = rows.size[s], rows.total[:, s]
            psi, at_row = np.empty((which.size, w.size)), 0
            for m, table in zip(used, linear, strict=True):
                np.matmul(table, _terms(m, j, rows.X[:, s], (total, w), rule), out=psi[at_row : at_row + m.cells.size])
                at_row += m.cells.size
            psi[at_row : at_row + mine.size] = (total[at] - levels[mine][:, None] * w) / n1
            psi[at_row + mine.size :] = w
            yield s, which, psi


def _linear(m: Model, j: int, periods: int) -> FloatArray:
    """Return what multiplies ``_terms`` in the influence functions of a model's cells, shape (c, T + 1 + 2 k)."""
    sign = 1 / m.n_treated if j == m.cohort else 1.0
    change = np.zeros((m.cells.size, periods))
    change[np.arange(m.cells.size), m.to] += sign
    change[np.arange(m.cells.size), m.since] -= sign
    level = -m.treated * sign if j == m.cohort else m.theirs
    follow = -m.follow.T if j == m.cohort else m.follow.T
    return np.concatenate([change, level[:, None], follow, -sign * m.gap.T], axis=1)


def _terms(m: Model, j: int, X: FloatArray, values: tuple[FloatArray, FloatArray], rule: Rule) -> FloatArray:
    r"""Return what the influence functions of all cells of a model are linear in, shape (T + 1 + 2 k, rows).

    The same as ``loadings``, with sums over k and T in place of arrays by cell.
    """
    total, w = values
    T, k = total.shape[0], X.shape[0]
    e, p = m.odds(X, rule)
    found = np.empty((T + 1 + 2 * k, w.size))
    if j == m.cohort:
        found[:T], found[T], found[T + 1 + k :] = total, w, w * X
        np.multiply(w * (1 - p), X, out=found[T + 1 : T + 1 + k])
        return found
    share = e / m.odds_total if m.odds_total > 0 else np.zeros_like(e)
    alpha = m.moved @ X - share
    np.multiply(alpha, total, out=found[:T])
    np.multiply(share, w, out=found[T])
    np.multiply(w * p, X, out=found[T + 1 : T + 1 + k])
    np.multiply(alpha * w, X, out=found[T + 1 + k :])
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
        found[np.ix_(which, which)] += _square(psi)
    return found


def _square(psi: FloatArray) -> FloatArray:
    """Return the cross-product of rows in parts for which OpenBLAS starts no threads.

    These cost more than they save on matrices of this size, and many times as much while other processes run.
    """
    step = _ALONE // psi.shape[0] ** 2
    if step < _LEAST:
        return np.asarray(psi @ psi.T)
    full = psi.shape[1] // step * step
    parts = psi[:, :full].reshape(psi.shape[0], -1, step).transpose(1, 0, 2)
    rest = psi[:, full:]
    return np.asarray((parts @ parts.transpose(0, 2, 1)).sum(axis=0) + rest @ rest.T)


def factor(products: FloatArray) -> FloatArray:
    """Return F with ``F.T @ F`` equal to the matrix, which is positive semi-definite."""
    scale = np.sqrt(np.clip(np.diag(products), 0.0, None))
    inside = scale > 0
    part = products[np.ix_(inside, inside)] / np.outer(scale[inside], scale[inside])
    values, vectors = np.linalg.eigh((part + part.T) / 2)
    found = np.zeros((int(inside.sum()), scale.size))
    found[:, inside] = (vectors * np.sqrt(np.clip(values, 0.0, None))).T * scale[inside]
    return found
