"""Group-time effects with continuous covariates from units that stay in an engine."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.data import EngineSource
from evaltoolkit.errors import OptionError
from evaltoolkit.kernels.aggregate import Sizes
from evaltoolkit.kernels.cell_models import Cell
from evaltoolkit.kernels.cell_scores import factor
from evaltoolkit.kernels.cell_terms import Model
from evaltoolkit.kernels.cohorts import cells, comparison_units
from evaltoolkit.kernels.group_time import GroupTime, Study
from evaltoolkit.reduction.engine_models import engine_models, influence_parts
from evaltoolkit.reduction.engine_rows import (
    EngineRows,
    FirstMoments,
    InfluenceSpec,
    engine_rows,
    first_moments,
    settled,
)
from evaltoolkit.reduction.engine_sums import products_of

__all__ = ["MOST_EFFECTS", "FirstMoments", "InfluenceSpec", "first_moments", "influence_study"]

FloatArray = NDArray[np.float64]

MOST_EFFECTS: Final = 100
"""Effects of cohorts in periods, at most: the engine takes a sum for each pair of them."""


def influence_study(source: EngineSource, wide: Any, spec: InfluenceSpec) -> Study:
    r"""Estimate what ``group_time_study`` does while units stay in the engine.

    It takes, one look at the rows for each: sums by start; sums of covariates' products and of their products with
    outcomes; a Newton step of all logits, several times; weighted means of comparison groups; and
    :math:`V = \sum_i \psi_i \psi_i'`, the cross-products of influence functions. With clusters it adds
    :math:`\psi_i` up by cluster first. Nothing by unit or by cluster leaves.

    Parameters
    ----------
    source
        Where queries are run.
    wide
        An Ibis table as ``InfluenceSpec`` says.
    spec
        What is estimated.

    Returns
    -------
    Study
        Rows of scores are neither units nor clusters, but have their cross-products, jointly with those of mean
        outcomes and sizes.

    Raises
    ------
    CellError
        A cell has no comparison units, its covariates are collinear among them, or they tell the cohort apart;
        its column counts the covariates from 1.
    DisclosureError
        Few units share a start.
    NoComparisonError
        There are no units.
    OptionError
        There are too many effects.

    References
    ----------
    Callaway, B. and Sant'Anna, P. (2021). Difference-in-differences with multiple time periods. Journal of
    Econometrics 225. doi:10.1016/j.jeconom.2020.12.001
    Sant'Anna, P. and Zhao, J. (2020). Doubly robust difference-in-differences estimators. Journal of Econometrics 219.
    doi:10.1016/j.jeconom.2020.06.003
    """
    with source.stored(settled(wide, spec), "one row for each unit") as kept:
        rows = engine_rows(source, kept, spec)
        every = cells(rows.starts, spec.periods, spec.rule)
        if len(every) > MOST_EFFECTS:
            raise _too_many(len(every), source.where)
        found = engine_models(source, kept, rows, spec, every)
        parts, width = influence_parts(rows, found, every, spec.periods)
        products = products_of(source, parts, width, clusters=spec.clusters)
    return _study(rows, found, every, spec, factor(products))


def _study(rows: EngineRows, found: list[Model], every: list[Cell], spec: InfluenceSpec, root: FloatArray) -> Study:
    K, periods = len(every), spec.periods
    att = np.zeros(K)
    for model in found:
        att[model.cells] = model.att
    cohort, period, base = (np.array([cell[i] for cell in every], dtype=np.int64) for i in range(3))
    own, to = np.searchsorted(rows.starts, cohort), np.searchsorted(periods, period)
    compared = [rows.units[comparison_units(rows.starts, periods, spec.rule, cell)].sum() for cell in every]
    table = GroupTime(
        cohort, period, base, att, root[:, :K], rows.units[own], np.array(compared, dtype=np.int64)
    )  # fmt: skip
    inside = rows.starts <= periods[-1]
    sizes = Sizes(rows.starts[inside], rows.mass[inside], root[:, 2 * K :])
    shift = np.zeros(periods.size) if spec.shift is None else spec.shift
    levels = rows.cross[own, 0, to] / rows.mass[own] + (rows.centre + shift)[to]
    return Study(table, sizes, levels, root[:, K : 2 * K])


def _too_many(n: int, where: str) -> OptionError:
    return OptionError(
        f"there are {n} effects of cohorts in periods, and the engine would take a sum for each pair of them",
        expected=f"at most {MOST_EFFECTS} where covariates are continuous or the release is strict",
        todo='coarsen the covariates to few values and use release = "moments", use fewer periods, or join starts',
        where=where,
    )  # fmt: skip
