"""The parts of a study that every design shares, as frozen models of a design file."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, field_validator, model_validator

from evaltoolkit.study.origin import Origin

Role = Literal["incidence", "identification", "justice-contact", "service-access", "wellbeing", "knowledge", "process"]
OutcomeKind = Literal["continuous", "binary", "count", "rate", "proportion"]
Better = Literal["higher", "lower", "neither"]
Comparison = Literal["==", "!=", "<", "<=", ">", ">=", "in", "not-in"]
Release = Literal["open", "moments", "strict"]
Scalar = str | int | float | bool | datetime.date

DETECTION_ROLES: frozenset[str] = frozenset({"identification", "justice-contact"})
CMS_THRESHOLD = 11


class Section(BaseModel):
    """A table of a design file: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)


class Filter(Section):
    """One row filter: keep the rows whose column compares so with the value."""

    column: str = Field(description="Column to compare")
    op: Comparison = Field(description="How to compare")
    value: Scalar | list[Scalar] = Field(description="Value, or a list of values for in and not-in")


class Data(Section):
    """Where the data are and what a row of them is."""

    source: str | None = Field(
        None, description="Data file, relative to the design file; or an address, as duckdb:///x.db?table=panel"
    )
    rows: Literal["people", "events", "aggregates"] = Field("aggregates", description="What one row stands for")
    release: Release | None = Field(
        None,
        description='What may leave an engine: "moments" (sums over cells of enough people, the default), "strict" '
        '(cross-products of the whole sample only), "open" (rows); files and frames need no word',
    )
    keep: tuple[Filter, ...] = Field((), description="Rows to keep; all must hold")
    missing: tuple[str, ...] = Field((), description="Texts and codes that mean a missing value, beside empty cells")
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="Expected hash; a mismatch stops the run")


class Outcome(Section):
    """One outcome: its column, what it measures, and how far a sentence about it may go."""

    column: str = Field(description="Column that holds the outcome")
    label: str | None = Field(None, description="The outcome in words, as it should read in a sentence")
    kind: OutcomeKind = Field("continuous", description="What kind of number the outcome is")
    population: str | None = Field(None, description="Column with the population at risk, for counts and rates")
    per: float = Field(1, gt=0, description="Rates are shown per this many")
    role: Role | None = Field(None, description="What the outcome can tell about; it bounds what sentences may claim")
    better: Better = Field("neither", description="The direction that is an improvement")
    smallest_effect_that_matters: float | None = Field(None, gt=0, description="Smallest change worth acting on")

    def __init__(self, column: str | None = None, /, **fields: Any) -> None:
        """Take the column by place or by name.

        >>> Outcome("referrals", role="service-access").column
        'referrals'
        """
        super().__init__(**(fields if column is None else {"column": column, **fields}))

    @property
    def name(self) -> str:
        """The label, or the column's name where there is none."""
        return self.label or self.column.replace("_", " ")

    @model_validator(mode="after")
    def _rates_need_a_population(self) -> Outcome:
        if self.kind == "rate" and self.population is None:
            msg = "kind = 'rate' needs population, the column with the number at risk"
            raise ValueError(msg)
        if self.population is not None and self.kind not in {"rate", "count"}:
            msg = f"population is for counts and rates, not for kind = '{self.kind}'"
            raise ValueError(msg)
        return self


class Detection(Section):
    """How recording may have changed because of the program."""

    ratio: tuple[float, float] | None = Field(None, description="Plausible detection after / before: [low, high]")
    unknown: bool = Field(default=False, description="true where nothing is known about the change in recording")

    @model_validator(mode="after")
    def _one_of_two(self) -> Detection:
        if (self.ratio is None) == (not self.unknown):
            msg = "give either ratio = [low, high] or unknown = true"
            raise ValueError(msg)
        if self.ratio is not None and not 0 < self.ratio[0] <= self.ratio[1]:
            msg = "ratio must be [low, high] with 0 < low <= high"
            raise ValueError(msg)
        return self


class Inference(Section):
    """How uncertainty is measured."""

    method: str = Field("auto", description="Inference method; auto says what it chose and why")
    level: float = Field(0.95, gt=0.5, lt=1, description="Confidence level")
    draws: int = Field(9999, ge=199, le=1_000_000, description="Random draws where a method needs them")
    seed: int = Field(20260101, ge=0, description="Seed of every random draw")


class DisclosureRules(Section):
    """What may be shown about small groups of people."""

    threshold: int = Field(CMS_THRESHOLD, ge=1, description="Counts of people from 1 to threshold - 1 are hidden")
    identifiers: tuple[str, ...] = Field((), description="Columns that identify people; they never leave")
    person: str | None = Field(None, description="Column that tells people apart, where a person has several rows")
    show_zero: bool = Field(default=True, description="Whether a count of zero may be shown")
    agreement: str | None = Field(None, description="Data-use agreement that allows a threshold below 11")

    @property
    def secret_columns(self) -> tuple[str, ...]:
        """Every column whose values identify people."""
        return tuple(dict.fromkeys([*self.identifiers, *([self.person] if self.person else [])]))

    @model_validator(mode="after")
    def _lower_needs_an_agreement(self) -> DisclosureRules:
        if self.threshold < CMS_THRESHOLD and not self.agreement:
            msg = f"threshold below {CMS_THRESHOLD} needs agreement, the text of the data-use agreement that allows it"
            raise ValueError(msg)
        return self


