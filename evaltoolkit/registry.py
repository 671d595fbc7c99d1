"""The one table of designs. Adding a design means adding a line here, and nothing else outside its own folder."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from evaltoolkit.contract import Design
from evaltoolkit.errors import DesignFileValueError, did_you_mean


@dataclass(frozen=True, slots=True)
class Entry:
    """One design: its name in design files, its short name, what it is for, and where it is found."""

    kind: str
    short: str
    summary: str
    place: str

    def load(self) -> Design[Any]:
        """Import the design."""
        module, name = self.place.split(":")
        design: Design[Any] = getattr(importlib.import_module(module), name)
        return design


DESIGNS: tuple[Entry, ...] = (
    Entry(
        "difference-in-differences",
        "did",
        "Compares the change in places that started a program with the change in places that had not.",
        "evaltoolkit.designs.did:DIFFERENCE_IN_DIFFERENCES",
    ),
    Entry(
        "propensity-score-matching",
        "match",
        "Compares people who were served with similar people who were not.",
        "evaltoolkit.designs.matching:PROPENSITY_SCORE_MATCHING",
    ),
    Entry(
        "interrupted-time-series",
        "its",
        "Compares a series after a program began with what the series before it leads one to expect.",
        "evaltoolkit.designs.its:INTERRUPTED_TIME_SERIES",
    ),
)


def kinds() -> tuple[str, ...]:
    """Names of the designs, as design files write them."""
    return tuple(entry.kind for entry in DESIGNS)


def entry_for(kind: str, *, where: str = "") -> Entry:
    """Return the entry of a design by its name.

    Raises
    ------
    DesignFileValueError
        No design has that name.
    """
    for entry in DESIGNS:
        if kind in {entry.kind, entry.short}:
            return entry
    raise DesignFileValueError(
        f"design = '{kind}' is not known{did_you_mean(kind, kinds())}", expected="one of " + ", ".join(kinds()),
        todo="choose one of these designs", where=where,
    )  # fmt: skip
