"""The card of a notebook: HTML that is whole, escaped, and says what page 1 says."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser

import pytest

import evaltoolkit as ev
from evaltoolkit.report import card
from evaltoolkit.results import SmallCells, seal
from tests.designs.test_matching import people
from tests.report.results_made import MADE, draft, staggered
from tests.report.words_everywhere import changed

VOID = {"br", "img", "hr"}


class Whole(HTMLParser):
    """Reads HTML, and fails where elements do not close in turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []
        self.said: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        assert {name for name, _ in attrs} <= {"style", "scope"}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


@pytest.mark.parametrize("name", MADE)
def test_it_says_what_page_1_says(name: str) -> None:
    result = MADE[name]()
    text = " ".join(Whole(card(result)).said)
    words = result.statements
    for line in (words.bottom_line, words.tile.number, words.tile.interval, *words.does_not_show):
        assert line in text
    for check in result.diagnostics:
        assert check.question in text
    assert ("Moderate confidence" in text) == (result.evidence is not None)


def test_every_text_is_escaped() -> None:
    hostile = Whole(card(changed(staggered(), lambda path, old: "<script>alert(1)</script>&amp;'\"")))
    assert "script" not in hostile.names
    assert "<script>alert(1)</script>&amp;'\"" in hostile.said


def test_a_hidden_number_is_not_on_the_card() -> None:
    small = dataclasses.replace(draft().headline, n_obs=6, n_units=6)
    text = card(
        seal(draft(headline=small, estimates=(small,), figures=(), flow=()), SmallCells(), rows_are_people=True)
    )
    assert "Not shown" in text
    assert "0.95" not in text


def test_an_evaluation_shows_its_card() -> None:
    made = ev.match(people(200), treated="served", outcome="score", covariates=["age", "need"], program="mentoring")
    assert made._repr_html_() == card(made.result)
    assert Whole(made._repr_html_()).names[0] == "div"
