"""What a design is: three verbs and two facts, no base class."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

from evaltoolkit.data import Source
from evaltoolkit.errors import OptionError, SetupError
from evaltoolkit.reduction import AnalysisSample
from evaltoolkit.reduction.explanation import Explanation
from evaltoolkit.reduction.moments import PanelMoments
from evaltoolkit.reduction.plan import PanelPlan
from evaltoolkit.results import Draft, Estimand, Estimate, Result, SmallCells, Statements, Tile, seal
from evaltoolkit.study import Section, Study

OptionsT = TypeVar("OptionsT", bound=Section)


class Design(Protocol[OptionsT]):
    """A quasi-experimental design.

    ``parse`` fails before any data are read; ``prepare`` reads the data, and what it leaves out becomes flow steps;
    ``estimate`` runs the kernels, writes the words and seals the result (with ``sealed``).
    """

    kind: ClassVar[str]
    options: ClassVar[type[Any]]

    def parse(self, study: Study) -> OptionsT:
        """Turn the study's own keys into this design's options."""
        ...

    def prepare(self, study: Study, options: OptionsT, source: Source) -> AnalysisSample[Any]:
        """Read and check the data, and return the analysis sample with its flow."""
        ...

    def estimate(self, study: Study, options: OptionsT, sample: AnalysisSample[Any]) -> Result:
        """Estimate, describe, and seal."""
        ...


@dataclass(frozen=True, slots=True)
class Alternative:
    """A reasonable way to estimate the effect that a study asks for.

    Attributes
    ----------
    label
        A short name that no other alternative of the study has.
    choices
        What it chose, in words, by kind of choice ("Estimator", "Comparison"); a kind that does not apply is left out.
    settings
        The design's own keys, as a study has them.
    """

    label: str
    choices: Mapping[str, str]
    settings: Mapping[str, Any]


@runtime_checkable
class OffersAlternatives(Protocol):
    """A design that knows other reasonable ways to estimate the same effect; designs may go without."""

    def alternatives(self, study: Study, options: Any, sample: AnalysisSample[Any]) -> tuple[Alternative, ...]:
        """Return the study's own way first, with its settings as they are, and then the others."""
        ...


@runtime_checkable
class EstimatesHeadline(Protocol):
    """A design that can stop at the headline, for analyses that stand beside another; designs may go without."""

    def headline(self, study: Study, options: Any, sample: AnalysisSample[Any]) -> Estimate:
        """Return the headline of ``estimate``, sealed like there, without the checks, tables and words around it."""
        ...


