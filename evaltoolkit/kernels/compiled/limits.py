"""What must hold within a pair, for the loops over a line and over a tree."""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import njit


class Limits(NamedTuple):
    """A caliper on the score or distance, and ``kernels.pairing.Constraints`` by slot of the line or by row."""

    reach: float
    widths: Any
    columns: Any
    apart: Any


@njit(cache=True, nogil=True)
def allowed(unit, other, limits, earlier):
    """Return whether two units may be a pair: not paired before, within every width, and apart where they must be."""
    for place in earlier:
        if place == other:
            return False
    for k in range(limits.widths.size):
        far, width = abs(limits.columns[unit, k] - limits.columns[other, k]), limits.widths[k]
        if far > width if width >= 0 else far <= -width:
            return False
    for k in range(limits.apart.shape[1]):  # noqa: SIM110 (all() of a generator does not compile)
        if limits.apart[unit, k] == limits.apart[other, k]:
            return False
    return True