class MomentRules(Section):
    """How rows are reduced to sums: stated beforehand where sums of several agencies are to be added."""

    grid: dict[str, tuple[float, ...]] = Field(
        default_factory=dict,
        description="Cut points that turn a covariate into a category: grid = { income = [10, 20] } makes three",
    )
    shift: float | tuple[float, ...] | None = Field(
        None,
        description="Taken out of the outcome before it is summed, one number or one for each period; it changes no "
        "result, but keeps digits where levels are large; else rounded means of the data",
    )

    periods: tuple[Scalar, ...] = Field(
        (), description="Every value of the time column, as written there; else those found in the data"
    )
    starts: tuple[Scalar, ...] = Field(
        (), description="Every value of the start column but never; else those found in the data"
    )

    @field_validator("grid")
    @classmethod
    def _ascending(cls, grid: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
        for name, cuts in grid.items():
            if not cuts or any(b <= a for a, b in itertools.pairwise(cuts)):
                msg = f"the cut points of '{name}' must be one or more numbers in ascending order"
                raise ValueError(msg)
        return grid


class Context(Section):
    """The evaluator's own words, printed as they stand."""

    setting: str | None = Field(None, description="Where and with whom the program worked")
    participants: str | None = Field(None, description="Who was eligible, and how they came into the data")
    delivery: str | None = Field(None, description="What was delivered, by whom, how much of it")
    attrition: str | None = Field(None, description="Who was lost, and why")
    co_occurring_events: str | None = Field(None, description="Other changes at the same time")
    data_source: str | None = Field(None, description="Who recorded the data, and for what purpose")
    funding: str | None = Field(None, description="Who paid for the program and for the evaluation")
    limits: str | None = Field(None, description="Limits that the evaluator wants readers to know")
    synthetic: bool = Field(default=False, description="true where the data are made up; every page then says so")


class ReportOptions(Section):
    """How the report is written."""

    language: Literal["en"] = Field("en", description="Language of the report")
    date: datetime.date | None = Field(None, description="Date printed on the report; never taken from the clock")
    prepared_for: str | None = Field(None, description="Who the report is for")
    prepared_by: str | None = Field(None, description="Who made the evaluation")
    paper: Literal["us-letter", "a4"] = Field("us-letter", description="Paper size")
    formats: tuple[Literal["pdf", "json"], ...] = Field(("pdf", "json"), min_length=1, description="Files to write")


def _freeze(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(value))


FrozenMapping = Annotated[Mapping[str, Any], AfterValidator(_freeze), PlainSerializer(dict, return_type=dict[str, Any])]


class Study(Section):
    """What the evaluator declares: the shared sections, and the design's own keys as they were written.

    ``settings`` holds the keys that belong to the design (``unit``, ``treated``, ``interruption`` ...); the design's
    ``parse`` turns them into its own options.
    """

    version: Literal[1] = Field(1, description="Version of the design-file format")
    design: str = Field(description="Which design")
    title: str = Field(min_length=1, description="Title of the evaluation")
    question: str | None = Field(None, description="The question that the evaluation answers")
    program: str | None = Field(None, description="The program, as it should read in a sentence")
    data: Data = Field(default_factory=Data)
    outcome: Outcome
    secondary: tuple[Outcome, ...] = ()
    detection: Detection | None = None
    inference: Inference = Field(default_factory=Inference)
    disclosure: DisclosureRules = Field(default_factory=DisclosureRules)
    moments: MomentRules = Field(default_factory=MomentRules)
    context: Context = Field(default_factory=Context)
    report: ReportOptions = Field(default_factory=ReportOptions)
    settings: FrozenMapping = Field(default_factory=dict)
    origin: Origin | None = Field(None, exclude=True, repr=False)

    @property
    def program_name(self) -> str:
        """The program in words, for sentences."""
        return self.program or "the program"

    def place(self, *path: str | int) -> str:
        """Return where a key is set, for messages: "file:line  key" from a design file, else the key alone."""
        return self.origin.place(path) if self.origin else ".".join(str(part) for part in path)

    @property
    def counts_people(self) -> bool:
        """Whether a number of rows is a number of people (or of events that happened to people)."""
        return self.data.rows in {"people", "events"}

    @property
    def outcome_counts_people(self) -> bool:
        """Whether totals of the outcome are numbers of people or events that small-cell rules cover."""
        return self.outcome.kind in {"count", "rate", "binary", "proportion"}


SHARED_KEYS: frozenset[str] = frozenset(Study.model_fields) - {"settings", "origin"}
