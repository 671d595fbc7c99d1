"""Axes worked out by rule: limits, ticks and their labels, and places for labels that do not touch."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from evaltoolkit.plots.lettering import width_of
from evaltoolkit.plots.palette import TICK
from evaltoolkit.results.numbers import MINUS

_YEAR = re.compile(r"(?<!\d)(?:1[89]|20|21)\d\d(?!\d)")
_NEGATIVE = re.compile(r"^-(?=\d)")
_GAP = 0.09


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis: its limits, and its ticks with their labels."""

    low: float
    high: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]

    def share(self, value: float) -> float:
        """Return where on the axis a value lies, from 0 to 1."""
        return (value - self.low) / (self.high - self.low)


def limits(values: Sequence[float], *, pad: float = 0.06) -> tuple[float, float]:
    """Return limits around the values with a little room; (0, 1) where there are none."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    span = max(high - low, 1e-6 * max(abs(low), abs(high)))
    if span == 0:
        return low - 1.0, high + 1.0
    if high == low:
        span = abs(high)
    return low - pad * span, high + pad * span


def value_scale(values: Sequence[float], *, most: int = 6, signed: bool = False) -> Scale:
    """Return a scale of round numbers around the values."""
    low, high = limits(values)
    ticks = round_ticks(low, high, most)
    return Scale(low, high, tuple(ticks), tuple(tick_labels(ticks, signed=signed)))


def round_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers between two limits, at most ``most`` of them.

    >>> round_ticks(-0.1, 1.1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    raw = (high - low) / max(most - 1, 1)
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(s * size for s in (1, 2, 2.5, 5, 10, 20, 25, 50) if _count(low, high, s * size) <= most)
    first = math.ceil(low / step - 1e-9)
    return [float(f"{(first + i) * step:.12g}") for i in range(_count(low, high, step))]


def _count(low: float, high: float, step: float) -> int:
    return max(0, math.floor(high / step + 1e-9) - math.ceil(low / step - 1e-9) + 1)


def tick_labels(ticks: Sequence[float], *, signed: bool = False) -> list[str]:
    """Return labels with the same decimals, a true minus, and powers of ten where numbers are very large or small.

    >>> tick_labels([-0.5, 0.0, 0.5]), tick_labels([1e10, 2e10])
    (['−0.5', '0.0', '0.5'], ['1e10', '2e10'])
    """
    largest = max((abs(t) for t in ticks), default=0.0)
    if largest and (largest >= 1e7 or largest < 1e-3):
        return [_power(t, signed=signed) for t in ticks]
    step = min((b - a for a, b in itertools.pairwise(ticks)), default=largest or 1.0)
    digits = next((d for d in range(9) if abs(round(step, d) - step) <= 1e-6 * abs(step)), 9)
    return [_signed(f"{abs(t):,.{digits}f}", t, signed=signed) for t in ticks]


def _signed(text: str, value: float, *, signed: bool) -> str:
    zero = not any(ch in "123456789" for ch in text)
    return ("" if zero else MINUS if value < 0 else "+" if signed else "") + text


def _power(value: float, *, signed: bool) -> str:
    if value == 0:
        return "0"
    mantissa, exponent = f"{abs(value):.6e}".split("e")
    digits = mantissa.rstrip("0").rstrip(".")
    power = str(int(exponent)).replace("-", MINUS)
    return _signed(f"{digits}e{power}", value, signed=signed)


def period_scale(xs: Sequence[float], labels: Sequence[str], width: float, *, pad: float = 0.02) -> Scale:
    """Return a scale for periods: the labels given, thinned so that none touch; years alone where they say enough.

    ``width`` is the length of the axis in inches.
    """
    places = sorted(
        {x: _NEGATIVE.sub(MINUS, label) for x, label in zip(xs, labels, strict=True) if math.isfinite(x)}.items()
    )
    low, high = limits([x for x, _ in places], pad=pad)
    chosen = _year_starts(places) or [p for p in places if p[1]]
    for step in range(1, max(len(chosen), 1) + 1):
        kept = chosen[::step]
        if _fit(kept, low, high, width):
            break
    else:
        kept = []
    return Scale(low, high, tuple(x for x, _ in kept), tuple(label for _, label in kept))


def _year_starts(places: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    years = [_YEAR.findall(label) for _, label in places]
    if len(places) < 9 or any(len(found) != 1 for found in years):
        return []
    rests = [_YEAR.sub("", label) for _, label in places]
    changes = [i for i in range(1, len(places)) if years[i] != years[i - 1]]
    if len(changes) < 2 or len(changes) == len(places) - 1 or len({rests[i] for i in changes}) > 1:
        return []
    if rests[0] == rests[changes[0]]:
        changes = [0, *changes]
    return [(places[i][0], years[i][0]) for i in changes]


def _fit(places: Sequence[tuple[float, str]], low: float, high: float, width: float) -> bool:
    end = -math.inf
    for x, label in places:
        middle, half = (x - low) / (high - low) * width, width_of(label, TICK) / 2
        if middle - half < end + _GAP:
            return False
        end = middle + half
    return True


def spread(wanted: Sequence[float], sizes: Sequence[float], low: float, high: float) -> list[float]:
    """Return middles near the wanted ones so that intervals of the sizes do not overlap and stay within the limits.

    >>> spread([0.5, 0.5], [0.2, 0.2], 0.0, 1.0)
    [0.4, 0.6]
    """
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    groups: list[tuple[list[int], float]] = []
    for i in order:
        members, bottom = [i], _held(wanted[i] - sizes[i] / 2, sizes[i], low, high)
        while groups and groups[-1][1] + sum(sizes[k] for k in groups[-1][0]) > bottom:
            members = groups.pop()[0] + members
            bottom = _group_bottom(members, wanted, sizes, low, high)
        groups.append((members, bottom))
    out = [0.0] * len(wanted)
    for members, start in groups:
        at = start
        for i in members:
            out[i] = round(at + sizes[i] / 2, 9)
            at += sizes[i]
    return out


def _group_bottom(
    members: Sequence[int], wanted: Sequence[float], sizes: Sequence[float], low: float, high: float
) -> float:
    total, at, offsets = sum(sizes[i] for i in members), 0.0, []
    for i in members:
        offsets.append(wanted[i] - at - sizes[i] / 2)
        at += sizes[i]
    return _held(sum(offsets) / len(offsets), total, low, high)


def _held(bottom: float, size: float, low: float, high: float) -> float:
    return max(low, min(bottom, high - size))