@dataclass(frozen=True, slots=True)
class PowerPoint:
    """An effect and the chance that it is found; by formula, or from so many simulated studies."""

    effect: float
    chance: float
    draws: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What a study like this one can find.

    Attributes
    ----------
    what, unit
        What an effect is, and its unit; ``null`` stands for none.
    smallest
        The effect that is found with a chance of ``power`` by a test at 1 - ``level``.
    curve
        Effects and chances.
    matters, power_at_matters
        The smallest effect that matters, where the study states it, and the chance to find it.
    simulated
        Checks of the formula by simulated studies.
    notes
        What it rests on, in sentences.
    """

    what: str
    unit: str
    null: float
    smallest: float
    power: float
    level: float
    curve: tuple[PowerPoint, ...]
    matters: float | None
    power_at_matters: float | None
    simulated: tuple[PowerPoint, ...] = ()
    notes: tuple[str, ...] = ()


@runtime_checkable
class OffersPower(Protocol):
    """A design that can say, from what was recorded before the start, what it could find; designs may go without."""

    def power(self, study: Study, options: Any, sample: AnalysisSample[Any]) -> Power:
        """Return the smallest detectable effect and the power curve. Outcomes after the start are not used."""
        ...


@runtime_checkable
class TellsQueries(Protocol):
    """A design that can tell what it would ask of an engine; designs may go without."""

    def explanation(self, study: Study, options: Any, source: Source) -> Explanation:
        """Return what would be asked of a source and what would leave it; no query is run."""
        ...


@runtime_checkable
class RunsOnMoments(Protocol):
    """A design that can do with sums, which add up over agencies that share no rows; designs may go without."""

    def plan(self, study: Study, options: Any) -> PanelPlan:
        """Return what rows are reduced by, before any is read."""
        ...

    def reduced(self, study: Study, options: Any, source: Source) -> PanelMoments:
        """Return the sums that the study needs, with fingerprints of its units: what an agency may export."""
        ...

    def explanation(self, study: Study, options: Any, source: Source) -> Explanation:
        """Return what would be asked of a source and what would leave it; no query is run."""
        ...


def telling(design: object, study: Study) -> TellsQueries:
    """Return a design that can tell its queries.

    Raises
    ------
    OptionError
        It cannot.
    """
    if isinstance(design, TellsQueries):
        return design
    raise OptionError(
        f"the design '{study.design}' does not tell its queries beforehand", expected="a design that does",
        todo="run it with --audit-log, which writes every query before it runs", where=study.place("design"),
    )  # fmt: skip


def on_moments(design: object, study: Study) -> RunsOnMoments:
    """Return a design that can do with the sums of a study.

    Raises
    ------
    OptionError
        It cannot, or the study has several outcomes: sums are of one.
    """
    if not isinstance(design, RunsOnMoments):
        raise OptionError(
            f"the design '{study.design}' has no sums that add up over agencies",
            expected="difference-in-differences", todo="run it where the rows are", where=study.place("design"),
        )  # fmt: skip
    if study.secondary:
        raise OptionError(
            "the study has secondary outcomes, and sums are of one outcome", expected="a study of one outcome",
            todo="write a design file for each outcome, and export and add up the sums of each",
            where=study.place("secondary"),
        )  # fmt: skip
    return design


def known_inference(study: Study, methods: Sequence[str]) -> None:
    """Refuse an inference method that is not one of a design's.

    Raises
    ------
    OptionError
        With the nearest name.
    """
    method = study.inference.method
    if method not in methods:
        raise OptionError.unknown("inference.method", method, methods, where=study.place("inference", "method"))


def small_cells(study: Study) -> SmallCells:
    """Return the study's small-cell rule, for sentences that give a count of people."""
    rules = study.disclosure
    return SmallCells(threshold=rules.threshold, show_zero=rules.show_zero, agreement=rules.agreement)


def sealed(
    draft: Draft, study: Study, sample: AnalysisSample[Any], *, estimates_count_people: bool | None = None
) -> Result:
    """Seal a draft under the study's disclosure rules: the last step of every ``estimate``.

    ``estimates_count_people`` says whether ``n_obs`` and ``n_units`` of the estimates are numbers of people; None where
    they are if a row is a person or an event.
    """
    people = study.counts_people if estimates_count_people is None else estimates_count_people
    return seal(draft, small_cells(study), rows_are_people=people, identifiers=sample.identifiers)


def sealed_headline(
    headline: Estimate, study: Study, sample: AnalysisSample[Any], *, estimates_count_people: bool | None = None
) -> Estimate:
    """Return a headline as it leaves a sealed result: the last step of every ``headline``."""
    draft = Draft(
        study={}, design=study.design, estimand=Estimand(symbol="", words=""), headline=headline, statements=_UNSAID,
        flow=sample.flow,
    )  # fmt: skip
    return sealed(draft, study, sample, estimates_count_people=estimates_count_people).headline


_UNSAID = Statements(
    bottom_line="", tile=Tile(kicker="", number="", meaning="", interval=""), supports=(), does_not_show=(),
    design_name="", plain="", how_we_know="", approach=(), findings=(), assumptions=(), methods=(), limits=(),
    references=(),
)  # fmt: skip


def study_record(study: Study) -> dict[str, Any]:
    """Return the study as it was asked, for ``Draft.study``; filter values on identifier columns are left out."""
    record: dict[str, Any] = study.model_dump(mode="json", exclude={"settings"})
    secret = study.disclosure.secret_columns
    for condition in record["data"]["keep"]:
        if condition["column"] in secret:
            condition["value"] = None
    record["settings"] = _plain(dict(study.settings))
    record["report"]["date"] = _printed_date(study)
    return record


def _printed_date(study: Study) -> str | None:
    """Return the stated date, else the one of SOURCE_DATE_EPOCH, else None: never the clock's."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if study.report.date is not None or not epoch:
        return study.report.date.isoformat() if study.report.date else None
    if not epoch.isdigit():
        raise SetupError(
            f"SOURCE_DATE_EPOCH is '{epoch}'", expected="seconds since 1970-01-01", todo="correct or unset it",
            where="environment",
        )  # fmt: skip
    return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).date().isoformat()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
