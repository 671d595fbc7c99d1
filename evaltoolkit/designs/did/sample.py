"""From rows to a panel, or to its sums: everything checked, what is left out counted."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.data import (
    Calendar,
    EngineSource,
    Source,
    detect,
    identifier_values,
    require_column,
)
from evaltoolkit.designs.did.covariates import covariate_columns
from evaltoolkit.designs.did.facts import Facts, facts_of
from evaltoolkit.designs.did.long_rows import Long, long_rows
from evaltoolkit.designs.did.moment_sample import Sums, by_cell, used_part
from evaltoolkit.designs.did.options import Options
from evaltoolkit.designs.did.scope import Scope, scope_of
from evaltoolkit.designs.did.strict_sample import InEngine, strict_sample
from evaltoolkit.designs.did.sums import sums
from evaltoolkit.designs.did.timing import need_a_start
from evaltoolkit.errors import (
    DisclosureError,
    NoVariationError,
    OptionError,
    SmallSumsError,
    TooFewClustersError,
)
from evaltoolkit.reduction import AnalysisSample, Panel, stays, widen
from evaltoolkit.reduction.moments import Account
from evaltoolkit.results import FlowStep, plural
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PanelStudy:
    """A panel and what it took to get it.

    Attributes
    ----------
    rows
        Units that are used, in the periods that are used; None where rows do not leave the place they are in.
    facts
        The same, summed by start.
    calendar
        How periods are written.
    covariate_names
        Names of the panel's covariates, and of the columns behind them.
    n_units
        Units in the data.
    n_incomplete, n_left, n_always
        Units that lack a period or a value, those of them left out, and those left out for a start in or before the
        first period.
    last_as_comparison
        Start of the last cohort where it stands in for never-treated units, and the periods from then on are left out.
    placebos
        Outcomes that the program cannot have changed: name and values, shape (n, T).
    sums, engine
        What stands in for rows that do not leave: sums, or the engine that they stay in.
    small_sums
        Whether sums by cell would have rested on too few people, so that cross-products of the whole stand in.
    """

    rows: Panel | None
    facts: Facts
    calendar: Calendar
    covariate_names: tuple[str, ...]
    covariate_owner: tuple[int, ...]
    n_units: int
    n_incomplete: int
    n_left: int
    n_always: int
    last_as_comparison: int | None
    placebos: tuple[tuple[str, FloatArray], ...] = ()
    sums: Sums | None = None
    engine: InEngine | None = None
    small_sums: bool = False

    @property
    def panel(self) -> Panel:
        """The rows.

        Raises
        ------
        DisclosureError
            They do not leave the place they are in.
        """
        if self.rows is None:
            raise DisclosureError(
                "this needs rows, and there are only sums here", expected='release = "open"',
                todo="state it under [data], or give --release open, if the agreement for these data allows it",
                where="data.release",
            )  # fmt: skip
        return self.rows


NOUNS = {
    "agency": "agencies", "city": "cities", "clinic": "clinics", "community": "communities", "county": "counties",
    "court": "courts", "department": "departments", "district": "districts", "facility": "facilities", "firm": "firms",
    "hospital": "hospitals", "jurisdiction": "jurisdictions", "municipality": "municipalities", "office": "offices",
    "place": "places", "precinct": "precincts", "program": "programs", "province": "provinces", "region": "regions",
    "school": "schools", "shelter": "shelters", "site": "sites", "state": "states", "town": "towns", "tribe": "tribes",
}  # fmt: skip
"""Names of a unit column that are words for what a unit is, with their plurals."""


def unit_words(study: Study, options: Options) -> tuple[str, str]:
    """Return what a unit is, one and many: the unit column's name where that is a word for it."""
    if study.data.rows == "people":
        return "person", "people"
    if options.unit is None:
        return "row", "rows"
    one = options.unit.casefold()
    return (one, NOUNS[one]) if one in NOUNS else ("site", "sites")


