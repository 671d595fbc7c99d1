"""Numbers as text: true minus, digits that fit the size, intervals in words."""

from __future__ import annotations

import math

MINUS = "\N{MINUS SIGN}"


def digits_for(*values: float | None) -> int:
    """Return the decimals that show the smallest of the values to about two significant digits (0 to 4).

    >>> digits_for(0.95, 0.78), digits_for(-7.1), digits_for(1794.3), digits_for(0.0123)
    (2, 1, 0, 3)
    """
    sizes = [abs(v) for v in values if v is not None and math.isfinite(v) and v != 0]
    if not sizes:
        return 1
    largest = max(sizes)
    return min(4, max(0, 1 - math.floor(math.log10(largest)))) if largest < 100 else 0


def number(value: float | None, digits: int | None = None, *, signed: bool = False) -> str:
    """Return a number as text; a missing one is an en dash.

    >>> number(-7.123, 1), number(0.95, signed=True), number(1234567.0), number(None)
    ('−7.1', '+0.95', '1,234,567', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    places = digits_for(value) if digits is None else digits
    text = f"{abs(value):,.{places}f}"
    zero = not any(ch in "123456789" for ch in text)
    sign = "" if zero else MINUS if value < 0 else "+" if signed else ""
    return sign + text


def interval(low: float | None, high: float | None, digits: int | None = None) -> str:
    """Return "low to high", with decimals that show how wide it is to about two digits.

    >>> interval(-9.0, -5.2, 1), interval(-12.4, -4.8)
    ('−9.0 to −5.2', '−12.4 to −4.8')
    """
    if low is None and high is None:
        return number(None)
    width = None if low is None or high is None else high - low
    places = max(digits_for(low, high), digits_for(width) if width else 0) if digits is None else digits
    return f"{number(low, places)} to {number(high, places)}"


def p_value(value: float | None) -> str:
    """Return a p-value to three decimals with a floor.

    >>> p_value(0.0002), p_value(0.168), p_value(None)
    ('< 0.001', '0.168', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def level_text(level: float) -> str:
    """Return a confidence level as "95%".

    >>> level_text(0.95), level_text(0.975)
    ('95%', '97.5%')
    """
    return f"{100 * level:.6g}%"


def plural(n: int, one: str, many: str | None = None) -> str:
    """Return "1 county", "3 counties".

    >>> plural(1, "county", "counties"), plural(3, "county", "counties"), plural(2, "pair")
    ('1 county', '3 counties', '2 pairs')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"
