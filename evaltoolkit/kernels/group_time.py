"""Group-time average treatment effects for a balanced panel (Callaway and Sant'Anna)."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.least_squares import least_squares
from evaltoolkit.kernels.likelihood import logit

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

NEVER: Final = int(np.iinfo(np.int64).max)
"""The start of a unit that is never treated."""
TRIM: Final = 0.995
"""Comparison units with a score at or above this get weight zero, as in DRDID."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How cells are estimated.

    Attributes
    ----------
    comparison
        ``never`` treated units, or those ``not-yet`` treated in either of the two periods.
    adjust
        ``doubly-robust``, ``weighting`` or ``regression``; all the same where the design is an intercept.
    base_period
        ``varying``: cells before the start compare with the period before them; ``universal``: with the last one before
        the start.
    anticipation
        Periods before the start in which behaviour may already change.
    """

    comparison: Literal["never", "not-yet"] = "not-yet"
    adjust: Literal["doubly-robust", "weighting", "regression"] = "doubly-robust"
    base_period: Literal["varying", "universal"] = "varying"
    anticipation: int = 0


@dataclass(frozen=True, slots=True)
class GroupTime:
    """K cells, each a cohort in a period, from C clusters.

    Attributes
    ----------
    cohort, period, base
        Start of the cohort, period of the cell, and period compared with, shape (K,). ``period == base`` is a
        reference cell: zero by definition.
    att
        Effects, shape (K,).
    scores
        Influence functions summed in clusters, shape (C, K), scaled so that ``scores.T @ scores`` is the covariance.
    n_treated, n_comparison
        Units in each cell, shape (K,).
    """

    cohort: IntArray
    period: IntArray
    base: IntArray
    att: FloatArray
    scores: FloatArray
    n_treated: IntArray
    n_comparison: IntArray

    @property
    def event_time(self) -> IntArray:
        """Periods since the start, shape (K,)."""
        return self.period - self.cohort

    @property
    def reference(self) -> Mask:
        """Which cells are zero by definition, shape (K,)."""
        same: Mask = self.period == self.base
        return same


class CellError(ValueError):
    """A cell cannot be estimated: which cohort, why, and the column of the design to blame (0 for none)."""

    def __init__(self, why: Literal["separation", "collinear", "empty"], cohort: int, column: int = 0) -> None:
        self.why = why
        self.cohort = cohort
        self.column = column
        super().__init__(f"{why} in cohort {cohort}, column {column}")


def cells(start: IntArray, periods: IntArray, rule: Rule) -> list[tuple[int, int, int]]:
    """Return cohort, period and base period of every cell that can be estimated.

    >>> cells(np.array([3, NEVER]), np.array([1, 2, 3, 4]), Rule())
    [(3, 2, 1), (3, 3, 2), (3, 4, 2)]
    """
    found = []
    for g in sorted({int(s) for s in start if s <= periods[-1]}):
        before = periods[periods + rule.anticipation < g]
        if before.size == 0:
            continue
        reference = int(before[-1])
        for i, t in enumerate(periods.tolist()):
            varying = rule.base_period == "varying" and t + rule.anticipation < g
            if varying and i == 0:
                continue
            base = int(periods[i - 1]) if varying else reference
            if t != base or rule.base_period == "universal":
                found.append((g, t, base))
    return found


def comparison_units(start: IntArray, periods: IntArray, rule: Rule, cell: tuple[int, int, int]) -> Mask:
    """Return who a cell is compared with, shape (n,)."""
    g, t, base = cell
    if rule.comparison == "never":
        found: Mask = start > int(periods[-1]) + rule.anticipation
    else:
        found = (start > max(t, base) + rule.anticipation) & (start != g)
    return found


def group_time(
    outcome: FloatArray,
    start: IntArray,
    periods: IntArray,
    design: FloatArray,
    rule: Rule,
    clusters: IntArray | None = None,
) -> GroupTime:
    r"""Estimate :math:`ATT(g,t) = E[Y_t(g) - Y_t(\infty) \mid G = g]` for every cohort and period.

    With :math:`\Delta Y = Y_t - Y_b`, comparison units C, regression :math:`\hat\mu(x)` of :math:`\Delta Y` on x in C,
    score :math:`\hat p(x)` of being in the cohort and odds :math:`e = \hat p / (1 - \hat p)`:

    .. math:: ATT(g,t) = \frac{\sum_g (\Delta Y - \hat\mu)}{n_g} - \frac{\sum_C e (\Delta Y - \hat\mu)}{\sum_C e}.

    ``weighting`` sets :math:`\hat\mu = 0`; ``regression`` leaves out the second term. Scores account for the estimation
    of both models.

    Parameters
    ----------
    outcome
        Shape (n, T), columns in the order of ``periods``.
    start
        First treated period of each unit, ``NEVER`` for none, shape (n,). Every start lies after the first period.
    periods
        Ascending, shape (T,).
    design
        Intercept first, then covariates: shape (n, T, k), or (n, 1, k) where they do not change over time. A cell uses
        the values in the earlier of its two periods.
    rule
        How cells are estimated.
    clusters
        Codes 0 .. C - 1, shape (n,); None where units are the clusters.

    Returns
    -------
    GroupTime

    Raises
    ------
    CellError
        A cell has no comparison units, its covariates are collinear among them, or they tell the cohort apart.

    References
    ----------
    Callaway, B. and Sant'Anna, P. (2021). Difference-in-differences with multiple time periods. Journal of
    Econometrics 225. doi:10.1016/j.jeconom.2020.12.001
    Sant'Anna, P. and Zhao, J. (2020). Doubly robust difference-in-differences estimators. Journal of Econometrics 219.
    doi:10.1016/j.jeconom.2020.06.003

    Examples
    --------
    >>> y = np.array([[1.0, 2, 9], [0, 1, 8], [1, 2, 3], [4, 5, 6]])
    >>> found = group_time(y, np.array([3, 3, NEVER, NEVER]), np.array([1, 2, 3]), np.ones((4, 1, 1)), Rule())
    >>> found.att.tolist(), found.event_time.tolist()
    ([0.0, 6.0], [-1, 0])
    """
    code = np.arange(outcome.shape[0]) if clusters is None else clusters
    size = int(code.max()) + 1
    every = cells(start, periods, rule)
    work = _Work(start, design, rule)
    att, n1, n0 = np.zeros(len(every)), np.zeros(len(every), np.int64), np.zeros(len(every), np.int64)
    scores = np.zeros((size, len(every)))
    for k, cell in enumerate(every):
        g, t, base = cell
        treated, compared = start == g, comparison_units(start, periods, rule, cell)
        n1[k], n0[k] = treated.sum(), compared.sum()
        if n0[k] == 0:
            raise CellError("empty", g)
        if t == base:
            continue
        i, j = int(np.searchsorted(periods, t)), int(np.searchsorted(periods, base))
        change = outcome[:, i] - outcome[:, j]
        att[k], psi = _cell(change, g, compared, work, min(i, j))
        scores[:, k] = psi if clusters is None else np.bincount(code, weights=psi, minlength=size)
    cohort, period, base_of = (np.array([c[m] for c in every], dtype=np.int64) for m in range(3))
    return GroupTime(cohort, period, base_of, att, scores, n1, n0)


def effects(
    outcome: FloatArray, start: IntArray, periods: IntArray, design: FloatArray, rule: Rule
) -> tuple[list[tuple[int, int, int]], FloatArray]:
    """Return the cells and their effects as ``group_time`` does, without the scores.

    Cells with the same cohort, comparison units and covariates are estimated in one step, so this is the cheap way
    where effects are wanted many times.

    Raises
    ------
    CellError
        As ``group_time``.

    Examples
    --------
    >>> y = np.array([[1.0, 2, 9], [0, 1, 8], [1, 2, 3], [4, 5, 6]])
    >>> found = effects(y, np.array([3, 3, NEVER, NEVER]), np.array([1, 2, 3]), np.ones((4, 1, 1)), Rule())
    >>> found[0], found[1].tolist()
    ([(3, 2, 1), (3, 3, 2)], [0.0, 6.0])
    """
    every = cells(start, periods, rule)
    work = _Work(start, design, rule)
    alike: dict[Hashable, tuple[Mask, list[tuple[int, int, int]]]] = {}
    for k, cell in enumerate(every):
        g, t, base = cell
        if t == base:
            continue
        i, j = int(np.searchsorted(periods, t)), int(np.searchsorted(periods, base))
        compared = comparison_units(start, periods, rule, cell)
        if not compared.any():
            raise CellError("empty", g)
        at = min(i, j) if design.shape[1] > 1 else 0
        alike.setdefault((g, at, compared.tobytes()), (compared, []))[1].append((k, i, j))
    att = np.zeros(len(every))
    for compared, members in alike.values():
        places, to, since = np.array(members, dtype=np.int64).T
        g = every[int(places[0])][0]
        treated = start == g
        m = work.models(g, compared, int(min(to[0], since[0])))
        change = outcome[:, to] - outcome[:, since]
        d1, d0 = change[treated], change[compared]
        slope = m.inverse @ (m.X0.T @ d0)
        total = float(m.odds.sum())
        share = m.odds / total if total > 0 else m.odds
        att[places] = (d1 - m.X1 @ slope).mean(axis=0) - share @ (d0 - m.X0 @ slope)
    return every, att


@dataclass(slots=True)
class _Work:
    """What cells share: fits are kept by cohort, comparison group and period of the covariates."""

    start: IntArray
    design: FloatArray
    rule: Rule
    kept: dict[Hashable, _Models] = field(default_factory=dict)

    def models(self, g: int, compared: Mask, at: int) -> _Models:
        """Return the fits for a cohort, its comparison units, and the period of the covariates."""
        where = at if self.design.shape[1] > 1 else 0
        key = (g, where, compared.tobytes())
        if key not in self.kept:
            self.kept[key] = _models(self.design[:, where, :], g, self.start == g, compared, self.rule)
        return self.kept[key]


@dataclass(frozen=True, slots=True)
class _Models:
    """The score and the regression of one cohort and comparison group, and what follows from them alone."""

    X1: FloatArray
    X0: FloatArray
    p1: FloatArray
    p0: FloatArray
    odds: FloatArray
    inverse: FloatArray
    information_inverse: FloatArray
    moved: FloatArray


def _models(X: FloatArray, g: int, treated: Mask, compared: Mask, rule: Rule) -> _Models:
    k = X.shape[1]
    X1, X0 = X[treated], X[compared]
    bare, weighs = k == 1, rule.adjust != "regression"
    fit = least_squares(X0, np.zeros(X0.shape[0]))
    if fit.aliased.size:
        raise CellError("collinear", g, int(fit.aliased[0]))
    p1, p0, odds = np.zeros(len(X1)), np.zeros(len(X0)), np.zeros(len(X0))
    H: FloatArray = np.zeros((k, k))
    if weighs and bare:
        odds = np.ones(len(X0))
    elif weighs:
        both = treated | compared
        score = logit(X[both], treated[both])
        if not score.exists:
            raise CellError("separation", g, _blamed(X[both], treated[both]))
        p = np.zeros(X.shape[0])
        p[both] = score.probabilities
        p1, p0 = p[treated], p[compared]
        H = np.asarray(np.linalg.inv(score.information), dtype=np.float64)
        odds = np.where(p0 < TRIM, p0 / (1 - p0), 0.0)
        if odds.sum() <= 0:
            raise CellError("separation", g)
    moved = -X1.mean(axis=0)
    if weighs:
        moved = moved + odds @ X0 / odds.sum()
    use_regression = rule.adjust != "weighting"
    v = fit.bread @ moved if use_regression else np.zeros(k)
    return _Models(X1, X0, p1, p0, odds, fit.bread if use_regression else np.zeros((k, k)), H, v)


def _cell(change: FloatArray, g: int, compared: Mask, work: _Work, at: int) -> tuple[float, FloatArray]:
    """Return one effect and its influence function, shape (n,)."""
    m = work.models(g, compared, at)
    treated = work.start == g
    d1, d0 = change[treated], change[compared]
    slope = m.inverse @ (m.X0.T @ d0)
    r1, r0 = d1 - m.X1 @ slope, d0 - m.X0 @ slope
    n1 = r1.size
    eta1 = float(r1.mean())
    total = float(m.odds.sum())
    share = m.odds / total if total > 0 else m.odds
    eta0 = float(share @ r0)
    h = m.information_inverse @ ((share * r0) @ m.X0 - eta0 * (share @ m.X0))
    psi = np.zeros(change.size)
    psi[treated] = (r1 - eta1) / n1 - (1 - m.p1) * (m.X1 @ h)
    psi[compared] = r0 * (m.X0 @ m.moved) - share * (r0 - eta0) + m.p0 * (m.X0 @ h)
    return eta1 - eta0, psi


def _blamed(X: FloatArray, treated: Mask) -> int:
    """Return the column that tells the cohort apart by itself, or 0 where only a combination does."""
    for j in range(1, X.shape[1]):
        mine, theirs = X[treated, j], X[~treated, j]
        if mine.max() <= theirs.min() or theirs.max() <= mine.min():
            return j
    return 0
