"""What to say, and to do, where an estimator cannot be applied."""

from __future__ import annotations

from evaltoolkit.errors import (
    CollinearityError,
    EvaluationError,
    NoComparisonError,
    NoPrePeriodError,
    NoVariationError,
    SeparationError,
    TooFewClustersError,
)
from evaltoolkit.kernels.cohorts import CellError
from evaltoolkit.kernels.local_projection import ProjectionError
from evaltoolkit.kernels.local_projection_covariates import CovariateError
from evaltoolkit.kernels.nonlinear import NonlinearError
from evaltoolkit.kernels.stacked import StackError
from evaltoolkit.kernels.switching_paths import SwitchError
from evaltoolkit.kernels.synthetic import SyntheticError
from evaltoolkit.kernels.two_way_panel import TwoWayError

Failure = (
    CellError
    | NonlinearError
    | SyntheticError
    | TwoWayError
    | StackError
    | ProjectionError
    | CovariateError
    | SwitchError
)
FAILURES = (
    CellError, NonlinearError, SyntheticError, TwoWayError, StackError, ProjectionError, CovariateError, SwitchError,
)  # fmt: skip


def _of_cell(error: CellError, label: str, names: tuple[str, ...], places: tuple[str, ...]) -> EvaluationError:
    """Return the message for a cell that cannot be estimated; ``label`` is the cohort in words."""
    named = f"the covariate '{names[error.column - 1]}'" if error.column else "the covariates together"
    where = places[error.column - 1] if error.column else (places[0] if places else "")
    if error.why == "empty":
        return NoComparisonError(
            f"no unit is left to compare the cohort of {label} with", expected="units that start later, or never",
            todo="use comparison = 'not-yet-treated', lower anticipation, or add units without the program",
        )  # fmt: skip
    if error.why == "collinear":
        return CollinearityError(
            f"{named} is a combination of the other covariates among the units that the cohort of {label} is "
            "compared with",
            expected="covariates none of which follows from the others, and more comparison units than covariates",
            todo="remove it from covariates", where=where,
        )  # fmt: skip
    verb = "tells" if error.column else "tell"
    return SeparationError(
        f"{named} {verb} the cohort of {label} and its comparison units apart perfectly",
        expected="treated and comparison units at the same values of every covariate",
        todo="remove the covariate, or use adjust = 'regression'", where=where,
    )  # fmt: skip


def explained(error: Failure, label: str, names: tuple[str, ...], places: tuple[str, ...]) -> EvaluationError:
    """Return the message for what cannot be estimated; ``label`` is the cohort in words."""
    if isinstance(error, CellError):
        return _of_cell(error, label, names, places)
    if isinstance(error, NonlinearError):
        return _of_model(error, names, places)
    if isinstance(error, SyntheticError):
        return _of_synthetic(error, label)
    if isinstance(error, CovariateError):
        at = min(error.column, len(names) - 1)
        return CollinearityError(
            f"the covariate '{names[at]}' follows from period effects and other covariates, or tells who starts",
            expected="covariates that differ between units within periods", todo="remove it", where=places[at],
        )  # fmt: skip
    if isinstance(error, TwoWayError):
        return _of_two_way(error, names, places)
    return _of_window(error)


def _of_two_way(error: TwoWayError, names: tuple[str, ...], places: tuple[str, ...]) -> EvaluationError:
    if error.why == "collinear" and error.kind == "covariate" and 0 <= error.label < len(names):
        return CollinearityError(
            f"the covariate '{names[error.label]}' follows from the unit and period effects or from other regressors",
            expected="covariates that change over time differently between units",
            todo="remove it, or use estimator = 'callaway-santanna', which adjusts for steady covariates",
            where=places[error.label],
        )  # fmt: skip
    if error.why == "unidentified":
        return NoComparisonError(
            f"no untreated observation tells what {len(error.cells)} treated cohort and period would have been",
            expected="untreated units in every period, and periods before the start of every unit",
            todo="leave out the periods in which all are treated, or use estimator = 'callaway-santanna'",
        )  # fmt: skip
    if error.why == "always-treated":
        return NoPrePeriodError(
            f"{len(error.units)} units have no observation before their start",
            expected="observations before and after the start", todo="leave these units out with data.keep",
        )  # fmt: skip
    if error.why == "single-cluster":
        return TooFewClustersError(
            "errors need several clusters",
            expected="two clusters or more",
            todo="name a cluster column with more values",
        )
    return NoComparisonError(
        "whether a unit is treated follows from the unit and period effects",
        expected="units that start the program in different periods, or never, with periods before and after",
        todo="add units without the program, or periods before the start",
    )  # fmt: skip


