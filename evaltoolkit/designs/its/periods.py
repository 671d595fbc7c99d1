"""One row for each period: what reading hands on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.data import Calendar, rows_text
from evaltoolkit.errors import ColumnTypeError
from evaltoolkit.results import FlowStep

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Periods:
    """One row for each period (and unit), n rows in no particular order.

    Attributes
    ----------
    steps
        Shape (n,).
    values
        Missing where none was recorded, shape (n,).
    exposure
        Shape (n,); None without a population.
    columns
        Covariates and control columns by name, each of shape (n,).
    units
        Place of each row's unit in ``names``, shape (n,); zeros without a unit column.
    names
        Names of the units.
    people
        Number of rows behind each value where rows are people or events, shape (n,).
    partial, suspected
        Labels of periods left out as recorded in part, and of those that seem so.
    zeros
        Periods without a row that count as zero.
    placebos
        Outcomes that the program cannot have changed, by name, missing where none was recorded, each of shape (n,).
    flow
        From the data to these rows.
    frame
        The rows as they came; where they stay in an engine, one for each unit and period.
    """

    calendar: Calendar
    steps: IntArray
    values: FloatArray
    exposure: FloatArray | None
    columns: Mapping[str, FloatArray]
    units: IntArray
    names: tuple[str, ...]
    people: FloatArray | None
    flow: tuple[FlowStep, ...]
    frame: pd.DataFrame
    partial: tuple[str, ...] = ()
    suspected: tuple[str, ...] = ()
    zeros: int = 0
    placebos: Mapping[str, FloatArray] = field(default_factory=dict)

    def where(self, kept: Mask | IntArray | slice) -> Periods:
        """Return some of the rows."""
        return dataclasses.replace(
            self, steps=self.steps[kept], values=self.values[kept], units=self.units[kept],
            exposure=None if self.exposure is None else self.exposure[kept],
            people=None if self.people is None else self.people[kept],
            columns={name: column[kept] for name, column in self.columns.items()},
            placebos={name: column[kept] for name, column in self.placebos.items()},
        )  # fmt: skip

    @property
    def known(self) -> Mask:
        """Rows with a value, a population where there is one, and every column."""
        known = ~np.isnan(self.values)
        for column in (*([] if self.exposure is None else [self.exposure]), *self.columns.values()):
            known &= ~np.isnan(column)
        return np.asarray(known)


def positive(exposure: FloatArray, column: str, where: str) -> FloatArray:
    """Return populations, all above zero or missing.

    Raises
    ------
    ColumnTypeError
        With the number of rows where one is not.
    """
    wrong = exposure <= 0
    if wrong.any():
        raise ColumnTypeError(
            f"the population column '{column}' is zero or negative in {rows_text(wrong)}",
            expected="numbers above zero", todo="correct these rows", where=where,
        )  # fmt: skip
    return exposure
