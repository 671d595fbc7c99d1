"""Estimators that give one effect and a path by event time, without an effect for each cohort and period."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.groups import cohorts_of
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.local_projection import Horizons, Projection, ProjectionError, local_projection
from evaltoolkit.kernels.local_projection_covariates import adjusted_projection
from evaltoolkit.kernels.nonlinear_twoway import TwoWayPoisson, poisson_two_way, treatment_table
from evaltoolkit.kernels.stacked import Window as StackWindow
from evaltoolkit.kernels.stacked import stacked
from evaltoolkit.kernels.switching import Switches, switching
from evaltoolkit.kernels.two_stage import two_stage
from evaltoolkit.kernels.two_way import Window, event_study, static
from evaltoolkit.kernels.two_way_panel import Panel as TwoWayPanel
from evaltoolkit.kernels.two_way_panel import TwoWayError, two_way_panel
from evaltoolkit.reduction import Panel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Bounds = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class PathFit:
    """One effect and m effects by event time.

    Attributes
    ----------
    effect, scores
        The effect, and its scores by cluster, shape (R,): ``scores @ scores`` is the variance.
    labels, path, path_scores
        Event times, effects, shape (m,), and their scores, shape (R, m).
    df, path_df
        Degrees of freedom of analytic errors, infinite for the normal; those of the path, shape (m,).
    covariate_effects
        Coefficients of covariates.
    averages
        Whether the effect is a mean over all treated observations, so that it goes with the treated mean.
    log_ratio, log_ratio_scores
        Of estimators in which effects multiply: the log of the rate ratio, and its scores.
    level, level_scores
        Where the effect is another average over the treated: the same average of their outcomes, and its scores.
    """

    effect: float
    scores: FloatArray
    labels: IntArray
    path: FloatArray
    path_scores: FloatArray
    df: float
    path_df: FloatArray
    covariate_effects: FloatArray
    averages: bool
    log_ratio: float | None = None
    log_ratio_scores: FloatArray | None = None
    level: float | None = None
    level_scores: FloatArray | None = None


class PathEstimator(Protocol):
    """An estimator of one effect and a path."""

    def fitted(self, panel: Panel) -> PathFit:
        """Return the effect and the path with their scores."""
        ...


def two_way(panel: Panel) -> TwoWayPanel:
    """Return the panel as the two-way kernels take it."""
    X = panel.covariates if panel.covariates.shape[2] else None
    return two_way_panel(panel.outcome, panel.start, panel.periods, panel.clusters, panel.weights, X, panel.groups)


def with_program(panel: Panel) -> FloatArray:
    """Return outcomes from the start on, and zeros before: an effect on these is the mean outcome of the treated.

    That holds where the effect is a weighted sum of outcomes in which untreated ones only tell what would have been.
    """
    on = panel.periods[None, :] >= panel.start[:, None]
    return np.where(np.isfinite(panel.outcome), np.where(on, panel.outcome, 0.0), np.nan)


def window_of(panel: Panel, bounds: Bounds) -> Window:
    """Return the event times that have a coefficient: all, or those within bounds, which are shared beyond.

    The last event time before the start is the reference; without never-treated units the earliest is one too.
    """
    return window_among(panel.start, panel.periods, bounds)


def window_among(start: IntArray, periods: IntArray, bounds: Bounds) -> Window:
    """Return what ``window_of`` does, from starts of which each is there at least once."""
    starts = np.unique(start[start <= periods[-1]])
    times = np.unique(periods[None, :] - starts[:, None])
    if bounds is not None:
        times = np.unique(np.clip(times, *bounds))
    before = times[times < 0]
    reference = {int(before.max())} if before.size else set()
    if (start <= periods[-1]).all() and before.size > 1:
        reference.add(int(before.min()))
    first, last = (None, None) if bounds is None else bounds
    return Window(tuple(sorted(reference)), first, last)


@dataclass(frozen=True, slots=True)
class TwoWay:
    """Unit and period effects with one indicator of treatment, and with one for each event time."""

    bounds: Bounds

    def fitted(self, panel: Panel) -> PathFit:
        """Return the static coefficient and the event study; t with G - 1 degrees of freedom (R fixest)."""
        p = two_way(panel)
        one = static(p)
        labels, path, scores = _event_study(panel, p, self.bounds)
        return PathFit(
            float(one.coefficients[0]), one.scores[:, 0], labels, path, scores, float(one.df),
            np.full(labels.size, float(one.df)), one.coefficients[1:], averages=True,
        )  # fmt: skip


def _event_study(panel: Panel, p: TwoWayPanel, bounds: Bounds) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return event times and effects; none where they cannot be told apart."""
    try:
        found = event_study(p, window_of(panel, bounds))
    except TwoWayError:
        # Few starts, regularly spaced, without never-treated units; or fewer rows than event times.
        return np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros((p.n_clusters, 0))
    m = found.labels.size
    return found.labels, found.coefficients[:m], found.scores[:, :m]


