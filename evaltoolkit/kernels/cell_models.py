"""What cells share: the regression of change and the score of each cohort beside its comparison group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cell_logit import blamed, newton, solve, spans
from evaltoolkit.kernels.cell_terms import Cohort, Fitted, Model, OddsSums, begun, unweighted, weighted
from evaltoolkit.kernels.cohorts import NEVER, CellError, Rule, comparison_units
from evaltoolkit.kernels.least_squares import least_squares

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Cell = tuple[int, int, int]

PILOT = 40_000
SINGULAR = 1e-11
"""Least eigenvalue of covariates' correlations below which one follows from the others."""
_SPAN = 65_536


@dataclass(frozen=True, slots=True)
class Stack:
    """n rows sorted by start, one column for each row: units, or groups of units with the same covariates.

    Attributes
    ----------
    starts
        The J different starts, ascending, never treated last.
    edges
        Rows of start j are edges[j] to edges[j + 1].
    order
        Where each row stood, shape (n,).
    X
        Design in orthogonal directions, shape (k, n).
    size
        Weight of each row, shape (n,).
    total
        Weight times outcome less ``shift``, shape (T, n).
    shift
        Taken out of every outcome of a period, so that large levels lose no digits, shape (T,).
    raw
        The design as given, shape (n, k), to name a column to blame.
    """

    starts: IntArray
    edges: IntArray
    order: IntArray
    X: FloatArray
    size: FloatArray
    total: FloatArray
    shift: FloatArray
    raw: FloatArray

    def rows(self, j: int) -> slice:
        """Return the rows of start j."""
        return slice(int(self.edges[j]), int(self.edges[j + 1]))


def stack(outcome: FloatArray, start: IntArray, design: FloatArray, weights: FloatArray | None = None) -> Stack:
    """Sort units by start.

    Parameters
    ----------
    outcome
        Shape (n, T).
    start
        Shape (n,).
    design
        Intercept first, shape (n, k).
    weights
        Positive, shape (n,); None for ones.

    Examples
    --------
    >>> rows = stack(np.array([[1.0, 2], [3, 6]]), np.array([9, 2]), np.ones((2, 1)))
    >>> rows.starts.tolist(), rows.order.tolist(), rows.total.tolist()  # less the mean of each period
    ([2, 9], [1, 0], [[1.0, -1.0], [2.0, -2.0]])
    """
    starts, codes = distinct(start)
    order = np.argsort(codes, kind="stable")
    edges = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=starts.size))])
    given = np.ones(start.size) if weights is None else weights
    w = given if weights is None else weights[order]
    outcome = np.ascontiguousarray(outcome)
    shift = np.round((given @ outcome) / given.sum(), 6)
    y = _gathered(outcome, order, shift)
    if weights is not None:
        y *= w
    return Stack(starts, edges, order, _orthogonal(design, order, w), w, y, shift, design)


def distinct(start: IntArray) -> tuple[IntArray, NDArray[Any]]:
    """Return the J different starts, ascending, and the place of each unit's among them, shape (n,).

    Starts close together are counted, which is faster than to sort them.

    >>> [a.tolist() for a in distinct(np.array([7, NEVER, 5, 7]))]
    [[5, 7, 9223372036854775807], [1, 2, 0, 1]]
    """
    never = start == NEVER
    low = int(start.min())
    high = int(np.where(never, low, start).max())
    if high - low > _SPAN:
        starts, codes = np.unique(start, return_inverse=True)
        return starts, codes.astype(np.uint8 if starts.size < 256 else np.int64)
    place = np.where(never, high - low + 1, start - low)
    present = np.flatnonzero(np.bincount(place))
    lookup = np.zeros(high - low + 2, dtype=np.uint8 if present.size < 256 else np.int64)
    lookup[present] = np.arange(present.size)
    starts = np.where(present > high - low, NEVER, present + low).astype(np.int64)
    return starts, lookup[place]


