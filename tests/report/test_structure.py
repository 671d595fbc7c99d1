"""The structure of the file: what PDF/UA-1 and PDF/A-3a ask for, looked at from outside of the typesetter."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import Any

import pikepdf
import pytest

from evaltoolkit.report import build, render_pdf
from evaltoolkit.report.coverage import displayable
from evaltoolkit.results import to_json
from tests.report.conftest import Written, elements
from tests.report.results_made import MADE


def tags(pdf: pikepdf.Pdf, *names: str) -> list[pikepdf.Dictionary]:
    return [e for e in elements(pdf.Root.StructTreeRoot.K) if not names or str(e.S) in names]


def test_the_file_says_what_it_conforms_to(report: Written) -> None:
    with report.open() as pdf, pdf.open_metadata() as xmp:
        assert xmp["pdfuaid:part"] == "1"
        assert (xmp["pdfaid:part"], xmp["pdfaid:conformance"]) == ("3", "A")
        assert xmp["dc:title"] == report.result.study["title"]
        root = pdf.Root
        assert root.MarkInfo.Marked
        assert not root.MarkInfo.get("/Suspects", False)
        assert str(root.Lang) == "en"
        assert root.ViewerPreferences.DisplayDocTitle
        assert root.OutputIntents[0].S == "/GTS_PDFA1"
        assert all(page.get("/Tabs") == "/S" for page in pdf.pages)
        assert not pdf.is_encrypted


def test_headings_begin_at_one_and_skip_no_level(report: Written) -> None:
    with report.open() as pdf:
        levels = [int(str(e.S)[2:]) for e in tags(pdf, "/H1", "/H2", "/H3", "/H4")]
        assert len(tags(pdf, "/Title")) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_every_picture_and_formula_has_its_alternative_text(report: Written) -> None:
    model = build(report.result)
    wanted = {b.alt for s in model.sections for b in s.blocks if b.kind == "picture"}
    wanted |= {model.lead.alt} if model.lead else set()
    equations = {m.equation.alt for m in report.result.statements.methods if m.equation}
    with report.open() as pdf:
        figures = [str(e.get("/Alt", "")) for e in tags(pdf, "/Figure")]
        formulas = [str(e.get("/Alt", "")) for e in tags(pdf, "/Formula")]
    assert set(figures) == wanted
    assert all(figures)
    assert set(formulas) == equations


def test_tables_have_heads_and_captions(report: Written) -> None:
    with report.open() as pdf:
        tables = tags(pdf, "/Table")
        assert len(tables) >= 6
        assert len(tags(pdf, "/Caption")) == len(tables) + len(tags(pdf, "/Figure"))
        for table in tables:
            rows = [e for e in elements(table) if e.S == "/TR"]
            heads = [e for e in elements(table) if e.S == "/TH"]
            assert heads
            assert all(head.A.Scope == "/Column" if not isinstance(head.A, pikepdf.Array)
                       else head.A[0].Scope == "/Column" for head in heads)  # fmt: skip
            widths = {sum(e.S in {"/TD", "/TH"} for e in elements(row.K)) for row in rows}
            assert widths == {len(heads)}


def test_bookmarks_name_the_sections(report: Written) -> None:
    with report.open() as pdf, pdf.open_outline() as outline:
        titles = [str(item.title) for item in outline.root]
    assert titles == ["The bottom line", *(s.title for s in build(report.result).sections)]


def test_fonts_are_embedded(report: Written) -> None:
    with report.open() as pdf:
        fonts = {
            str(font.BaseFont): font
            for page in pdf.pages
            for font in page.Resources.get("/Font", pikepdf.Dictionary()).values()
        }
        assert {name.split("+")[1].split("-")[0] for name in fonts} >= {"SourceSans3", "SourceSerif4Display"}
        for font in fonts.values():
            descriptor = font.DescendantFonts[0].FontDescriptor
            assert {"/FontFile2", "/FontFile3"} & set(descriptor.keys())
            assert "/ToUnicode" in font


def test_the_sealed_result_is_attached(report: Written) -> None:
    with report.open() as pdf:
        assert list(pdf.attachments) == ["result.json"]
        file = pdf.attachments["result.json"].get_file()
        assert file.read_bytes().decode() == to_json(report.result)
        assert json.loads(file.read_bytes())["schema"] == "evaltoolkit.result/1"
        assert [entry.AFRelationship for entry in pdf.Root.AF] == ["/Data"]


@pytest.mark.parametrize("name", sorted(MADE))
def test_the_same_result_gives_the_same_bytes(name: str, report_of: Any) -> None:
    again = render_pdf(build(MADE[name]()))
    assert hashlib.sha256(again).digest() == hashlib.sha256(report_of(name).pdf).digest()


def test_the_date_is_the_report_s_and_never_the_clock_s(report_of: Any) -> None:
    with report_of("staggered").open() as pdf, report_of("interrupted").open() as undated:
        assert str(pdf.docinfo["/CreationDate"]).startswith("D:20261123")
        assert str(undated.docinfo.get("/CreationDate", "D:1980")).startswith("D:1980")


def test_a_report_needs_no_font_of_the_machine(report: Written) -> None:
    """Else its bytes would be others on another machine."""
    _, coverage = displayable(build(report.result))
    assert not coverage.system_fonts
    with report.open() as pdf:
        names = {
            str(font.BaseFont).split("+")[1].split("-")[0]
            for page in pdf.pages
            for font in page.Resources.get("/Font", pikepdf.Dictionary()).values()
        }
    assert names <= {"SourceSans3", "SourceSerif4Display", "NewCMMath"}
