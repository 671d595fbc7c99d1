"""Poisson regression with unit and period effects (pseudo maximum likelihood), unit effects concentrated out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.nonlinear_likelihood import NonlinearError, independent, solve

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

MANY = 20_000
"""Units beyond which, where they are the clusters, cross-products stand in for a row of scores for each."""

_BLOCK = 4096
_ITERATIONS = 40
_STEP = 1e-9


@dataclass(frozen=True, slots=True)
class TwoWayPoisson:
    """A Poisson regression on k regressors, unit effects and period effects.

    Attributes
    ----------
    coefficients
        Logarithms of rate ratios, shape (k,).
    scores
        Influence on the coefficients by cluster, shape (R, k), scaled so that ``scores.T @ scores`` is the clustered
        covariance. R is the number of clusters, or smaller where there are very many (then rows are no clusters).
    n_observations, n_units, n_clusters
        What the fit rests on.
    n_zero_units, n_zero_periods
        Units and periods left out because all their outcomes are zero.
    n_single
        Units among ``n_units`` that were observed once: they count as observations and tell nothing.
    factor
        Small-sample factor in the covariance.
    log_likelihood
        Of the outcomes given unit totals, up to a constant.
    """

    coefficients: FloatArray
    scores: FloatArray
    n_observations: int
    n_units: int
    n_clusters: int
    n_zero_units: int
    n_zero_periods: int
    n_single: int
    factor: float
    log_likelihood: float

    @property
    def df(self) -> int:
        """Clusters less one, for a t reference (fixest refers Poisson coefficients to the normal distribution)."""
        return self.n_clusters - 1


@dataclass(frozen=True, slots=True)
class _Panel:
    """Units with some outcome, in the order of their regressor tables."""

    outcome: FloatArray  # weighted, zero where not observed
    log_exposure: FloatArray  # minus infinity where not observed
    table: FloatArray  # (J, T, k)
    row: IntArray
    clusters: IntArray
    shared: bool  # whether units share tables

    def blocks(self) -> Iterator[tuple[slice, FloatArray]]:
        """Yield slices of units with their regressors: shape (T, q) where they share them, else (m, T, q)."""
        periods = self.outcome.shape[1]
        dummies = np.eye(periods)[:, 1:]
        if self.shared:
            for low, high in pairwise(np.flatnonzero(np.diff(self.row, prepend=-1, append=-1)).tolist()):
                yield slice(low, high), np.concatenate([dummies, self.table[self.row[low]]], axis=1)
            return
        for low in range(0, self.row.size, _BLOCK):
            own = self.table[self.row[low : low + _BLOCK]]
            dense = np.broadcast_to(dummies, (own.shape[0], *dummies.shape))
            yield slice(low, low + own.shape[0]), np.concatenate([dense, own], axis=2)


def treatment_table(start: IntArray, periods: IntArray, events: IntArray | None = None) -> tuple[FloatArray, IntArray]:
    """Return regressors by cohort: after the start, or indicators of event times.

    Parameters
    ----------
    start
        First treated period of each unit, ``NEVER`` for none, shape (n,).
    periods
        Ascending, shape (T,).
    events
        Event times with an indicator each, shape (k,); None for the one regressor "treated by now".

    Returns
    -------
    tuple
        Regressors of each cohort, shape (J, T, k), and the cohort of each unit, shape (n,).

    Examples
    --------
    >>> table, row = treatment_table(np.array([3, 9, 3]), np.array([1, 2, 3]))
    >>> table[:, :, 0].tolist(), row.tolist()
    ([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]], [0, 1, 0])
    """
    starts, row = np.unique(start, return_inverse=True)
    if events is None:
        table = (periods[None, :] >= starts[:, None])[:, :, None]
    else:
        # NEVER less a negative period would overflow as an integer.
        since = periods[None, :].astype(np.float64) - starts[:, None].astype(np.float64)
        table = since[:, :, None] == events[None, None, :]
    return table.astype(np.float64), row.astype(np.int64)


def poisson_two_way(
    outcome: FloatArray,
    regressors: FloatArray,
    row: IntArray | None = None,
    exposure: FloatArray | None = None,
    clusters: IntArray | None = None,
    weights: FloatArray | None = None,
) -> TwoWayPoisson:
    r"""Fit :math:`E[Y_{it}] = E_{it} \exp(\alpha_i + \gamma_t + x_{it}'\beta)` by Poisson pseudo maximum likelihood.

    Only the mean needs to be right: outcomes may be any numbers at or above zero. Given :math:`\gamma, \beta` the unit
    effects have a closed form, which leaves
    :math:`\sum_i w_i \sum_t Y_{it} \log p_{it}` with
    :math:`p_{it} \propto E_{it} \exp(\gamma_t + x_{it}'\beta)` summing to one within the unit; Newton's method on this
    concave function is exact, with no sweeps over the effects. With :math:`r_{it} = Y_{it} - Y_{i\cdot} p_{it}` the
    scores are :math:`H^{-1} \sum_t w_i r_{it} x_{it}`, summed in clusters.

    Units without any outcome above zero tell nothing of :math:`\beta`; they and such periods are left out, as in
    fixest. The covariance has fixest's factor :math:`\frac{G}{G-1}\frac{N-1}{N-K}`, K being regressors and periods:
    unit effects lie within clusters and do not count.

    Parameters
    ----------
    outcome
        At or above zero, shape (n, T); NaN where a unit was not observed.
    regressors
        J tables of k regressors, shape (J, T, k): the same for all units of a cohort, or one for each unit.
        A unit is not observed where one is NaN.
    row
        Table of each unit, shape (n,); None where J = n, in the order of the units.
    exposure
        Population or person-time, above zero, shape (n, T); None for ones.
    clusters
        Codes, shape (n,); None where units are the clusters.
    weights
        Sampling weights, above zero, shape (n,); None for ones.

    Returns
    -------
    TwoWayPoisson

    Raises
    ------
    NonlinearError
        Nothing can be estimated, or a regressor, named by its number, cannot.
    ValueError
        An outcome is below zero, or an exposure is not above it.

    References
    ----------
    Wooldridge, J. (1999). Distribution-free estimation of some nonlinear panel data models. Journal of Econometrics 90.
    doi:10.1016/S0304-4076(98)00033-5
    Correia, S., Guimaraes, P. and Zylkin, T. (2020). Fast Poisson estimation with high-dimensional fixed effects. Stata
    Journal 20. doi:10.1177/1536867X20909691

    Examples
    --------
    >>> y = np.array([[2.0, 8], [1, 4], [3, 6], [5, 10], [0, 0]])
    >>> table, row = treatment_table(np.array([2, 2, 9, 9, 9]), np.array([1, 2]))
    >>> fit = poisson_two_way(y, table, row)
    >>> np.exp(fit.coefficients).round(6).tolist(), fit.n_zero_units
    ([2.0], 1)
    """
    _check(outcome, exposure)
    n, _ = outcome.shape
    row = np.arange(n) if row is None else row
    seen: Mask = np.isfinite(outcome) & np.take(np.isfinite(regressors).all(axis=2), row, axis=0)
    if exposure is not None:
        seen &= np.isfinite(exposure)
    y = np.where(seen, outcome, 0.0)
    alive = y.sum(axis=0) > 0
    used = np.flatnonzero(y.sum(axis=1) > 0)
    if used.size == 0:
        raise NonlinearError("no-outcome")
    zero_periods = int((seen.any(axis=0) & ~alive).sum())
    order = used[np.argsort(row[used], kind="stable")]
    seen = (seen & alive)[order][:, alive]
    log_e = np.zeros(seen.shape) if exposure is None else np.log(np.where(seen, exposure[order][:, alive], 1.0))
    w = np.ones(order.size) if weights is None else weights[order]
    codes = np.arange(order.size) if clusters is None else np.unique(clusters[order], return_inverse=True)[1]
    known = np.where(np.isfinite(regressors), regressors, 0.0)
    centre = known - known.mean(axis=(0, 1))
    shared = regressors.shape[0] * 8 <= order.size or regressors.shape[0] <= 8
    panel = _Panel(
        y[order][:, alive] * w[:, None], np.where(seen, log_e, -np.inf), centre[:, alive], row[order], codes, shared
    )
    theta, kept, moments = _newton(_collapsed(panel) if exposure is None else panel)
    return _result(panel, theta, kept, moments, (n - used.size, zero_periods, seen.sum(axis=1)))


def _check(outcome: FloatArray, exposure: FloatArray | None) -> None:
    if (outcome < 0).any() or np.isinf(outcome).any():
        raise ValueError("outcomes must be at or above zero")
    if exposure is not None and (exposure[np.isfinite(outcome)] <= 0).any():
        raise ValueError("exposure must be above zero")


def _collapsed(panel: _Panel) -> _Panel:
    """Add up units with the same regressors, observed in the same periods: without exposure they have equal shares."""
    periods = panel.outcome.shape[1]
    if not panel.shared or periods > 30:
        return panel
    pattern = np.isfinite(panel.log_exposure) @ 2 ** np.arange(periods)
    names, first, codes = np.unique(panel.row * 2**periods + pattern, return_index=True, return_inverse=True)
    outcome: FloatArray = np.stack(
        [np.bincount(codes, weights=v, minlength=names.size) for v in panel.outcome.T], axis=1
    )
    return replace(panel, outcome=outcome, log_exposure=panel.log_exposure[first], row=panel.row[first], clusters=first)


@dataclass(frozen=True, slots=True)
class _Moments:
    value: float
    score: FloatArray
    information: FloatArray


def _shares(panel: _Panel, which: slice, table: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the linear index and shares of unit totals, both (m, T)."""
    line = panel.log_exposure[which] + table @ theta
    line = line - line.max(axis=1, keepdims=True)
    e = np.exp(line)
    total = e.sum(axis=1, keepdims=True)
    return line - np.log(total), e / total


