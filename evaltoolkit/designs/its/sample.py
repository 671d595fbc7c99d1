"""From rows to a series: everything checked, what is missing counted and never filled in."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from evaltoolkit.data import Calendar, Source, identifier_values
from evaltoolkit.designs.its.options import WHOLE, Options
from evaltoolkit.designs.its.periods import IntArray, Periods
from evaltoolkit.designs.its.reading import read
from evaltoolkit.designs.its.series import Audit, Marked, Phase, Series
from evaltoolkit.designs.its.shapes import Effect, Event, Interruption
from evaltoolkit.errors import (
    ColumnTypeError,
    MissingValuesError,
    NoPrePeriodError,
    NoVariationError,
    PeriodError,
)
from evaltoolkit.reduction import AnalysisSample
from evaltoolkit.results import FlowStep, plural
from evaltoolkit.study import Study

FEWEST = 3
"""Periods that each stretch between interruptions needs (EPOC: three before and three after)."""


def prepare_alone(study: Study, options: Options, source: Source) -> AnalysisSample[Series]:
    """Read the data and return the series, with the flow from the data to it."""
    table = read(study, options, source)
    series, flow = series_of(table, study, options)
    secret = identifier_values(table.frame, study.disclosure.secret_columns)
    return AnalysisSample(series, flow, secret)


def series_of(
    table: Periods, study: Study, options: Options, starts: Starts | None = None
) -> tuple[Series, tuple[FlowStep, ...]]:
    """Return the series of one unit and the flow to it; ``starts`` where they are not those of the design file.

    Raises
    ------
    EvaluationError
        The series is too short on a side, never varies, or holds values that the model does not allow.
    """
    known = table.known
    order = np.flatnonzero(known)[np.argsort(table.steps[known], kind="stable")]
    if starts is None:
        starts = Starts.of(study, options, table.calendar)
    steps = table.steps[order]
    series = Series(
        steps, table.values[order], None if table.exposure is None else table.exposure[order], starts.steps,
        table.calendar, _missing(steps), covariates={n: table.columns[n][order] for n in options.covariates},
        own=starts.own, named=starts.named, phases=starts.phases, marked=marked(study, options, table.calendar),
        people=None if table.people is None else table.people[order],
        audit=Audit(partial=table.partial, suspected=table.suspected, zeros=table.zeros),
        placebos={name: column[order] for name, column in table.placebos.items()},
    )  # fmt: skip
    whole = series.steps.size
    series = without_phase_in(series)
    check(series, study, options)
    return series, _flow(table, series, whole, study)


def without_phase_in(series: Series) -> Series:
    """Leave out the periods of a phase-in that is excluded."""
    inside = np.zeros(series.steps.size, dtype=np.bool_)
    for start, phase in series.phases.items():
        if not phase.ramp:
            inside |= (series.steps >= start) & (series.steps < phase.whole)
    if not inside.any():
        return series
    audit = dataclasses.replace(series.audit, phased=int(inside.sum()))
    return dataclasses.replace(series.where(~inside), audit=audit)


def _missing(steps: IntArray) -> int:
    return int(steps[-1] - steps[0]) + 1 - steps.size if steps.size else 0


@dataclasses.dataclass(frozen=True, slots=True)
class Starts:
    """The interruptions of a study in the order of time, with what is said of each by its period."""

    steps: tuple[int, ...]
    own: dict[int, tuple[Effect, ...]]
    named: dict[int, str]
    phases: dict[int, Phase]

    @classmethod
    def at(cls, step: int, study: Study, options: Options, calendar: Calendar) -> Starts:
        """Return one interruption in a given period."""
        return cls((step,), {}, {}, _phases([step], study, options, calendar))

    @classmethod
    def of(cls, study: Study, options: Options, calendar: Calendar) -> Starts:
        """Read the interruptions of a design file."""
        where = study.place("interruption")
        found = [calendar.parse(moment, where=where, what="interruption") for moment in options.moments]
        if len(set(found)) < len(found):
            raise PeriodError(
                "two interruptions fall into the same period",
                expected=f"interruptions in different {calendar.noun}s", todo="name each once", where=where,
            )  # fmt: skip
        said = [
            (step, each)
            for step, each in zip(found, options.interruption, strict=True)
            if isinstance(each, Interruption)
        ]
        return cls(
            tuple(sorted(found)),
            {step: each.effects for step, each in said if each.effects is not None},
            {step: each.label for step, each in said if each.label is not None},
            _phases(found, study, options, calendar),
        )


def _phases(starts: list[int], study: Study, options: Options, calendar: Calendar) -> dict[int, Phase]:
    phase = options.phase
    if phase is None:
        return {}
    found = {}
    for start, following in itertools.pairwise([*sorted(starts), None]):
        assert start is not None
        where = study.place("phase_in")
        whole = start + (phase.periods or 0)
        if phase.until is not None:
            whole = calendar.parse(phase.until, where=where, what="end of the phase-in") + 1
        if whole <= start or (following is not None and whole >= following):
            then = "" if following is None else f", the next in {calendar.label(following)}"
            raise PeriodError(
                f"the phase-in ends with {calendar.label(whole - 1)}, the interruption is in {calendar.label(start)}"
                f"{then}",
                expected="a phase-in that ends after the interruption and before the next",
                todo="correct phase_in or the interruption", where=where,
            )  # fmt: skip
        found[start] = Phase(whole, phase.treated == "ramp")
    return found


def marked(study: Study, options: Options, calendar: Calendar) -> tuple[Marked, ...]:
    """Return other events and changes of recording in the order of time."""

    def _one(event: Event, key: str, i: int, kind: str) -> Marked:
        where = study.place(key, i)
        step = calendar.parse(event.date, where=where, what="event")
        until = None if event.until is None else calendar.parse(event.until, where=where, what="end of the event")
        if until is not None and until < step:
            raise PeriodError(
                f"the event '{event.label}' ends before it begins", expected="until after date",
                todo="correct date or until", where=where,
            )  # fmt: skip
        return Marked(step, until, event.label, event.modelled, "event" if kind == "event" else "recording")

    found = [_one(e, "events", i, "event") for i, e in enumerate(options.events)]
    found += [_one(e, "recording_changes", i, "recording") for i, e in enumerate(options.recording_changes)]
    return tuple(sorted(found, key=lambda m: m.step))


def check(series: Series, study: Study, options: Options) -> None:
    """Refuse a series that is empty, too short on a side, never varies, or does not fit the family."""
    where, noun = study.place("interruption"), series.calendar.noun
    column = study.outcome.column
    if series.steps.size == 0:
        raise MissingValuesError(
            f"no period has a value of '{column}'" + (" and a population" if series.exposure is not None else ""),
            expected="numbers", todo="check the columns and the filters", where=study.place("outcome", "column"),
        )  # fmt: skip
    _check_stretches(series, where, noun)
    y = series.values
    if np.ptp(y) == 0:
        raise NoVariationError(
            f"the outcome '{column}' never varies", expected="an outcome that varies",
            todo="check the outcome column and the filters", where=study.place("outcome", "column"),
        )  # fmt: skip
    if options.counts:
        _check_counts(series, study, options)
    for mark in series.marked:
        last = series.steps[-1] if mark.until is None else mark.until
        inside = (series.steps >= mark.step) & (series.steps <= last)
        if mark.modelled and (inside.all() or not inside.any()):
            raise PeriodError(
                f"'{mark.label}' is to be modelled, and every {noun} of the series or none lies within it",
                expected="an event that begins or ends within the series", todo="correct its dates, or leave it "
                "unmodelled", where=study.place("events"),
            )  # fmt: skip


def _check_stretches(series: Series, where: str, noun: str) -> None:
    edges = [int(series.steps[0]), *series.starts, int(series.steps[-1]) + 1]
    span = f"the data run from {series.label(0)} to {series.label(-1)}"
    for i, (low, high) in enumerate(itertools.pairwise(edges)):
        n = int(((series.steps >= low) & (series.steps < high)).sum())
        if n >= FEWEST:
            continue
        start = series.calendar.label(series.starts[max(i - 1, 0)])
        which = f"before the interruption ({start})" if i == 0 else f"from the interruption ({start}) on"
        raise NoPrePeriodError(
            f"{plural(max(n, 0), noun)} {'lies' if n == 1 else 'lie'} {which}; {span}",
            expected=f"at least {FEWEST} {noun}s before, and after each interruption",
            todo="correct the interruption, or use a longer series", where=where,
        )  # fmt: skip


def _check_counts(series: Series, study: Study, options: Options) -> None:
    y, column, where = series.values, study.outcome.column, study.place("outcome", "column")
    if (y < 0).any():
        raise ColumnTypeError(
            f"'{column}' is negative in {plural(int((y < 0).sum()), series.calendar.noun)}",
            expected="counts of 0 or more", todo="correct them, or choose family = 'gaussian'", where=where,
        )  # fmt: skip
    if options.family in WHOLE and bool((y != np.round(y)).any()):
        raise ColumnTypeError(
            f"'{column}' holds fractions", expected=f"whole numbers for family = '{options.family}'",
            todo="give counts with the population beside them, or choose family = 'quasi-poisson' or 'gaussian'",
            where=where,
        )  # fmt: skip
    edges = [int(series.steps[0]), *series.starts, int(series.steps[-1]) + 1]
    for low, high in itertools.pairwise(edges):
        if not y[(series.steps >= low) & (series.steps < high)].any():
            raise NoVariationError(
                f"all counts from {series.calendar.label(low)} to {series.calendar.label(high - 1)} are zero",
                expected="some count above zero on either side, or a ratio cannot be estimated",
                todo="choose family = 'gaussian', or longer periods", where=where,
            )  # fmt: skip


def _flow(table: Periods, series: Series, whole: int, study: Study) -> tuple[FlowStep, ...]:
    noun = series.calendar.noun
    n, before = series.steps.size, table.steps.size
    unit = f"{noun}s" if study.counts_people else "rows"
    steps = list(table.flow)
    if whole < before:
        reason = "no value was recorded"
        if series.covariates or series.exposure is not None:
            reason = "no value, population or covariate was recorded"
        steps.append(FlowStep(label="With a value", n=whole, unit=unit, excluded=before - whole, reason=reason))
    if n < whole:
        steps.append(FlowStep(label="Outside the phase-in", n=n, unit=unit, excluded=whole - n,
                              reason="the program was not yet whole"))  # fmt: skip
    steps.append(FlowStep(label=f"{noun.capitalize()}s in the analysis", n=n, unit=f"{noun}s"))
    return tuple(steps)
