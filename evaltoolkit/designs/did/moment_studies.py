"""Studies on a moment table: effects with the way their uncertainty is measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.cell_estimators import Estimated
from evaltoolkit.designs.did.cell_study import Deleted
from evaltoolkit.designs.did.estimators import deleted_study, path_estimator, steady_estimator
from evaltoolkit.designs.did.inference import Choice
from evaltoolkit.designs.did.moment_deleted import deleted_units, unit_deletions
from evaltoolkit.designs.did.moment_estimators import Moments, path_of
from evaltoolkit.designs.did.options import Options
from evaltoolkit.designs.did.path_estimators import PathFit
from evaltoolkit.designs.did.path_study import PathStudy, deleted_paths, families, left_means, of_parts, ratio_of
from evaltoolkit.kernels.cohorts import Rule
from evaltoolkit.kernels.moment_clusters import ClusterMoments
from evaltoolkit.reduction import Panel

IntArray = NDArray[np.int64]


def panel_of(moments: ClusterMoments) -> Panel:
    """Return a panel of the means of each pair of a cluster and a cell, with the weight of its units.

    Estimates without a cluster need sums alone, so that they are what the units would give; errors by cluster are so
    only where no number of rows enters. A pair of several units is two rows of half the weight: a model that has rows
    to spare with units has some here.
    """
    there = np.repeat(np.flatnonzero(moments.units > 0), np.minimum(moments.units[moments.units > 0], 2))
    several = np.minimum(moments.units[there], 2)
    cell = moments.cell[there]
    outcome = moments.m[there] / moments.n[there][:, None] + moments.shift
    if moments.there is not None:
        outcome[~moments.there[cell]] = np.nan
    steady = moments.design[cell][:, None, 1:]
    return Panel(
        outcome=outcome,
        start=moments.starts[moments.cohort[cell]],
        periods=moments.periods,
        covariates=np.broadcast_to(steady, (*outcome.shape, steady.shape[2])),
        clusters=np.unique(moments.cluster[there], return_inverse=True)[1].astype(np.int64),
        counts=None,
        weights=moments.n[there] / several,
        units=np.arange(there.size),
    )


def deleted_of(moments: Moments, options: Options, of: Estimated, rule: Rule | None = None) -> Deleted:
    """Return what is found without each cluster, or what stands for that where units are the clusters.

    Parameters
    ----------
    moments
        The table; where units are the clusters, one for which ``leaves_units_out``.
    options
        What was asked for.
    of
        The estimates from all clusters.
    rule
        Another rule for the cells; None for the one of the options.
    """
    estimator = steady_estimator(options, rule or options.rule)
    assert estimator is not None
    if not isinstance(moments, ClusterMoments):
        return deleted_units(moments, estimator, of)
    panel = panel_of(moments)
    return deleted_study(panel, estimator.deleted(panel), of)


def path_study_of(moments: Moments, options: Options, choice: Choice) -> PathStudy:
    """Estimate one effect and a path from a moment table: ``path_study.path_study`` without rows.

    Parameters
    ----------
    moments, options
        The table, and what was asked for.
    choice
        From ``moment_inference.choice_of``.

    Raises
    ------
    OptionError
        The estimator needs rows.
    ValueError
        As the kernel.
    """
    fit = path_of(moments, options)
    if choice.way != "jackknife":
        return analytic_path(fit)
    estimator = path_estimator(options)
    if isinstance(moments, ClusterMoments):
        panel, how = panel_of(moments), None
        effect, events, _ = deleted_paths(panel, estimator, fit, choice)
        levels = left_means(panel)
    else:
        cases = unit_deletions(moments)
        effect, events, _ = of_parts(cases.panels(), estimator, fit, choice, cases.by)
        levels, how = cases.treated_means(), cases.by
    assert fit.level is not None
    ratio = ratio_of(effect, fit.level, fit.level_scores, levels, how)
    return PathStudy(effect, events, ratio, fit.covariate_effects)


def analytic_path(fit: PathFit) -> PathStudy:
    """Return one effect and a path with analytic errors; the treated mean stands in the same rows of scores."""
    effect, events = families(fit)
    assert fit.level is not None
    return PathStudy(effect, events, ratio_of(effect, fit.level, fit.level_scores, None), fit.covariate_effects)
