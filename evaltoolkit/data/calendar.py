"""Periods: years, quarters, months, weeks, days or plain period numbers, as consecutive integers with labels."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.data.columns import rows_text
from evaltoolkit.errors import PeriodError

Every = Literal["day", "week", "month", "quarter", "year"]
Unit = Literal["day", "week", "month", "quarter", "year", "period"]

_QUARTER = re.compile(r"^\s*(\d{4})\s*[-:/ ]?\s*[qQ]([1-4])\s*$")
_MONTH = re.compile(r"^\s*(\d{4})\s*(?:[mM]|[-/])\s*(\d{1,2})\s*$")
_WEEK = re.compile(r"^\s*(\d{4})\s*-?\s*[wW](\d{1,2})\s*$")
_CODE = {
    "quarter": re.compile(r"^\s*(\d{4})([1-4])(?:\.0)?\s*$"),
    "month": re.compile(r"^\s*(\d{4})(\d{2})(?:\.0)?\s*$"),
}
_YEAR = re.compile(r"^\s*(\d{4})\s*$")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WRITTEN: tuple[tuple[Unit, re.Pattern[str]], ...] = (
    ("quarter", _QUARTER), ("week", _WEEK), ("month", _MONTH), ("year", _YEAR),
)  # fmt: skip
_EPOCH = datetime.date(1970, 1, 1)
_YEAR_DAYS = 365.2425
_MONDAY = 3  # 1970-01-01 was a Thursday


@dataclass(frozen=True, slots=True)
class Calendar:
    """What one step of time is, and how a step is written.

    Steps are integers: years as they are, quarters ``4 * year + quarter - 1``, months ``12 * year + month - 1``, weeks
    (starting on Monday) and days since 1970, plain periods as they are.
    """

    unit: Unit

    def label(self, step: int) -> str:
        """Return a step as text.

        >>> Calendar("quarter").label(4 * 2016), Calendar("month").label(12 * 2020 + 4), Calendar("period").label(7)
        ('2016 Q1', 'May 2020', '7')
        """
        if self.unit == "quarter":
            return f"{step // 4} Q{step % 4 + 1}"
        if self.unit == "month":
            return f"{_MONTHS[step % 12]} {step // 12}"
        if self.unit == "week":
            return (_EPOCH + datetime.timedelta(days=7 * step - _MONDAY)).isoformat()
        if self.unit == "day":
            return (_EPOCH + datetime.timedelta(days=step)).isoformat()
        return str(step)

    @property
    def noun(self) -> str:
        """The name of one step."""
        return self.unit

    def season(self, steps: NDArray[np.int64]) -> tuple[NDArray[np.int64], int] | None:
        """Return the place of each step within its cycle (from 0) and the steps per cycle, where there is one.

        Months and quarters have a place in the year, days in the week; the year of weeks and days is ``turn``.
        """
        if self.unit == "month":
            return steps % 12, 12
        if self.unit == "quarter":
            return steps % 4, 4
        if self.unit == "week":
            return steps % 52, 52
        if self.unit == "day":
            return (steps + _MONDAY) % 7, 7
        return None

    def turn(self, steps: NDArray[np.int64]) -> tuple[NDArray[np.float64], float] | None:
        """Return the place of each step within the year and the steps per year, where a step is shorter than a year.

        Weeks and days count from 1970 in years of 365.2425 days, so that the seasons do not drift over the years.

        >>> Calendar("month").turn(np.array([24000]))
        (array([1.]), 12.0)
        """
        if self.unit in {"month", "quarter"}:
            size = 12 if self.unit == "month" else 4
            return (steps % size + 1).astype(np.float64), float(size)
        if self.unit in {"week", "day"}:
            length = _YEAR_DAYS / (7 if self.unit == "week" else 1)
            return np.mod(steps.astype(np.float64), length), length
        return None

    def months(self, steps: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return the month of the year (from 0) of each month, week (of its Thursday) or day; None of longer steps."""
        if self.unit == "month":
            return steps % 12
        if self.unit in {"week", "day"}:
            days = 7 * steps - _MONDAY + 3 if self.unit == "week" else steps
            return (np.asarray(days, dtype="datetime64[D]").astype("datetime64[M]").astype(np.int64)) % 12
        return None

    def weekdays(self, steps: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return the day of the week (0 is Monday) of each day; None of longer steps."""
        return (steps + _MONDAY) % 7 if self.unit == "day" else None

    def days(self, step: int) -> tuple[datetime.date, datetime.date] | None:
        """Return the first and the last day of a step; None of plain periods.

        >>> [day.isoformat() for day in Calendar("quarter").days(4 * 2020) or ()]
        ['2020-01-01', '2020-03-31']
        """
        if self.unit == "period":
            return None
        return self._first_day(step), self._first_day(step + 1) - datetime.timedelta(days=1)

    def _first_day(self, step: int) -> datetime.date:
        if self.unit == "year":
            return datetime.date(step, 1, 1)
        if self.unit in {"month", "quarter"}:
            months = step if self.unit == "month" else 3 * step
            return datetime.date(months // 12, months % 12 + 1, 1)
        return _EPOCH + datetime.timedelta(days=7 * step - _MONDAY if self.unit == "week" else step)

    def parse(self, value: Any, *, where: str = "", what: str = "period") -> int:
        """Return the step that holds one value of a design file or argument.

        Raises
        ------
        PeriodError
            The value is no date or period of this calendar.
        """
        step = _step_of(value, self.unit)
        if step is None:
            raise PeriodError(
                f"the {what} {value!r} is not a {self.unit}", expected=_EXAMPLES[self.unit],
                todo=f"write the {what} the same way as in the data", where=where,
            )  # fmt: skip
        return step


_EXAMPLES: dict[str, str] = {
    "day": "a date such as 2020-05-17",
    "week": "a date or ISO week such as 2020-05-17 or 2020-W20",
    "month": "a month or date such as 2020-05 or 2020-05-01",
    "quarter": "a quarter or date such as 2016Q1 or 2016-01-01",
    "year": "a year such as 2016",
    "period": "a whole number",
}


def detect(values: pd.Series[Any], *, where: str = "", column: str = "time") -> Calendar:
    """Return the calendar that a time column is written in.

    Whole numbers from 1000 to 2999 are years, codes such as 20164 quarters and 201612 months, other whole numbers plain
    periods; texts such as 2016Q1 are quarters,
    2016-05 months; dates are months, quarters or years where they all fall on a first day of one, else days.
    """
    present = values.dropna()
    if pd.api.types.is_numeric_dtype(present):
        numbers = present.to_numpy(dtype=np.float64)
        if not bool(np.all(numbers == np.round(numbers))):
            raise PeriodError(
                f"the time column '{column}' holds fractions", expected="years, dates, or whole numbers",
                todo="write periods as whole numbers, dates, or texts such as 2016Q1", where=where,
            )  # fmt: skip
        return Calendar(_unit_of_numbers(numbers))
    texts = [str(v) for v in pd.unique(present)]
    for unit, pattern in _WRITTEN:
        fitting = [bool(pattern.match(t)) for t in texts]
        if texts and all(fitting):
            return Calendar(unit)
        if sum(fitting) > len(texts) / 2:
            odd = np.array([not pd.isna(v) and not pattern.match(str(v)) for v in values])
            raise PeriodError(
                f"the time column '{column}' holds {unit}s, and something else in {rows_text(odd)}",
                expected=_EXAMPLES[unit], todo="correct these rows", where=where,
            )  # fmt: skip
    days = [_date_of(v) for v in pd.unique(present)]
    known = [d for d in days if d is not None]
    if not known or len(known) < len(days):
        bad = np.array([_date_of(v) is None and not pd.isna(v) for v in values])
        raise PeriodError(
            f"the time column '{column}' holds values that are no dates in {rows_text(bad)}",
            expected="dates such as 2020-05-17, months such as 2020-05, quarters such as 2016Q1, or years",
            todo="correct these rows", where=where,
        )  # fmt: skip
    return Calendar(_unit_of_dates(known))


def _unit_of_numbers(numbers: NDArray[np.float64]) -> Unit:
    """Return years for 1000 to 2999, quarters for codes such as 20164, months for 201612, else plain periods."""
    if bool(np.all((numbers >= 1000) & (numbers < 3000))):
        return "year"
    for unit, size in _CODES.items():
        years, parts = np.divmod(numbers, 10 if unit == "quarter" else 100)
        coded = bool(np.all((years >= 1800) & (years < 2200) & (parts >= 1) & (parts <= size)))
        # A run without the jump between years could as well be plain numbers.
        if coded and np.unique(years).size > 1:
            return unit
    return "period"


_CODES: dict[Unit, int] = {"quarter": 4, "month": 12}


def _unit_of_dates(days: Sequence[datetime.date]) -> Unit:
    if not all(d.day == 1 for d in days):
        steps = np.unique([(d - _EPOCH).days for d in days])
        return "week" if len(steps) > 1 and bool(np.all(np.diff(steps) % 7 == 0)) else "day"
    months = {d.month for d in days}
    if months == {1} and len(days) > 1:
        return "year"
    return "quarter" if months <= {1, 4, 7, 10} and len(months) > 1 else "month"


def parse_column(
    values: pd.Series[Any], calendar: Calendar, *, where: str = "", column: str = "time"
) -> NDArray[np.int64]:
    """Return the step of each row.

    Raises
    ------
    PeriodError
        A row's period is missing or cannot be read; the message gives row numbers.
    """
    codes, uniques = pd.factorize(values)
    steps = [_step_of(v, calendar.unit) for v in uniques]
    bad = (codes < 0) | np.isin(codes, [i for i, s in enumerate(steps) if s is None])
    if bad.any():
        missing = bool((codes < 0)[bad].all())
        what = "is empty" if missing else f"cannot be read as {calendar.unit}"
        raise PeriodError(
            f"the column '{column}' {what} in {rows_text(bad)}",
            expected=_EXAMPLES[calendar.unit], todo="correct these rows", where=where,
        )  # fmt: skip
    return np.array([s for s in steps if s is not None], dtype=np.int64)[codes]


def _date_of(value: Any) -> datetime.date | None:
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    if isinstance(value, np.datetime64):
        return pd.Timestamp(value).date() if not np.isnat(value) else None
    text = str(value).strip()
    for form in ("%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"):
        try:
            return datetime.datetime.strptime(text, form).date()
        except ValueError:
            continue
    return None


def _step_of(value: Any, unit: Unit) -> int | None:
    if value is None or isinstance(value, bool) or value is pd.NaT:
        return None
    if unit in {"year", "period"} and isinstance(value, int | float | np.integer | np.floating):
        return int(value) if float(value).is_integer() else None
    text = str(value)
    if unit == "period":
        return int(text) if re.fullmatch(r"\s*-?\d+\s*", text) else None
    return _step_of_text(text, unit) if _step_of_text(text, unit) is not None else _step_of_date(_date_of(value), unit)


def _step_of_text(text: str, unit: Unit) -> int | None:
    year, quarter, month = _YEAR.match(text), _QUARTER.match(text), _MONTH.match(text)
    if unit == "week":
        return _iso_week(text)
    if unit == "year" and year:
        return int(year[1])
    code = _CODE[unit].match(text) if unit in _CODE else None
    if code and 1 <= int(code[2]) <= 12:
        return (4 if unit == "quarter" else 12) * int(code[1]) + int(code[2]) - 1
    if unit == "quarter" and quarter:
        return 4 * int(quarter[1]) + int(quarter[2]) - 1
    if month and 1 <= int(month[2]) <= 12:
        whole = 12 * int(month[1]) + int(month[2]) - 1
        return whole if unit == "month" else whole // 3 if unit == "quarter" else None
    return None


def _iso_week(text: str) -> int | None:
    week = _WEEK.match(text)
    if week is None:
        return None
    try:
        monday = datetime.date.fromisocalendar(int(week[1]), int(week[2]), 1)
    except ValueError:
        return None
    return ((monday - _EPOCH).days + _MONDAY) // 7


def _step_of_date(day: datetime.date | None, unit: Unit) -> int | None:
    if day is None:
        return None
    days = (day - _EPOCH).days
    return {
        "day": days,
        "week": (days + _MONDAY) // 7,
        "month": 12 * day.year + day.month - 1,
        "quarter": 4 * day.year + (day.month - 1) // 3,
        "year": day.year,
    }.get(unit)
