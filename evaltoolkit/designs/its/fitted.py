"""Everything that the tables, figures, checks and words of one study are made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.contract import small_cells
from evaltoolkit.data import Calendar
from evaltoolkit.designs.its.dependence import Errors
from evaltoolkit.designs.its.estimators import (
    ERROR_WORDS,
    Estimated,
    Measured,
    One,
    estimate,
    lags_of,
)
from evaltoolkit.designs.its.model import Model, build
from evaltoolkit.designs.its.options import Harmonics, Options
from evaltoolkit.designs.its.series import Series
from evaltoolkit.designs.its.shapes import Effect
from evaltoolkit.errors import EvaluationError
from evaltoolkit.results import Finding, SmallCells, judge
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]

SEASONED = 24
"""Periods that a series needs before an analysis with seasons is tried beside one without."""


@dataclass(frozen=True, slots=True)
class Effects:
    """What the program changed after the first interruption.

    Attributes
    ----------
    average
        Mean difference from what was expected, in display units.
    log_ratio
        Log of the modelled total over the expected total; None where it does not exist or means little.
    cumulative
        Sum of the differences: events for counts, display units otherwise.
    first, last
        Difference in the first and in the last period.
    per_population
        For counts shown as rates: the sum of events for as many people as rates are given for.
    """

    average: One
    log_ratio: One | None
    cumulative: One
    first: One
    last: One
    per_population: One | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """The headline estimated in another admissible way, and its fit; None where it cannot be."""

    label: str
    found: One | None
    main: Estimated | None


@dataclass(frozen=True, slots=True)
class Fitted:
    """One study, fitted.

    Attributes
    ----------
    main
        The model with the chosen errors.
    effects
        What changed.
    with_it
        Modelled outcome of each period in display units, shape (n,).
    without, difference
        Expected outcome, and the difference from it, with intervals, each of shape (n,).
    variants
        Other admissible estimates of the headline.
    """

    study: Study
    options: Options
    series: Series
    main: Estimated
    effects: Effects
    with_it: FloatArray
    without: Measured
    difference: Measured
    variants: tuple[Variant, ...]
    small: SmallCells

    @property
    def model(self) -> Model:
        """The regression."""
        return self.main.model

    @property
    def calendar(self) -> Calendar:
        """How periods are written."""
        return self.series.calendar

    @property
    def level(self) -> float:
        """The confidence level."""
        return self.study.inference.level

    @property
    def ratio(self) -> bool:
        """Whether the headline is a ratio of rates."""
        return self.model.log_link

    @property
    def is_constant(self) -> bool:
        """Whether the difference is the same in every period since the start."""
        series = self.series
        plain = series.own.get(series.starts[0], self.options.effects) == ("level",) and len(series.starts) == 1
        return not self.ratio and plain and not any(phase.ramp for phase in series.phases.values())

    @property
    def headline(self) -> One:
        """The headline: the rate ratio of counts, else the average difference."""
        if self.ratio:
            assert self.effects.log_ratio is not None
            return self.effects.log_ratio.exp()
        return self.effects.average

    @property
    def tested(self) -> One:
        """The headline on the scale on which zero is no change."""
        return self.effects.log_ratio if self.ratio and self.effects.log_ratio is not None else self.effects.average

    @property
    def finding(self) -> Finding:
        """The finding: its direction by what is tested, its size by the average difference."""
        tested = judge(self.tested.estimate, self.tested.low, self.tested.high)
        smallest = self.study.outcome.smallest_effect_that_matters
        if tested.strength != "clear" or smallest is None:
            return tested
        average = self.effects.average
        if average.low is None or average.high is None:
            return tested
        near = average.low if tested.direction == "up" else -average.high
        return Finding(tested.direction, "small") if near < smallest else tested


def fit(study: Study, options: Options, series: Series, *, around: bool = True) -> Fitted:
    """Estimate everything; with ``around`` false, no other models.

    Raises
    ------
    EvaluationError
        The series is too short for the model, or allows no estimate.
    """
    where = study.place("interruption")
    model = build(series, options, study.outcome, where)
    main = _estimated(model, options, series, study, options.errors)
    level = study.inference.level
    n = model.steps.size
    return Fitted(
        study=study, options=options, series=series, main=main, effects=effects_of(main, study),
        with_it=main.centre(model.path(expected=False)),
        without=main.measure(model.path(expected=True), level),
        difference=main.measure(model.effect(np.eye(n)), level),
        variants=_variants(study, options, series) if around else (), small=small_cells(study),
    )  # fmt: skip


def _estimated(model: Model, options: Options, series: Series, study: Study, errors: Errors) -> Estimated:
    season = series.calendar.season(series.steps)
    lags = lags_of(options, model.steps.size, None if season is None else season[1])
    return estimate(model, options, errors=errors, lags=lags, where=study.place("outcome", "column"))


def effects_of(main: Estimated, study: Study) -> Effects:
    """Return what changed, as average, ratio, sum, first and last difference."""
    model, level = main.model, study.inference.level
    after = model.after.astype(np.float64)
    ends = np.flatnonzero(model.after)[[0, -1]]
    points = np.zeros((2, after.size))
    points[[0, 1], ends] = 1.0
    difference = main.measure(model.effect(np.vstack([after / after.sum(), points])), level)
    people = float((study.outcome.per / model.scale)[model.after].mean())
    sums = np.vstack([after, after * study.outcome.per / people])
    total = main.measure(model.effect(sums, in_events=model.log_link), level)
    shared = model.log_link and study.outcome.kind == "rate" and study.outcome.per != 1
    return Effects(
        average=difference.one(0), log_ratio=_log_ratio(main, study), cumulative=total.one(0),
        first=difference.one(1), last=difference.one(2), per_population=total.one(1) if shared else None,
    )  # fmt: skip


def _log_ratio(main: Estimated, study: Study) -> One | None:
    """Return the relative effect, where the outcome has a true zero and the model stays above it."""
    model = main.model
    if not model.log_link:
        expected = model.path(expected=True)(main.errors.coefficients)[0]
        observed = model.path(expected=False)(main.errors.coefficients)[0]
        if study.outcome.kind == "proportion" or min(expected.min(), observed.min(), model.shown.min()) <= 0:
            return None
    found = main.measure(model.log_ratio(), study.inference.level).one()
    return None if found.estimate is None or found.low is None else found


def _variants(study: Study, options: Options, series: Series) -> tuple[Variant, ...]:
    """Return the headline by other errors, another season, and other shapes of the change."""
    independent: Errors = "model-based" if options.counts else "ols"
    wanted: list[tuple[str, Options, Errors]] = []
    for errors in ("marginal-ar1", "newey-west", independent):
        if errors != options.errors:
            wanted.append((f"errors: {ERROR_WORDS[errors]}", _with(options, lags=None), errors))
    if options.season is not None:
        wanted.append(("without seasons", _with(options, season=None), options.errors))
    elif series.calendar.unit in {"month", "quarter"} and series.steps.size >= SEASONED:
        wanted.append(("with one seasonal wave", _with(options, season=Harmonics(harmonics=1)), options.errors))
    others: tuple[tuple[Effect, ...], ...] = (("level",), ("level", "slope"))
    for effects in () if series.own else others:
        if effects != options.effects:
            label = "level change only" if effects == ("level",) else "level and slope change"
            wanted.append((label, _with(options, effects=effects), options.errors))
    return tuple(_variant(label, study, other, series, errors) for label, other, errors in wanted)


def _with(options: Options, **changes: object) -> Options:
    return options.model_copy(update=changes)


def _variant(label: str, study: Study, options: Options, series: Series, errors: Errors) -> Variant:
    try:
        model = build(series, options, study.outcome, "")
        main = _estimated(model, options, series, study, errors)
    except EvaluationError:
        return Variant(label, None, None)
    if options.counts:
        return Variant(label, _log_ratio(main, study), main)
    after = model.after.astype(np.float64)[None, :]
    return Variant(label, main.measure(model.effect(after / after.sum()), study.inference.level).one(), main)