def _moments(panel: _Panel, theta: FloatArray) -> _Moments:
    value, score = 0.0, np.zeros(theta.size)
    information = np.zeros((theta.size, theta.size))
    for which, table in panel.blocks():
        log_p, p = _shares(panel, which, table, theta)
        y = panel.outcome[which]
        value += float((y * np.where(y > 0, log_p, 0.0)).sum())
        total = y.sum(axis=1)
        fitted = total[:, None] * p
        if table.ndim == 2:
            score += table.T @ (y - fitted).sum(axis=0)
            half = p * np.sqrt(total)[:, None]
            information += table.T @ (np.diag(fitted.sum(axis=0)) - half.T @ half) @ table
            continue
        score += np.einsum("mt,mtq->q", y - fitted, table)
        apart = table - np.einsum("mt,mtq->mq", p, table)[:, None, :]
        flat = (apart * np.sqrt(fitted)[:, :, None]).reshape(-1, theta.size)
        information += flat.T @ flat
    return _Moments(value, score, information)


def _start(panel: _Panel) -> FloatArray:
    exposure = (
        np.exp(panel.log_exposure) * (panel.outcome.sum(axis=1) / np.exp(panel.log_exposure).sum(axis=1))[:, None]
    )
    gamma = np.log(panel.outcome.sum(axis=0) / exposure.sum(axis=0))
    return np.concatenate([gamma[1:] - gamma[0], np.zeros(panel.table.shape[2])])


