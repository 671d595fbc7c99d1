"""A panel in memory as the sums that an agency would hand on."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.data import Source, detect, is_text, numeric_column, require_column
from evaltoolkit.designs.did.long_rows import long_rows
from evaltoolkit.designs.did.moment_sample import grouped, plan_of, shift_of, stated
from evaltoolkit.designs.did.options import Options
from evaltoolkit.designs.did.scope import nothing_left
from evaltoolkit.errors import TreatmentTimingError
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.reduction.by_numpy import Frame, LongArrays, NothingKeptError, VaryingError, frame_moments
from evaltoolkit.reduction.moments import PanelMoments, Values, ascending
from evaltoolkit.study import Study

IntArray = NDArray[np.int64]


def sums_of_rows(study: Study, options: Options, source: Source) -> PanelMoments:
    """Reduce rows that may be read.

    Raises
    ------
    EvaluationError
        The data have to change, or do not go with the plan.
    """
    rows = source.rows(study)
    frame, plan = rows.frame, plan_of(study, options)
    time = require_column(frame, options.time, role="time", where=study.place("time"))
    calendar = detect(time, where=study.place("time"), column=options.time)
    values, cell = _combinations(frame, study, options)
    long = long_rows(frame, study, options, calendar, np.zeros((len(frame), 0)))
    named = grouped(plan.periods, calendar, study.place("moments", "periods"))
    stated("time", set(long.step.tolist()), set(named), study.place("moments", "periods"))
    begun = grouped(plan.starts, calendar, study.place("moments", "starts"))
    stated("start", set(long.start.tolist()) - {int(NEVER)}, set(begun), study.place("moments", "starts"))
    periods = np.array(sorted(named), dtype=np.int64) if named else np.unique(long.step)
    clusters: tuple[str, ...] = ()
    if plan.cluster is not None:
        # Codes of clusters follow the order of their names.
        names = np.sort(np.unique(frame[plan.cluster].astype(str)))
        clusters = tuple(str(name) for name in names)
        long_cluster: IntArray | None = np.searchsorted(names, frame[plan.cluster].astype(str)).astype(np.int64)
    else:
        long_cluster = None
    arrays = LongArrays(
        long.unit, np.searchsorted(periods, long.step).astype(np.int64), long.start, long.outcome,
        long.counts, cell, long_cluster, long.weights,
    )  # fmt: skip
    levels = pd.DataFrame({"time": long.step, "y": np.where(cell >= 0, long.outcome, np.nan)}).groupby("time")["y"]
    level = levels.agg(level="mean", spread=lambda y: y.std(ddof=0)).reset_index()
    shift = shift_of(plan, level, tuple((int(t),) for t in periods), study)
    try:
        return frame_moments(arrays, Frame(plan, calendar, periods, values, clusters, shift, rows.n_read))
    except NothingKeptError as error:
        raise nothing_left(error.early, periods.size, study, options) from None
    except VaryingError as error:
        raise TreatmentTimingError(
            f"covariates change within {error.units:,} units", expected="one value for each unit, in every row of it",
            todo="write the same value into all rows of a unit, such as that before the program",
            where=study.place("covariates"),
        ) from None  # fmt: skip


def _combinations(frame: pd.DataFrame, study: Study, options: Options) -> tuple[tuple[Values, ...], IntArray]:
    """Return the different combinations of the covariates' values, ascending, and the place of each row's."""
    if not options.covariates:
        return ((),), np.zeros(len(frame), dtype=np.int64)
    columns = []
    for i, name in enumerate(options.covariates):
        where = study.place("covariates", i)
        values = require_column(frame, name, role="covariate", where=where)
        cuts = study.moments.grid.get(name)
        if cuts is not None or not is_text(values):
            numbers = numeric_column(frame, name, role="covariate", where=where)
            if cuts is not None:
                numbers = np.where(np.isfinite(numbers), np.searchsorted(cuts, numbers, side="right"), np.nan)
            columns.append(numbers.astype(object))
        else:
            columns.append(values.astype("string").str.strip().to_numpy(dtype=object, na_value=np.nan))
    table = pd.DataFrame(dict(enumerate(columns)))
    missing = table.isna().any(axis=1).to_numpy()
    rows = [tuple(row) for row in table[~missing].drop_duplicates().itertuples(index=False)]
    found = tuple(sorted(rows, key=ascending))
    place = {row: i for i, row in enumerate(found)}
    code = np.full(len(frame), -1, dtype=np.int64)
    code[~missing] = [place[tuple(row)] for row in table[~missing].itertuples(index=False)]
    return found, code


def unit_names(study: Study, options: Options, source: Source) -> list[str]:
    """Return the names of the units, once each."""
    assert options.unit is not None
    return [str(name) for name in source.rows(study).frame[options.unit].dropna().unique()]
