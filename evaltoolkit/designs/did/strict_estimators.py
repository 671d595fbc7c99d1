"""The estimators on units that stay in an engine: estimates from sums by start, errors from cross-products of all."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.cell_estimators import Estimated
from evaltoolkit.designs.did.moment_estimators import cells_of, path_of
from evaltoolkit.designs.did.options import Options
from evaltoolkit.designs.did.path_estimators import PathFit
from evaltoolkit.designs.did.strict_sample import InEngine
from evaltoolkit.reduction.influence import first_moments, influence_study
from evaltoolkit.reduction.linear_scores import linear_root, stand_in

FloatArray = NDArray[np.float64]


def cells_in(engine: InEngine, options: Options) -> Estimated:
    """Return effects by cohort and period.

    Raises
    ------
    ValueError
        As the kernel.
    OptionError
        There are more effects than the engine can take sums for.
    """
    spec = dataclasses.replace(engine.spec, rule=options.rule)
    if options.estimator == "callaway-santanna":
        return Estimated(influence_study(engine.source, engine.wide, spec))
    first = first_moments(engine.source, engine.wide, spec)
    found = cells_of(stand_in(first, spec), options)
    root = linear_root(engine.source, engine.wide, spec, first, lambda table: _cell_scores(cells_of(table, options)))
    cells, level, size, before = np.split(root, np.cumsum([part.shape[1] for part in _parts(found)])[:-1], axis=1)
    study = found.study
    return dataclasses.replace(
        found,
        study=dataclasses.replace(
            study, cells=dataclasses.replace(study.cells, scores=cells), level_scores=level,
            sizes=dataclasses.replace(study.sizes, by_cluster=size),
        ),
        before=None if found.before is None else dataclasses.replace(found.before, spread=before),
    )  # fmt: skip


def _parts(found: Estimated) -> list[FloatArray]:
    """Return the scores of an estimate: of effects, levels, sizes, and of the path before the start."""
    study = found.study
    none = np.zeros((study.cells.scores.shape[0], 0))
    before = none if found.before is None else found.before.spread
    return [study.cells.scores, study.level_scores, study.sizes.by_cluster, before]


def _cell_scores(found: Estimated) -> FloatArray:
    return np.hstack(_parts(found))


def path_in(engine: InEngine, options: Options) -> PathFit:
    """Return one effect and a path by event time.

    Raises
    ------
    ValueError, OptionError
        As ``cells_in``.
    """
    first = first_moments(engine.source, engine.wide, engine.spec)
    found = path_of(stand_in(first, engine.spec), options)
    root = linear_root(
        engine.source, engine.wide, engine.spec, first, lambda table: _path_scores(path_of(table, options))
    )
    level = found.level_scores is not None
    return dataclasses.replace(
        found, scores=root[:, 0], path_scores=root[:, 1 : root.shape[1] - level],
        level_scores=root[:, -1] if level else None,
    )  # fmt: skip


def _path_scores(found: PathFit) -> FloatArray:
    level = [] if found.level_scores is None else [found.level_scores[:, None]]
    path = found.path_scores if found.labels.size else np.zeros((found.scores.size, 0))
    return np.hstack([found.scores[:, None], path, *level])
