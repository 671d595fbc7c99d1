"""The estimators on a moment table: what rows would give, without the rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.cell_estimators import Estimated
from evaltoolkit.designs.did.family import Family
from evaltoolkit.designs.did.options import Options
from evaltoolkit.designs.did.path_estimators import Bounds, PathFit, window_among
from evaltoolkit.errors import OptionError
from evaltoolkit.kernels.aggregate import Sizes
from evaltoolkit.kernels.cohort_moments import CohortMoments
from evaltoolkit.kernels.cohorts import CellError, Rule
from evaltoolkit.kernels.group_time import GroupTime, Study
from evaltoolkit.kernels.moment_cells import MomentsError
from evaltoolkit.kernels.moment_clusters import ClusterMoments
from evaltoolkit.kernels.moment_effects import moment_group_time
from evaltoolkit.kernels.moment_extended import moment_extended
from evaltoolkit.kernels.moment_points import average_outcomes, by_start, group_sums
from evaltoolkit.kernels.moment_pooled import PRODUCT, moment_pooled
from evaltoolkit.kernels.moment_two_way import (
    moment_event_study,
    moment_imputation,
    moment_interaction_weighted,
    moment_pre_trends,
    moment_static,
    moment_two_stage,
)
from evaltoolkit.kernels.two_way import Window
from evaltoolkit.kernels.two_way_cells import CellEffects
from evaltoolkit.kernels.two_way_panel import TwoWayError
from evaltoolkit.study import Study as Evaluation

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Moments = CohortMoments | ClusterMoments

ON_MOMENTS = (
    "callaway-santanna", "two-by-two", "twfe", "sun-abraham", "imputation", "two-stage", "etwfe",
)  # fmt: skip
"""Estimators that need no rows."""
ADJUSTED = ("callaway-santanna", "two-by-two")
"""Those that take covariates."""


def check_moments(options: Options, study: Evaluation | None = None) -> None:
    """Find out whether what was asked for can be estimated from a moment table.

    Raises
    ------
    OptionError
        It needs rows.
    """
    name = options.estimator
    reasons = {
        "estimator": name not in ON_MOMENTS,
        "panel": not options.panel,
        "family": options.family != "linear",
        "period_effects": options.period_effects is not None,
        "covariates": bool(options.covariates) and name not in ADJUSTED,
    }
    key = next((k for k, reason in reasons.items() if reason), None)
    if key is None:
        return
    said = {
        "panel": "panel = false (repeated cross-sections)", "family": f"family = '{options.family}'",
        "period_effects": "period_effects", "covariates": f"covariates with estimator = '{name}'",
    }.get(key, f"estimator = '{name}'")  # fmt: skip
    some = ", ".join(f"'{e}'" for e in (ADJUSTED if key == "covariates" else ON_MOMENTS))
    raise OptionError(
        f"{said} needs the rows, and release = 'moments' keeps them where they are",
        expected=f"estimator = one of {some}, on a panel, with family = 'linear'"
        + (" and without period_effects" if key == "period_effects" else ""),
        todo="change this, or let the rows come with release = \"open\"",
        where="" if study is None else study.place(key),
    )  # fmt: skip


def _check_holes(moments: Moments, options: Options) -> None:
    if options.estimator == "callaway-santanna" or moments.there is None or moments.there.all():
        return
    raise OptionError(
        f"estimator = '{options.estimator}' needs the rows where units lack some period",
        expected="units observed in every period, or estimator = 'callaway-santanna'",
        todo="use incomplete = 'drop', or let the rows come with release = \"open\"",
    )


def cells_of(moments: Moments, options: Options, rule: Rule | None = None) -> Estimated:
    """Estimate effects by cohort and period from a moment table.

    Rows of all scores stand side by side: clusters in the order of the labels, with ``ClusterMoments``; otherwise rows
    that have the cross-products of units.

    Parameters
    ----------
    moments
        The table.
    options
        What was asked for.
    rule
        Another rule for the cells; None for the one of the options.

    Raises
    ------
    OptionError
        The estimator needs rows.
    ValueError
        As the kernel.
    """
    check_moments(options)
    _check_holes(moments, options)
    by = rule or options.rule
    todo: dict[str, Callable[[], Estimated]] = {
        "callaway-santanna": lambda: Estimated(moment_group_time(moments, by)),
        "sun-abraham": lambda: _interaction_weighted(moments),
        "imputation": lambda: _imputation(moments),
        "etwfe": lambda: _extended(moments, by),
    }
    return todo[options.estimator]()


def _interaction_weighted(moments: Moments) -> Estimated:
    found = moment_interaction_weighted(moments)
    return Estimated(_study_of(moments, found), found.weight, float(found.df))


def _imputation(moments: Moments) -> Estimated:
    try:
        found = moment_imputation(moments)
    except MomentsError:
        raise OptionError(
            "estimator = 'imputation' with weights and clusters above the unit needs sums of squared weights",
            expected="a table that has them, or no weights",
            todo="leave weights or cluster out, use another estimator, or release = \"open\"",
        ) from None  # fmt: skip
    return Estimated(_study_of(moments, found), found.weight, before=_before(moments))


def _before(moments: Moments) -> Family | None:
    """Return the path before the start, from untreated observations only; None where there is none."""
    try:
        found = moment_pre_trends(moments)
    except TwoWayError:
        return None
    return Family(found.labels, found.coefficients, found.scores, np.full(found.labels.size, float(found.df)))


def _study_of(moments: Moments, found: CellEffects) -> Study:
    """Return cells with cohort sizes and mean outcomes of the treated."""
    table = GroupTime(
        found.cohort, found.period, found.cohort - 1, found.att, found.scores, found.n, _after(moments, found.period)
    )  # fmt: skip
    group, starts = by_start(moments, int(moments.periods[-1]))
    which = np.zeros((starts.size, moments.periods.size, found.att.size))
    place = np.searchsorted(starts, found.cohort), np.searchsorted(moments.periods, found.period)
    which[(*place, np.arange(found.att.size))] = 1
    levels, scores = average_outcomes(moments, group, which)
    return Study(table, _sizes(moments, found.scores.shape[0]), levels, scores)


def _extended(moments: Moments, rule: Rule) -> Estimated:
    found = moment_extended(moments, rule)
    kept = found.estimated
    if not kept.any():
        raise CellError("empty", int(found.cohort[0]) if found.cohort.size else 0)
    cohort, period = found.cohort[kept], found.period[kept]
    table = GroupTime(
        cohort, period, cohort - 1 - rule.anticipation, found.att[kept], found.scores[:, kept],
        found.n_treated[kept], _after(moments, period + rule.anticipation),
    )  # fmt: skip
    sizes = _sizes(moments, found.scores.shape[0])
    study = Study(table, sizes, found.levels[kept], found.level_scores[:, kept])
    return Estimated(study, found.weight[kept], float(found.n_clusters - 1))


def _starts(moments: Moments) -> tuple[IntArray, IntArray]:
    """Return the different starts of units, ascending, and the number of units of each."""
    units = group_sums(moments, moments.cohort, moments.starts.size).units
    return moments.starts[units > 0], units[units > 0]


def _after(moments: Moments, period: IntArray) -> IntArray:
    """Return the number of units that start after each period."""
    starts, units = _starts(moments)
    return np.array([units[starts > t].sum() for t in period], dtype=np.int64)


def _sizes(moments: Moments, rows: int) -> Sizes:
    """Return units by cohort; nothing by cluster, as cells have known weights."""
    starts, units = _starts(moments)
    treated = starts <= moments.periods[-1]
    return Sizes(starts[treated], units[treated].astype(np.float64), np.zeros((rows, int(treated.sum()))))


def path_of(moments: Moments, options: Options) -> PathFit:
    """Estimate one effect and a path by event time from a moment table.

    The mean outcome of the treated stands in the same rows of scores as the effect.

    Parameters
    ----------
    moments, options
        As in ``cells_of``.

    Raises
    ------
    OptionError
        The estimator needs rows.
    ValueError
        As the kernel.
    """
    check_moments(options)
    _check_holes(moments, options)
    todo = {"twfe": _two_way, "two-stage": _two_stages, "two-by-two": _two_by_two}
    return todo[options.estimator](moments, options.event_window)


def _two_way(moments: Moments, bounds: Bounds) -> PathFit:
    one = moment_static(moments)
    labels, path, scores = _event_study(moments, bounds)
    df = float(one.df)
    level, level_scores = _treated_mean(moments)
    return PathFit(
        float(one.coefficients[0]), one.scores[:, 0], labels, path, scores, df, np.full(labels.size, df), np.zeros(0),
        averages=True, level=level, level_scores=level_scores,
    )  # fmt: skip


def _event_study(moments: Moments, bounds: Bounds) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return event times and effects; none where they cannot be told apart."""
    try:
        found = moment_event_study(moments, _window(moments, bounds))
    except TwoWayError:
        return np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros((0, 0))
    return found.labels, found.coefficients, found.scores


