"""The regression of a series: its columns, what would have been without the interruption, and what is asked of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.its.options import Harmonics, Options
from evaltoolkit.designs.its.segments import changes
from evaltoolkit.designs.its.series import Series
from evaltoolkit.errors import CollinearityError, OptionError
from evaltoolkit.kernels.least_squares import least_squares
from evaltoolkit.study import Outcome

FloatArray = NDArray[np.float64]
Functional = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""From coefficients (..., k) to m numbers (..., m) and their derivatives: (..., m, k), or (m, k) where constant."""

FEWEST_DF = 2


@dataclass(frozen=True, slots=True)
class Model:
    """A segmented regression of n periods on k columns.

    Attributes
    ----------
    names
        Names of the columns: intercept, trend, then the changes at each interruption, then seasons, covariates and
        other events.
    observed, expected
        Columns as they were, and with every change at an interruption set to zero, shape (n, k).
    response
        What is regressed: the outcome in display units (less the control, where there is one), or the count, (n,).
    offset
        Log of the population, and of the control's rate, for counts, shape (n,); zeros without either.
    scale
        By what a modelled value is multiplied to be in display units, shape (n,).
    after
        Periods from the first interruption on, shape (n,).
    steps
        Period of each row, shape (n,).
    log_link
        Whether the columns add up to the log of the expected count.
    baseline
        The control in display units, which the modelled difference is added to, shape (n,); zeros without one, and
        on the log scale, where the control is part of the offset.
    changed
        Places of the columns that belong to each interruption.
    """

    names: tuple[str, ...]
    observed: FloatArray
    expected: FloatArray
    response: FloatArray
    offset: FloatArray
    scale: FloatArray
    after: NDArray[np.bool_]
    steps: NDArray[np.int64]
    log_link: bool
    baseline: FloatArray
    changed: tuple[tuple[int, ...], ...] = ()

    @property
    def shown(self) -> FloatArray:
        """The observed outcome in display units, shape (n,)."""
        return np.asarray(self.response * self.scale + self.baseline)

    @property
    def df(self) -> int:
        """Periods less columns."""
        return len(self.response) - len(self.names)

    def column(self, name: str) -> Functional:
        """Return one coefficient."""
        row = np.zeros((1, len(self.names)))
        row[0, self.names.index(name)] = 1.0
        return lambda b: (b @ row.T, row)

    def path(self, *, expected: bool) -> Functional:
        """Return the modelled outcome of each period in display units, or what was expected without the program."""
        return self.course(self.expected if expected else self.observed)

    def course(self, X: FloatArray) -> Functional:
        """Return the outcome of each period in display units for columns of any kind, shape (n, k)."""
        if not self.log_link:
            return lambda b: (b @ X.T + self.baseline, X)

        def _at(b: FloatArray) -> tuple[FloatArray, FloatArray]:
            value = self.scale * np.exp(self.offset + b @ X.T)
            return value, value[..., None] * X

        return _at

    def without(self, *interruptions: int) -> FloatArray:
        """Return the columns with the changes at some interruptions set to zero, shape (n, k)."""
        X = self.observed.copy()
        X[:, [j for i in interruptions for j in self.changed[i]]] = 0.0
        return X

    def effect(self, weights: FloatArray, *, in_events: bool = False) -> Functional:
        """Return sums of the difference between modelled and expected outcome, weights of shape (m, n)."""
        w = weights / self.scale if in_events else weights
        return self.difference(self.observed, self.expected, w)

    def difference(self, X1: FloatArray, X0: FloatArray, weights: FloatArray) -> Functional:
        """Return weighted sums of the difference between two courses, weights of shape (m, n)."""

        def _at(b: FloatArray) -> tuple[FloatArray, FloatArray]:
            one, d_one = self.course(X1)(b)
            other, d_other = self.course(X0)(b)
            return (one - other) @ weights.T, weights @ (d_one - d_other)

        return _at

    def log_ratio(self) -> Functional:
        """Return the log of the modelled total after the interruption over the expected total.

        Totals are of what is modelled: events for counts, display units otherwise.
        """
        return self.ratio(self.observed, self.expected, self.after)

    def ratio(self, X1: FloatArray, X0: FloatArray, among: NDArray[np.bool_]) -> Functional:
        """Return the log of the ratio of two courses' totals over some periods, shape (n,)."""

        def _at(b: FloatArray) -> tuple[FloatArray, FloatArray]:
            unit = among / self.scale if self.log_link else among.astype(np.float64)
            one, d_one = self.course(X1)(b)
            other, d_other = self.course(X0)(b)
            a, c = (one @ unit)[..., None], (other @ unit)[..., None]
            with np.errstate(divide="ignore", invalid="ignore"):
                value = np.where((a > 0) & (c > 0), np.log(a / c), np.nan)
            return value, ((unit @ d_one) / a - (unit @ d_other) / c)[..., None, :]

        return _at


