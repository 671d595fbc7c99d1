"""The pieces a report is made of: plain frozen data, no markup, no drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evaltoolkit.results import Equation, FigureData

Align = Literal["left", "right"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A named fact of the title block."""

    label: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BigNumber:
    """A tile of page 1."""

    kicker: str
    number: str
    meaning: str
    interval: str
    clear: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """How sure the evaluation can be: a word, one to four dots, and the reasons."""

    word: str
    dots: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraphs:
    """Prose, with a note beside it where there is one."""

    texts: tuple[str, ...]
    note_title: str = ""
    note: str = ""
    kind: Literal["paragraphs"] = "paragraphs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subheading:
    """A heading of the second level."""

    text: str
    kind: Literal["subheading"] = "subheading"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bullets:
    """A list of sentences."""

    texts: tuple[str, ...]
    kind: Literal["bullets"] = "bullets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure with the words around it. The ``lead`` stands on page 1, drawn low if there is little room."""

    figure: FigureData
    headline: str
    subtitle: str
    note: str
    alt: str
    lead: bool = False
    kind: Literal["picture"] = "picture"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table as text: heads, rows, how columns are set, how wide they are, the size of text."""

    title: str
    subtitle: str
    note: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    align: tuple[Align, ...]
    weights: tuple[float, ...]
    size: float
    main_rows: tuple[int, ...] = ()
    kind: Literal["grid"] = "grid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """A paragraph on method with its equation."""

    title: str
    text: str
    equation: Equation | None
    kind: Literal["formula"] = "formula"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A reference with the address it can be found at."""

    text: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The list of references."""

    items: tuple[Source, ...]
    kind: Literal["sources"] = "sources"


Block = Paragraphs | Subheading | Bullets | Picture | Grid | Formula | Sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section: its heading and its blocks."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportModel:
    """Everything a report says, in order; every format is written from it."""

    title: str
    subtitle: str
    language: str
    paper: str
    date: str
    author: str
    notice: str
    synthetic: bool
    facts: tuple[Fact, ...]
    bottom_line: str
    tiles: tuple[BigNumber, ...]
    confidence: Confidence | None
    supports: tuple[str, ...]
    does_not_show: tuple[str, ...]
    lead: Picture | None
    sections: tuple[Section, ...]
    attachment: str
