"""Rows that are people or events, counted by unit and period."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.errors import ColumnTypeError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


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
            raise ColumnTypeError(
                f"'{name}' differs between rows of the same {noun} ({varies:,} in all)",
                expected=f"one value for each {noun}", todo="give every row of a period the same value", where=where,
            )  # fmt: skip


def _carry_constants(table: pd.DataFrame, name: str) -> None:
    """Give periods without a row the value of their unit where it is the same in every other period."""
    by_unit = table.groupby(level="unit")[name]
    low, high = by_unit.transform("min"), by_unit.transform("max")
    table[name] = table[name].where(table[name].notna() | (low != high), low)