@dataclass(frozen=True, slots=True)
class PoissonTwoWay:
    """Poisson regression with unit and period effects: the effect multiplies the outcome."""

    bounds: Bounds

    def fitted(self, panel: Panel) -> PathFit:
        """Return effects on the outcome's scale: the treated mean less what it would be without the factor."""
        counts = panel.outcome if panel.exposure is None else panel.outcome * panel.exposure
        on = panel.periods[None, :] >= panel.start[:, None]
        one = self._fit(panel, counts, None)
        mean, mean_scores = _treated_mean(panel, on, one.scores.shape[0])
        beta, scores = float(one.coefficients[0]), one.scores[:, 0]
        labels = self._labels(panel)
        study = self._fit(panel, counts, labels)
        m = labels.size
        means = [_treated_mean(panel, panel.periods[None, :] - panel.start[:, None] == e, one.scores.shape[0])
                 if e >= 0 else (mean, mean_scores) for e in labels.tolist()]  # fmt: skip
        level, level_scores = np.array([v for v, _ in means]), np.column_stack([s for _, s in means])
        path, path_scores = _scaled(study.coefficients[:m], study.scores[:, :m], level, level_scores)
        effect, effect_scores = _scaled(np.array([beta]), scores[:, None], np.array([mean]), mean_scores[:, None])
        df = float(one.df)
        return PathFit(
            float(effect[0]), effect_scores[:, 0], labels, path, path_scores, df, np.full(m, df),
            one.coefficients[1:], averages=True, log_ratio=beta, log_ratio_scores=scores,
        )  # fmt: skip

    def _labels(self, panel: Panel) -> IntArray:
        window = window_of(panel, self.bounds)
        times = np.unique(panel.periods[None, :] - cohorts_of(panel)[:, None])
        if self.bounds is not None:
            times = times[(times >= self.bounds[0]) & (times <= self.bounds[1])]
        return times[~np.isin(times, window.reference)]

    def _fit(self, panel: Panel, counts: FloatArray, events: IntArray | None) -> TwoWayPoisson:
        table, row = treatment_table(panel.start, panel.periods, events)
        if not panel.covariates.shape[2]:
            return poisson_two_way(counts, table, row, panel.exposure, panel.clusters, panel.weights)
        X = np.concatenate([table[row], panel.covariates], axis=2)
        return poisson_two_way(counts, X, None, panel.exposure, panel.clusters, panel.weights)


