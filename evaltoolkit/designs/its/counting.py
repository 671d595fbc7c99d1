"""Rows that are people or events, counted by unit and period."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaltoolkit.designs.its.periods import FloatArray, IntArray, Periods
from evaltoolkit.errors import ColumnTypeError
from evaltoolkit.results import FlowStep
from evaltoolkit.study import Study


@dataclass(frozen=True, slots=True)
class Counted:
    """One row for each unit and period, n rows.

    Attributes
    ----------
    steps, units
        Period and unit, shape (n,).
    values
        Sum or mean of the values, shape (n,).
    people
        Number of rows behind each, shape (n,).
    columns
        What is the same for all rows of a unit and period, each of shape (n,).
    zeros
        Rows that were completed with a sum of zero.
    """

    steps: IntArray
    units: IntArray
    values: FloatArray
    people: FloatArray
    columns: Mapping[str, FloatArray]
    zeros: int


def count_events(
    steps: IntArray, units: IntArray, values: FloatArray, within: Mapping[str, FloatArray], *,
    window: tuple[int, int] | None, n_units: int,
) -> Counted:  # fmt: skip
    """Sum values by unit and period over a window, or average them where there is none.

    A file of events lists what happened, so a period of the window without a row has a sum of zero. A mean over no row
    does not exist and is left out. Other columns are the same in all rows of a unit and period (``refuse_varying``); in
    a period without a row they are known only where they never vary.

    Examples
    --------
    >>> made = count_events(np.array([1, 1, 3]), np.zeros(3, int), np.ones(3), {}, window=(1, 4), n_units=1)
    >>> made.values.tolist(), made.zeros
    ([2.0, 0.0, 1.0, 0.0], 2)
    """
    known = ~np.isnan(values)
    frame = pd.DataFrame({"unit": units, "step": steps, "value": values, **within})[known]
    grouped = frame.groupby(["unit", "step"], sort=True)
    table = grouped["value"].agg(["sum" if window is not None else "mean", "size"])
    table.columns = pd.Index(["value", "people"])
    for name in within:
        table[name] = grouped[name].min()
    return completed(table, tuple(within), window=window, n_units=n_units)


def completed(
    table: pd.DataFrame, within: tuple[str, ...], *, window: tuple[int, int] | None, n_units: int
) -> Counted:  # fmt: skip
    """Complete the calendar of a table by unit and step with ``value``, ``people`` and the columns of ``within``."""
    zeros = 0
    if window is not None:
        every = pd.MultiIndex.from_product([range(n_units), range(window[0], window[1] + 1)], names=["unit", "step"])
        table = table.reindex(every)
        empty = table["people"].isna().to_numpy()
        zeros = int(empty.sum())
        table[["value", "people"]] = table[["value", "people"]].fillna(0.0)
        for name in within:
            _carry_constants(table, name)
    index = table.index
    return Counted(
        steps=index.get_level_values("step").to_numpy(dtype=np.int64),
        units=index.get_level_values("unit").to_numpy(dtype=np.int64),
        values=table["value"].to_numpy(dtype=np.float64), people=table["people"].to_numpy(dtype=np.float64),
        columns={name: table[name].to_numpy(dtype=np.float64) for name in within}, zeros=zeros,
    )  # fmt: skip


def with_counts(table: Periods, made: Counted, lost: int, n_rows: int, study: Study) -> Periods:
    """Return what was counted in place of rows, ``lost`` of ``n_rows`` having had no value, with the flow to it."""
    noun, rows = table.calendar.noun, study.data.rows
    steps = list(table.flow)
    if lost:
        steps.append(FlowStep(label="With a value", n=n_rows - lost, unit=rows, excluded=lost, people=True,
                              reason="no value was recorded"))  # fmt: skip
    zero = (
        f"; {made.zeros:,} without any {'event' if rows == 'events' else 'person'} count as zero" if made.zeros else ""
    )
    steps.append(FlowStep(label=f"Counted by {noun}{zero}", n=made.steps.size, unit=f"{noun}s"))
    exposure = None if study.outcome.population is None else made.columns[study.outcome.population]
    return dataclasses.replace(
        table, steps=made.steps, values=made.values, units=made.units, exposure=exposure, people=made.people,
        columns={name: made.columns[name] for name in table.columns}, zeros=made.zeros, flow=tuple(steps),
    )  # fmt: skip


def refuse_varying(units: IntArray, steps: IntArray, within: Mapping[str, FloatArray], noun: str, where: str) -> None:
    """Refuse a column that differs between rows of the same unit and period.

    Raises
    ------
    ColumnTypeError
        With the number of periods where it does.
    """
    grouped = pd.DataFrame({"unit": units, "step": steps, **within}).groupby(["unit", "step"])
    for name in within:
        varies = int((grouped[name].max() > grouped[name].min()).sum())
        if varies:
            raise varying(name, varies, noun, where)


def varying(name: str, n: int, noun: str, where: str) -> ColumnTypeError:
    """Build the message for a column that differs between rows of n periods."""
    return ColumnTypeError(
        f"'{name}' differs between rows of the same {noun} ({n:,} in all)", expected=f"one value for each {noun}",
        todo="give every row of a period the same value", where=where,
    )  # fmt: skip


def _carry_constants(table: pd.DataFrame, name: str) -> None:
    """Give periods without a row the value of their unit where it is the same in every other period."""
    by_unit = table.groupby(level="unit")[name]
    low, high = by_unit.transform("min"), by_unit.transform("max")
    table[name] = table[name].where(table[name].notna() | (low != high), low)
