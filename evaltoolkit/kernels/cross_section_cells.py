"""Cells of repeated cross-sections: rows sorted by cohort and period, and the two models of every cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.special import expit

from evaltoolkit.kernels.cell_logit import blamed, newton
from evaltoolkit.kernels.cell_models import PILOT, Cell, stack
from evaltoolkit.kernels.cell_terms import TRIM
from evaltoolkit.kernels.cohorts import CellError, Rule, cells, comparison_units
from evaltoolkit.kernels.least_squares import least_squares

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Blocks:
    """N rows sorted by start and period; block (j, p) holds the rows of start j in period p.

    Attributes
    ----------
    starts, periods
        The J different starts and T periods, ascending.
    edges
        Rows of block (j, p) are edges[j T + p] to edges[j T + p + 1].
    number
        How many of them count, shape (J, T).
    order
        Where each row stood, shape (N,).
    X
        Design in orthogonal directions, intercept first, shape (k, N).
    size
        Weight of each row, shape (N,).
    total
        Weight times outcome less the ``shift`` of its period, shape (N,).
    shift
        Shape (T,).
    gram, cross
        Cross-products of the design, shape (J, T, k, k), and of the design with the outcome, shape (J, T, k).
    raw
        The design as given, shape (N, k), to name a column to blame.
    """

    starts: IntArray
    periods: IntArray
    edges: IntArray
    number: IntArray
    order: IntArray
    X: FloatArray
    size: FloatArray
    total: FloatArray
    shift: FloatArray
    gram: FloatArray
    cross: FloatArray
    raw: FloatArray

    def rows(self, j: int, p: int) -> slice:
        """Return the rows of start j in period p."""
        at = j * self.periods.size + p
        return slice(int(self.edges[at]), int(self.edges[at + 1]))

    def weight(self, j: int, p: int) -> float:
        """Return the weight of block (j, p)."""
        return float(self.gram[j, p, 0, 0])

    def count(self, js: tuple[int, ...], p: int) -> int:
        """Return how many rows some starts have in period p."""
        return int(self.number[list(js), p].sum())

    def without(self, gone: IntArray) -> Blocks:
        """Return the blocks with some rows, by their place in the order, counting for nothing."""
        size, total = self.size.copy(), self.total.copy()
        size[gone], total[gone] = 0.0, 0.0
        number, gram, cross = self.number.copy(), self.gram.copy(), self.cross.copy()
        touched, count = np.unique(np.searchsorted(self.edges, gone, side="right") - 1, return_counts=True)
        for at, n in zip(touched.tolist(), count.tolist(), strict=True):
            j, p = divmod(at, self.periods.size)
            s = self.rows(j, p)
            number[j, p] -= n
            gram[j, p] = (self.X[:, s] * size[s]) @ self.X[:, s].T
            cross[j, p] = self.X[:, s] @ total[s]
        return replace(self, size=size, total=total, number=number, gram=gram, cross=cross)


def blocks(
    outcome: FloatArray, period: IntArray, start: IntArray, design: FloatArray, weights: FloatArray | None
) -> Blocks:
    """Sort rows by start and period, and add up their cross-products once.

    Parameters
    ----------
    outcome, period, start
        Shape (N,), nothing missing.
    design
        Intercept first, shape (N, k).
    weights
        Positive, shape (N,); None for ones.

    Examples
    --------
    >>> two = np.array([1, 2])
    >>> found = blocks(np.array([5.0, 7.0]), two, np.array([9, 9]), np.ones((2, 1)), None)
    >>> found.number.tolist(), found.shift.tolist()
    ([[1, 1]], [5.0, 7.0])
    """
    starts, j = np.unique(start, return_inverse=True)
    periods, p = np.unique(period, return_inverse=True)
    count = np.bincount(p, minlength=periods.size)
    shift = np.round(np.bincount(p, weights=outcome, minlength=periods.size) / np.maximum(count, 1), 6)
    code = j * periods.size + p
    found = stack((outcome - shift[p])[:, None], code, design, weights)
    number = np.bincount(code, minlength=starts.size * periods.size)
    edges = np.concatenate([[0], np.cumsum(number)])
    k = design.shape[1]
    gram = np.zeros((starts.size * periods.size, k, k))
    cross = np.zeros((starts.size * periods.size, k))
    for at in np.flatnonzero(np.diff(edges)).tolist():
        s = slice(int(edges[at]), int(edges[at + 1]))
        gram[at] = (found.X[:, s] * found.size[s]) @ found.X[:, s].T
        cross[at] = found.X[:, s] @ found.total[0, s]
    shape = (starts.size, periods.size)
    return Blocks(
        starts, periods, edges, number.reshape(shape), found.order, found.X, found.size, found.total[0],
        shift + found.shift[0], gram.reshape(*shape, k, k), cross.reshape(*shape, k), design,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SectionModel:
    r"""One cell with what its influence functions need; pairs are in the order period, base period.

    Attributes
    ----------
    at
        Which cell.
    cohort, compared
        Index of the cohort's start, and indices of the starts compared with.
    sides
        Indices of the period and the base period.
    att
        The effect.
    own, own_pull
        Regression of the cohort's outcome, and the coefficients by which its residuals enter, shape (2, k).
    gap, mean
        Difference in change of the two groups by covariates, and the cohort's mean covariates, shape (k,).
    n_treated
        Weight of the cohort in both periods.
    slope, moved
        Regression of the comparison group, and the coefficients by which its residuals enter, shape (2, k).
    other_sign
        The part of the latter in the base period that R ``DRDID`` gives the other sign, shape (k,).
    score, follow
        Coefficients of the logit, and their pull on the effect, shape (k,).
    theirs, odds_total
        Mean residual of the comparison group weighted by odds, and the total weight, shape (2,); where the total is
        zero nothing is weighted by odds.
    """

    at: int
    cohort: int
    compared: tuple[int, ...]
    sides: tuple[int, int]
    att: float
    own: FloatArray
    own_pull: FloatArray
    gap: FloatArray
    mean: FloatArray
    n_treated: float
    slope: FloatArray
    moved: FloatArray
    other_sign: FloatArray
    score: FloatArray
    follow: FloatArray
    theirs: FloatArray
    odds_total: FloatArray


def odds(p: FloatArray) -> FloatArray:
    """Return p / (1 - p), zero from ``TRIM`` on.

    >>> odds(np.array([0.5, 0.75, 0.999])).tolist()
    [1.0, 3.0, 0.0]
    """
    found: FloatArray = np.where(p < TRIM, p / (1 - p), 0.0)
    return found


Factor = tuple[FloatArray, bool]
Fit = tuple[Factor, FloatArray]
Key = tuple[tuple[int, ...], int]
Place = tuple[Cell, int, tuple[int, ...], tuple[int, int]]


def section_cells(rows: Blocks, rule: Rule) -> list[Place]:
    """Return the cells in which the cohort has rows: cell, index of its start, starts compared with, two periods.

    Raises
    ------
    CellError
        Nobody to compare with was observed in one of the two periods.

    Examples
    --------
    >>> rows = blocks(np.zeros(4), np.array([1, 2, 1, 2]), np.array([2, 2, 9, 9]), np.ones((4, 1)), None)
    >>> section_cells(rows, Rule())
    [((2, 2, 1), 0, (1,), (1, 0))]
    """
    found: list[Place] = []
    for cell in cells(rows.starts, rows.periods, rule):
        j = int(np.searchsorted(rows.starts, cell[0]))
        sides = (int(np.searchsorted(rows.periods, cell[1])), int(np.searchsorted(rows.periods, cell[2])))
        compared = tuple(np.flatnonzero(comparison_units(rows.starts, rows.periods, rule, cell)).tolist())
        if min(rows.count((j,), p) for p in sides) == 0:
            continue
        if min(rows.count(compared, p) for p in sides) == 0:
            raise CellError("empty", cell[0])
        found.append((cell, j, compared, sides))
    return found


def section_models(
    rows: Blocks, places: list[Place], rule: Rule, guess: FloatArray | None = None
) -> Iterator[SectionModel]:
    """Fit the models of every cell but reference cells, whose effect is zero by definition.

    Parameters
    ----------
    rows, places, rule
        What to estimate.
    guess
        Where the search for the first score begins, shape (k,); later ones begin at the cohort's score before.

    Raises
    ------
    CellError
        Covariates are collinear in a group and period that needs a regression, or tell the cohort apart.

    Examples
    --------
    >>> rows = blocks(np.array([1.0, 5, 2, 3]), np.array([1, 2, 1, 2]), np.array([2, 2, 9, 9]), np.ones((4, 1)), None)
    >>> [m.att for m in section_models(rows, section_cells(rows, Rule()), Rule())]
    [3.0]
    """
    if rows.X.shape[0] == 1:
        rule = replace(rule, adjust="regression")  # all the same with an intercept, and no score to trim
    fits: dict[Key, Fit] = {}
    before: dict[int, FloatArray] = {}
    for at, place in enumerate(places):
        _, j, compared, sides = place
        if sides[0] == sides[1]:
            continue
        wanted = [] if rule.adjust == "weighting" else [compared]
        if rule.adjust == "doubly-robust":
            wanted.append((j,))
        for key in ((group, p) for group in wanted for p in sides):
            if key not in fits:
                fits[key] = _regression(rows, int(rows.starts[j]), *key)
        model = _model(rows, rule, (at, place), fits, before.get(j, guess))
        if rule.adjust != "regression":
            before[j] = model.score
        yield model


def _regression(rows: Blocks, g: int, group: tuple[int, ...], p: int) -> Fit:
    """Regress the outcome of some starts in a period on the design: factored cross-product and coefficients."""
    factor = _factored(rows, g, group, (p,))
    return factor, linalg.cho_solve(factor, rows.cross[list(group), p].sum(axis=0))


def _factored(rows: Blocks, g: int, group: tuple[int, ...], ps: tuple[int, ...]) -> Factor:
    """Return the factored cross-product of the covariates of some starts, or say which column is to blame."""
    gram = rows.gram[np.ix_(group, ps)].sum(axis=(0, 1))
    scale = np.sqrt(np.clip(np.diag(gram), 0.0, None))
    fine = bool((scale > 0).all()) and float(np.linalg.eigvalsh(gram / np.outer(scale, scale))[0]) > 1e-11
    if not fine:
        kept = np.concatenate([rows.order[rows.rows(j, p)] for j in group for p in ps])
        fit = least_squares(rows.raw[kept], np.zeros(kept.size))
        raise CellError("collinear", g, int(fit.aliased[0]) if fit.aliased.size else 0)
    factor: Factor = linalg.cho_factor(gram, lower=True)
    return factor


def _model(
    rows: Blocks, rule: Rule, numbered: tuple[int, Place], fits: dict[Key, Fit], guess: FloatArray | None
) -> SectionModel:
    at, (_, j, compared, sides) = numbered
    k = rows.X.shape[0]
    n1 = sum(rows.weight(j, p) for p in sides)
    mean = rows.gram[j, list(sides), 0].sum(axis=0) / n1
    own, own_pull, slope, moved = (np.zeros((2, k)) for _ in range(4))
    for i, p in enumerate(sides):
        if rule.adjust == "doubly-robust":
            factor, own[i] = fits[(j,), p]
            own_pull[i] = linalg.cho_solve(factor, mean)
        else:
            own[i, 0], own_pull[i, 0] = rows.cross[j, p, 0] / rows.weight(j, p), 1 / rows.weight(j, p)
        if rule.adjust != "weighting":
            slope[i] = fits[compared, p][1]
    gap = slope[1] - slope[0]
    if rule.adjust == "doubly-robust":
        gap = gap + own[0] - own[1]
    score, follow = np.zeros(k), np.zeros(k)
    theirs, total, first = np.zeros(2), np.zeros(2), np.zeros((2, k))
    if rule.adjust == "weighting":
        _factored(rows, int(rows.starts[j]), compared, sides)
    if rule.adjust != "regression":
        score, information = _score(rows, j, compared, sides, guess)
        total, first, theirs, pull = _weighted(rows, (j, compared, sides), score, slope)
        follow = np.linalg.solve(information, pull[0] - pull[1])
    for i, p in enumerate(sides):
        if rule.adjust != "weighting":
            moved[i] = linalg.cho_solve(fits[compared, p][0], first[i] - mean)
    other = np.zeros(k)
    if rule.adjust == "doubly-robust":
        mine = rows.gram[j, sides[1], 0] / rows.weight(j, sides[1])
        other = linalg.cho_solve(fits[compared, sides[1]][0], first[1] - mine)
    outright = own[0, 0] - own[1, 0] if rule.adjust != "doubly-robust" else 0.0
    att = float(outright + mean @ gap - (theirs[0] - theirs[1]))
    return SectionModel(
        at, j, compared, sides, att, own, own_pull, gap, mean, n1, slope, moved, other, score, follow, theirs, total
    )  # fmt: skip


def _weighted(
    rows: Blocks, place: tuple[int, tuple[int, ...], tuple[int, int]], score: FloatArray, slope: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return, for both periods, total odds, mean covariates, mean residual and its covariance with covariates."""
    j, compared, sides = place
    k = score.size
    total, theirs = np.zeros(2), np.zeros(2)
    first, pull = np.zeros((2, k)), np.zeros((2, k))
    for i, p in enumerate(sides):
        for c in compared:
            s = rows.rows(c, p)
            X, w = rows.X[:, s], rows.size[s]
            e = odds(expit(score @ X))
            left = e * (rows.total[s] - w * (slope[i] @ X))
            total[i] += e @ w
            first[i] += X @ (e * w)
            theirs[i] += left.sum()
            pull[i] += X @ left
        if total[i] <= 0:
            raise CellError("separation", int(rows.starts[j]))
        first[i], theirs[i], pull[i] = first[i] / total[i], theirs[i] / total[i], pull[i] / total[i]
        pull[i] -= first[i] * theirs[i]
    return total, first, theirs, pull


def _score(
    rows: Blocks, j: int, compared: tuple[int, ...], sides: tuple[int, int], guess: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """Fit the logit of being in the cohort on the rows of both periods."""
    parts = [(rows.rows(i, p), float(i == j)) for i in (j, *compared) for p in sides]
    sample = [(rows.X[:, s], rows.size[s], d) for s, d in parts if s.stop > s.start]
    beta = np.zeros(rows.X.shape[0]) if guess is None else guess
    n = sum(w.size for _, w, _ in sample)
    if guess is None and n > 4 * PILOT:
        step = n // PILOT
        pilot = newton([(X[:, ::step], w[::step], d) for X, w, d in sample], beta)
        beta = beta if pilot is None else pilot[0]
    found = newton(sample, beta)
    if found is None and beta.any():
        found = newton(sample, np.zeros_like(beta))
    if found is None:
        kept = np.concatenate([rows.order[s] for s, _ in parts])
        treated = np.concatenate([np.full(s.stop - s.start, d == 1) for s, d in parts])
        raise CellError("separation", int(rows.starts[j]), blamed(rows.raw[kept], treated))
    return found
