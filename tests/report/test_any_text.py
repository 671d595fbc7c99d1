"""Any text in any field: printed as it is, never read as markup, never a crash."""

from __future__ import annotations

import dataclasses
import json

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from evaltoolkit.report import build, render_pdf
from evaltoolkit.report.coverage import SQUARE
from evaltoolkit.results import Result
from tests.report.conftest import written
from tests.report.results_made import STATEMENTS, draft, interrupted, matched, sealed, staggered
from tests.report.words_everywhere import changed

HOSTILE = [  # typst, shell, HTML and format strings
    "#panic()", '#read("/etc/passwd")', "$x^2$", "@ref", "*bold*", "_low_", "<label>", "\\u{41}",
    "// gone", "/* gone */",
    "= Heading", "- item", "+ item", "`code`", "~", "[content]", '"; #panic("', "#import", "<script>alert(1)</script>",
    "&amp;", "]]>", "{{ x }}", "%s", "https://x.org/a_b#c",
]  # fmt: skip
MARKUP = " ".join(HOSTILE)


def everywhere(text: str, result: Result | None = None) -> Result:
    return changed(result or interrupted(), lambda path, old: text)


def test_markup_is_printed_as_it_stands() -> None:
    report = written(changed(staggered(), lambda path, old: f"{old} {HOSTILE[sum(map(ord, path)) % len(HOSTILE)]}"))
    for words in HOSTILE:
        assert report.says(words) or words in report.alternatives, words
    assert report.says(f"{STATEMENTS.plain} ")
    assert report.warnings == ()


def test_all_of_it_at_once_is_printed_as_it_stands() -> None:
    result = dataclasses.replace(
        staggered(), statements=dataclasses.replace(STATEMENTS, plain=MARKUP, findings=(MARKUP,))
    )
    assert written(result).says(MARKUP)


LETTERS = (
    "Ünïcödé: Łódź, Đặng, naïve, façade · Ελληνικά · Кириллица · a − b ≤ c ≥ d ≠ e ± f × g · “quotes” – — … ’ · "
    "½ ¼ € £ ° § · no\u00a0break · "
)


def test_letters_of_the_bundled_fonts_need_nothing_else() -> None:
    words = dataclasses.replace(STATEMENTS, plain=f"{LETTERS} soft\u00adhyphen e\u0301 combining")
    report = written(dataclasses.replace(interrupted(), statements=words))
    assert report.warnings == ()
    assert "".join(f"{LETTERS} softhyphen é combining".split()) in report.squeezed.replace("\u00ad", "")


def test_letters_of_no_font_become_squares_and_a_warning() -> None:
    words = "cuneiform \U00012000 and a private letter \ue000"
    report = written(dataclasses.replace(interrupted(), statements=dataclasses.replace(STATEMENTS, plain=words)))
    assert [w.split(":")[0] for w in report.warnings] == ["E-RPT-FONT"]
    assert report.says(f"cuneiform {SQUARE} and")
    with report.open() as pdf:
        attached = json.loads(pdf.attachments["result.json"].get_file().read_bytes())
    assert attached["statements"]["plain"] == words, "the attachment keeps what was said"


def test_control_characters_and_turned_writing_are_taken_out() -> None:
    report = written(everywhere("a\x00b\x1b[31mc\x7f\u202ed\ud800e"))
    assert report.warnings == ()
    assert "\x00" not in report.text


def test_very_long_texts_stay_on_their_pages() -> None:
    """Everything at six times its length, and words of 300 letters: pages grow in number, nothing is cut."""
    report = written(changed(matched(), lambda path, old: old if "study" in path else (old + " ") * 6))
    assert report.warnings == ()
    assert len(report.pages) > 8
    one_word = written(everywhere("n" * 300))
    assert one_word.warnings == ()


def test_a_cell_of_three_thousand_letters() -> None:
    made = draft()
    rows = (("long " * 600, 10, 240, 1.19, "0.93 to 1.46"), *made.tables[0].rows[1:])
    report = written(sealed(dataclasses.replace(made, tables=(dataclasses.replace(made.tables[0], rows=rows),))))
    assert report.text.count("long ") >= 600


ANY = st.text(st.characters(exclude_categories=()), max_size=40)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=ANY)
@example(text="")
@example(text=" ")
@example(text="\u200b")
@example(text="\u2028\u2029")
@example(text="\ufe0f\u200d")
def test_any_text_in_every_field_is_typeset(text: str) -> None:
    assert render_pdf(build(everywhere(text))).startswith(b"%PDF-1.7")
