"""What cells share: the regression of change and the score of each cohort beside its comparison group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cell_logit import blamed, chance, newton, solve, spans
from evaltoolkit.kernels.cohorts import NEVER, CellError, Rule, comparison_units
from evaltoolkit.kernels.least_squares import least_squares

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Cell = tuple[int, int, int]

TRIM = 0.995
"""Comparison units with a score at or above this get weight zero, as in DRDID."""
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


@dataclass(frozen=True, slots=True)
class Model:
    """One cohort beside one comparison group, with all cells that share them.

    Attributes
    ----------
    cohort, compared
        Index of the cohort's start, and indices of the starts compared with.
    cells, to, since
        Which cells, and the indices of their period and base period, shape (c,).
    slope
        Change of the comparison group by covariates, shape (k, T): only differences of columns mean something.
    score
        Coefficients of the logit; None where nothing is weighted by a score.
    odds_total
        Total weight of the comparison group: 0 where the second term is left out.
    moved, follow
        How far comparison covariates are from the cohort's, through the regression, shape (k,), and through the score
        by cell, shape (k, c).
    treated, theirs
        The two terms of each effect, shape (c,).
    n_treated
        Weight of the cohort.
    """

    cohort: int
    compared: tuple[int, ...]
    cells: IntArray
    to: IntArray
    since: IntArray
    slope: FloatArray
    score: FloatArray | None
    odds_total: float
    moved: FloatArray
    follow: FloatArray
    treated: FloatArray
    theirs: FloatArray
    n_treated: float

    @property
    def att(self) -> FloatArray:
        """Effects, shape (c,)."""
        found: FloatArray = self.treated - self.theirs
        return found

    @property
    def gap(self) -> FloatArray:
        """Slope of each cell's change, shape (k, c)."""
        found: FloatArray = self.slope[:, self.to] - self.slope[:, self.since]
        return found

    def odds(self, X: FloatArray, rule: Rule) -> tuple[FloatArray, FloatArray]:
        """Return odds (zero where trimmed) and probabilities of rows, shape (rows,) each."""
        n = X.shape[1]
        if self.score is None:
            return np.full(n, 0.0 if rule.adjust == "regression" and X.shape[0] > 1 else 1.0), np.zeros(n)
        p = chance(self.score @ X)
        return np.where(p < TRIM, p / (1 - p), 0.0), p


def models(rows: Stack, periods: IntArray, every: list[Cell], rule: Rule) -> Iterator[Model]:
    """Fit every cohort and comparison group that the cells need.

    Raises
    ------
    CellError
        A cell has no comparison units, its covariates are collinear among them, or they tell the cohort apart.
    """
    alike: dict[tuple[int, tuple[int, ...]], list[tuple[int, int, int]]] = {}
    for k, cell in enumerate(every):
        g, t, base = cell
        compared = tuple(np.flatnonzero(comparison_units(rows.starts, periods, rule, cell)).tolist())
        if not compared:
            raise CellError("empty", g)
        if t != base:
            place = (k, int(np.searchsorted(periods, t)), int(np.searchsorted(periods, base)))
            alike.setdefault((int(np.searchsorted(rows.starts, g)), compared), []).append(place)
    before: dict[int, FloatArray] = {}
    shared: dict[tuple[int, ...], Fitted] = {}
    for (j, compared), members in alike.items():
        if compared not in shared:
            shared[compared] = _fitted(rows, rule, int(rows.starts[j]), [rows.rows(c) for c in compared])
        those = (j, compared, np.array(members, dtype=np.int64))
        found = _model(rows, rule, those, shared[compared], before.get(j))
        if found.score is not None:
            before[j] = found.score
        yield found


Fitted = tuple[FloatArray, FloatArray]
"""Cross-product of a comparison group's covariates, and its regression by period, shape (k, T)."""


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
    j, compared, members = place
    gram, slope = fitted
    which, to, since = members.T
    k = rows.X.shape[0]
    mine, parts = rows.rows(j), [rows.rows(c) for c in compared]
    g = int(rows.starts[j])
    n1 = float(rows.size[mine].sum())
    at = rows.X[:, mine] @ rows.size[mine] / n1
    mean = rows.total[:, mine].sum(axis=1) / n1 - at @ slope
    score, information = None, np.zeros((k, k))
    if k > 1 and rule.adjust != "regression":
        score, information = _score(rows, g, mine, parts, guess)
    blank = Model(
        j, compared, which, to, since, slope, score, 0.0, np.zeros(k), np.zeros((k, which.size)),
        mean[to] - mean[since], np.zeros(which.size), n1,
    )  # fmt: skip
    if rule.adjust == "regression" and k > 1:
        return replace(blank, moved=solve(gram, -at))
    return _weighted(rows, rule, blank, gram, at, information)


def _weighted(
    rows: Stack, rule: Rule, blank: Model, gram: FloatArray, at: FloatArray, information: FloatArray
) -> Model:
    """Fill in the term of the comparison group."""
    k = rows.X.shape[0]
    total, first = 0.0, np.zeros(k)
    outcome, outcome_x = np.zeros(rows.total.shape[0]), np.zeros((k, rows.total.shape[0]))
    second = np.zeros((k, k))
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
    left = (outcome - first @ blank.slope) / total
    theirs = left[blank.to] - left[blank.since]
    moved = np.zeros(k)
    if rule.adjust != "weighting":
        moved = solve(gram, first / total - at)
    follow = np.zeros((k, theirs.size))
    if blank.score is not None:
        spread = (outcome_x - second @ blank.slope) / total
        pull = spread[:, blank.to] - spread[:, blank.since] - np.outer(first / total, theirs)
        follow = solve(information, pull)
    return replace(blank, odds_total=total, moved=moved, follow=follow, theirs=theirs)


def _checked(rows: Stack, g: int, parts: list[slice]) -> FloatArray:
    """Return the cross-product of the comparison group's covariates, or say which column is to blame."""
    gram = _gram(rows.X, rows.size, parts)
    scale = np.sqrt(np.clip(np.diag(gram), 0.0, None))
    fine = bool((scale > 0).all()) and float(np.linalg.eigvalsh(gram / np.outer(scale, scale))[0]) > SINGULAR
    if not fine:
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
