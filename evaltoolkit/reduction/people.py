"""People whom an engine holds: sums over them, written in Ibis, and nothing else, leave.

Every sum is one aggregate of one scan; queries hold at most 400 of them. Expressions use arithmetic, CASE, windows and
joins only, so that the same ones run on DuckDB, Polars, Spark and PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.data.engines import EngineSource

FloatArray = NDArray[np.float64]

MOST_SUMS: Final = 400
"""Aggregates in one query, at most."""


@dataclass(frozen=True, slots=True)
class HeldPeople:
    """n people in a table of an engine, with k standardized covariates of models.

    Attributes
    ----------
    source
        The engine.
    table
        Ibis expression with ``t`` (1 for the treated, else 0), ``y``, ``z0`` (ones) to ``z<k>``, and what was added.
    center, spread
        ``z<j>`` is covariate j less its center, over its spread; shape (k,).
    n
        Rows.
    """

    source: EngineSource
    table: Any
    center: FloatArray
    spread: FloatArray
    n: int

    @property
    def k(self) -> int:
        """Covariates, the intercept not counted."""
        return int(self.center.size)

    def __getitem__(self, name: str) -> Any:
        """Return a column."""
        return self.table[name]

    def adding(self, columns: Mapping[str, Any]) -> HeldPeople:
        """Return the same people with further columns, which are computed once in each scan."""
        return replace(self, table=self.table.mutate(**columns))

    def line(self, b: FloatArray) -> Any:
        """Return b'z of each person."""
        found = self["z0"] * float(b[0])
        for j in range(1, self.k + 1):
            if b[j] != 0:
                found = found + self[f"z{j}"] * float(b[j])
        return found

    def form(self, matrix: FloatArray) -> Any:
        """Return z'Mz of each person, for a symmetric M."""
        found: Any = self["z0"] * float(matrix[0, 0])
        for i in range(self.k + 1):
            for j in range(i, self.k + 1):
                if (i, j) != (0, 0):
                    twice = 1.0 if i == j else 2.0
                    found = found + self[f"z{i}"] * self[f"z{j}"] * float(twice * matrix[i, j])
        return found

    def total(self, key: str, a: Any) -> dict[str, Any]:
        """Return the sums of a z, to be asked for under ``key``."""
        return {f"{key}_{i}": (a * self[f"z{i}"]).sum() for i in range(self.k + 1)}

    def gram(self, key: str, c: Any) -> dict[str, Any]:
        """Return the sums of c z z', to be asked for under ``key``."""
        return {
            f"{key}_{i}_{j}": (c * self[f"z{i}"] * self[f"z{j}"]).sum()
            for i in range(self.k + 1) for j in range(i, self.k + 1)
        }  # fmt: skip

    def vector(self, found: Mapping[str, float], key: str) -> FloatArray:
        """Return what ``total`` asked for, shape (k + 1,)."""
        return np.array([found[f"{key}_{i}"] for i in range(self.k + 1)])

    def matrix(self, found: Mapping[str, float], key: str) -> FloatArray:
        """Return what ``gram`` asked for, shape (k + 1, k + 1)."""
        size = self.k + 1
        return np.array([[found[f"{key}_{min(i, j)}_{max(i, j)}"] for j in range(size)] for i in range(size)])

    def sums(self, asked: Mapping[str, Any], what: str) -> dict[str, float]:
        """Return the sums that are asked for; NaN where the engine gives none."""
        return sums(self.source, self.table, asked, what)

    def back(self) -> FloatArray:
        """Return the matrix that takes coefficients to the covariates' own scale."""
        found = np.diag(np.concatenate([[1.0], 1 / self.spread]))
        found[0, 1:] = -self.center / self.spread
        return found


def sums(source: EngineSource, table: Any, asked: Mapping[str, Any], what: str) -> dict[str, float]:
    """Return aggregates of a table as numbers; NaN where the engine gives none.

    Parameters
    ----------
    source, table
        The engine, and an expression of its rows.
    asked
        Aggregates by name.
    what
        The step in words, for the progress.
    """
    found: dict[str, float] = {}
    names = list(asked)
    for start in range(0, len(names), MOST_SUMS):
        part = names[start : start + MOST_SUMS]
        frame = source.executed(table.aggregate([asked[name].name(name) for name in part]), what)
        row = frame.iloc[0]
        found |= {name: _number(row[name]) for name in part}
    return found


def _number(value: Any) -> float:
    missing = value is None or value != value
    return float("nan") if missing else float(value)


def ones() -> Any:
    """Return a column of ones, of floating point in every engine."""
    import ibis

    return ibis.literal(1).cast("float64")


def where(condition: Any, value: Any, other: Any = 0.0) -> Any:
    """Return one value where a condition holds, and another elsewhere."""
    return condition.ifelse(value, other)


def count(condition: Any) -> Any:
    """Return how many rows a condition holds for, as an aggregate."""
    return condition.ifelse(1, 0).sum()


def unless_small(aggregate: Any, counts: Sequence[Any], threshold: int) -> Any:
    """Return an aggregate, or NULL where it would show a count of people from 1 to below a threshold.

    The engine decides: a number that must not leave is not asked to.
    """
    small = small_of(counts, threshold)
    return aggregate if small is None else small.ifelse(None, aggregate)


def small_of(counts: Sequence[Any], threshold: int) -> Any:
    """Return whether some of these counts lie from 1 to below a threshold, as a condition; None without counts."""
    small = None
    for one in counts:
        here = (one > 0) & (one < threshold)
        small = here if small is None else small | here
    return small


def smooth_step(line: Any) -> Any:
    """Return 1 / (1 + exp(-x)), within what floating point holds."""
    return 1.0 / (1.0 + (-line.clip(lower=-700.0, upper=700.0)).exp())