def _window(moments: Moments, bounds: Bounds) -> Window:
    return window_among(_starts(moments)[0], moments.periods, bounds)


def _two_stages(moments: Moments, bounds: Bounds) -> PathFit:
    one, path = moment_two_stage(moments), moment_two_stage(moments, _window(moments, bounds))
    level, level_scores = _treated_mean(moments)
    inf = float("inf")
    return PathFit(
        float(one.coefficients[0]), one.scores[:, 0], path.labels, path.coefficients, path.scores, inf,
        np.full(path.labels.size, inf), np.zeros(0), averages=True, level=level, level_scores=level_scores,
    )  # fmt: skip


def _two_by_two(moments: Moments, bounds: Bounds) -> PathFit:
    assert bounds is None
    found = moment_pooled(moments)
    labels, path, scores = _event_study(moments, None)
    df = float(found.df)
    return PathFit(
        float(found.coefficients[PRODUCT]), found.scores[:, PRODUCT], labels, path, scores, df,
        np.full(labels.size, df), found.coefficients[PRODUCT + 1 :], averages=True, level=found.level,
        level_scores=found.level_scores,
    )  # fmt: skip


def _treated_mean(moments: Moments) -> tuple[float, FloatArray]:
    """Return the mean outcome of treated observations, and its scores."""
    group, starts = by_start(moments, int(moments.periods[-1]))
    on = (moments.periods[None, :] >= starts[:, None])[:, :, None].astype(np.float64)
    level, scores = average_outcomes(moments, group, on)
    return float(level[0]), scores[:, 0]
