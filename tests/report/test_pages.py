"""What stands on the pages, in which order, and what marks them."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from evaltoolkit.report import build
from evaltoolkit.report.figures import flow_figure
from evaltoolkit.report.typst_pdf import render
from evaltoolkit.results import FlowStep, SmallCells, seal
from tests.report.conftest import Written, written
from tests.report.results_made import STATEMENTS, draft, sealed


def test_the_layout_settles(report: Written) -> None:
    """A layout that moves by where it stands does not settle, and pages then lose numbers, headers and colours."""
    assert report.warnings == ()
    n = len(report.pages)
    for i, page in enumerate(report.pages, 1):
        assert f"{i} / {n}" in page


def test_the_bottom_line_comes_first(report: Written) -> None:
    first = report.pages[0]
    words = report.result.statements
    order = [first.index(part) for part in ("THE BOTTOM LINE", words.tile.number, "What this does not show")]
    assert order == sorted(order)
    assert report.says(words.bottom_line)
    assert all("".join(line.split()) in "".join(first.split()) for line in words.does_not_show)


def test_every_page_carries_the_notice_the_title_and_the_section(report: Written) -> None:
    model = build(report.result)
    titles = {section.title for section in model.sections}
    for i, page in enumerate(report.pages):
        assert model.notice in page
        if i:
            assert page.startswith(model.title)
            assert any(page.startswith(f"{model.title} {title}") for title in titles)


def test_synthetic_data_are_marked_on_every_page(report_of: Any) -> None:
    assert all("Synthetic demonstration data" in page for page in report_of("staggered").pages)
    assert "SYNTHETIC DATA" in report_of("staggered").pages[0]
    assert "Synthetic" not in report_of("matched").text


def test_figures_and_tables_are_numbered_in_order(report: Written) -> None:
    for word in ("Figure", "Table"):
        numbers = [int(n) for n in re.findall(rf"{word} (\d+)\. ", report.text)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert numbers


def test_checks_stand_with_their_verdicts_in_words(report_of: Any) -> None:
    text = report_of("staggered").text
    for word in ("✓ Pass", "▲ Caution", "✗ Fail", "– Not applicable"):
        assert word in text
    assert "5 checks: 2 passed, 1 calls for caution, 1 failed." in text
    assert report_of("staggered").says("Wald chi-squared 5.2 on 7 df, p 0.640")


def test_hidden_numbers_are_named_and_explained(report_of: Any) -> None:
    one = report_of("staggered")
    assert one.says("2019 Q2 14 hidden")
    assert one.says("Hidden: the number rests on fewer than 11 people, or would reveal one that does.")
    assert one.says(
        "2 numbers are hidden: 1 for small size, and 1 from which a hidden number could have been computed."
    )
    assert one.says("Table: Effect by adoption cohort")


def test_one_way_of_calculating_is_drawn_once() -> None:
    """A forest of the design that holds the other analyses already is not drawn again."""
    made = draft()
    others = [e for e in made.estimates if e.standing == "sensitivity"]
    forest = dataclasses.replace(
        made.figures[2], key="methods",
        rows=tuple((e.term, "", e.estimate, e.conf_low, e.conf_high, False) for e in (made.headline, *others)),
    )  # fmt: skip
    model = build(sealed(dataclasses.replace(made, figures=(made.figures[0], forest))))
    keys = [b.figure.key for s in model.sections for b in s.blocks if b.kind == "picture"]
    assert "methods" in keys
    assert "other_analyses" not in keys
    assert "other_analyses" in [b.figure.key for s in build(sealed()).sections for b in s.blocks if b.kind == "picture"]


def test_shares_are_shown_in_percentage_points() -> None:
    made = draft()
    shares = {"estimate": 0.1225, "conf_low": 0.0456, "conf_high": 0.1995, "std_error": 0.0391}
    head = dataclasses.replace(made.headline, inference="clustered", **shares)
    other = dataclasses.replace(made.estimates[4], estimate=0.11, conf_low=0.03, conf_high=0.19)
    study = {**made.study, "outcome": {"kind": "binary", "label": head.outcome}, "secondary": []}
    report = written(
        sealed(
            dataclasses.replace(made, headline=head, estimates=(head, other), study=study, figures=()), evidence=None
        )
    )
    assert report.says("+12 points 5 to 20 < 0.001")
    assert report.says("standard error 3.9 points")
    assert report.says("95% CI 3 to 19")
    assert not report.says("+0.12")


def test_a_hidden_headline_is_said_in_plain_words() -> None:
    small = dataclasses.replace(draft().headline, n_obs=6, n_units=6)
    made = draft(headline=small, estimates=(small,), figures=(), tables=(), flow=())
    result = seal(made, SmallCells(), rows_are_people=True)
    report = written(result)
    assert "rests on fewer than 11 people, so it is not shown" in report.pages[0]
    assert "Not shown" in report.pages[0]
    assert not report.says("0.95")
    assert not report.says("about 31 percent")


def test_a_lead_figure_too_tall_for_page_1_opens_page_2() -> None:
    words = dataclasses.replace(
        STATEMENTS, does_not_show=tuple(f"Limit {i}: {'words ' * 9}" for i in range(8)), supports=("One.",)
    )
    report = written(sealed(draft(statements=words)))
    assert "Figure 1." not in report.pages[0]
    assert "Figure 1." in report.pages[1]
    assert "At a glance" in report.pages[1]


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [("people", "people", "80 of 100 people enter the analysis"), ("rows", "sites", "80 sites enter the analysis")],
)
def test_the_flow_compares_like_with_like(first: str, last: str, said: str) -> None:
    steps = (FlowStep(label="Read", n=100, unit=first), FlowStep(label="Kept", n=80, unit=last))
    figure = flow_figure(sealed(draft(flow=steps)))
    assert figure is not None
    assert figure.headline == said


@pytest.mark.parametrize("paper", ["us-letter", "a4"])
def test_paper(paper: str) -> None:
    result = sealed()
    result = dataclasses.replace(result, study={**result.study, "report": {"paper": paper}})
    done = Written(result, *dataclasses.astuple(render(build(result))))
    with done.open() as pdf:
        width, height = (float(v) for v in pdf.pages[0].MediaBox[2:])
    assert (width, height) == pytest.approx((612, 792) if paper == "us-letter" else (595.28, 841.89), abs=0.1)