def _gathered(table: FloatArray, order: IntArray, shift: FloatArray) -> FloatArray:
    """Return rows in another order, less a shift, laid out by column."""
    found = np.empty((table.shape[1], order.size))
    for s in spans([slice(0, order.size)]):
        found[:, s] = (table.take(order[s], axis=0) - shift).T
    return found


def _orthogonal(design: FloatArray, order: IntArray, w: FloatArray) -> FloatArray:
    """Return the sorted design in directions of mean square one that do not correlate; the fits are the same."""
    k = design.shape[1]
    design = np.ascontiguousarray(design)
    X = _gathered(design, order, np.zeros(k))
    if k == 1:
        return X
    everyone = [slice(0, w.size)]
    X[1:] -= ((X[1:] @ w) / w.sum())[:, None]
    gram = _gram(X, w, everyone)
    spread = np.sqrt(np.diag(gram)[1:] / w.sum())
    X[1:] /= np.where(spread > 0, spread, 1.0)[:, None]
    for _ in range(2):
        gram = _gram(X, w, everyone) / w.sum()
        if float(np.linalg.eigvalsh(gram)[0]) < SINGULAR:
            return X  # some column follows from others: every cell that needs it will say so
        turn = np.linalg.inv(np.linalg.cholesky(gram))
        for s in spans(everyone):
            X[:, s] = turn @ X[:, s]
    return X


def _gram(X: FloatArray, w: FloatArray, parts: list[slice]) -> FloatArray:
    """Return the weighted cross-product of some rows, shape (k, k)."""
    found = np.zeros((X.shape[0], X.shape[0]))
    for s in spans(parts):
        found += (X[:, s] * w[s]) @ X[:, s].T
    return found


def models(rows: Stack, periods: IntArray, every: list[Cell], rule: Rule) -> Iterator[Model]:
    """Fit every cohort and comparison group that the cells need.

    Raises
    ------
    CellError
        A cell has no comparison units, its covariates are collinear among them, or they tell the cohort apart.
    """
    before: dict[int, FloatArray] = {}
    shared: dict[tuple[int, ...], Fitted] = {}
    for (j, compared), members in alike(rows.starts, periods, every, rule).items():
        if compared not in shared:
            shared[compared] = _fitted(rows, rule, int(rows.starts[j]), [rows.rows(c) for c in compared])
        found = _model(rows, rule, (j, compared, members), shared[compared], before.get(j))
        if found.score is not None:
            before[j] = found.score
        yield found


def alike(
    starts: IntArray, periods: IntArray, every: list[Cell], rule: Rule
) -> dict[tuple[int, tuple[int, ...]], IntArray]:
    """Return the cells of each cohort and comparison group: places of the cell, its period and its base, (c, 3).

    Raises
    ------
    CellError
        A cell has no comparison units.

    Examples
    --------
    >>> found = alike(np.array([3, NEVER]), np.array([1, 2, 3]), [(3, 2, 1), (3, 3, 2)], Rule())
    >>> [(key, members.tolist()) for key, members in found.items()]
    [((0, (1,)), [[0, 1, 0], [1, 2, 1]])]
    """
    found: dict[tuple[int, tuple[int, ...]], list[tuple[int, int, int]]] = {}
    for k, cell in enumerate(every):
        g, t, base = cell
        compared = tuple(np.flatnonzero(comparison_units(starts, periods, rule, cell)).tolist())
        if not compared:
            raise CellError("empty", g)
        if t != base:
            place = (k, int(np.searchsorted(periods, t)), int(np.searchsorted(periods, base)))
            found.setdefault((int(np.searchsorted(starts, g)), compared), []).append(place)
    return {key: np.array(members, dtype=np.int64) for key, members in found.items()}


def _fitted(rows: Stack, rule: Rule, g: int, parts: list[slice]) -> Fitted:
    gram = _checked(rows, g, parts)
    slope = np.zeros((rows.X.shape[0], rows.total.shape[0]))
    if rule.adjust == "weighting":
        return gram, slope
    for s in spans(parts):
        slope += rows.X[:, s] @ rows.total[:, s].T
    return gram, solve(gram, slope)


