"""A series of periods, and what is known about its calendar."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.data import Calendar
from evaltoolkit.designs.its.shapes import Effect

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]
Choice = Literal["named", "mean", "all", "matched", "synthetic"]


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase-in: the first period in which the program was whole, and whether the level rises until then."""

    whole: int
    ramp: bool


@dataclass(frozen=True, slots=True)
class Marked:
    """Something that happened beside the program, or a change of recording.

    Attributes
    ----------
    step, until
        First and last period in which it may show; ``until`` is None where it stays.
    label
        What happened.
    modelled
        Whether it has a level of its own in the model.
    kind
        ``event`` or ``recording``.
    """

    step: int
    until: int | None
    label: str
    modelled: bool
    kind: Literal["event", "recording"]


@dataclass(frozen=True, slots=True)
class Audit:
    """What the calendar is like.

    Attributes
    ----------
    partial
        Labels of periods left out because recording covers them in part or not at all.
    suspected
        Labels of the first and last period that seem to be recorded in part.
    zeros
        Periods without a row that count as zero, because a row is an event.
    phased
        Periods left out as phase-in.
    """

    partial: tuple[str, ...] = ()
    suspected: tuple[str, ...] = ()
    zeros: int = 0
    phased: int = 0


@dataclass(frozen=True, slots=True)
class Control:
    """What the series is compared with, in the same n periods.

    Attributes
    ----------
    kind
        How controls were chosen.
    names
        Names of the J controls that are used.
    weights
        Weight of each, which add up to one, shape (J,).
    rates
        The control per head (or as recorded, without a population), shape (n,).
    each
        The same of each control, shape (n, J).
    events
        Number of events behind the control, shape (n,); None where the outcome counts none.
    candidates
        Number of controls among which the choice was made.
    """

    kind: Choice
    names: tuple[str, ...]
    weights: FloatArray
    rates: FloatArray
    each: FloatArray
    events: FloatArray | None
    candidates: int

    def where(self, kept: Mask) -> Control:
        """Return some of the periods, shape (n,)."""
        return dataclasses.replace(
            self, rates=self.rates[kept], each=self.each[kept],
            events=None if self.events is None else self.events[kept],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Series:
    """A series of n periods.

    Attributes
    ----------
    steps
        Period of each value as a whole number, rising, shape (n,).
    values
        The outcome as it is recorded, shape (n,).
    exposure
        Population at risk, shape (n,); None where there is none.
    starts
        Period of each interruption, rising.
    calendar
        How periods are written.
    n_missing
        Periods between the first and the last that have no value.
    covariates
        Columns that enter the model as they are, by name, each of shape (n,).
    placebos
        Outcomes that the program cannot have changed, by name, missing where none was recorded, each of shape (n,).
    own
        What may change at an interruption, by its period, where it differs from the rest.
    named
        What happened at an interruption in the evaluator's words, by its period.
    phases
        Phase-in of an interruption, by its period.
    marked
        Other events and changes of recording.
    people
        Number of people or events behind each value, where small numbers hide it, shape (n,); None elsewhere.
    audit
        What the calendar is like.
    control
        What it is compared with; None where it stands alone.
    """

    steps: IntArray
    values: FloatArray
    exposure: FloatArray | None
    starts: tuple[int, ...]
    calendar: Calendar
    n_missing: int
    covariates: Mapping[str, FloatArray] = field(default_factory=dict)
    own: Mapping[int, tuple[Effect, ...]] = field(default_factory=dict)
    named: Mapping[int, str] = field(default_factory=dict)
    phases: Mapping[int, Phase] = field(default_factory=dict)
    marked: tuple[Marked, ...] = ()
    people: FloatArray | None = None
    audit: Audit = field(default_factory=Audit)
    control: Control | None = None
    placebos: Mapping[str, FloatArray] = field(default_factory=dict)

    @property
    def after(self) -> Mask:
        """Periods from the first interruption on."""
        return self.steps >= self.starts[0]

    def label(self, i: int) -> str:
        """Return the i-th period as text."""
        return self.calendar.label(int(self.steps[i]))

    def start_label(self, start: int) -> str:
        """Return an interruption as text: its period, with the evaluator's words where there are any."""
        name = self.named.get(start)
        return f"{self.calendar.label(start)} ({name})" if name else self.calendar.label(start)

    def where(self, kept: Mask) -> Series:
        """Return some of the periods, shape (n,)."""
        return dataclasses.replace(
            self, steps=self.steps[kept], values=self.values[kept],
            exposure=None if self.exposure is None else self.exposure[kept],
            people=None if self.people is None else self.people[kept],
            covariates={name: column[kept] for name, column in self.covariates.items()},
            control=None if self.control is None else self.control.where(kept),
            placebos={name: column[kept] for name, column in self.placebos.items()},
        )  # fmt: skip

    def moved(self, *starts: int) -> Series:
        """Return the series as if the program had begun at other times, at once and with the common effects."""
        return dataclasses.replace(self, starts=starts, own={}, named={}, phases={})
