"""A panel's rows in an engine, with the study's columns as numbers and codes: what reductions start from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from evaltoolkit.data import EngineSource
from evaltoolkit.data.asked import indicator, number, required
from evaltoolkit.data.sources import EXACT
from evaltoolkit.errors import ColumnTypeError, DataFileError, MissingValuesError
from evaltoolkit.reduction.plan import Bound, PanelPlan
from evaltoolkit.results import plural

Where = Callable[..., str]
ROUNDED = frozenset({"binary", "proportion"})
"""Outcomes between 0 and 1, which need no shift."""
SHARP = 1e-6
"""Of a level of amounts, what may be told at most."""
LARGEST = 1e300
"""Beyond it a number counts as infinite."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in an engine.

    Attributes
    ----------
    source
        Where they are.
    table
        The rows that the study asks for, as an Ibis expression.
    plan
        What they are reduced by.
    where
        Says where a key of the study is set, for messages.
    """

    source: EngineSource
    table: Any
    plan: PanelPlan
    where: Where

    def covariate(self, name: str) -> Any:
        """Return a covariate as it tells cells apart: by its cut points where the plan has some."""
        place = self.where("covariates", self.plan.covariates.index(name))
        cuts = dict(self.plan.grid).get(name)
        if cuts is None:
            column = required(self.table, name, role="covariate", where=place)
            if not column.type().is_string():
                number(self.table, name, role="covariate", where=place)
            return column
        values = number(self.table, name, role="covariate", where=place)
        found = sum((values >= cut).cast("int32") for cut in cuts)
        return values.isnull().ifelse(None, found)

    def outcome(self) -> Any:
        """Return the outcome in display units, NULL where a covariate is: such a row is no observation."""
        plan = self.plan
        y = self.count()
        if plan.population is not None:
            y = y / self._population() * plan.per
        for name in plan.covariates:
            y = self.covariate(name).isnull().ifelse(None, y)
        return y

    def count(self) -> Any:
        """Return the people or events behind the outcome."""
        read = indicator if self.plan.kind == "binary" else number
        return read(self.table, self.plan.outcome, role="outcome", where=self.where("outcome", "column"))

    def _population(self) -> Any:
        assert self.plan.population is not None
        where = self.where("outcome", "population")
        return number(self.table, self.plan.population, role="population", where=where)

    def overall(self) -> Any:
        """Return the query that looks at every row once: how many there are, and in how many something is wrong."""
        plan, table = self.plan, self.table
        time = required(table, plan.time, role="time", where=self.where("time"))
        unit = required(table, plan.unit, role="unit", where=self.where("unit"))
        raw, y = self.count(), self.outcome()
        asked = {
            "rows": table.count(), "no_time": time.isnull().sum(), "no_unit": unit.isnull().sum(),
            "known": y.count(), "below": (raw < 0).sum(), "too_large": (raw.abs() > EXACT).sum(),
            "other": (~raw.isin([0.0, 1.0])).sum(),
        }  # fmt: skip
        for i, name in enumerate(plan.covariates):
            if self.table[name].type().is_floating():
                asked[f"endless{i}"] = (self.table[name].abs() > LARGEST).sum()
        if plan.population is not None:
            people = self._population()
            asked["no_people"] = ((people <= 0) | (people > LARGEST)).sum()
        if plan.weights is not None:
            w = self.weight()
            asked["no_weight"] = (w.isnull() | (w <= 0) | (w > LARGEST)).sum()
        if plan.cluster is not None:
            cluster = required(table, plan.cluster, role="cluster", where=self.where("cluster"))
            asked["no_cluster"] = cluster.isnull().sum()
        if plan.treated is not None:
            on = self.treated()
            asked["no_treated"] = (on.isnull() | ~on.isin([0.0, 1.0])).sum()
        return table.aggregate(**asked)

    def by_period(self) -> Any:
        """Return the query for the periods and the rough level of the outcome in each, where enough people have one.

        Levels of counts are whole numbers, and those of amounts are rounded by their spread: neither a number of people
        nor the amount of a person who is left out can be worked out from them.
        """
        import ibis

        plan, y = self.plan, self.outcome()
        mean = y.mean()
        spread = ((y * y).mean() - mean * mean).clip(lower=0.0).sqrt()
        level, scale = (mean.round(), spread.round()) if plan.outcome_counts else (mean, spread)
        if plan.counts_people and plan.kind == "continuous":
            scale = rounding(spread, mean)
            level = (mean / scale).round() * scale
        if plan.counts_people:
            enough = y.count() >= plan.threshold
            level, scale = enough.ifelse(level, None), enough.ifelse(scale, None)
        asked = {"time": self.table[plan.time]}
        if plan.kind in ROUNDED:
            return self.table.select(**asked).distinct().mutate(level=ibis.literal(0).cast("float64"))
        return self.table.group_by(**asked).aggregate(level=level, spread=scale)

    def weight(self) -> Any:
        """Return the sampling weight."""
        assert self.plan.weights is not None
        return number(self.table, self.plan.weights, role="weights", where=self.where("weights"))

    def treated(self) -> Any:
        """Return the column of 0 and 1 that says when the program is on."""
        assert self.plan.treated is not None
        return indicator(self.table, self.plan.treated, role="treated", where=self.where("treated"))

    def checked(self, found: pd.DataFrame) -> int:
        """Return the number of rows; stop where what ``overall`` found cannot be used.

        Raises
        ------
        MissingValuesError, ColumnTypeError, DataFileError
            With how many rows are concerned.
        """
        plan, n = self.plan, {name: int(found[name].iloc[0] or 0) for name in found.columns}
        if not n["rows"]:
            raise DataFileError(
                "no row is left" if plan.keep else "the table holds no row", expected="at least one row of data",
                todo="loosen the filters under data.keep" if plan.keep else "check which table is named",
                where=self.where("data", "keep" if plan.keep else "source"),
            )  # fmt: skip
        for role, column in (("time", plan.time), ("unit", plan.unit), ("cluster", plan.cluster)):
            self._empty(n.get(f"no_{role}", 0), role, str(column))
        y = f"the outcome '{plan.outcome}'"
        self._bad(n["too_large"], f"{y} holds numbers beyond 2^53", "numbers that 64-bit floats hold exactly")
        if plan.kind in {"count", "rate"}:
            self._bad(n["below"], f"{y} is below zero", "counts of zero or more")
        if plan.kind == "binary":
            self._bad(n["other"], f"{y} is neither 0 nor 1", "0 and 1")
        self._bad(n.get("no_people", 0), f"the population '{plan.population}' is not above zero, or infinite,",
                  "finite numbers above zero", self.where("outcome", "population"))  # fmt: skip
        self._bad(n.get("no_weight", 0), f"the weight '{plan.weights}' is empty or not above zero, or infinite,",
                  "one weight above zero for each unit", self.where("weights"))  # fmt: skip
        self._bad(n.get("no_treated", 0), f"the treated column '{plan.treated}' is empty or neither 0 nor 1", "0 and 1",
                  self.where("treated"))  # fmt: skip
        for i, name in enumerate(plan.covariates):
            self._bad(n.get(f"endless{i}", 0), f"the covariate '{name}' is infinite", "finite numbers",
                      self.where("covariates", i))  # fmt: skip
        if not n["known"]:
            raise MissingValuesError(
                f"{y} has no value in any row where the covariates have one", expected="values",
                todo="name another column, or check data.missing", where=self.where("outcome", "column"),
            )  # fmt: skip
        return n["rows"]

    def _empty(self, n: int, role: str, column: str) -> None:
        if n:
            raise MissingValuesError(
                f"the {role} column '{column}' is empty in {plural(n, 'row')}", expected="a value in every row",
                todo="fill these rows, or leave them out with data.keep", where=self.where(role),
            )  # fmt: skip

    def _bad(self, n: int, what: str, expected: str, where: str = "") -> None:
        if n:
            raise ColumnTypeError(
                f"{what} in {plural(n, 'row')}", expected=expected,
                todo="correct these rows, or leave them out with data.keep",
                where=where or self.where("outcome", "column"),
            )  # fmt: skip

    def long(self, bound: Bound) -> Any:
        """Return the rows as unit, period (its place), start (its place), outcome less the shift, and cell values."""
        plan, table = self.plan, self.table
        at = placed(table[plan.time], bound.times)
        columns = {"unit": table[plan.unit], "at": at, "y": self.outcome()}
        if plan.first_treated is not None:
            columns["start"] = placed(table[plan.first_treated], bound.begun)
        else:
            columns["on"] = self.treated()
        if plan.outcome_counts and (plan.population is not None or plan.weights is not None):
            columns["c"] = self.count()
        if plan.weights is not None:
            columns["w"] = self.weight()
        if plan.cluster is not None:
            cluster = table[plan.cluster]
            # Whole numbers too wide for 64 bits leave as texts: as floats they would no longer differ.
            columns["cluster"] = cluster.cast("string") if cluster.type().is_decimal() else cluster
        columns |= {f"z{i}": self.covariate(name) for i, name in enumerate(plan.covariates)}
        return table.select(**columns)


def rounding(spread: Any, mean: Any) -> Any:
    """Return the power of ten that levels of amounts of people are rounded to, at least their spread; NULL for zeros.

    Rounding to less would let the amount of one who is left out be told from the level and the sums of all others.
    """
    import ibis

    least = mean.abs() * SHARP
    size = (spread > least).ifelse(spread, least)
    return ibis.literal(10).cast("float64") ** ((size > 0).ifelse(size, None).log10() - SHARP).ceil()


def placed(column: Any, values: tuple[tuple[Any, ...], ...]) -> Any:
    """Return the place of the group of values that a column's value is in; None in a group stands for NULL."""
    import ibis

    branches = []
    for i, group in enumerate(values):
        known = [v for v in group if v is not None]
        if known:
            branches.append((column == known[0] if len(known) == 1 else column.isin(known), i))
        if len(known) < len(group):
            branches.append((column.isnull(), i))
    return ibis.cases(*branches).cast("int32")
