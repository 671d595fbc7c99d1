"""Reading a figure's tidy table: numbers, texts, and what is not shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from evaltoolkit.plots.lettering import one_line
from evaltoolkit.results import FigureData
from evaltoolkit.results.numbers import digits_for
from evaltoolkit.results.types import Cell

LARGEST = 1e200
"""Numbers beyond this have no place on an axis that floating point can divide; they are treated as missing."""


class Tidy:
    """A figure's rows by column key. A column that is left out reads as missing."""

    def __init__(self, figure: FigureData, rows: Sequence[tuple[Cell, ...]] | None = None) -> None:
        self.figure = figure
        self.rows = tuple(figure.rows if rows is None else rows)
        self._index = {column.key: j for j, column in enumerate(figure.columns)}

    def __len__(self) -> int:
        return len(self.rows)

    def has(self, key: str) -> bool:
        """Return whether the figure has the column."""
        return key in self._index

    def cells(self, key: str) -> list[Cell]:
        """Return the cells of a column."""
        if key not in self._index:
            return [None] * len(self.rows)
        return [row[self._index[key]] for row in self.rows]

    def numbers(self, key: str) -> list[float]:
        """Return a column as numbers, NaN where missing."""
        return [_number(cell) for cell in self.cells(key)]

    def texts(self, key: str) -> list[str]:
        """Return a column as one-line texts."""
        return ["" if cell is None else one_line(str(cell)) for cell in self.cells(key)]

    def mark(self, key: str, default: str = "") -> str:
        """Return a mark as text."""
        value = self.figure.marks.get(key)
        return default if value is None else one_line(str(value))

    def mark_number(self, key: str, default: float = math.nan) -> float:
        """Return a mark as a number."""
        value = self.figure.marks.get(key)
        return default if value is None else _number(value)

    def mark_places(self, key: str) -> list[tuple[float, str]]:
        """Return a mark that lists places ({"x", "label"}), those with a place on the axis, in order."""
        raw: Any = self.figure.marks.get(key) or ()
        found = [(_number(item.get("x")), one_line(str(item.get("label", "")))) for item in raw]
        return sorted((x, label) for x, label in found if math.isfinite(x))

    def split(self, key: str) -> list[tuple[str, Tidy]]:
        """Return the rows by the values of a text column, in order of appearance."""
        labels = self.texts(key)
        return [
            (name, Tidy(self.figure, [row for row, label in zip(self.rows, labels, strict=True) if label == name]))
            for name in dict.fromkeys(labels)
        ]

    def where(self, keep: Callable[[int], bool]) -> Tidy:
        """Return the rows whose number is kept."""
        return Tidy(self.figure, [row for i, row in enumerate(self.rows) if keep(i)])


def _number(cell: Any) -> float:
    if cell is None or isinstance(cell, str):
        return math.nan
    value = float(cell)
    return value if math.isfinite(value) and abs(value) < LARGEST else math.nan


def finite(*columns: Sequence[float]) -> list[float]:
    """Return the finite numbers of the columns."""
    return [v for column in columns for v in column if math.isfinite(v)]


def decimals(estimate: float | None, low: float | None, high: float | None) -> int:
    """Return the decimals that show an estimate and the width of its interval to about two digits.

    >>> decimals(0.95, 0.78, 1.13), decimals(7.1, -3.2, 17.4), decimals(0.0001, -0.4, 0.4)
    (2, 1, 2)
    """
    known = [v for v in (estimate, low, high) if v is not None and math.isfinite(v)]
    span = abs(high - low) if low is not None and high is not None and len(known) == 3 else None
    if not span or estimate is None:
        return digits_for(*known)
    return max(digits_for(estimate) if abs(estimate) >= 0.2 * span else 0, digits_for(span))
