from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any

import pikepdf
import pytest
from pypdf import PdfReader

from evaltoolkit.report import build
from evaltoolkit.report.typst_pdf import render
from evaltoolkit.results import Result
from tests.report.results_made import MADE


def elements(node: Any) -> Iterator[pikepdf.Dictionary]:
    """Walk a structure tree in reading order."""
    if isinstance(node, pikepdf.Array):
        for inner in node:
            yield from elements(inner)
    elif isinstance(node, pikepdf.Dictionary):
        if "/S" in node:
            yield node
        if "/K" in node:
            yield from elements(node["/K"])


@dataclass(frozen=True)
class Written:
    """A rendered report, opened in the ways that tests look at it."""

    result: Result
    pdf: bytes
    warnings: tuple[str, ...]

    @cached_property
    def pages(self) -> list[str]:
        return [" ".join(page.extract_text().split()) for page in PdfReader(BytesIO(self.pdf)).pages]

    @property
    def text(self) -> str:
        return " ".join(self.pages)

    @cached_property
    def squeezed(self) -> str:
        """The text without any white space: line breaks fall anywhere."""
        return "".join(self.text.split()).replace("\u200b", "")

    def says(self, words: str) -> bool:
        return "".join(words.split()) in self.squeezed

    @cached_property
    def alternatives(self) -> list[str]:
        """The alternative texts of the tags."""
        with self.open() as pdf:
            return [str(e["/Alt"]) for e in elements(pdf.Root.StructTreeRoot.K) if "/Alt" in e]

    def open(self) -> pikepdf.Pdf:
        return pikepdf.open(BytesIO(self.pdf))


def written(result: Result) -> Written:
    done = render(build(result))
    return Written(result, done.pdf, done.warnings)


@pytest.fixture(scope="session")
def report_of() -> Callable[[str], Written]:
    """Render each made-up result once."""
    done: dict[str, Written] = {}

    def get(name: str) -> Written:
        if name not in done:
            done[name] = written(MADE[name]())
        return done[name]

    return get


@pytest.fixture(scope="session", params=sorted(MADE))
def report(request: pytest.FixtureRequest, report_of: Callable[[str], Written]) -> Written:
    return report_of(request.param)
