"""The one result type of every design: frozen, versioned, data only.

A ``Draft`` is what a design writes; ``seal`` turns it into a ``Result``. Neither has a field that can hold a row of
data, a model or an identifier.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

SCHEMA: Final = "evaltoolkit.result/1"

EstimateKind = Literal[
    "overall", "group-time", "event-time", "cohort", "calendar-time", "coefficient", "level", "slope", "effect-at",
    "average", "cumulative", "percent", "subgroup", "placebo", "variant",
]  # fmt: skip
Standing = Literal["primary", "secondary", "exploratory", "sensitivity"]
VerdictWord = Literal["pass", "caution", "fail", "not-applicable"]
FigureKind = Literal[
    "effect_path", "trajectories", "series", "love", "overlap", "forest", "flow", "decomposition",
    "specification_curve", "density", "ecdf", "contour", "residuals",
]  # fmt: skip
ColumnKind = Literal["text", "number", "people", "count", "share", "p-value", "basis"]
Cell = str | int | float | bool | None

RATE_RATIO: Final = "rate-ratio"
RISK_RATIO: Final = "risk-ratio"
ODDS_RATIO: Final = "odds-ratio"
RATIOS: Final = (RATE_RATIO, RISK_RATIO, ODDS_RATIO)
"""Terms of an estimate that is a ratio of rates, of risks or of odds; a variant's term begins with its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One estimated number with its uncertainty. Units are the outcome's, or percent where ``kind`` is percent."""

    term: str
    kind: EstimateKind
    estimand: str
    outcome: str
    estimate: float | None
    outcome_role: str | None = None
    cohort: str | None = None
    time: str | None = None
    event_time: int | None = None
    subgroup: str | None = None
    std_error: float | None = None
    conf_low: float | None = None
    conf_high: float | None = None
    p_value: float | None = None
    df: float | None = None
    n_obs: int | None = None
    n_units: int | None = None
    n_clusters: int | None = None
    estimator: str = ""
    inference: str = ""
    standing: Standing = "primary"

    @property
    def is_ratio(self) -> bool:
        """Whether the number is a ratio, for which 1 and not 0 is no change."""
        return self.term.startswith(RATIOS)

    @property
    def null(self) -> float:
        """The number that stands for no change."""
        return 1.0 if self.is_ratio else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One check: the question it answers, what was found, and the verdict."""

    name: str
    question: str
    verdict: VerdictWord
    text: str
    statistic: str | None = None
    value: float | None = None
    df: float | None = None
    p_value: float | None = None
    threshold: float | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a tidy table.

    ``kind`` says what the numbers are: ``people`` are counts of people or of events that happened to people and fall
    under small-cell rules; ``count`` are counts of sites, cohorts or periods and are shown. A ``basis`` column holds
    the number of people on which the columns in ``governs`` rest: it masks them where it is small, and never leaves.
    ``sum_of`` names the columns that add up to this one.
    """

    key: str
    label: str = ""
    kind: ColumnKind = "number"
    digits: int | None = None
    signed: bool = False
    governs: tuple[str, ...] = ()
    sum_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableData:
    """A table: columns, rows of cells, and words. ``main_rows`` are set off; ``total_rows`` add up the other rows."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    subtitle: str = ""
    note: str = ""
    section: Literal["glance", "results", "checks", "methods"] = "results"
    main_rows: tuple[int, ...] = ()
    total_rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureData:
    """A figure as data: a known kind, a tidy table, what to mark, and the words around it.

    ``headline`` states the finding, ``subtitle`` the measure and unit, ``alt`` the content for those who cannot see it.
    ``marks`` holds labels, units and reference lines that the kind reads (documented with each kind in ``plots``).
    """

    key: str
    kind: FigureKind
    headline: str
    subtitle: str
    alt: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    section: Literal["glance", "results", "checks"] = "results"
    marks: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStep:
    """One step on the way from the data to the analysis sample.

    ``n`` remain after the step, ``excluded`` left at it: ``n`` of a step is ``n`` of the one before less ``excluded``.
    ``people`` says whether ``n`` counts people.
    """

    label: str
    n: int | None
    unit: str
    excluded: int | None = None
    reason: str = ""
    treated: int | None = None
    comparison: int | None = None
    people: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One piece of an equation: a text with its subscript and superscript; ``hat`` or ``bar`` stands above it."""

    text: str
    sub: str = ""
    sup: str = ""
    accent: Literal["", "hat", "bar", "tilde"] = ""
    upright: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Equation:
    """An equation as data (never as markup), with its reading in words."""

    terms: tuple[Term, ...]
    alt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A paragraph on method, with an equation where one helps."""

    title: str
    text: str
    equation: Equation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """What has to be true, in words, and how it was looked at."""

    name: str
    text: str
    checked: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A source that the reader can look up."""

    text: str
    doi: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """The headline as one big number with its meaning and interval, in text."""

    kicker: str
    number: str
    meaning: str
    interval: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """The design's own words, chosen by the outcome's role and the finding."""

    bottom_line: str
    tile: Tile
    supports: tuple[str, ...]
    does_not_show: tuple[str, ...]
    design_name: str
    plain: str
    how_we_know: str
    approach: tuple[str, ...]
    findings: tuple[str, ...]
    assumptions: tuple[Assumption, ...]
    methods: tuple[Method, ...]
    limits: tuple[str, ...]
    references: tuple[Reference, ...]
    study_period: str = ""
    comparison: Literal["comparison-over-time", "matched-comparison", "many-series", "single-series"] = "single-series"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimand:
    """What is estimated, in symbols and in words."""

    symbol: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRating:
    """How sure the evaluation can be, by stated rules. ``dots`` runs from 1 to 4."""

    level: Literal["high", "moderate", "low", "inconclusive"]
    dots: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """A number that is not shown: where it stood, and whether by its own size or to protect another."""

    path: str
    why: Literal["primary", "complementary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureLog:
    """The rule that was applied and what it hid."""

    threshold: int
    show_zero: bool
    rule: str
    agreement: str | None = None
    hidden: tuple[Hidden, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What the numbers were made from, so that they can be made again."""

    data_name: str = ""
    data_sha256: str = ""
    design_name: str = ""
    design_sha256: str = ""
    seed: int | None = None
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a design writes before small cells are hidden."""

    study: Mapping[str, Any]
    design: str
    estimand: Estimand
    headline: Estimate
    statements: Statements
    estimates: tuple[Estimate, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    sensitivity: tuple[Diagnostic, ...] = ()
    figures: tuple[FigureData, ...] = ()
    tables: tuple[TableData, ...] = ()
    flow: tuple[FlowStep, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A sealed result: safe to share, and all that a report is made from."""

    study: Mapping[str, Any]
    design: str
    estimand: Estimand
    headline: Estimate
    statements: Statements
    disclosure: DisclosureLog
    schema: Literal["evaltoolkit.result/1"] = SCHEMA
    estimates: tuple[Estimate, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    sensitivity: tuple[Diagnostic, ...] = ()
    figures: tuple[FigureData, ...] = ()
    tables: tuple[TableData, ...] = ()
    flow: tuple[FlowStep, ...] = ()
    evidence: EvidenceRating | None = None
    provenance: Provenance = dataclasses.field(default_factory=Provenance)
