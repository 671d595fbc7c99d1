"""Stacked difference-in-differences with weights that correct what a naive stack averages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.stacked_types import Linear, Types, clusters_used, correction, linear_scores, types

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


class StackError(ValueError):
    """No cohort is left.

    ``window``: no cohort has its whole window in the data. ``comparison``: those that have it have no comparison units
    observed in all of it. ``cohorts`` lists the starts that were lost.
    """

    def __init__(self, why: Literal["window", "comparison"], cohorts: tuple[int, ...]) -> None:
        self.why = why
        self.cohorts = cohorts
        super().__init__(f"{why}, cohorts {cohorts}")


@dataclass(frozen=True, slots=True)
class Window:
    """What a stack is made of.

    Attributes
    ----------
    before, after
        Event times from ``-before`` to ``after`` (kappa_pre and kappa_post); ``before`` at least 1.
    comparison
        Units ``never`` treated, or ``not-yet`` treated until after the window ends.
    share
        Weight of each cohort: its number of ``treated`` units (the trimmed aggregate effect), or of units in its
        ``sample``, comparison units included (of both sides; Python diff-diff weights comparison rows alone by it, so
        that treated and comparison trends are averaged differently).
    residual
        Where residuals are taken: ``pooled``, from means over all cohorts, as the regression of Wing and others does,
        or ``own``, from means of each cohort, as where the regression has effects of cohort by period and treatment.
        Estimates are the same; pooled residuals hold differences between calendar periods and between cohorts too.
    anticipation
        Periods before the start in which behaviour may already change. The window opens earlier by as many, the
        reference is ``-1 - anticipation``, and comparison units do not anticipate in the window.
    """

    before: int = 1
    after: int = 0
    comparison: Literal["never", "not-yet"] = "not-yet"
    share: Literal["treated", "sample"] = "treated"
    residual: Literal["pooled", "own"] = "pooled"
    anticipation: int = 0


@dataclass(frozen=True, slots=True)
class Stacked:
    """Effects at m event times, and their average after the start.

    Attributes
    ----------
    event_time
        Shape (m,); the reference is left out.
    effects, scores
        Shapes (m,) and (C, m). ``scores.T @ scores`` is the covariance, small-sample factor included. C is the number
        of clusters, or smaller where there are very many (then rows are no clusters).
    overall, overall_scores
        Mean of the effects from event time 0 on, and its scores, shape (C,).
    cohort, share
        Cohorts in the stack and their weights, shape (J,), the same at every event time.
    n_treated, n_comparison
        Units of each cohort and units it is compared with, shape (J,).
    trimmed
        Cohorts left out because their window is not wholly in the data, or nobody can be compared with them.
    n_rows
        Rows of the stack; units count once for every cohort and period they are in.
    n_clusters
        Clusters in the stack; the reference is t with one less.
    """

    event_time: IntArray
    effects: FloatArray
    scores: FloatArray
    overall: float
    overall_scores: FloatArray
    cohort: IntArray
    share: FloatArray
    n_treated: IntArray
    n_comparison: IntArray
    trimmed: IntArray
    n_rows: int
    n_clusters: int


@dataclass(frozen=True, slots=True)
class _Stack:
    """Cohorts (J) in the stack: which types are treated and compared, shape (J, types), and columns, shape (J, E)."""

    cohort: IntArray
    treated: Mask
    compared: Mask
    columns: IntArray
    trimmed: tuple[int, ...]


def stacked(
    outcome: FloatArray,
    start: IntArray,
    periods: IntArray,
    window: Window | None = None,
    clusters: IntArray | None = None,
    weights: FloatArray | None = None,
) -> Stacked:
    r"""Estimate the trimmed aggregate effect at each event time of a window.

    A cohort a and the units not treated (and not anticipating) in its window are a sub-experiment. Cohorts whose window
    is not wholly in the data are trimmed, so that every event time averages the same cohorts. With shares
    :math:`\omega_a` of treated units and means of treated (1) and comparison (0) units,

    .. math:: \delta_e = \sum_a \omega_a \{(\bar Y_{1,a+e} - \bar Y_{1,a+r}) - (\bar Y_{0,a+e} - \bar Y_{0,a+r})\},

    the interaction of treatment and event time in the stacked regression on treatment and event-time dummies with
    weight 1 for treated rows and :math:`\omega_a / (N_{0a} / N_0)` for comparison rows. Effects of unit by
    sub-experiment in place of a treatment dummy give the same. Without the weights comparison trends would be averaged
    with other weights than treated trends.

    Scores sum over all copies of a unit. They carry :math:`\sqrt{G/(G-1) \cdot (N-1)/(N-K)}` with N rows of the stack
    and K = 2 (number of event times): the regression without unit effects, as in the authors' code (R fixest), in R
    ``clubSandwich`` CR1S and in Python diff-diff. With unit effects fixest would count K smaller, as they are nested
    in clusters. The reference is t(G - 1); diff-diff 3 uses t(N - K).

    Parameters
    ----------
    outcome
        Shape (n, T), NaN where a unit was not observed. A unit not observed in the whole window of a cohort is not in
        its sub-experiment.
    start
        First treated period, ``NEVER`` for none, shape (n,).
    periods
        Ascending, shape (T,). Event time is in the same units: where one is missing, windows over it are trimmed.
    window
        What the stack is made of; None for event times -1 and 0.
    clusters
        Codes 0 .. C - 1, shape (n,); None where units are the clusters. Never finer than units, which repeat.
    weights
        Sampling weights, above zero, shape (n,); None for ones.

    Returns
    -------
    Stacked

    Raises
    ------
    StackError
        No cohort is left.

    References
    ----------
    Wing, C., Freedman, S. and Hollingsworth, A. (2024). Stacked difference-in-differences. NBER Working Paper 32054.
    doi:10.3386/w32054

    Examples
    --------
    >>> from evaltoolkit.kernels.cohorts import NEVER
    >>> y = np.array([[1.0, 4, 6], [0, 3, 5], [1, 2, 9], [4, 5, 6]])
    >>> found = stacked(y, np.array([2, 2, 3, NEVER]), np.array([1, 2, 3]))
    >>> found.cohort.tolist(), found.n_comparison.tolist(), found.effects.round(6).tolist()
    ([2, 3], [2, 1], [3.333333])
    """
    rule = Window() if window is None else window
    table = types(outcome, start[:, None], weights)
    stack = _stack(table, periods, rule)
    events = _events(rule)
    rows, share = _rows(table, stack, rule)
    units = [(side @ table.units).astype(np.int64) for side in (stack.treated, stack.compared)]
    n_rows = int((units[0] + units[1]).sum()) * (events.size + 1)
    n_clusters = clusters_used(table, rows.used, clusters)
    scores = linear_scores(table, rows, clusters) * correction(n_clusters, n_rows, 2 * (events.size + 1))
    after = events >= 0
    return Stacked(
        event_time=events,
        effects=rows.point,
        scores=scores,
        overall=float(rows.point[after].mean()),
        overall_scores=scores[:, after].mean(axis=1),
        cohort=stack.cohort,
        share=share,
        n_treated=units[0],
        n_comparison=units[1],
        trimmed=np.array(stack.trimmed, dtype=np.int64),
        n_rows=n_rows,
        n_clusters=n_clusters,
    )


def stacked_points(
    outcome: FloatArray,
    start: IntArray,
    periods: IntArray,
    window: Window | None = None,
    weights: FloatArray | None = None,
) -> FloatArray:
    """Return the effects of ``stacked`` and, last, their average, shape (m + 1,); missing where no cohort is left.

    The same length whatever is in the panel: made for leaving out clusters.

    Examples
    --------
    >>> from evaltoolkit.kernels.cohorts import NEVER
    >>> y = np.array([[1.0, 4, 6], [0, 3, 5], [1, 2, 9], [4, 5, 6]])
    >>> stacked_points(y[1:], np.array([2, 3, NEVER]), np.array([1, 2, 3])).round(6).tolist()
    [4.0, 4.0]
    """
    rule = Window() if window is None else window
    table = types(outcome, start[:, None], weights)
    events = _events(rule)
    try:
        point = _rows(table, _stack(table, periods, rule), rule)[0].point
    except StackError:
        return np.full(events.size + 1, np.nan)
    return np.append(point, point[events >= 0].mean())


def _events(rule: Window) -> IntArray:
    first, reference = -rule.before - rule.anticipation, -1 - rule.anticipation
    return np.array([e for e in range(first, rule.after + 1) if e != reference], dtype=np.int64)


def _stack(table: Types, periods: IntArray, rule: Window) -> _Stack:
    """Choose the cohorts. Columns are those of the events, in order, and last the reference."""
    events = np.append(_events(rule), -1 - rule.anticipation)
    start = table.label[:, 0]
    last = int(periods[-1])
    whole, kept = [], []
    cohorts = np.unique(start[start <= last]).tolist()
    for a in cohorts:
        at = np.minimum(np.searchsorted(periods, a + events), periods.size - 1)
        if not (periods[at] == a + events).all():
            continue
        whole.append(a)
        bound = (last if rule.comparison == "never" else a + rule.after) + rule.anticipation
        seen = table.observed[:, at].all(axis=1)
        treated, compared = seen & (start == a), seen & (start > bound)
        if treated.any() and compared.any():
            kept.append((a, treated, compared, at))
    if not kept:
        raise StackError("comparison" if whole else "window", tuple(cohorts))
    cohort, sides = np.array([k[0] for k in kept], dtype=np.int64), [np.array([k[s] for k in kept]) for s in (1, 2)]
    lost = tuple(a for a in cohorts if a not in set(cohort.tolist()))
    return _Stack(cohort, sides[0], sides[1], np.array([k[3] for k in kept]), lost)


def _rows(table: Types, stack: _Stack, rule: Window) -> tuple[Linear, FloatArray]:
    """Return the influence of units, and the cohorts' shares."""
    J, m = stack.cohort.size, stack.columns.shape[1] - 1
    n1, n0 = stack.treated @ table.size, stack.compared @ table.size
    share = n1 if rule.share == "treated" else n1 + n0
    share = share / share.sum()
    gain = np.zeros((2, J, m))
    for a, at in enumerate(stack.columns):
        for s, (side, size) in enumerate(((stack.treated[a], n1[a]), (stack.compared[a], n0[a]))):
            mean = table.total[side][:, at].sum(axis=0) / size
            gain[s, a] = mean[:-1] - mean[-1]
    average = np.einsum("a,sam->sm", share, gain)
    center = gain if rule.residual == "own" else np.broadcast_to(average[:, None, :], gain.shape)
    slope, constant = np.zeros((table.size.size, m, table.observed.shape[1])), np.zeros((table.size.size, m))
    for a, at in enumerate(stack.columns):
        for s, (side, size) in enumerate(((stack.treated[a], n1[a]), (stack.compared[a], n0[a]))):
            each = share[a] / size * (1.0 if s == 0 else -1.0)
            mine = np.flatnonzero(side)
            slope[mine[:, None], np.arange(m)[None, :], at[None, :-1]] += each
            slope[mine, :, at[-1]] -= each
            constant[mine] -= each * center[s, a]
    used: Mask = np.any(stack.treated | stack.compared, axis=0)
    return Linear(average[0] - average[1], slope, constant, used), share
