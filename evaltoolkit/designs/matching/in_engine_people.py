"""Who is compared where people stay in an engine: checked, counted and turned into numbers there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from evaltoolkit.contract import small_cells
from evaltoolkit.data import EngineSource
from evaltoolkit.data.asked import asked, number, required
from evaltoolkit.designs.matching.in_engine_covariates import HeldCovariates, held_covariates
from evaltoolkit.designs.matching.in_engine_flow import flow_to
from evaltoolkit.designs.matching.in_engine_rules import refuse
from evaltoolkit.designs.matching.options import Options, columns_of
from evaltoolkit.designs.matching.people import needed, no_variation, nobody
from evaltoolkit.errors import ColumnTypeError, DisclosureError, DuplicateRowsError, MissingValuesError
from evaltoolkit.reduction import AnalysisSample
from evaltoolkit.reduction.people import count, sums, unless_small, where
from evaltoolkit.study import Study


@dataclass(frozen=True, slots=True)
class EnginePeople:
    """n people with complete data, in an engine.

    Attributes
    ----------
    source, table
        The engine, and an Ibis expression with ``t`` (1 for the treated), ``y``, the shown covariates ``s0`` ..., the
        columns ``e0`` ... that must agree, ``d`` (the column to match on), ``c`` (clusters) and ``id`` (who it is)
        where they are named.
    covariates
        What the shown covariates are.
    n_treated, n_comparison
        People in each group.
    threshold
        Counts of people from 1 to below it do not leave; 0 where rows are no people.
    """

    source: EngineSource
    table: Any
    covariates: HeldCovariates
    n_treated: int
    n_comparison: int
    threshold: int

    @property
    def n(self) -> int:
        """People in both groups."""
        return self.n_treated + self.n_comparison


def prepare(study: Study, options: Options, source: EngineSource) -> AnalysisSample[EnginePeople]:
    """Check the data in the engine, and return who is compared with the flow to them; no row leaves.

    Raises
    ------
    EvaluationError
        An option needs rows here, a column does not fit, or a group is too small for anything to be shown.
    """
    refuse(study, options, source.backend)
    table = asked(source, study)
    wanted = needed(study, options)
    for name, (role, place) in wanted.items():
        required(table, name, role=role, where=place)
    _no_identifiers(study, options)
    _one_row_each(source, table, study)
    complete = table
    for name in wanted:
        complete = complete.filter(complete[name].notnull())
    steps = [(name, role) for name, (role, _) in wanted.items()]
    flow = flow_to(source, table, steps, study)
    columns = {
        "t": _yes_no(complete, options.treated, "treated", study.place("treated")),
        "y": _outcome(complete, study),
    }
    columns |= {f"e{i}": complete[name] for i, name in enumerate(options.exact)}
    if options.cluster is not None:
        columns["c"] = complete[options.cluster]
    if study.disclosure.person is not None:
        columns["id"] = complete[study.disclosure.person]
    if options.column is not None:
        columns["d"] = number(complete, options.column, role="distance", where=study.place("distance"))
    treated, comparison = _groups(source, complete, columns, study, options)
    covariates, shown = held_covariates(source, complete, options, study)
    threshold = study.disclosure.threshold if study.counts_people else 0
    people = EnginePeople(source, complete.select(**columns, **shown), covariates, treated, comparison, threshold)
    return AnalysisSample(people, flow(treated, comparison))


def _no_identifiers(study: Study, options: Options) -> None:
    """Refuse identifiers as covariates: their values would name levels, and they stay in the engine unread."""
    for i, covariate in enumerate(options.covariates):
        for name in columns_of(covariate):
            if name in study.disclosure.secret_columns:
                raise DisclosureError(
                    f"the covariate '{name}' is an identifier", expected="covariates that identify nobody",
                    todo="remove it from covariates, or from disclosure.identifiers",
                    where=study.place("covariates", i),
                )  # fmt: skip


def _one_row_each(source: EngineSource, table: Any, study: Study) -> None:
    person = study.disclosure.person
    if person is None:
        return
    column = required(table, person, role="person", where=study.place("disclosure", "person"))
    found = sums(source, table, {"more": (table.count() > column.nunique()).ifelse(1, 0)}, "rows of each person")
    if found["more"] > 0:
        raise DuplicateRowsError(
            f"some people have several rows (column '{person}')", expected="one row per person",
            todo="bring the data to one row per person first", where=study.place("disclosure", "person"),
        )  # fmt: skip


def _yes_no(table: Any, name: str, role: str, place: str) -> Any:
    """Return a column of 0 and 1, or of yes and no, as floats; anything else as -1."""
    column = required(table, name, role=role, where=place)
    if column.type().is_string():
        word = column.strip().lower()
        yes, no = word.isin(["yes", "true", "1", "1.0"]), word.isin(["no", "false", "0", "0.0"])
        return where(yes, 1.0, where(no, 0.0, -1.0)).cast("float64")
    return number(table, name, role=role, where=place)


def _outcome(table: Any, study: Study) -> Any:
    outcome, place = study.outcome, study.place("outcome", "column")
    if outcome.kind == "binary":
        y = _yes_no(table, outcome.column, "outcome", place)
    else:
        y = number(table, outcome.column, role="outcome", where=place)
    if outcome.population is None:
        return y
    people = number(table, outcome.population, role="population", where=study.place("outcome", "population"))
    return y / people * float(outcome.per)


def _groups(
    source: EngineSource, complete: Any, columns: dict[str, Any], study: Study, options: Options
) -> tuple[int, int]:
    """Check what a look at all rows tells, and return the sizes of the groups."""
    table = complete.select(**columns)
    t, y = table["t"], table["y"]
    threshold = study.disclosure.threshold if study.counts_people else 0
    sizes = {name: count(t == value) for name, value in (("treated", 1), ("comparison", 0))}
    odd = {"t": (t != 0) & (t != 1), "y": y.isinf()}
    if study.outcome.kind == "binary":
        odd["y"] = (y != 0) & (y != 1)
    wanted = {name: unless_small(size, [size], threshold) for name, size in sizes.items()}
    wanted |= {f"odd_{name}": where(wrong, 1, 0).max() for name, wrong in odd.items()}
    wanted["flat"] = (y.min() == y.max()).ifelse(1, 0)
    if "d" in columns:
        wanted["flat_d"] = (table["d"].min() == table["d"].max()).ifelse(1, 0)
    found = sums(source, table, wanted, "groups, treatment and outcome")
    if found["odd_t"] != found["odd_t"]:
        raise MissingValuesError(
            "no row has a value in every column that is needed", expected="rows with complete data",
            todo="look at the missing values and the filters", where=study.place("covariates"),
        )  # fmt: skip
    _refuse_odd(found, study, options)
    return _size(found["treated"], "treated", study), _size(found["comparison"], "in the comparison group", study)


def _refuse_odd(found: dict[str, float], study: Study, options: Options) -> None:
    yes_no = study.outcome.kind == "binary"
    told = {
        "t": (options.treated, "treated", study.place("treated"), True),
        "y": (study.outcome.column, "outcome", study.place("outcome", "column"), yes_no),
    }
    for key, (name, role, place, only) in told.items():
        if found[f"odd_{key}"] > 0:
            raise ColumnTypeError(
                f"the {role} column '{name}' holds " + ("values other than 0 and 1" if only else "infinite values"),
                expected="0 and 1" if only else "finite numbers",
                todo=f"recode '{name}' so that 1 means yes and 0 means no" if only else "correct these rows",
                where=place,
            )  # fmt: skip
    if found["flat"] > 0:
        raise no_variation(f"the outcome '{study.outcome.column}'", "outcome", study.place("outcome", "column"))
    if found.get("flat_d", 0) > 0:
        raise no_variation(f"the distance column '{options.column}'", "column", study.place("distance"))


def _size(found: float, words: str, study: Study) -> int:
    if found == 0:
        raise nobody(words, study.place("treated"))
    cells = small_cells(study)
    if found != found:
        raise DisclosureError(
            f"fewer than {cells.threshold} people with complete data are {words}",
            expected=f"at least {cells.threshold} people in each group, so that nobody can be recognized",
            todo="put sites or periods together, or state the agreement that allows less",
            where=study.place("disclosure", "threshold"),
        )  # fmt: skip
    return int(found)
