"""The regression of a series: its columns, what would have been without the interruption, and what is asked of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.its.options import Effect, Harmonics, Options
from evaltoolkit.designs.its.sample import Series
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
        Names of the columns: intercept, trend, then level and slope of each interruption, then seasons.
    observed, expected
        Columns as they were, and with every level and slope set to zero, shape (n, k).
    response
        What is regressed: the outcome in display units, or the count, shape (n,).
    offset
        Log of the population for counts, shape (n,); zeros without one.
    scale
        By what a modelled value is multiplied to be in display units, shape (n,).
    after
        Periods from the first interruption on, shape (n,).
    steps
        Period of each row, shape (n,).
    log_link
        Whether the columns add up to the log of the expected count.
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
        X = self.expected if expected else self.observed
        if not self.log_link:
            return lambda b: (b @ X.T, X)

        def _at(b: FloatArray) -> tuple[FloatArray, FloatArray]:
            value = self.scale * np.exp(self.offset + b @ X.T)
            return value, value[..., None] * X

        return _at

    def effect(self, weights: FloatArray, *, in_events: bool = False) -> Functional:
        """Return sums of the difference between modelled and expected outcome, weights of shape (m, n)."""

        def _at(b: FloatArray) -> tuple[FloatArray, FloatArray]:
            with_it, d_with = self.path(expected=False)(b)
            without, d_without = self.path(expected=True)(b)
            unit = 1 / self.scale if in_events else np.ones_like(self.scale)
            w = weights * unit
            return (with_it - without) @ w.T, w @ (d_with - d_without)

        return _at

    def log_ratio(self) -> Functional:
        """Return the log of the modelled total after the interruption over the expected total.

        Totals are of what is modelled: events for counts, display units otherwise.
        """

        def _at(b: FloatArray) -> tuple[FloatArray, FloatArray]:
            unit = self.after / self.scale if self.log_link else self.after.astype(np.float64)
            with_it, d_with = self.path(expected=False)(b)
            without, d_without = self.path(expected=True)(b)
            a, c = (with_it @ unit)[..., None], (without @ unit)[..., None]
            with np.errstate(divide="ignore", invalid="ignore"):
                value = np.where((a > 0) & (c > 0), np.log(a / c), np.nan)
            return value, ((unit @ d_with) / a - (unit @ d_without) / c)[..., None, :]

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
    names, columns = (
        ["intercept", "trend"],
        [np.ones(series.steps.size), (series.steps - series.steps[0]).astype(float)],
    )
    shifts: list[FloatArray] = []
    for start in series.starts:
        tag = f" ({series.calendar.label(start)})" if len(series.starts) > 1 else ""
        after = (series.steps >= start).astype(np.float64)
        shapes: dict[Effect, FloatArray] = {"level": after, "slope": (series.steps - start) * after}
        names += [f"{effect}{tag}" for effect in options.effects]
        shifts += [shapes[effect] for effect in options.effects]
    season_names, season = seasons(series, options, where)
    observed = np.column_stack([*columns, *shifts, *season])
    expected = np.column_stack([*columns, *[np.zeros_like(s) for s in shifts], *season])
    _identified(observed, [*names, *season_names], series, where)
    offset = np.zeros(series.steps.size) if series.exposure is None else np.log(series.exposure)
    per_head = np.ones_like(offset) if series.exposure is None else outcome.per / series.exposure
    return Model(
        names=(*names, *season_names), observed=observed, expected=expected,
        response=series.values if options.counts else series.values * per_head,
        offset=offset if options.counts else np.zeros_like(offset),
        scale=per_head if options.counts and outcome.kind == "rate" else np.ones_like(offset),
        after=series.after, steps=series.steps, log_link=options.counts,
    )  # fmt: skip


def seasons(series: Series, options: Options, where: str) -> tuple[list[str], list[FloatArray]]:
    """Return the seasonal columns: waves, or a level for each season but the first."""
    if options.season is None:
        return [], []
    found = series.calendar.season(series.steps)
    if found is None:
        raise OptionError(
            f"season is set, and a period is a {series.calendar.noun}", expected="months, quarters, weeks or days",
            todo="leave season out", where=where,
        )  # fmt: skip
    place, length = found
    if isinstance(options.season, Harmonics):
        return _waves((place + 1).astype(np.float64), length, options.season.harmonics, where)
    if length not in {4, 12}:
        raise OptionError(
            f"season = 'months', and a period is a {series.calendar.noun}", expected="months or quarters",
            todo="write season = { harmonics = 2 }", where=where,
        )  # fmt: skip
    present = np.unique(place)[1:]
    word = "month" if length == 12 else "quarter"
    return [f"{word} {p + 1}" for p in present.tolist()], [(place == p).astype(np.float64) for p in present]


def _waves(s: FloatArray, length: int, pairs: int, where: str) -> tuple[list[str], list[FloatArray]]:
    if 2 * pairs > length:
        raise OptionError(
            f"season has {pairs} harmonics, and a cycle has {length} periods", expected=f"at most {length // 2}",
            todo="use fewer harmonics", where=where,
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
