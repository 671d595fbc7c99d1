"""What a series would ask of an engine and what would leave it, told before anything runs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from evaltoolkit.data import EngineSource
from evaltoolkit.data.asked import asked, required, values_of
from evaltoolkit.reduction.explanation import Leaving, Step
from evaltoolkit.reduction.series import cells_of, looked_at, released, row_queries, shape_of, truncated
from evaltoolkit.reduction.series_release import SeriesPlan
from evaltoolkit.study import Study


@dataclasses.dataclass(slots=True)
class _Told:
    """Steps and what leaves by them, in their order."""

    source: EngineSource
    steps: list[Step] = dataclasses.field(default_factory=list)
    leaves: list[Leaving] = dataclasses.field(default_factory=list)

    def add(self, what: str, query: Any, words: str) -> None:
        """Tell one query, by its words and those of what leaves."""
        self.steps.append(Step(what, self.source.sql(query)))
        self.leaves.append(Leaving(what, tuple(query.columns), words))


def told(
    source: EngineSource, study: Study, plan: SeriesPlan, *, counts_rows: bool
) -> tuple[tuple[Step, ...], tuple[Leaving, ...]]:  # fmt: skip
    """Return the queries of a series in their order, and what would leave by each; none is run."""
    found = _Told(source)
    found.add("number of rows", source.counting(), "one number, before and after the other queries")

    def _look(_: EngineSource, table: Any, name: str, _where: str) -> None:
        found.add(f"values of {name}, on which a filter is decided", values_of(table, name), "each once")

    table = asked(source, study, _look)
    if counts_rows:
        _cells(found, table, study, plan)
    else:
        _rows(found, table, study, plan)
    return tuple(found.steps), tuple(found.leaves)


def _cells(found: _Told, table: Any, study: Study, plan: SeriesPlan) -> None:
    column = required(table, plan.time, role="time", where=study.place("time"))
    kind, key, day = column.type(), column, None
    if kind.is_date() or kind.is_timestamp():
        day = column if kind.is_date() else column.date()
        key = truncated(day, plan)
    else:
        if kind.is_string():
            found.add("whether times are days", shape_of(table, column), "two numbers of rows")
        found.add(f"values of {plan.time}", values_of(table, plan.time), "each once; none where they are days")
    grouped = cells_of(table, key, study, plan, day=day)
    found.add(
        "cells of too few people", looked_at(grouped, plan),
        "one line: numbers of cells and rows, first and last day; with a cell too small, nothing more leaves",
    )  # fmt: skip
    place = " and site" if plan.unit else ""
    found.add("counts and sums by period", released(grouped, plan), f"one line for each period{place}")


def _rows(found: _Told, table: Any, study: Study, plan: SeriesPlan) -> None:
    queries = row_queries(table, study, plan)
    found.add("rows for each period", queries.places, "the number of rows, and of periods that have several")
    if queries.small is not None:
        found.add(
            "counts of too few people", queries.small, "one number for each column; above zero, nothing more leaves"
        )
    found.add("values by period", queries.rows, "one line for each row, which stands for a period")


def record_of(plan: SeriesPlan) -> tuple[dict[str, Any], str]:
    """Return a plan as data, and its hash."""
    record = json.loads(json.dumps(dataclasses.asdict(plan)))
    return record, hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
