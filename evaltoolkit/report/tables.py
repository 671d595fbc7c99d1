"""Tables as text: numbers by their kind, hidden numbers named as hidden, widths by content."""

from __future__ import annotations

import re
from collections.abc import Sequence

from evaltoolkit.plots.lettering import width_of
from evaltoolkit.report.blocks import Align, Grid
from evaltoolkit.results import Column, DisclosureLog, TableData, number, p_value
from evaltoolkit.results.numbers import digits_for
from evaltoolkit.results.types import Cell

HIDDEN = "hidden"
_SIZE = 8.8
_WIDEST = 2.6
_PAGE = 6.62
_NUMERIC = re.compile(r"[<>≤≥]? ?[+−-]?[\d.,]+%?( (to|of) [+−-]?[\d.,]+%?)?")


def table(data: TableData, log: DisclosureLog) -> Grid:
    """Return a result's table as text."""
    hidden = {h.path for h in log.hidden}
    columns = [
        [
            HIDDEN if cell is None and f"tables/{data.key}/{i}/{column.key}" in hidden else text
            for i, (cell, text) in enumerate(zip(cells, _texts(column, cells), strict=True))
        ]
        for column, cells in ((c, [row[j] for row in data.rows]) for j, c in enumerate(data.columns))
    ]
    any_hidden = any(text == HIDDEN for column in columns for text in column)
    note = " ".join(part for part in (data.note, "Hidden: see the safeguards." if any_hidden else "") if part)
    return grid(
        title=data.title,
        subtitle=data.subtitle,
        note=note,
        heads=[column.label or column.key.replace("_", " ") for column in data.columns],
        rows=list(zip(*columns, strict=True)) if columns else [],
        main_rows=data.main_rows,
        align=["left" if column.kind == "text" and not _intervals(texts) else "right"
               for column, texts in zip(data.columns, columns, strict=True)],
    )  # fmt: skip


def grid(
    *, title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], align: Sequence[Align] | None = None,
    subtitle: str = "", note: str = "", main_rows: Sequence[int] = (),
) -> Grid:  # fmt: skip
    """Return a table of texts with column widths that follow from its content."""
    sides: tuple[Align, ...] = tuple(align) if align else ("left",) * len(heads)
    return Grid(
        title=title,
        subtitle=subtitle,
        note=note,
        heads=tuple(heads),
        rows=tuple(tuple(row) for row in rows),
        align=sides,
        weights=_widths(heads, [[row[j] for row in rows] for j in range(len(heads))], sides),
        main_rows=tuple(main_rows),
    )


def _widths(heads: Sequence[str], columns: Sequence[Sequence[str]], align: Sequence[Align]) -> tuple[float, ...]:
    """Return widths in inches: columns of numbers get what they need, columns of words share the rest."""
    needs = [_need(head, texts) for head, texts in zip(heads, columns, strict=True)]
    numbers = sum(need for need, side in zip(needs, align, strict=True) if side == "right")
    words = sum(need for need, side in zip(needs, align, strict=True) if side == "left")
    room = _PAGE - numbers
    if not words or room < 0.25 * _PAGE:
        return tuple(round(need, 3) for need in needs)
    return tuple(
        round(need if side == "right" else room * need / words, 3) for need, side in zip(needs, align, strict=True)
    )


def _need(head: str, texts: Sequence[str]) -> float:
    words = [width_of(word[:40], _SIZE, "semibold") for text in (head, *texts) for word in text[:400].split()]
    longest_word = min(max(words, default=0.3), 1.4)
    longest = max((width_of(text[:120], _SIZE, "semibold") for text in texts), default=0.3)
    return 0.2 + max(longest_word, min(longest, _WIDEST), min(width_of(head[:120], _SIZE, "semibold"), 1.0))


def _intervals(texts: Sequence[str]) -> bool:
    """Return whether the texts of a column are numbers or intervals, which are set to the right."""
    shown = [text for text in texts if text not in {"", "–", HIDDEN}]
    return bool(shown) and all(_NUMERIC.fullmatch(text) for text in shown)


def _texts(column: Column, cells: Sequence[Cell]) -> list[str]:
    digits = column.digits if column.digits is not None else _shared_digits(column, cells)
    return [_text(column, cell, digits) for cell in cells]


def _shared_digits(column: Column, cells: Sequence[Cell]) -> int | None:
    if column.kind in {"people", "count"}:
        return 0
    sizes = [abs(float(c)) for c in cells if isinstance(c, int | float) and not isinstance(c, bool) and c != 0]
    if not sizes or max(sizes) > 1000 * min(sizes):
        return None
    if all(size == int(size) for size in sizes):
        return 0
    return digits_for(*sizes)


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
    return number(float(cell), digits, signed=column.signed)