def prepare(study: Study, options: Options, source: Source) -> AnalysisSample[PanelStudy]:
    """Read the data and return the panel, or what an engine sums up of it, with the flow from the data to it."""
    if stays(study, source):
        return _prepare_sums(study, options, source)
    rows = source.rows(study)
    frame = rows.frame
    calendar = detect(
        require_column(frame, options.time, role="time", where=study.place("time")),
        where=study.place("time"), column=options.time,
    )  # fmt: skip
    names, owner, covariates = covariate_columns(frame, study, options)
    long = long_rows(frame, study, options, calendar, covariates)
    need_a_start(long.start, study, options)
    scope, panel, placebos = _panel(long, study, options)
    facts = facts_of(panel)
    _check_panel(panel, facts, study, options)
    content = PanelStudy(
        panel, facts, calendar, names, owner, scope.n_units, scope.n_incomplete, scope.n_left, scope.n_always,
        scope.last_as_comparison, tuple(zip(options.placebo_outcomes, placebos, strict=True)),
    )  # fmt: skip
    return AnalysisSample(
        content,
        _flow((rows.n_read, len(rows.frame)), study, options, content),
        identifier_values(frame, study.disclosure.secret_columns),
    )


def _panel(long: Long, study: Study, options: Options) -> tuple[Scope, Panel, list[FloatArray]]:
    periods, at = np.unique(long.step, return_inverse=True)
    shape = (long.units.size, periods.size)
    first_row = np.zeros(shape[0], dtype=np.int64)
    first_row[long.unit[::-1]] = np.arange(long.unit.size)[::-1]
    outcome = widen(long.unit, at, long.outcome, shape)
    parts = [widen(long.unit, at, column, shape) for column in long.covariates.T]
    covariates = np.stack(parts, axis=2) if parts else np.zeros((*shape, 0))
    # A row without one of its values is no observation, as in R did.
    outcome[np.isnan(covariates).any(axis=2)] = np.nan
    scope = scope_of(long.start[first_row], periods, np.isfinite(outcome), study, options)
    kept, inside = scope.kept, scope.inside
    cluster = long.cluster[first_row][kept]
    counts = None if long.counts is None else widen(long.unit, at, long.counts, shape)
    if counts is not None:
        counts = np.where(np.isfinite(outcome), counts, np.nan)[np.ix_(kept, inside)]
    placebos = [widen(long.unit, at, column, shape)[np.ix_(kept, inside)] for column in long.placebos]
    panel = Panel(
        outcome=outcome[np.ix_(kept, inside)],
        start=scope.start[kept],
        periods=periods[inside],
        covariates=covariates[np.ix_(kept, inside)],
        clusters=np.unique(cluster, return_inverse=True)[1].astype(np.int64),
        counts=counts,
        weights=None if long.weights is None else long.weights[first_row][kept],
        units=long.units[kept],
        exposure=None if long.exposure is None else widen(long.unit, at, long.exposure, shape)[np.ix_(kept, inside)],
        eligible=None if long.eligible is None else long.eligible[first_row][kept] == 1,
        groups=None if long.groups is None else long.groups[first_row][kept],
        treatment=None if long.treatment is None else widen(long.unit, at, long.treatment, shape)[np.ix_(kept, inside)],
    )
    return scope, panel, placebos


def _check_panel(panel: Panel, facts: Facts, study: Study, options: Options) -> None:
    if np.nanmax(panel.outcome) == np.nanmin(panel.outcome):
        raise NoVariationError(
            f"the outcome '{study.outcome.column}' never varies", expected="an outcome that varies",
            todo="check the outcome column and the filters", where=study.place("outcome", "column"),
        )  # fmt: skip
    _check_periods(facts, study, options)


def _check_periods(facts: Facts, study: Study, options: Options) -> None:
    longest = int(facts.periods[-1] - facts.starts.min())
    if options.balance_event_times is not None and longest < options.balance_event_times:
        raise OptionError(
            f"balance_event_times = {options.balance_event_times}, but no cohort is seen longer than "
            f"{plural(longest, 'period')} after its start",
            expected=f"a number from 0 to {longest}", todo="lower balance_event_times",
            where=study.place("balance_event_times"),
        )  # fmt: skip
    if facts.n_clusters < 2:
        raise TooFewClustersError(
            f"all units stand in one cluster ('{options.cluster}')", expected="several clusters",
            todo="name a cluster column with several values, or leave cluster out", where=study.place("cluster"),
        )  # fmt: skip


