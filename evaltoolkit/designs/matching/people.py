"""Who is compared: rows checked, incomplete ones left out and counted, covariates as numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.data import Rows, Source, binary_column, identifier_values, numeric_column, require_column
from evaltoolkit.designs.matching.covariates import Covariates, all_columns, expand
from evaltoolkit.designs.matching.given import PLACE, Distances, MatrixSource
from evaltoolkit.designs.matching.incomplete import Completed, complete
from evaltoolkit.designs.matching.options import Options, columns_of
from evaltoolkit.errors import (
    ColumnTypeError,
    DuplicateRowsError,
    MissingValuesError,
    NoComparisonError,
    NoVariationError,
    OptionError,
)
from evaltoolkit.reduction import AnalysisSample
from evaltoolkit.results import FlowStep
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class People:
    """n people (or sites) with complete data.

    Attributes
    ----------
    treated
        Who was served, shape (n,).
    outcome
        The outcome, per ``outcome.per`` where it is a rate, shape (n,); its change since before the program where
        ``outcome_before`` is asked for.
    covariates
        Covariates as numbers.
    strata
        Codes of the columns that must agree within a pair, shape (n,); None where there are none.
    distance
        The column to match on, shape (n,); None where a score is estimated.
    frame
        The rows themselves, for the researcher's products.
    near, apart
        Columns with calipers of their own, and codes of the columns that must differ within a pair, shapes (n, q) and
        (n, r).
    place, given
        Distances that were given as a matrix, and the place of each person among its rows or columns, shape (n,); None
        where there are none.
    measured
        The outcome at each time, oldest first and the one after the program last, shape (n, times); None where it was
        measured once.
    completed
        How missing covariates were dealt with; None where people with missing covariates are left out.
    clusters
        Codes of the sites or families whose people's outcomes go together, shape (n,); None where there are none.
    """

    treated: NDArray[np.bool_]
    outcome: FloatArray
    covariates: Covariates
    strata: NDArray[np.int64] | None
    distance: FloatArray | None
    frame: pd.DataFrame
    near: FloatArray
    apart: NDArray[np.int64]
    place: NDArray[np.int64] | None = None
    given: Distances | None = None
    measured: FloatArray | None = None
    completed: Completed | None = None
    clusters: IntArray | None = None

    def take(self, rows: IntArray) -> People:
        """Return other people: these rows, as often as they are named."""
        n = self.treated.size
        return replace(self, **{f.name: _taken(getattr(self, f.name), rows, n) for f in fields(self)})


def _taken(value: Any, rows: IntArray, n: int) -> Any:
    """Return the rows of whatever has one for each of n people; all else as it is."""
    if isinstance(value, np.ndarray) and value.shape[:1] == (n,):
        return value[rows]
    if isinstance(value, pd.DataFrame):
        return value.iloc[rows]
    if isinstance(value, Covariates):
        return replace(value, X=value.X[rows], shown=value.shown[rows])
    if isinstance(value, tuple):
        return tuple(_taken(part, rows, n) for part in value)
    return value


def prepare(study: Study, options: Options, source: Source) -> AnalysisSample[People]:
    """Read the data and return those with complete data, with the flow from the data to them."""
    rows = source.rows(study)
    frame = rows.frame
    _check_columns(frame, study, options)
    frame, flow = _complete(rows, study, options)
    place = frame.pop(PLACE).to_numpy() if PLACE in frame else None
    _has_matrix(study, options, place)
    treated = binary_column(frame, options.treated, role="treated", where=study.place("treated")) == 1
    _both_groups(treated, study)
    flow[-1] = FlowStep(
        label=flow[-1].label, n=flow[-1].n, unit=flow[-1].unit, excluded=flow[-1].excluded, reason=flow[-1].reason,
        treated=int(treated.sum()), comparison=int((~treated).sum()), people=flow[-1].people,
    )  # fmt: skip
    measured = _measured(frame, study, options)
    outcome = measured[:, -1] if measured.shape[1] == 1 else measured[:, -1] - measured[:, -2]
    _varies(outcome, study)
    completed = None if options.incomplete == "drop" else complete(frame, study, options, treated, outcome)
    places = tuple(study.place("covariates", i) for i in range(len(options.covariates)))
    content = People(
        treated=treated,
        outcome=outcome,
        covariates=completed.draws[0] if completed else expand(frame, options.covariates, places),
        strata=_strata(frame, options),
        distance=_distance(frame, study, options),
        frame=frame,
        near=_near(frame, study, options),
        apart=_apart(frame, options),
        place=place,
        given=source.distances if isinstance(source, MatrixSource) else None,
        measured=measured if measured.shape[1] > 1 else None,
        completed=completed,
        clusters=None if options.cluster is None else pd.factorize(frame[options.cluster])[0].astype(np.int64),
    )
    return AnalysisSample(content, tuple(flow), identifier_values(frame, study.disclosure.secret_columns))


def _has_matrix(study: Study, options: Options, place: NDArray[np.int64] | None) -> None:
    if options.metric == "matrix" and place is None:
        raise OptionError(
            "distance = 'matrix' comes with no matrix", expected="a matrix of distances, which only Python can give",
            todo="call ev.match(..., distance=matrix), or choose another distance", where=study.place("distance"),
        )  # fmt: skip


def unit_word(study: Study) -> str:
    """Return what a row is, in the plural."""
    return {"people": "people", "events": "records", "aggregates": "units"}[study.data.rows]


def needed(study: Study, options: Options) -> dict[str, tuple[str, str]]:
    """Return every column that must have a value, with its role and the place where it is declared."""
    needed = {options.treated: ("treated", study.place("treated"))}
    for i, covariate in enumerate(options.covariates):
        for name in columns_of(covariate):
            needed.setdefault(name, ("covariate", study.place("covariates", i)))
    for i, name in enumerate(options.exact):
        needed.setdefault(name, ("exact", study.place("exact", i)))
    for key, columns in (("antiexact", options.antiexact), ("calipers", tuple(options.calipers))):
        for name in columns:
            needed.setdefault(name, (key, study.place(key)))
    if options.cluster is not None:
        needed.setdefault(options.cluster, ("cluster", study.place("cluster")))
    if options.column is not None:
        needed.setdefault(options.column, ("distance", study.place("distance")))
    needed.setdefault(study.outcome.column, ("outcome", study.place("outcome", "column")))
    for name in options.outcome_before:
        needed[name] = ("outcome before", study.place("outcome_before"))
    if study.outcome.population is not None:
        needed.setdefault(study.outcome.population, ("population", study.place("outcome", "population")))
    return needed


def _check_columns(frame: pd.DataFrame, study: Study, options: Options) -> None:
    for name, (role, where) in needed(study, options).items():
        values = require_column(frame, name, role=role, where=where)
        if values.isna().all():
            raise MissingValuesError(
                f"the {role} column '{name}' has no value in any row", expected="values",
                todo=f"name another column for the {role}, or check data.missing", where=where,
            )  # fmt: skip
    binary_column(frame, options.treated, role="treated", where=study.place("treated"))
    for i, name in enumerate(options.placebo_outcomes):
        place = study.place("placebo_outcomes", i)
        values = require_column(frame, name, role="placebo outcome", where=place)
        numeric_column(frame.loc[values.notna()], name, role="placebo outcome", where=place)
    person = study.disclosure.person
    if person is not None and require_column(frame, person, role="person").duplicated().any():
        raise DuplicateRowsError(
            f"some people have several rows (column '{person}')", expected="one row per person",
            todo="bring the data to one row per person first", where=study.place("disclosure", "person"),
        )  # fmt: skip


def _complete(rows: Rows, study: Study, options: Options) -> tuple[pd.DataFrame, list[FlowStep]]:
    unit, people = unit_word(study), study.counts_people
    flow = [FlowStep(label="Rows in the data", n=rows.n_read, unit=unit, people=people)]
    frame = rows.frame
    if rows.n_filtered:
        flow.append(
            FlowStep(
                label="Rows in the study",
                n=len(frame),
                unit=unit,
                excluded=rows.n_filtered,
                reason="outside the filters of the design file",
                people=people,
            )
        )
    for name, (role, where) in needed(study, options).items():
        missing = frame[name].isna()
        if not missing.any() or (role == "covariate" and _may_be_missing(name, options)):
            continue
        frame = frame.loc[~missing]
        flow.append(
            FlowStep(
                label=f"With a value of {name}",
                n=len(frame),
                unit=unit,
                excluded=int(missing.sum()),
                reason=f"no value of {name} ({role})",
                people=people,
            )
        )
        if frame.empty:
            raise MissingValuesError(
                "no row has a value in every column that is needed", expected="rows with complete data",
                todo=f"look at the missing values of '{name}' and of the columns before it", where=where,
            )  # fmt: skip
    return frame.reset_index(drop=True), flow


def _may_be_missing(name: str, options: Options) -> bool:
    """Return whether people without a value of a covariate are kept: not where pairs must agree on it."""
    return options.incomplete != "drop" and name not in {*options.exact, options.distance}


def _both_groups(treated: NDArray[np.bool_], study: Study) -> None:
    for group, words in ((treated, "treated"), (~treated, "in the comparison group")):
        if not group.any():
            raise nobody(words, study.place("treated"))


def _measured(frame: pd.DataFrame, study: Study, options: Options) -> FloatArray:
    """Return the outcome at each time, the one after the program last, shape (n, times)."""
    outcome = study.outcome
    read = binary_column if outcome.kind == "binary" else numeric_column
    times = [(name, study.place("outcome_before")) for name in options.outcome_before]
    times.append((outcome.column, study.place("outcome", "column")))
    y = np.column_stack([read(frame, name, role="outcome", where=where) for name, where in times])
    if outcome.population is not None:
        place = study.place("outcome", "population")
        population = numeric_column(frame, outcome.population, role="population", where=place)
        if (population <= 0).any():
            raise ColumnTypeError(
                f"the population column '{outcome.population}' holds values of zero or less",
                expected="numbers above zero", todo="correct or leave out these rows", where=place,
            )  # fmt: skip
        y = y / population[:, None] * outcome.per
    return y


def _varies(y: FloatArray, study: Study) -> None:
    if np.ptp(y) == 0:
        raise no_variation(f"the outcome '{study.outcome.column}'", "outcome", study.place("outcome", "column"))


def _strata(frame: pd.DataFrame, options: Options) -> NDArray[np.int64] | None:
    if not options.exact:
        return None
    return np.asarray(frame.groupby(list(options.exact), sort=True, observed=True).ngroup(), dtype=np.int64)


def _near(frame: pd.DataFrame, study: Study, options: Options) -> FloatArray:
    columns = [numeric_column(frame, c, role="calipers", where=study.place("calipers")) for c in options.calipers]
    return np.column_stack(columns) if columns else np.empty((len(frame), 0))


def _apart(frame: pd.DataFrame, options: Options) -> NDArray[np.int64]:
    columns = [pd.factorize(frame[c])[0].astype(np.int64) for c in options.antiexact]
    return np.column_stack(columns) if columns else np.empty((len(frame), 0), dtype=np.int64)


def _distance(frame: pd.DataFrame, study: Study, options: Options) -> FloatArray | None:
    if options.column is None:
        return None
    values = numeric_column(frame, options.column, role="distance", where=study.place("distance"))
    if np.ptp(values) == 0:
        raise no_variation(f"the distance column '{options.column}'", "column", study.place("distance"))
    return values


def covariate_columns(options: Options) -> tuple[str, ...]:
    """Return the data columns behind the covariates."""
    return all_columns(options.covariates)


def nobody(words: str, where: str) -> NoComparisonError:
    """Return the error for an empty group."""
    return NoComparisonError(
        f"nobody with complete data is {words}", expected="people in both groups",
        todo="check the treated column, the filters and the missing values", where=where,
    )  # fmt: skip


def no_variation(what: str, role: str, where: str) -> NoVariationError:
    """Return the error for an outcome, or a column to match on, that does not vary."""
    other = "check the outcome column and the filters" if role == "outcome" else (
        "name another column, or use distance = 'logit'"
    )  # fmt: skip
    return NoVariationError(
        f"{what} is the same for everybody", expected=f"{_A[role]} that varies", todo=other, where=where
    )


_A = {"outcome": "an outcome", "column": "a column"}