def build(series: Series, options: Options, outcome: Outcome, where: str) -> Model:
    """Build the regression.

    Parameters
    ----------
    series, options
        The series and how it is modelled.
    outcome
        What the values are: rates are modelled or shown per so many people.
    where
        Place of the interruption, for messages.

    Raises
    ------
    CollinearityError
        A column follows from the others.
    OptionError
        There are not enough periods for the columns, or the calendar has no seasons of that kind.
    """
    found = changes(series, options, where)
    season_names, season = seasons(series, options, where)
    more = [*series.covariates.items(), *_other_events(series)]
    kept = np.column_stack([np.ones(series.steps.size), (series.steps - series.steps[0]).astype(np.float64)])
    rest = [*season, *(column for _, column in more)]
    observed = np.column_stack([kept, *(c.column for c in found), *rest])
    expected = np.column_stack([kept, *(np.zeros_like(c.column) for c in found), *rest])
    names = ("intercept", "trend", *(c.name for c in found), *season_names, *(name for name, _ in more))
    _identified(observed, list(names), series, where)
    offset = np.zeros(series.steps.size) if series.exposure is None else np.log(series.exposure)
    per_head = np.ones_like(offset) if series.exposure is None else outcome.per / series.exposure
    baseline = np.zeros_like(offset)
    if series.control is not None and options.counts:
        offset = offset + np.log(series.control.rates)
    elif series.control is not None:
        baseline = series.control.rates * (1.0 if series.exposure is None else outcome.per)
    return Model(
        names=names, observed=observed, expected=expected,
        response=series.values if options.counts else series.values * per_head - baseline,
        offset=offset if options.counts else np.zeros_like(offset), baseline=baseline,
        scale=per_head if options.counts and outcome.kind == "rate" else np.ones_like(offset),
        after=series.after, steps=series.steps, log_link=options.counts,
        changed=tuple(
            tuple(2 + j for j, c in enumerate(found) if c.interruption == i) for i in range(len(series.starts))
        ),
    )  # fmt: skip


def _other_events(series: Series) -> list[tuple[str, FloatArray]]:
    """Return a level for each other event or change of recording that is part of the model."""
    found = []
    for mark in series.marked:
        if mark.modelled:
            last = series.steps[-1] if mark.until is None else mark.until
            column = ((series.steps >= mark.step) & (series.steps <= last)).astype(np.float64)
            if np.ptp(column) > 0:  # a stretch of the series may lie wholly outside
                found.append((mark.label, column))
    return found


def seasons(series: Series, options: Options, where: str) -> tuple[list[str], list[FloatArray]]:
    """Return the seasonal columns: waves, or a level for each season but the first."""
    if options.season is None:
        return [], []
    if isinstance(options.season, Harmonics):
        return _waves(series, options.season, where)
    place, words = _levels(series, options.season, where)
    return [words[p] for p in np.unique(place)[1:].tolist()], [
        (place == p).astype(np.float64) for p in np.unique(place)[1:]
    ]


def _levels(series: Series, season: str, where: str) -> tuple[NDArray[np.int64], list[str]]:
    """Return the season of each period and the name of each season."""
    calendar, steps = series.calendar, series.steps
    place, words = calendar.months(steps), [f"month {i + 1}" for i in range(12)]
    if season == "weekdays":
        place, words = calendar.weekdays(steps), [f"weekday {i + 1}" for i in range(7)]
    elif calendar.unit == "quarter":
        place, words = steps % 4, [f"quarter {i + 1}" for i in range(4)]
    if place is None:
        raise OptionError(
            f"season = '{season}', and a period is a {calendar.noun}",
            expected="days" if season == "weekdays" else "days, weeks, months or quarters",
            todo="leave season out" if calendar.unit in {"year", "period"} else "write season = { harmonics = 2 }",
            where=where,
        )  # fmt: skip
    return place, words


def _waves(series: Series, season: Harmonics, where: str) -> tuple[list[str], list[FloatArray]]:
    calendar, pairs = series.calendar, season.harmonics
    found = calendar.turn(series.steps)
    if season.cycle == "week":
        days = calendar.weekdays(series.steps)
        found = None if days is None else ((days + 1).astype(np.float64), 7.0)
    if found is None:
        raise OptionError(
            f"season is set, and a period is a {calendar.noun}",
            expected="days" if season.cycle == "week" else "months, quarters, weeks or days",
            todo="leave season or its cycle out", where=where,
        )  # fmt: skip
    s, length = found
    if 2 * pairs > length:
        raise OptionError(
            f"season has {pairs} harmonics, and a cycle has {length:.0f} periods",
            expected=f"at most {int(length // 2)}", todo="use fewer harmonics", where=where,
        )  # fmt: skip
    names, columns = [], []
    for h in range(1, pairs + 1):
        if 2 * h < length:
            names.append(f"sine {h}")
            columns.append(np.sin(2 * np.pi * h * s / length))
        names.append(f"cosine {h}")
        columns.append(np.cos(2 * np.pi * h * s / length))
    return names, columns


def _identified(X: FloatArray, names: list[str], series: Series, where: str) -> None:
    n, k = X.shape
    if n - k < FEWEST_DF:
        raise OptionError(
            f"{n} {series.calendar.noun}s for a model with {k} terms", expected=f"at least {k + FEWEST_DF} periods",
            todo="use a longer series, fewer effects, or no season", where=where,
        )  # fmt: skip
    aliased = least_squares(X, np.zeros(n)).aliased
    if aliased.size:
        lost = ", ".join(names[j] for j in aliased.tolist())
        raise CollinearityError(
            f"these terms follow from the others: {lost}", expected="terms that can be told apart in this series",
            todo="use fewer effects or no season, or a longer series", where=where,
        )  # fmt: skip
