"""Tables: numbers as text, and columns that hold what stands in them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaltoolkit.plots.lettering import width_of
from evaltoolkit.report.blocks import Grid
from evaltoolkit.report.tables import HIDDEN, table
from evaltoolkit.report.widths import PAGE, SIZE, layout
from evaltoolkit.results import Column, DisclosureLog, TableData
from evaltoolkit.results.types import Hidden


def made(column: Column, cells: list[Any], hidden: tuple[int, ...] = ()) -> Grid:
    paths = tuple(Hidden(path=f"tables/t/{i}/{column.key}", why="primary") for i in hidden)
    log = DisclosureLog(threshold=11, show_zero=True, rule="", hidden=paths)
    return table(TableData(key="t", title="T", columns=(column,), rows=tuple((c,) for c in cells)), log)


def texts(column: Column, cells: list[Any]) -> list[str]:
    return [row[0] for row in made(column, cells).rows]


@pytest.mark.parametrize(
    ("column", "cells", "said"),
    [
        (Column(key="v"), [0.95, -0.3, 1.25], ["0.95", "−0.30", "1.25"]),
        (Column(key="v", signed=True), [0.95, -0.3, 0.0], ["+0.95", "−0.30", "0.00"]),
        (Column(key="v", digits=1), [0.95, 12.0], ["0.9", "12.0"]),
        (Column(key="v"), [1240.0, 3.0], ["1,240", "3"]),
        (Column(key="n", kind="people"), [1240, 0, 15], ["1,240", "0", "15"]),
        (Column(key="s", kind="share"), [0.125, 1.0, None], ["12.5%", "100.0%", "–"]),
        (Column(key="p", kind="p-value"), [0.0002, 0.0432], ["< 0.001", "0.043"]),
        (Column(key="t", kind="text"), ["a", True, None], ["a", "yes", "–"]),
        # one scale in each row: means of money, ages and shares in one column
        (Column(key="v"), [2532.4, 26.13, 0.4712, 0.00071], ["2,532", "26.1", "0.47", "0.00071"]),
        # a coefficient that is small beside others is not rounded to nothing
        # one effect among many that happens to be near zero does not set the decimals
        (Column(key="v"), [0.51, 1.08, -0.0013] + [0.4] * 9, ["0.51", "1.08", "0.00"] + ["0.40"] * 9),
        # effects and their percentage in one column
        (Column(key="v"), [1.08, 1.2, 59.13], ["1.08", "1.20", "59.1"]),
        (Column(key="v"), [-1.6612, 0.0156, 0.1613], ["−1.66", "0.02", "0.16"]),
    ],
)
def test_numbers_as_text(column: Column, cells: list[Any], said: list[str]) -> None:
    assert texts(column, cells) == said


def test_hidden_is_not_the_same_as_missing() -> None:
    grid = made(Column(key="n", kind="people"), [20, None, None], hidden=(1,))
    assert [row[0] for row in grid.rows] == ["20", HIDDEN, "–"]
    assert "fewer than 11 people" in grid.note
    assert made(Column(key="n", kind="people"), [20, None]).note == ""


@pytest.mark.parametrize(
    ("cells", "side"),
    [(["0.78 to 1.13", "−3 to 17"], "right"), (["< 0.001", "0.04"], "right"), (["2004", "2006"], "left"),
     (["North", "12"], "left"), (["–", ""], "left"), (["−0.04 to 0.05", "reference", "0.1 to 0.2"], "right")],
)  # fmt: skip
def test_columns_of_numbers_stand_to_the_right(cells: list[str], side: str) -> None:
    assert made(Column(key="c", kind="text"), cells).align == (side,)


def test_a_column_with_nothing_to_show_is_left_out_and_a_hidden_one_stays() -> None:
    columns = tuple(Column(key=key) for key in "abc")
    data = TableData(key="t", title="T", columns=columns, rows=((1.0, None, None), (2.0, None, None)))
    log = DisclosureLog(threshold=11, show_zero=True, rule="", hidden=(Hidden(path="tables/t/0/c", why="primary"),))
    assert table(data, log).heads == ("a", "c")


WORDS = st.text("abcdefghij klmnop", min_size=0, max_size=200)
NUMBERS = st.floats(-1e6, 1e6).map(lambda v: f"{v:,.2f}")


@st.composite
def anything(draw: st.DrawFn) -> tuple[list[str], list[list[str]], list[Any]]:
    sides = draw(st.lists(st.sampled_from(["left", "right"]), min_size=1, max_size=9))
    rows = draw(st.integers(0, 5))
    columns = [[draw(WORDS if side == "left" else NUMBERS) for _ in range(rows)] for side in sides]
    return [draw(st.text("abc def", max_size=30)) for _ in sides], columns, sides


@given(anything())
def test_a_table_is_as_wide_as_the_page_and_no_number_breaks(
    made: tuple[list[str], list[list[str]], list[Any]],
) -> None:
    heads, columns, sides = made
    found = layout(heads, columns, sides)
    assert sum(found.widths) == pytest.approx(PAGE, abs=0.02)  # rounding of nine widths to 0.001
    assert 5.6 <= found.size <= SIZE
    shrunk = found.size / SIZE
    for width, cells, side in zip(found.widths, columns, sides, strict=True):
        widest = max((width_of(cell, SIZE, "semibold") for cell in cells), default=0.0)
        if side == "right" and found.size > 5.6:
            assert width >= widest * shrunk - 0.002


def test_a_long_column_takes_room_from_short_ones_by_its_root() -> None:
    short, long = "Did the groups move alike before the start of it?", "It was found that " * 20
    found = layout(["Question", "Found", "Verdict"], [[short], [long], ["Pass"]], ["left"] * 3)
    assert found.widths[1] > 1.5 * found.widths[0] > 2.5 * found.widths[2]
    assert found.widths[2] < 1


def test_wide_tables_are_set_smaller() -> None:
    found = layout(["Name"] + ["Mean"] * 14, [["Covariate"]] + [["−1,234.56"]] * 14, ["left", *["right"] * 14])
    assert found.size < SIZE
