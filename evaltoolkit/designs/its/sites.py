"""Many sites: one series for each, with its own start."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.data import Calendar, Source, identifier_values, parse_column, require_column
from evaltoolkit.designs.its.options import Options
from evaltoolkit.designs.its.periods import Periods
from evaltoolkit.designs.its.reading import read
from evaltoolkit.designs.its.sample import Starts, series_of
from evaltoolkit.designs.its.series import Series
from evaltoolkit.errors import (
    EvaluationError,
    MissingValuesError,
    NoPrePeriodError,
    NoVariationError,
    TreatmentTimingError,
)
from evaltoolkit.reduction import AnalysisSample
from evaltoolkit.results import FlowStep, plural
from evaltoolkit.study import Study

IntArray = NDArray[np.int64]

FEWEST = 2
"""Sites that pooling needs."""
_NEVER = -(2**40)
_WHY: dict[type[EvaluationError], str] = {
    NoPrePeriodError: "too few periods on a side of the start", MissingValuesError: "no value",
    NoVariationError: "no variation, or only zeros on a side of the start", TreatmentTimingError: "no start",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sites:
    """The series of S sites.

    Attributes
    ----------
    names
        Names that may be shown, each once.
    series
        One for each.
    calendar
        How periods are written.
    left_out
        Sites without a usable series, by reason.
    """

    names: tuple[str, ...]
    series: tuple[Series, ...]
    calendar: Calendar
    left_out: dict[str, int]


def prepare_sites(study: Study, options: Options, source: Source) -> AnalysisSample[Sites]:
    """Read the data and return the series of every site that has a usable one.

    Raises
    ------
    NoPrePeriodError
        Fewer than two sites have one.
    """
    table = read(study, options, source, unit=options.unit)
    order = np.lexsort((table.steps, table.units))
    sorted_table = table.where(order)
    edges = np.searchsorted(sorted_table.units, np.arange(len(table.names) + 1))
    starts = _starts(table, study, options)
    common = None if options.first_treated is not None else Starts.of(study, options, table.calendar)
    names, found, lost, rows = [], [], Counter[str](), 0
    for i, name in enumerate(_shown(table, study, options)):
        part = sorted_table.where(slice(int(edges[i]), int(edges[i + 1])))
        try:
            mine = common or _own_start(int(starts[i]), study, options, table.calendar)
            series, _ = series_of(part, study, options, mine)
        except EvaluationError as error:
            why = _WHY.get(type(error))
            if why is None:
                raise
            lost[why] += 1
            continue
        names.append(name)
        found.append(series)
        rows += int(edges[i + 1] - edges[i])
    sites = Sites(tuple(names), tuple(found), table.calendar, dict(lost))
    _enough(sites, study)
    secret = identifier_values(table.frame, study.disclosure.secret_columns)
    return AnalysisSample(sites, _flow(table, sites, rows), secret)


def _shown(table: Periods, study: Study, options: Options) -> list[str]:
    """Return names of sites, or numbers where names identify."""
    if options.unit in study.disclosure.secret_columns:
        return [f"Site {i + 1}" for i in range(len(table.names))]
    return list(table.names)


def _own_start(step: int, study: Study, options: Options, calendar: Calendar) -> Starts:
    if step == _NEVER:
        raise TreatmentTimingError(
            "a site has no start", expected="the first period with the program", todo="fill in first_treated",
            where=study.place("first_treated"),
        )  # fmt: skip
    return Starts.at(step, study, options, calendar)


def _starts(table: Periods, study: Study, options: Options) -> IntArray:
    """Return the first treated period of each site; sites without one have ``_NEVER``."""
    found = np.full(len(table.names), _NEVER, dtype=np.int64)
    if options.first_treated is None:
        return found
    where = study.place("first_treated")
    column = require_column(table.frame, options.first_treated, role="first-treated", where=where)
    unit = require_column(table.frame, str(options.unit), role="unit", where=study.place("unit")).astype(str)
    known = column.notna().to_numpy() & (column.astype(str) != "0").to_numpy()
    if not known.any():
        raise TreatmentTimingError(
            f"no site has a start in '{options.first_treated}'", expected="the first period with the program",
            todo="correct first_treated", where=where,
        )  # fmt: skip
    kept = column[known]
    steps = parse_column(kept, table.calendar, where=where, column=options.first_treated)
    place = {name: i for i, name in enumerate(table.names)}
    codes = unit[known].map(place).to_numpy()
    found[codes] = steps
    if (found[codes] != steps).any():
        raise TreatmentTimingError(
            f"{plural(int(np.unique(codes[found[codes] != steps]).size), 'site')} have more than one start in "
            f"'{options.first_treated}'",
            expected="the same first period in every row of a site", todo="correct these rows", where=where,
        )  # fmt: skip
    return found


def _enough(sites: Sites, study: Study) -> None:
    if len(sites.names) >= FEWEST:
        return
    reasons = "; ".join(f"{why}: {n:,}" for why, n in sites.left_out.items()) or "no more sites in the data"
    raise NoPrePeriodError(
        f"{plural(len(sites.names), 'site')} {'has' if len(sites.names) == 1 else 'have'} a usable series ({reasons})",
        expected=f"at least {FEWEST} sites with three periods before and three after the start",
        todo="correct the start or the unit column, or evaluate one site without unit", where=study.place("unit"),
    )  # fmt: skip


def _flow(table: Periods, sites: Sites, rows: int) -> tuple[FlowStep, ...]:
    n, kept = len(table.names), len(sites.names)
    steps = [*table.flow, FlowStep(label="Sites in the data", n=n, unit="sites")]
    if kept < n:
        reasons = "; ".join(f"{why} ({count:,})" for why, count in sorted(sites.left_out.items()))
        steps.append(FlowStep(label="Sites with a usable series", n=kept, unit="sites", excluded=n - kept,
                              reason=reasons))  # fmt: skip
    steps.append(FlowStep(label="Sites in the analysis", n=kept, unit="sites"))
    noun = f"site {sites.calendar.noun}s"
    used = sum(s.steps.size for s in sites.series)
    if used < rows:
        phased = sum(s.audit.phased for s in sites.series)
        why = [f"phase-in ({phased:,})"] if phased else []
        why += [f"no value was recorded ({rows - used - phased:,})"] if rows - used > phased else []
        steps.append(FlowStep(label="Values of these sites", n=rows, unit=noun))
        steps.append(FlowStep(label="Values in the analysis", n=used, unit=noun, excluded=rows - used,
                              reason="; ".join(why)))  # fmt: skip
    else:
        steps.append(FlowStep(label="Values in the analysis", n=used, unit=noun))
    return tuple(steps)