def _columns(panel: _Panel, theta: FloatArray, moments: _Moments) -> IntArray:
    """Return the columns that can be told apart; a regressor that cannot is an error, a period is not."""
    lengths = np.zeros(theta.size)
    for which, table in panel.blocks():
        _, p = _shares(panel, which, table, theta)
        fitted = panel.outcome[which].sum(axis=1)[:, None] * p
        lengths += fitted.sum(axis=0) @ table**2 if table.ndim == 2 else np.einsum("mt,mtq->q", fitted, table**2)
    kept = independent(moments.information, lengths)
    lost = np.setdiff1d(np.arange(panel.outcome.shape[1] - 1, theta.size), kept)
    if lost.size:
        raise NonlinearError("collinear", int(lost[0]) - panel.outcome.shape[1] + 1)
    return kept


def _newton(panel: _Panel) -> tuple[FloatArray, IntArray, _Moments]:
    theta = _start(panel)
    found = _moments(panel, theta)
    kept = _columns(panel, theta, found)
    theta[np.setdiff1d(np.arange(theta.size), kept)] = 0.0
    found = _moments(panel, theta)
    step, reach = np.zeros(theta.size), np.abs(panel.table).max(axis=(0, 1))
    for _ in range(_ITERATIONS):
        step[kept] = solve(found.information[np.ix_(kept, kept)], found.score[kept])
        size, trial = 1.0, _moments(panel, theta + step)
        while size > 1e-8 and not trial.value >= found.value - 1e-12 * abs(found.value):
            size /= 2
            trial = _moments(panel, theta + size * step)
        theta, found = theta + size * step, trial
        moves = np.abs(step) * np.concatenate([np.ones(theta.size - reach.size), reach])
        if moves.max() <= _STEP:
            return theta, kept, found
    # Without a maximum Newton's method moves the index of some outcomes by one in every step, for ever.
    largest = int(np.argmax(moves[theta.size - reach.size :]))
    if moves.max() < 0.5:
        raise NonlinearError("no-convergence")
    raise NonlinearError("separation", largest if moves[theta.size - reach.size + largest] >= 0.25 else -1)


def _result(
    panel: _Panel, theta: FloatArray, kept: IntArray, moments: _Moments, counts: tuple[int, int, IntArray]
) -> TwoWayPoisson:
    zero_units, zero_periods, seen = counts
    periods, k = panel.outcome.shape[1], panel.table.shape[2]
    clusters, n = int(panel.clusters.max()) + 1, int(seen.sum())
    if clusters < 2:
        raise NonlinearError("few-clusters")
    factor = clusters / (clusters - 1) * (n - 1) / (n - k - periods)
    influence = np.zeros((theta.size, k))
    influence[kept] = solve(moments.information[np.ix_(kept, kept)], np.eye(theta.size)[kept, periods - 1 :])
    alone = clusters == panel.row.size
    parts = np.zeros((clusters, k))
    roots = []
    for which, table in panel.blocks():
        _, p = _shares(panel, which, table, theta)
        rest = panel.outcome[which] - panel.outcome[which].sum(axis=1)[:, None] * p
        if table.ndim == 2 and alone and clusters > MANY:
            values, vectors = np.linalg.eigh(rest.T @ rest)
            roots.append((np.sqrt(np.clip(values, 0, None))[:, None] * vectors.T) @ (table @ influence))
            continue
        own = rest @ (table @ influence) if table.ndim == 2 else np.einsum("mt,mtk->mk", rest, table @ influence)
        for j in range(k):
            parts[:, j] += np.bincount(panel.clusters[which], weights=own[:, j], minlength=clusters)
    scores = (np.concatenate(roots) if roots else parts) * np.sqrt(factor)
    return TwoWayPoisson(
        theta[periods - 1 :], scores, n, panel.row.size, clusters, zero_units, zero_periods, int((seen == 1).sum()),
        factor, moments.value,
    )  # fmt: skip