def _model(
    rows: Stack, rule: Rule, place: tuple[int, tuple[int, ...], IntArray], fitted: Fitted, guess: FloatArray | None
) -> Model:
    j, compared, _ = place
    k = rows.X.shape[0]
    mine, parts = rows.rows(j), [rows.rows(c) for c in compared]
    mass = float(rows.size[mine].sum())
    cohort = Cohort(mass, rows.X[:, mine] @ rows.size[mine] / mass, rows.total[:, mine].sum(axis=1) / mass)
    score, information = None, np.zeros((k, k))
    if k > 1 and rule.adjust != "regression":
        score, information = _score(rows, int(rows.starts[j]), mine, parts, guess)
    blank = begun(place, fitted, cohort, score)
    if rule.adjust == "regression" and k > 1:
        return unweighted(blank, fitted, cohort)
    return weighted(blank, rule, fitted, (cohort, _odds_sums(rows, rule, blank), information))


def _odds_sums(rows: Stack, rule: Rule, blank: Model) -> OddsSums:
    k, T = rows.X.shape[0], rows.total.shape[0]
    total, first, second = 0.0, np.zeros(k), np.zeros((k, k))
    outcome, outcome_x = np.zeros(T), np.zeros((k, T))
    for s in spans([rows.rows(c) for c in blank.compared]):
        X = rows.X[:, s]
        e = blank.odds(X, rule)[0]
        weight = e * rows.size[s]
        total += float(weight.sum())
        first += X @ weight
        outcome += rows.total[:, s] @ e
        if blank.score is not None:
            outcome_x += (X * e) @ rows.total[:, s].T
            second += (X * weight) @ X.T
    if total <= 0:
        raise CellError("separation", int(rows.starts[blank.cohort]))
    return OddsSums(total, first, second, outcome, outcome_x)


def singular(gram: FloatArray) -> bool:
    """Say whether a covariate of a comparison group follows from the others, from their cross-product.

    >>> singular(np.array([[4.0, 2], [2, 1]])), singular(np.array([[4.0, 2], [2, 2]]))
    (True, False)
    """
    scale = np.sqrt(np.clip(np.diag(gram), 0.0, None))
    return not ((scale > 0).all() and float(np.linalg.eigvalsh(gram / np.outer(scale, scale))[0]) > SINGULAR)


def _checked(rows: Stack, g: int, parts: list[slice]) -> FloatArray:
    """Return the cross-product of the comparison group's covariates, or say which column is to blame."""
    gram = _gram(rows.X, rows.size, parts)
    if singular(gram):
        kept = np.concatenate([rows.order[s] for s in parts])
        fit = least_squares(rows.raw[kept], np.zeros(kept.size))
        raise CellError("collinear", g, int(fit.aliased[0]) if fit.aliased.size else 0)
    return gram


def _score(
    rows: Stack, g: int, mine: slice, parts: list[slice], guess: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """Fit the logit of being in the cohort, by Newton's method from a guess or from a part of the rows."""
    sample = [(rows.X[:, s], rows.size[s], float(s == mine)) for s in (mine, *parts)]
    beta = np.zeros(rows.X.shape[0]) if guess is None else guess
    n = sum(X.shape[1] for X, _, _ in sample)
    if guess is None and n > 4 * PILOT:
        step = n // PILOT
        pilot = newton([(X[:, ::step], w[::step], d) for X, w, d in sample], beta)
        beta = beta if pilot is None else pilot[0]
    found = newton(sample, beta)
    if found is None and guess is not None:
        found = newton(sample, np.zeros_like(beta))
    if found is None:
        kept = np.concatenate([rows.order[s] for s in (mine, *parts)])
        treated = np.concatenate([np.full(w.size, d == 1) for _, w, d in sample])
        raise CellError("separation", g, blamed(rows.raw[kept], treated))
    return found
