"""What each kind shows: its marks, its gaps, and the difference between program and comparison without colour."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex

from evaltoolkit.plots import draw, palette
from evaltoolkit.plots.palette import COMPARISON, GREY, PROGRAM
from evaltoolkit.results import FigureData
from tests.plots import figures as made
from tests.plots.looking import lines, words


def said(figure: FigureData) -> set[str]:
    return {w.text for w in words(draw(figure))}


def with_marks(figure: FigureData, **marks: Any) -> FigureData:
    return dataclasses.replace(figure, marks={**figure.marks, **marks})


def hollow(line: Any) -> bool:
    return to_hex(line.get_markerfacecolor()) == "#ffffff"


# ---- effects by time ----------------------------------------------------------------------------------------------


def test_effect_path_shows_its_marks() -> None:
    texts = said(made.effect_path())
    assert {"Quarters since staff were trained", "Training begins", "Before training: no divergence"} <= texts
    assert "Change per 10,000" in texts
    reading = "Hollow point: reference period, zero by definition. "
    assert reading + "Thick bars: one period at a time. Thin lines: all periods together." in texts


def test_effect_path_tints_what_lies_after_the_boundary() -> None:
    ax = draw(made.effect_path()).axes[0]
    (tint,) = [patch for patch in ax.patches if to_hex(patch.get_facecolor()).upper() == palette.TINT_PROGRAM]
    x = tint.get_path().vertices[:, 0] if not hasattr(tint, "get_x") else np.array([tint.get_x()])
    assert x.min() == pytest.approx(-0.5)
    assert not draw(with_marks(made.effect_path(), boundary=None)).axes[0].patches


def test_effect_path_draws_before_in_grey_after_in_blue_and_the_reference_hollow() -> None:
    points = lines(draw(made.effect_path(3, 2)), "o")
    colors = {
        (line.get_xdata()[0] >= 0): to_hex(line.get_markerfacecolor()).upper() for line in points if not hollow(line)
    }
    assert colors == {False: GREY, True: PROGRAM}
    assert [list(line.get_xdata()) for line in points if hollow(line)] == [[-1]]


def test_effect_path_without_a_band_does_not_explain_one() -> None:
    figure = made.effect_path()
    keep = [j for j, c in enumerate(figure.columns) if not c.key.startswith("band")]
    bare = dataclasses.replace(
        figure,
        columns=tuple(figure.columns[j] for j in keep),
        rows=tuple(tuple(r[j] for j in keep) for r in figure.rows),
    )
    assert not any("Thick bars" in text for text in said(bare))


# ---- lines over time ----------------------------------------------------------------------------------------------


def test_trajectories_label_lines_where_they_end_and_dates_above() -> None:
    figure = made.trajectories()
    texts = {w.text: w for w in words(draw(figure))}
    assert {"Trained in 2018 Q3", "Trained in 2018 Q4", "Comparison (never trained)"} <= set(texts)
    assert texts["Comparison (never trained)"].color == COMPARISON
    assert "Training, 2018 Q3" in texts


def test_the_comparison_is_dashed_and_the_program_is_solid() -> None:
    for figure, name in ((made.trajectories(), "value"), (made.series(), "expected")):
        drawn = [line for line in lines(draw(figure)) if len(line.get_xdata()) > 10 and line.get_linewidth() > 1]
        dashed = {
            to_hex(line.get_color()).upper(): line.is_dashed() for line in drawn if line.get_linestyle() != "None"
        }
        assert dashed[COMPARISON], name
        assert not dashed[PROGRAM]


def test_many_groups_become_thin_lines_and_their_average() -> None:
    figure = made.trajectories(8, hidden=(4,))
    assert "Average of 8 groups" in said(figure)
    (average,) = [line for line in lines(draw(figure)) if line.get_linewidth() == pytest.approx(2.2)]
    rows = [r for r in figure.rows if r[3] == "program" and r[0] == 7]
    assert average.get_ydata()[7] == pytest.approx(sum(r[4] for r in rows) / 8)
    assert math.isnan(average.get_ydata()[4])


def test_series_begins_again_at_an_interruption() -> None:
    figure = made.series(24, 12)
    fitted = [line for line in lines(draw(figure)) if to_hex(line.get_color()).upper() == PROGRAM]
    assert [list(line.get_xdata()) for line in fitted] == [list(range(12)), list(range(12, 24))]
    assert {"Law in force, July 2018", "Model fit", "Observed contacts"} <= said(figure)


# ---- love, overlap, forest, flow ----------------------------------------------------------------------------------


def test_love_shows_before_hollow_and_after_filled_and_the_threshold() -> None:
    figure = draw(made.love())
    assert {"before matching", "after matching", "shaded: within 0.1; dotted: 0.25"} <= {w.text for w in words(figure)}
    assert all(hollow(line) for line in lines(figure, "D"))
    assert not any(hollow(line) for line in lines(figure, "o"))
    assert "shaded" not in " ".join(said(with_marks(made.love(), threshold=None)))


def test_love_keeps_the_most_different_and_says_so() -> None:
    figure = made.love(60)
    drawn = {line.get_xdata()[0] for line in lines(draw(figure), "D")}
    size = sorted((max(abs(r[1]), abs(r[2])) for r in figure.rows), reverse=True)
    assert len(lines(draw(figure), "D")) == 34
    assert max(abs(v) for v in drawn) == pytest.approx(size[0])
    assert any("34 most different of 60" in text for text in said(figure))


def test_overlap_mirrors_the_comparison_hatched() -> None:
    bars = draw(made.overlap(4)).axes[0].patches
    up, down = [b for b in bars if b.get_height() > 0], [b for b in bars if b.get_height() < 0]
    assert len(up) == len(down) == 4
    assert all(b.get_hatch() for b in down)
    assert not any(b.get_hatch() for b in up)


def test_forest_puts_ratios_on_a_logarithmic_axis() -> None:
    figure = made.forest(2, zero=1)
    points = [line.get_xdata()[0] for marker in "oD" for line in lines(draw(figure), marker)]
    assert sorted(points) == pytest.approx(sorted(math.log(r[2]) for r in figure.rows))


def test_forest_shows_unclear_estimates_hollow_and_grey() -> None:
    figure = made.forest(4)
    unclear = [r for r in figure.rows if r[3] <= 0 <= r[4]]
    drawing = draw(figure)
    assert len(lines(drawing, "D")) == len(unclear) > 0
    assert all(hollow(line) for line in lines(drawing, "D"))
    values = {w.text: w.color for w in words(drawing)}
    assert values["+0.90"] == PROGRAM
    assert values["+0.30"] == palette.MUTED


@pytest.mark.parametrize(("unit", "text"), [("%", "+0.90%"), ("points", "+0.90 points"),
                                            ("in units of the outcome", "+0.90")])  # fmt: skip
def test_forest_sets_the_unit_after_the_number(unit: str, text: str) -> None:
    assert text in said(with_marks(made.forest(1), unit=unit))


def test_forest_names_its_level_and_main_row() -> None:
    assert "90% CI 0.50 to 1.30" in said(with_marks(made.forest(1), level=0.9))
    drawing = draw(made.forest(3))
    assert len([p for p in drawing.axes[0].patches if to_hex(p.get_facecolor()).upper() == palette.TINT_PROGRAM]) == 1
    assert any("In parentheses: 95% intervals." in t for t in said(made.forest(20)))


def test_flow_shows_every_number_and_the_split() -> None:
    assert {"731", "671", "551", "60", "200", "351", "Rows in the data"} <= said(made.flow(4))


def test_specification_curve_sorts_estimates_and_sets_the_main_one_off() -> None:
    figure = made.specification_curve(24)
    curve, matrix = draw(figure).axes
    points = [(k.get_xdata()[0], k.get_ydata()[0], k) for k in curve.lines if k.get_marker() in {"o", "D"}]
    assert [x for x, _, _ in points] == list(range(24))
    assert [y for _, y, _ in points] == sorted(row[1] for row in figure.rows)
    unclear = [row for row in figure.rows if row[2] <= 0 <= row[3]]
    assert sum(hollow(k) and k.get_marker() == "D" for *_, k in points) == len(unclear) > 0
    (own,) = [x for x, y, _ in points if y == figure.rows[0][1]]
    for ax in (curve, matrix):
        (tint,) = [p for p in ax.patches if to_hex(p.get_facecolor()).upper() == palette.TINT_PROGRAM]
        assert tint.get_x() < own < tint.get_x() + tint.get_width()
    dots = [k for k in matrix.lines if k.get_marker() == "o" and len(k.get_xdata())]
    chosen = sum(cell is not None for row in figure.rows for cell in row[5:])
    assert sum(len(k.get_xdata()) for k in dots) == chosen
    mine = [k for k in dots if to_hex(k.get_markerfacecolor()).upper() == PROGRAM]
    assert [list(k.get_xdata()) for k in mine] == [[own]] * 3
    assert {"interval excludes zero", "interval includes zero", "this study", "Estimator", "Stacked"} <= said(figure)


def test_specification_curve_says_what_it_leaves_out() -> None:
    texts = " ".join(said(made.specification_curve(90, hidden=(3, 4), name="x")))
    assert "2 of 90 analyses have no estimate that can be shown." in texts
    assert "The first 80 of 88 analyses are drawn." in texts
    assert "further choices not drawn." in texts
    figure = made.specification_curve(9)
    wide = (*figure.rows[4][:2], -90.0, 90.0, *figure.rows[4][4:])
    stretched = dataclasses.replace(figure, rows=(*figure.rows[:4], wide, *figure.rows[5:]))
    assert "1 wide interval cut off at the edge." in said(stretched)
    assert draw(stretched).axes[0].get_ylim()[1] < 10


# ---- hidden values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figure", "crosses"),
    [
        (made.effect_path(hidden=(2, 3)), 2),
        (made.trajectories(1, hidden=(5, 6)), 2),
        (made.series(hidden=(10, 60, 61)), 3),
        (made.overlap(hidden=(2, 17)), 4),
    ],
)
def test_hidden_values_are_gaps_with_a_cross(figure: FigureData, crosses: int) -> None:
    drawing = draw(figure)
    marked = lines(drawing, "x")
    assert sum(len(line.get_xdata()) for line in marked) == crosses
    assert f"{crosses} values not shown or not available." in {w.text for w in words(drawing)}


def test_no_line_runs_through_a_gap() -> None:
    figure = made.trajectories(1, 12, hidden=(5,))
    (line,) = [k for k in lines(draw(figure)) if to_hex(k.get_color()).upper() == PROGRAM and len(k.get_xdata()) == 12]
    assert math.isnan(line.get_ydata()[5])
    alone = made.trajectories(1, 12, hidden=(4, 6))
    points = [k for k in lines(draw(alone), "o") if list(k.get_xdata()) == [5]]
    assert points, "a value between two gaps is a point"


def test_hidden_rows_of_love_forest_and_flow_are_named() -> None:
    def without(figure: FigureData, *at: int) -> FigureData:
        first = tuple(None if j in at else c for j, c in enumerate(figure.rows[0]))
        return dataclasses.replace(figure, rows=(first, *figure.rows[1:]))

    assert "not shown" in said(without(made.love(), 1, 2))
    assert "before matching: not shown" in said(without(made.love(), 1))
    assert "not shown" in said(without(made.forest(), 2, 3, 4))
    assert "hidden" in said(without(made.flow(), 1))


# ---- colour -------------------------------------------------------------------------------------------------------

SIGHTS = {
    # Machado, Oliveira and Fernandes (2009), doi 10.1109/TVCG.2009.113, severity 1, on linear RGB
    "normal": np.array((1, 0, 0, 0, 1, 0, 0, 0, 1)),
    "protanopia": np.array((
        0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998,
    )),
    "deuteranopia": np.array((
        0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881,
    )),
    "tritanopia": np.array((
        1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.303900,
    )),
}  # fmt: skip


def linear(color: str) -> np.ndarray:
    c = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    t = xyz @ np.clip(rgb, 0, 1) / np.array([0.95047, 1, 1.08883])
    f = np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHTS)
def test_program_and_comparison_stay_apart_for_every_eye(sight: str) -> None:
    seen = [lab(SIGHTS[sight].reshape(3, 3) @ linear(c)) for c in (PROGRAM, COMPARISON)]
    # 40 in Lab is the distance of clearly different colour names; the palette keeps twice that
    assert np.linalg.norm(seen[0] - seen[1]) > 80


def test_texts_have_contrast() -> None:
    def luminance(color: str) -> float:
        return float(np.array([0.2126, 0.7152, 0.0722]) @ linear(color))

    for color in (palette.INK, palette.TEXT, palette.MUTED, PROGRAM, COMPARISON):
        for ground in ("#FFFFFF", palette.TINT_PROGRAM):
            # WCAG 2.2, 1.4.3: 4.5 to 1; orange never stands on a tint
            if (color, ground) != (COMPARISON, palette.TINT_PROGRAM):
                assert (luminance(ground) + 0.05) / (luminance(color) + 0.05) >= 4.5


def test_the_page_and_the_drawings_share_their_colours() -> None:
    from evaltoolkit.plots.lettering import FONTS

    template = (FONTS.parent / "report.typ").read_text(encoding="utf-8")
    names = {"ink": "INK", "body-ink": "TEXT", "muted": "MUTED", "hairline": "RULE", "panel": "PANEL",
             "blue": "PROGRAM", "orange": "COMPARISON", "grey": "GREY", "tint": "TINT_PROGRAM"}  # fmt: skip
    for name, constant in names.items():
        assert f'#let {name} = rgb("{getattr(palette, constant)}")' in template
