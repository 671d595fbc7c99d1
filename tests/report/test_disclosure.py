"""A small count planted in a draft stands in no byte of what is written."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pikepdf
import pytest

from evaltoolkit.plots import svg
from evaltoolkit.report import build, write_report
from evaltoolkit.results import Column, FigureData, FlowStep, Result, SmallCells, TableData, seal
from tests.report.conftest import Written, written
from tests.report.results_made import draft

SMALL = 7
RATE = 0.0314159
"""What rests on the small count: its digits stand nowhere else."""
LINKED = 8642
"""A larger count from which the small one could be computed."""


def planted() -> Result:
    made = draft()
    table = TableData(
        key="people", title="Young people by place",
        columns=(
            Column(key="place", label="Place", kind="text"), Column(key="n", label="Young people", kind="people"),
            Column(key="rate", label="Rate", digits=7), Column(key="base", kind="basis", governs=("rate",)),
        ),
        rows=(("North", SMALL, RATE, SMALL), ("South", LINKED, 0.5, LINKED), ("East", 9753, 0.25, 9753),
              ("All", SMALL + LINKED + 9753, 0.4, 18402)),
        total_rows=(3,),
    )  # fmt: skip
    figure = FigureData(
        key="rates", kind="trajectories", headline="Rates by year", subtitle="Per 100", alt="Rates by year, by group.",
        columns=(
            Column(key="x"), Column(key="label", kind="text"), Column(key="group", kind="text"),
            Column(key="role", kind="text"), Column(key="value"), Column(key="n", kind="basis", governs=("value",)),
        ),
        rows=tuple((i, str(2015 + i), "Served", "program", RATE if i == 3 else 0.5 + i / 10, SMALL if i == 3 else 400)
                   for i in range(6)),
    )  # fmt: skip
    flow = (
        FlowStep(label="Referred", n=5321 + SMALL, unit="young people", people=True),
        FlowStep(label="With consent", n=5321, unit="young people", excluded=SMALL, reason="no consent", people=True),
    )
    return seal(
        dataclasses.replace(made, tables=(table,), figures=(figure,), flow=flow), SmallCells(), rows_are_people=False
    )


@pytest.fixture(scope="module")
def report() -> Written:
    return written(planted())


def test_no_page_and_no_tag_holds_them(report: Written) -> None:
    for secret in (RATE, LINKED, 5321 + SMALL):
        for form in (str(secret), f"{secret:,}"):
            assert not report.says(form), form
            assert not any(form in alt for alt in report.alternatives)
    assert report.says("North hidden hidden")
    assert report.says("no consent hidden")


def test_no_file_of_the_folder_holds_them(tmp_path: Path) -> None:
    for path in write_report(planted(), tmp_path / "r"):
        if path.suffix == ".pdf":
            continue
        text = path.read_text(encoding="utf-8")
        for form in (str(RATE), str(LINKED), f"{LINKED:,}", "5328", "5,328"):
            assert form not in text, (path.name, form)


def test_no_stream_of_the_pdf_holds_them(report: Written) -> None:
    with report.open() as pdf:
        for item in pdf.objects:
            if isinstance(item, pikepdf.Stream) and item.get("/Subtype") != "/Image" and "/Length1" not in item:
                data = item.read_bytes()
                assert str(RATE).encode() not in data
                assert not re.search(rb"\b(8642|5328)\b", data)


def test_no_coordinate_of_a_drawing_gives_them_back() -> None:
    """With and without the hidden year the drawing has the same lines: its place is not drawn anywhere."""
    result = planted()
    figure = result.figures[0]
    assert figure.rows[3][4] is None
    without = dataclasses.replace(figure, rows=tuple(r for r in figure.rows if r[4] is not None))
    for words in ("bare", "with-words"):
        drawn, shorter = (svg(f, words=words) for f in (figure, without))  # type: ignore[arg-type]
        numbers = set(re.findall(r"<path d=\"[^\"]*\"", drawn)) - set(re.findall(r"<path d=\"[^\"]*\"", shorter))
        assert len(numbers) <= 3, "only the gap, its cross and its tick differ"


def test_every_hidden_place_is_counted_in_the_safeguards(report: Written) -> None:
    hidden = report.result.disclosure.hidden
    assert report.says(f"{len(hidden)} numbers are hidden")
    listed = [
        b for s in build(report.result).sections for b in s.blocks if b.kind == "grid" and b.title == "What was hidden"
    ]
    assert sum(int(row[2]) + int(row[3]) for row in listed[0].rows) == len(hidden)
    assert {row[0] for row in listed[0].rows} == {
        "Table: Young people by place", "Figure: Rates by year", "Flow: Referred", "Flow: With consent",
    }  # fmt: skip
