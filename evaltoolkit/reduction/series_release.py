"""What a series is made of, and what keeps its numbers inside an engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from evaltoolkit.data import Every
from evaltoolkit.errors import ColumnTypeError, DataFileError, DisclosureError, MissingValuesError, PeriodError
from evaltoolkit.results import SmallCells
from evaltoolkit.study import Study

LARGEST_SHARE: Final = 0.5
"""Share of a sum of amounts that one row may have, at most."""


@dataclass(frozen=True, slots=True)
class SeriesPlan:
    """What a series is made of.

    Attributes
    ----------
    time, every
        Column of periods or dates, and the length of a period; None where it is read off the column.
    unit
        Column of sites; None for one series.
    value
        Column of the outcome; None where rows are counted.
    counts
        Whether the outcome counts people or events, so that sums of it are small cells where they are small.
    within
        Columns of numbers that are the same in all rows of a period.
    people
        Those of them that count people.
    carried
        A column that is the same in all rows of a site, such as its start.
    rule
        What counts of people may leave.
    noun
        What a row is: people, events, or rows.
    """

    time: str
    every: Every | None
    unit: str | None
    value: str | None
    counts: bool
    within: tuple[str, ...]
    people: tuple[str, ...]
    carried: str | None
    rule: SmallCells
    noun: str


def some(n_rows: Any, study: Study) -> int:
    """Return a number of rows, and refuse none."""
    if pd.isna(n_rows) or int(n_rows) == 0:
        raise DataFileError(
            "no row is left", expected="at least one row of data", todo="loosen the filters under data.keep",
            where=study.place("data", "keep"),
        )  # fmt: skip
    return int(n_rows)


def sound(found: pd.Series[Any], study: Study, plan: SeriesPlan) -> None:
    """Refuse columns that do not fit their role, before anything by period is looked at."""
    outcome, where = study.outcome.column, study.place("outcome", "column")
    if found["undated"]:
        raise undated(plan, study)
    if plan.unit and found["nowhere"]:
        raise ColumnTypeError(
            f"the unit column '{plan.unit}' is empty in some rows", expected="a unit in every row",
            todo="fill in these rows, or leave them out with data.keep", where=study.place("unit"),
        )  # fmt: skip
    if found["endless"]:
        raise ColumnTypeError(
            f"the outcome column '{outcome}' holds infinite values", expected="finite numbers",
            todo="correct these rows; a division by zero is a common cause", where=where,
        )  # fmt: skip
    if not found["n"]:
        raise MissingValuesError(
            f"the outcome column '{outcome}' has no value in any row", expected="numbers",
            todo="name another column for the outcome, or check data.missing", where=where,
        )  # fmt: skip
    several = [(name, int(found[f"varies{i}"])) for i, name in enumerate(plan.within)]
    several += [(plan.carried, int(found["several"]))] if plan.carried else []
    for name, n in several:
        if n:
            raise ColumnTypeError(
                f"'{name}' differs between rows of the same period ({n:,} in all)",
                expected="one value for each period", todo="give every row of a period the same value",
                where=study.place("time"),
            )  # fmt: skip


def no_small(found: pd.Series[Any], study: Study, plan: SeriesPlan) -> None:
    """Refuse cells of too few people or events, and sums that one row decides."""
    cells = int(found["cells"])
    release(int(found["few"]), cells, plan.noun, plan, study)
    if plan.counts:
        release(int(found["little"]), cells, "events", plan, study)
        if not found["other"]:
            release(int(found["rest"]), cells, f"{plan.noun} without the outcome", plan, study)
    elif found["dominated"]:
        raise DisclosureError(
            f"one row has more than half of the sum in {int(found['dominated']):,} of {cells:,} cells",
            expected="sums that no single row decides", where=study.place("data", "release"),
            todo="choose a longer every, pool sites, or state release = 'open' where rows may come",
        )  # fmt: skip
    for i, name in enumerate(plan.within):
        if name in plan.people:
            release(int(found[f"few{i}"]), cells, f"people in '{name}'", plan, study)


def release(n_small: int, n: int, what: str, plan: SeriesPlan, study: Study) -> None:
    """Refuse where counts are too small to leave."""
    if n_small == 0:
        return
    low = 1 if plan.rule.show_zero else 0
    held = f"hold {low} to {plan.rule.threshold - 1} {what}" if what != "counts" else "are too small to leave"
    raise DisclosureError(
        f"{n_small:,} of {n:,} {'counts' if what == 'counts' else 'cells of a period'} {held}",
        expected=f"{'0 or ' if plan.rule.show_zero else ''}at least {plan.rule.threshold} in each",
        todo="choose a longer every, pool sites (leave unit out), state the agreement that allows a lower threshold "
        "under [disclosure], or release = 'open' where rows may come to this machine",
        where=study.place("data", "release"),
    )  # fmt: skip


def undated(plan: SeriesPlan, study: Study) -> PeriodError:
    """Build the message for rows without a period."""
    return PeriodError(
        f"the column '{plan.time}' is empty in some rows", expected="a date or period in every row",
        todo="fill in these rows, or leave them out with data.keep", where=study.place("time"),
    )  # fmt: skip
