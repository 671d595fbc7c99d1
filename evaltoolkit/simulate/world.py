"""What a world is: a name, a way to draw from it, and what one draw holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True, slots=True)
class Variable:
    """One line of a codebook: the column, its type, its unit, its role, and where it comes from."""

    column: str
    type: str
    unit: str
    role: str
    source: str


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw from a world.

    Attributes
    ----------
    frame
        The data as an evaluator would get them.
    truth
        What an evaluation of these data should find, by name; effects are in the units of the outcome.
    codebook
        One entry per column of ``frame``, in its order.
    """

    frame: pd.DataFrame
    truth: Mapping[str, float]
    codebook: tuple[Variable, ...]


@dataclass(frozen=True, slots=True)
class World:
    """A made-up world whose true effect is known.

    Attributes
    ----------
    name
        Its name on the command line.
    summary
        What it is modelled on, in one line.
    draw
        Takes a seed and a multiple of the world's own effect (1 as it is, 0 no effect), returns a ``Draw``.
    """

    name: str
    summary: str
    draw: Callable[[int, float], Draw]


MADE_UP = "made up by evaltoolkit simulate {name}; no real place or person"


def variables(name: str, lines: tuple[tuple[str, str, str, str], ...]) -> tuple[Variable, ...]:
    """Return codebook entries of a world from (column, type, unit, role)."""
    return tuple(Variable(*line, source=MADE_UP.format(name=name)) for line in lines)


def stream(name: str, seed: int) -> np.random.RandomState:
    """Return the random stream of a world and a seed; worlds with the same seed share no draws.

    numpy keeps the draws of RandomState, and of PCG64 beneath it, the same from version to version, which it does not
    promise for Generator; the sample data must come out the same everywhere.
    """
    return np.random.RandomState(np.random.PCG64([seed, *name.encode()]))
