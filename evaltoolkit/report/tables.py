"""Tables as text: numbers by their kind, hidden numbers named as hidden, widths by content."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from evaltoolkit.report.blocks import Align, Grid
from evaltoolkit.report.record import seen
from evaltoolkit.report.widths import layout
from evaltoolkit.results import Column, DisclosureLog, TableData, number, p_value
from evaltoolkit.results.numbers import digits_for
from evaltoolkit.results.types import Cell

HIDDEN = "hidden"
_YEAR = re.compile(r"(1[89]|2[01])\d\d")
_NUMERIC = re.compile(r"[<>≤≥]? ?[+−-]?[\d.,]+%?( (to|of) [+−-]?[\d.,]+%?)?")


def table(data: TableData, log: DisclosureLog) -> Grid:
    """Return a result's table as text. A column in which nothing was to be shown is left out."""
    hidden = {h.path for h in log.hidden}
    columns = [
        (column, _column(data, j, hidden))
        for j, column in enumerate(data.columns)
        if j == 0 or not data.rows or any(row[j] is not None or _path(data, i, j) in hidden
                                          for i, row in enumerate(data.rows))
    ]  # fmt: skip
    any_hidden = any(text == HIDDEN for _, texts in columns for text in texts)
    why = f"Hidden: the number rests on fewer than {log.threshold} people, or would reveal one that does."
    return grid(
        title=data.title,
        subtitle=data.subtitle,
        note=" ".join(part for part in (data.note, why if any_hidden else "") if part),
        heads=[column.label or column.key.replace("_", " ") for column, _ in columns],
        rows=list(zip(*(texts for _, texts in columns), strict=True)),
        main_rows=data.main_rows,
        align=["left" if column.kind == "text" and not _intervals(texts) else "right" for column, texts in columns],
    )


def _path(data: TableData, i: int, j: int) -> str:
    return f"tables/{data.key}/{i}/{data.columns[j].key}"


def _column(data: TableData, j: int, hidden: set[str]) -> list[str]:
    cells = [row[j] for row in data.rows]
    return [
        HIDDEN if cell is None and _path(data, i, j) in hidden else text
        for i, (cell, text) in enumerate(zip(cells, _texts(data.columns[j], cells), strict=True))
    ]


def grid(
    *, title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], align: Sequence[Align] | None = None,
    subtitle: str = "", note: str = "", main_rows: Sequence[int] = (),
) -> Grid:  # fmt: skip
    """Return a table of texts with column widths that follow from its content."""
    sides: tuple[Align, ...] = tuple(align) if align else tuple("left" for _ in heads)
    made = layout(heads, [[row[j] for row in rows] for j in range(len(heads))], sides)
    return Grid(
        title=seen(title, "Table"),
        subtitle=subtitle,
        note=note,
        heads=tuple(heads),
        rows=tuple(tuple(row) for row in rows),
        align=sides,
        weights=made.widths,
        size=made.size,
        main_rows=tuple(main_rows),
    )


def _intervals(texts: Sequence[str]) -> bool:
    """Return whether most texts of a column are numbers or intervals, which are set to the right."""
    shown = [text for text in texts if text not in {"", "–", HIDDEN}]
    names = all(_YEAR.fullmatch(text) for text in shown)
    numeric = sum(bool(_NUMERIC.fullmatch(text)) for text in shown)
    return bool(shown) and not names and 2 * numeric > len(shown)


def _texts(column: Column, cells: Sequence[Cell]) -> list[str]:
    digits = column.digits if column.digits is not None else _shared_digits(column, cells)
    return [_text(column, cell, digits) for cell in cells]


def _shared_digits(column: Column, cells: Sequence[Cell]) -> int | None:
    """Return the decimals of a column whose numbers are of one scale (but for a few near zero); else None."""
    if column.kind in {"people", "count"}:
        return 0
    sizes = [abs(float(c)) for c in cells if isinstance(c, int | float) and not isinstance(c, bool) and c != 0]
    if not sizes:
        return None
    large = max(sizes)
    near = [size for size in sizes if size >= large / 1000]
    if all(size == int(size) for size in sizes):
        return 0
    if len(sizes) - len(near) > 0.1 * len(sizes) or (large >= 10 and 10 * min(near) < large):
        return None
    least = 2 if large < 10 else 1 if large < 100 else 0
    return max(min(digits_for(min(near)), digits_for(large) + 1), least)


def _own_digits(value: float) -> int:
    """Return decimals for a number among others of another scale: about three digits, two for a very small one.

    >>> [_own_digits(v) for v in (0.16, 27.4, 2532.0, 0.00071)]
    [2, 1, 0, 5]
    """
    size = abs(value)
    if size == 0 or size >= 0.01:
        return 2 if size < 10 else 1 if size < 100 else 0
    return min(8, 1 - math.floor(math.log10(size)))


def _text(column: Column, cell: Cell, digits: int | None) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, str):
        return cell
    if column.kind == "p-value":
        return p_value(float(cell))
    if column.kind == "share":
        return number(100 * float(cell), column.digits if column.digits is not None else 1, signed=column.signed) + "%"
    return number(float(cell), _own_digits(float(cell)) if digits is None else digits, signed=column.signed)