def _of_window(error: StackError | ProjectionError | SwitchError) -> EvaluationError:
    if isinstance(error, SwitchError) and error.why == "no-switch":
        return NoVariationError(
            "no unit's treatment changes", expected="units whose treatment changes over time",
            todo="check the treated column",
        )  # fmt: skip
    if isinstance(error, SwitchError) and error.why == "treatment":
        return NoVariationError(
            "the treatment is not known in every period", expected="0 or 1 for every unit in every period",
            todo="use incomplete = 'drop'",
        )  # fmt: skip
    if isinstance(error, StackError) and error.why == "window":
        return NoPrePeriodError(
            "no cohort has the whole window in the data", expected="as many periods before and after a start as the "
            "window has", todo="give a shorter event_window",
        )  # fmt: skip
    return NoComparisonError(
        "nobody is left to compare with in the window", expected="units that start after the window, or never",
        todo="give a shorter event_window, or add units without the program",
    )  # fmt: skip


def _of_model(error: NonlinearError, names: tuple[str, ...], places: tuple[str, ...]) -> EvaluationError:
    at = error.column - 1 if error.column else None
    named = f"the covariate '{names[at]}'" if at is not None and 0 <= at < len(names) else "a regressor"
    where = places[at] if at is not None and 0 <= at < len(places) else ""
    if error.why == "collinear":
        return CollinearityError(
            f"{named} follows from the others among untreated observations",
            expected="covariates none of which follows from the others or from cohorts and periods",
            todo="remove it from covariates", where=where,
        )  # fmt: skip
    if error.why == "separation":
        return SeparationError(
            f"{named} tells untreated observations with and without the outcome apart perfectly",
            expected="outcomes that occur at several values of every covariate",
            todo="remove it from covariates, or use family = 'linear'", where=where,
        )  # fmt: skip
    if error.why == "no-outcome":
        return NoVariationError(
            "no untreated observation has an outcome above zero", expected="events before and without the program",
            todo="use longer periods or larger sites",
        )  # fmt: skip
    if error.why in {"few-clusters", "no-degrees"}:
        return TooFewClustersError(
            "the model has more coefficients than the data can carry",
            expected="more clusters, or more rows than cohort and period effects together",
            todo="use estimator = 'callaway-santanna', fewer covariates, or longer periods",
        )  # fmt: skip
    return NoVariationError(
        "the model's likelihood has no maximum that could be found", expected="outcomes that occur in all cohorts",
        todo="use family = 'linear', or longer periods",
    )  # fmt: skip


def _of_synthetic(error: SyntheticError, label: str) -> EvaluationError:
    if error.why == "no-past":
        return NoPrePeriodError(
            "no cohort has a period before its start", expected="several periods before the start",
            todo="add earlier periods, or lower anticipation",
        )  # fmt: skip
    if error.why == "one-treated":
        return TooFewClustersError(
            f"the cohort of {label} has a single unit, so the jackknife cannot leave it out",
            expected="two units or more in each cohort", todo="use inference = 'placebo'",
        )  # fmt: skip
    return NoComparisonError(
        "there are too few units that never start the program to build a comparison from",
        expected="more never-treated units than treated ones, observed in every period",
        todo="add units without the program, or use estimator = 'callaway-santanna'",
    )  # fmt: skip