def _scaled(
    beta: FloatArray, scores: FloatArray, mean: FloatArray, mean_scores: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return mean (1 - exp(-beta)), and its scores."""
    without = np.exp(-beta)
    return mean * (1 - without), mean_scores * (1 - without) + scores * (mean * without)


def _treated_mean(panel: Panel, on: NDArray[np.bool_], rows: int) -> tuple[float, FloatArray]:
    """Return the mean outcome of treated observations (of counts, over exposure) and its scores by cluster."""
    used = on & np.isfinite(panel.outcome)
    w = np.ones(panel.outcome.shape) if panel.exposure is None else panel.exposure
    w = np.where(used, w, 0.0) * (1.0 if panel.weights is None else panel.weights[:, None])
    y = np.where(used, panel.outcome, 0.0)
    mean = float((w * y).sum() / w.sum())
    if rows != panel.n_clusters:
        return mean, np.zeros(rows)
    by_unit = (w * (y - mean)).sum(axis=1) / w.sum()
    return mean, np.bincount(panel.clusters, weights=by_unit, minlength=rows).astype(np.float64)


@dataclass(frozen=True, slots=True)
class TwoStages:
    """Gardner: what unit and period effects of untreated observations do not predict, averaged."""

    bounds: Bounds

    def fitted(self, panel: Panel) -> PathFit:
        """Return the effect and the path; errors have a normal reference and no small-sample factor (R did2s)."""
        p = two_way(panel)
        one, path = two_stage(p), two_stage(p, window_of(panel, self.bounds))
        inf = float("inf")
        return PathFit(
            float(one.coefficients[0]), one.scores[:, 0], path.labels, path.coefficients, path.scores, inf,
            np.full(path.labels.size, inf), np.zeros(0), averages=True,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class StackedCohorts:
    """Sub-experiments of one cohort each, stacked with the weights that give the aggregate effect."""

    bounds: Bounds
    comparison: Literal["never", "not-yet"]
    anticipation: int

    def fitted(self, panel: Panel) -> PathFit:
        """Return the average effect and the path; t with G - 1 degrees of freedom."""
        before, after = self._reach(panel)
        window = StackWindow(before, after, self.comparison, anticipation=self.anticipation)
        rest = panel.start, panel.periods, window, panel.clusters, panel.weights
        found, level = stacked(panel.outcome, *rest), stacked(with_program(panel), *rest)
        df = float(found.n_clusters - 1)
        return PathFit(
            found.overall, found.overall_scores, found.event_time, found.effects, found.scores, df,
            np.full(found.event_time.size, df), np.zeros(0), averages=False, level=level.overall,
            level_scores=level.overall_scores,
        )  # fmt: skip

    def _reach(self, panel: Panel) -> tuple[int, int]:
        """Return the widest window that every cohort has, where none was asked for."""
        if self.bounds is not None:
            return -self.bounds[0], self.bounds[1]
        starts, periods = cohorts_of(panel), panel.periods
        after = int(periods[-1] - starts.max())
        if self.comparison == "not-yet" and not (panel.start == NEVER).any():
            after = 0
        return max(1, int(starts.min() - periods[0]) - self.anticipation), after


@dataclass(frozen=True, slots=True)
class Projections:
    """Local projections: a regression of the long difference for each horizon."""

    bounds: Bounds
    comparison: Literal["never", "not-yet"]
    weighting: Literal["variance", "equal"]

    def fitted(self, panel: Panel) -> PathFit:
        """Return the effect on the mean of all horizons that every cohort has, and the path."""
        starts, periods = cohorts_of(panel), panel.periods
        before, after = int(starts.max() - periods[0]), int(periods[-1] - starts.min())
        pooled = max(0, int(periods[-1] - starts.max()))
        if self.bounds is not None:
            before, after = min(before, -self.bounds[0]), min(after, self.bounds[1])
        pooled = min(pooled, after)
        path = self._run(panel, before, after)
        whole = path if pooled == after else self._run(panel, before, pooled)
        if not np.isfinite(whole.pooled[0]):
            raise ProjectionError
        G = path.n_clusters.astype(np.float64)
        level = None if panel.covariates.shape[2] else self._run(panel, 0, pooled, with_program(panel))
        return PathFit(
            float(whole.pooled[0]), whole.pooled_scores[:, 0], path.horizon, path.effects, path.scores,
            float(G.max() - 1), G - 1, np.zeros(0), averages=False,
            level=None if level is None else float(level.pooled[0]),
            level_scores=None if level is None else level.pooled_scores[:, 0],
        )  # fmt: skip

    def _run(self, panel: Panel, before: int, after: int, outcome: FloatArray | None = None) -> Projection:
        horizons = Horizons(before, after, self.weighting, self.comparison)
        if panel.covariates.shape[2]:
            return adjusted_projection(
                panel.outcome, panel.start, panel.periods, panel.covariates, horizons, panel.clusters, panel.weights
            )
        y = panel.outcome if outcome is None else outcome
        return local_projection(y, panel.start, panel.periods, horizons, panel.clusters, panel.weights)


@dataclass(frozen=True, slots=True)
class Switchers:
    """Units whose treatment changes, beside units with the same treatment that has not changed."""

    bounds: Bounds

    def fitted(self, panel: Panel) -> PathFit:
        """Return the average effect per unit of treatment and the path; errors have a normal reference."""
        assert panel.treatment is not None
        placebos, effects = self._reach(panel.treatment)
        how = Switches(effects, placebos, variance="corrected")
        rest = panel.treatment, how, panel.clusters, panel.weights
        found = switching(panel.outcome, *rest)
        # Where some stop, the treated outcome is not that after the change.
        joined = bool((panel.treatment[panel.start != NEVER, 0] == 0).all())
        level = switching(with_program(panel), *rest) if joined else None
        inf = float("inf")
        return PathFit(
            found.average, found.average_scores, found.event_time, found.effects, found.scores, inf,
            np.full(found.event_time.size, inf), np.zeros(0), averages=False,
            level=None if level is None else level.average,
            level_scores=None if level is None else level.average_scores,
        )  # fmt: skip

    def _reach(self, treatment: FloatArray) -> tuple[int, int]:
        """Return how many placebos and effects the data allow, or were asked for."""
        if self.bounds is not None:
            return max(0, -self.bounds[0] - 1), self.bounds[1] + 1
        moved = treatment != treatment[:, :1]
        change = np.where(moved.any(axis=1), moved.argmax(axis=1), 0)
        first = change[change > 0]
        if first.size == 0:
            return 0, 1
        return max(0, int(first.max()) - 1), treatment.shape[1] - int(first.min())
