"""What a design file may say about interruptions: when, what may change, and what else happened."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import Field, WithJsonSchema, model_validator

from evaltoolkit.kernels.segments import Form
from evaltoolkit.study import Section

Moment = datetime.date | int | str
Plain = Literal["level", "slope", "pulse"]
"""Changes that need no further word."""

MOMENT: Final[dict[str, Any]] = {"anyOf": [{"type": "string"}, {"type": "integer"}]}
AnyMoment = Annotated[Moment, WithJsonSchema(MOMENT)]


class Shape(Section):
    """A change in words of its own: delayed, temporary, or in steps."""

    shape: Form = Field(description="level, slope, pulse, ramp or temporary")
    delay: int = Field(0, ge=0, description="Periods from the interruption to the change")
    over: int | None = Field(None, ge=2, description="For ramp: periods until the change is whole")
    lasts: int | None = Field(None, ge=1, description="For temporary: periods that the change lasts")
    until: AnyMoment | None = Field(None, description="For temporary, in place of lasts: last period with the change")

    @model_validator(mode="after")
    def _complete(self) -> Shape:
        if (self.shape == "ramp") != (self.over is not None):
            msg = "ramp needs over, the periods until the change is whole; other shapes do without"
            raise ValueError(msg)
        ends = sum(value is not None for value in (self.lasts, self.until))
        if ends != (self.shape == "temporary"):
            msg = "temporary needs lasts or until, one of them; other shapes do without"
            raise ValueError(msg)
        return self


Effect = Plain | Shape


class Interruption(Section):
    """One interruption with words of its own."""

    date: AnyMoment = Field(description="First period with the program")
    label: str | None = Field(None, description="What happened, in a word or two")
    effects: tuple[Effect, ...] | None = Field(
        None, min_length=1, description="What may change here, where it differs from effects"
    )


class PhaseIn(Section):
    """Periods in which the program was under way but not whole."""

    until: AnyMoment | None = Field(None, description="Last period of the phase-in; for a single interruption")
    periods: int | None = Field(None, ge=1, description="In place of until: number of periods from the interruption")
    treated: Literal["excluded", "ramp"] = Field(
        "excluded", alias="as", description="excluded: left out of the model; ramp: the level rises step by step"
    )

    @model_validator(mode="after")
    def _one_end(self) -> PhaseIn:
        if (self.until is None) == (self.periods is None):
            msg = "phase_in needs until or periods, one of them"
            raise ValueError(msg)
        return self


class Event(Section):
    """Something else that happened and may have moved the outcome."""

    date: AnyMoment = Field(description="First period in which it may show")
    label: str = Field(min_length=1, description="What happened, in a few words")
    until: AnyMoment | None = Field(None, description="Last period in which it may show; for good where it is left out")
    modelled: bool = Field(default=False, description="true: a level of its own in the model; else only shown")


class Recorded(Section):
    """The dates between which recording was complete."""

    first: AnyMoment | None = Field(None, description="First day on which everything was recorded")
    last: AnyMoment | None = Field(None, description="Last day on which everything was recorded")

    @model_validator(mode="after")
    def _some(self) -> Recorded:
        if self.first is None and self.last is None:
            msg = "recorded needs first, last or both"
            raise ValueError(msg)
        return self


def form_of(effect: Effect) -> Form:
    """Return the kind of change.

    >>> form_of("level"), form_of(Shape(shape="ramp", over=3))
    ('level', 'ramp')
    """
    return effect.shape if isinstance(effect, Shape) else effect