def _incomplete_words(options: Options, content: PanelStudy) -> tuple[str, int, str]:
    if options.keeps_incomplete:
        few = "" if content.rows is not None else ", or alike in what they lack with too few others"
        return "Observed in several periods", content.n_left, f"seen in fewer than two periods{few}"
    return "Complete in every period", content.n_left, "a period or a value is missing"


def _prepare_sums(study: Study, options: Options, source: Source) -> AnalysisSample[PanelStudy]:
    if study.data.release == "strict" and isinstance(source, EngineSource):
        return _prepare_strict(study, options, source, small_sums=False)
    try:
        found = sums(study, options, source)
    except SmallSumsError:
        if not isinstance(source, EngineSource) or study.inference.method not in {"auto", "analytic"}:
            raise
        return _prepare_strict(study, options, source, small_sums=True)
    part, facts, scope, names, owner = used_part(found, study, options)
    early = int(by_cell(found.table)[0][~scope.kept].sum())
    account = dataclasses.replace(found.account, n_always=found.account.n_always + early)
    content = _without_rows(found.calendar, facts, account, scope, (names, owner))
    return _sample_of(dataclasses.replace(content, sums=part), account, study, options)


def _prepare_strict(
    study: Study, options: Options, source: EngineSource, *, small_sums: bool
) -> AnalysisSample[PanelStudy]:
    found = strict_sample(study, options, source)
    content = _without_rows(found.calendar, found.facts, found.account, found.scope, (found.names, found.owner))
    content = dataclasses.replace(content, engine=found.engine, small_sums=small_sums)
    return _sample_of(content, found.account, study, options)


def _without_rows(
    calendar: Calendar,
    facts: Facts,
    account: Account,
    scope: Scope,
    names: tuple[tuple[str, ...], tuple[int, ...]],
) -> PanelStudy:
    return PanelStudy(
        None, facts, calendar, *names, account.n_units, account.n_incomplete, account.n_left, account.n_always,
        scope.last_as_comparison,
    )  # fmt: skip


def _sample_of(content: PanelStudy, account: Account, study: Study, options: Options) -> AnalysisSample[PanelStudy]:
    _check_periods(content.facts, study, options)
    kept = options if content.sums is not None else options.model_copy(update={"incomplete": "drop"})
    return AnalysisSample(content, _flow((account.n_read, account.n_rows), study, kept, content))


def _flow(n_rows: tuple[int, int], study: Study, options: Options, content: PanelStudy) -> tuple[FlowStep, ...]:
    people, unit = study.counts_people, unit_words(study, options)[1]
    rows_word = {"people": "rows", "events": "records", "aggregates": "rows"}[study.data.rows]
    steps = [FlowStep(label="Rows in the data", n=n_rows[0], unit=rows_word, people=people)]
    if n_rows[0] > n_rows[1]:
        steps.append(
            FlowStep(
                label="Rows in the study", n=n_rows[1], unit=rows_word, excluded=n_rows[0] - n_rows[1],
                reason="outside the filters of the design file", people=people,
            )
        )  # fmt: skip
    n = content.n_units
    steps.append(FlowStep(label=f"{unit.capitalize()} in the study", n=n, unit=unit, people=people))
    for label, excluded, reason in (
        _incomplete_words(options, content),
        ("Not yet treated at the beginning", content.n_always, "the program was there from the beginning"),
    ):
        if excluded:
            n -= excluded
            steps.append(
                FlowStep(label=label, n=n, unit=unit, excluded=excluded, reason=reason, people=people)
            )  # fmt: skip
    treated = content.facts.n_units - content.facts.n_compared
    steps.append(
        FlowStep(
            label="Compared", n=n, unit=unit, excluded=0, treated=treated, comparison=n - treated, people=people,
        )
    )  # fmt: skip
    return tuple(steps)
