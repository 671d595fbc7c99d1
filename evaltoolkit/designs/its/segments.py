"""The columns of what may change at each interruption."""

from __future__ import annotations

from dataclasses import dataclass

from evaltoolkit.designs.its.options import Options
from evaltoolkit.designs.its.series import FloatArray, Phase, Series
from evaltoolkit.designs.its.shapes import Effect, Shape, form_of
from evaltoolkit.errors import OptionError
from evaltoolkit.kernels.segments import segment


@dataclass(frozen=True, slots=True)
class Change:
    """One change: its name, the place of its interruption among all, and its column, shape (n,)."""

    name: str
    interruption: int
    column: FloatArray


def changes(series: Series, options: Options, where: str) -> list[Change]:
    """Return the columns of every change at every interruption.

    After a phase-in that is left out, changes count from the first period in which the program was whole. With a ramp,
    the level rises in equal steps from the interruption and is whole in that period, and the slope counts from it.

    Raises
    ------
    OptionError
        A change ends before it begins, or lies outside the series.
    """
    found = []
    for i, start in enumerate(series.starts):
        for effect in series.own.get(start, options.effects):
            parts = [series.calendar.label(start)] if len(series.starts) > 1 else []
            column = _column(series, effect, start, where)
            if not column.any():
                raise OptionError(
                    f"no {series.calendar.noun} of the series has the change '{name_of(effect, series)}'",
                    expected="a delay and an end that leave some periods with it",
                    todo="correct effects, or use a longer series", where=where,
                )  # fmt: skip
            found.append(Change(name_of(effect, series, *parts), i, column))
    return found


def name_of(effect: Effect, series: Series, *parts: str) -> str:
    """Return the name of a change, with what tells it from others in brackets."""
    said = list(parts)
    if isinstance(effect, Shape):
        noun = series.calendar.noun
        if effect.over is not None:
            said.append(f"over {effect.over} {noun}s")
        if effect.lasts is not None:
            said.append(f"{effect.lasts} {noun}s" if effect.lasts > 1 else f"1 {noun}")
        if effect.until is not None:
            said.append(f"until {effect.until}")
        if effect.delay:
            said.append(f"delayed by {effect.delay}")
    return form_of(effect) + (f" ({', '.join(said)})" if said else "")


def _column(series: Series, effect: Effect, start: int, where: str) -> FloatArray:
    phase = series.phases.get(start)
    begin = start if phase is None else phase.whole
    if phase is not None and phase.ramp and effect == "level":
        return segment(series.steps, start, "ramp", _steps_up(start, phase))
    if not isinstance(effect, Shape):
        return segment(series.steps, begin, effect)
    begin += effect.delay
    periods = effect.over or effect.lasts or 1
    if effect.until is not None:
        periods = series.calendar.parse(effect.until, where=where, what="end of a temporary change") - begin + 1
    if periods < 1:
        raise OptionError(
            f"a temporary change ends in {effect.until}, before it begins in {series.calendar.label(begin)}",
            expected="an end after the interruption, the phase-in and the delay", todo="correct until", where=where,
        )  # fmt: skip
    return segment(series.steps, begin, effect.shape, periods)


def _steps_up(start: int, phase: Phase) -> int:
    return phase.whole - start + 1
