"""What holds for every kind of figure: it is drawn, nothing is clipped, no labels touch, the bytes are the same."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any, get_args
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from evaltoolkit.errors import EvaluationError
from evaltoolkit.plots import draw, svg
from evaltoolkit.results import FigureData
from evaltoolkit.results.types import FigureKind
from tests.plots import figures as made
from tests.plots.looking import clipped, overlapping, words

EVERY: dict[str, Callable[[], FigureData]] = {
    "effect_path": made.effect_path,
    "trajectories": made.trajectories,
    "series": made.series,
    "love": made.love,
    "overlap": made.overlap,
    "forest": made.forest,
    "flow": made.flow,
    "decomposition": made.decomposition,
    "specification_curve": made.specification_curve,
    "density": made.density,
    "ecdf": made.ecdf,
    "contour": made.contour,
    "residuals": made.residuals,
}
LONG = "a very long name of a place or a program that nobody could shorten, with several more words in it"
EXTREMES: dict[str, Callable[[], FigureData]] = {
    "one point": lambda: made.effect_path(1, 1),
    "many periods": lambda: made.effect_path(40, 60),
    "huge numbers": lambda: made.effect_path(scale=3e6),
    "tiny numbers": lambda: made.effect_path(scale=2e-5),
    "everything hidden": lambda: made.effect_path(hidden=tuple(range(-8, 11))),
    "many groups": lambda: made.trajectories(9),
    "five groups": lambda: made.trajectories(5),
    "long group names": lambda: made.trajectories(3, name=LONG),
    "two periods": lambda: made.trajectories(1, 2),
    "monthly, thirty years": lambda: made.series(360, 200),
    "hidden months": lambda: made.series(hidden=(0, 1, 2, 60, 95)),
    "small numbers": lambda: made.series(scale=1e-4),
    "forty covariates": lambda: made.love(40),
    "sixty covariates": lambda: made.love(60),
    "one covariate": lambda: made.love(1),
    "long covariates": lambda: made.love(6, name=LONG),
    "many measured covariates": lambda: made.contour(4, name=LONG),
    "no measured covariate": lambda: made.contour(0),
    "huge remainders": lambda: made.contour(scale=1e7),
    "three panels": lambda: made.overlap(panels=3),
    "one bin": lambda: made.overlap(1),
    "hidden bins": lambda: made.overlap(hidden=tuple(range(0, 20, 2)), panels=2),
    "fifty estimates": lambda: made.forest(50),
    "ratios": lambda: made.forest(zero=1),
    "huge estimates": lambda: made.forest(scale=1e7),
    "tiny estimates": lambda: made.forest(scale=1e-7),
    "one step": lambda: made.flow(1),
    "nine steps": lambda: made.flow(9),
    "one part": lambda: made.decomposition(1),
    "ninety parts": lambda: made.decomposition(90),
    "one analysis": lambda: made.specification_curve(1),
    "ninety analyses": lambda: made.specification_curve(90),
    "many long choices": lambda: made.specification_curve(60, name=LONG),
    "huge analyses": lambda: made.specification_curve(scale=3e7),
    "tiny analyses": lambda: made.specification_curve(scale=2e-6),
    "hidden analyses": lambda: made.specification_curve(hidden=tuple(range(0, 24, 2))),
    "one density": lambda: made.density(1),
    "nine densities": lambda: made.density(9),
    "a panel is hidden": lambda: made.density(hidden="Before matching"),
    "long names of curves": lambda: made.ecdf(2, name=LONG),
    "huge values": lambda: made.ecdf(scale=4e6),
    "tiny values": lambda: made.ecdf(scale=3e-6),
    "one point of a curve": lambda: made.ecdf(points=1),
    "every analysis hidden": lambda: made.specification_curve(hidden=tuple(range(24))),
}


def test_every_kind_of_the_contract_is_here() -> None:
    assert set(EVERY) == set(get_args(FigureKind))


@pytest.fixture(scope="module", params=[*EVERY, *EXTREMES])
def figure(request: pytest.FixtureRequest) -> FigureData:
    return (EVERY | EXTREMES)[request.param]()


@pytest.fixture(scope="module")
def drawing(figure: FigureData) -> Figure:
    return draw(figure)


@pytest.fixture(scope="module")
def bare(figure: FigureData) -> Figure:
    return draw(figure, words="bare")


def test_no_label_is_clipped_and_no_two_touch(drawing: Figure, bare: Figure) -> None:
    for one in (drawing, bare):
        assert clipped(one) == []
        assert overlapping(one) == []


def test_it_is_as_wide_as_asked_and_not_taller_than_a_page(drawing: Figure) -> None:
    width, height = drawing.get_size_inches()
    assert width == pytest.approx(6.62)
    assert 0.4 < height < 9.0


def test_the_words_stand_in_the_drawing_or_on_the_page(figure: FigureData, drawing: Figure, bare: Figure) -> None:
    said, alone = (" ".join(w.text for w in words(one)) for one in (drawing, bare))
    for part in (figure.headline, figure.subtitle, figure.note):
        assert part in said
        assert part not in alone


def test_the_svg_is_xml_with_text_as_text_and_the_same_bytes(figure: FigureData) -> None:
    text = svg(figure)
    assert text == svg(figure)
    root = ET.fromstring(text)
    assert "Date" not in text
    assert not re.search(r"\b20(2[4-9]|3\d)-\d\d-\d\dT", text), "no moment of making"
    assert [e for e in root.iter() if e.tag.endswith("}text") and e.text], "letters stay letters"
    references = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    assert references <= set(re.findall(r' id="([^"]+)"', text))
    assert not re.search(r'(href|src)="(?!#)', text), "nothing is loaded from outside"


def test_ids_of_two_figures_do_not_meet() -> None:
    one, two = (svg(dataclasses.replace(made.overlap(), key=key)) for key in ("first", "second"))
    ids = [set(re.findall(r' id="([^"]+)"', text)) for text in (one, two)]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_an_unknown_kind_is_a_clear_error() -> None:
    with pytest.raises(EvaluationError, match=r"'effectpath' is not known.*did you mean 'effect_path'"):
        draw(dataclasses.replace(made.effect_path(), kind="effectpath"))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", EVERY)
def test_no_rows_at_all(kind: str) -> None:
    drawing = draw(dataclasses.replace(EVERY[kind](), rows=()))
    assert overlapping(drawing) == []


TEXT = st.text(st.characters(exclude_categories=()), max_size=60)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=TEXT, kind=st.sampled_from(sorted(EVERY)))
def test_any_text_is_drawn_and_stays_text(text: str, kind: str) -> None:
    figure = EVERY[kind]()
    rows = tuple(tuple(text if isinstance(c, str) and c not in ROLES else c for c in row) for row in figure.rows)
    around = {"headline": text, "subtitle": text, "note": text, "marks": _marks(figure, text)}
    ET.fromstring(svg(dataclasses.replace(figure, rows=rows, **around), words="with-words"))


ROLES = {"program", "comparison", "before", "after", "reference"}


def _marks(figure: FigureData, text: str) -> dict[str, Any]:
    return {k: text if isinstance(v, str) else v for k, v in figure.marks.items()}
