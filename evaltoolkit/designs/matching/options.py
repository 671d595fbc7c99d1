"""What a design file may say about matching."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from evaltoolkit.contract import known_inference
from evaltoolkit.designs.matching.keys import (
    METRICS,
    MODELS,
    MatchingKeys,
    Method,
    Metric,
    Model,
    Order,
    SdWidth,
    contradiction,
)
from evaltoolkit.designs.matching.weighting_rules import Weighting
from evaltoolkit.errors import OptionError, did_you_mean
from evaltoolkit.study import SHARED_KEYS, Section, Study, validated

INFERENCE = ("auto", "cr1", "cr2", "cr3", "wild-cluster", "abadie-imbens", "bootstrap", "m-estimation")


class LogTerm(Section):
    """The natural logarithm of a column."""

    log: str = Field(description="Column whose logarithm is used; all its values must be above zero")


class InteractTerm(Section):
    """The product of two columns of numbers."""

    interact: tuple[str, str] = Field(description="Two columns of numbers whose product is used")


Covariate = str | LogTerm | InteractTerm
Estimand = Literal["ATT", "ATC", "ATE", "ATO", "ATM"]
Effect = Literal["difference", "regression", "g-computation", "aipw"]

__all__ = ["Covariate", "InteractTerm", "LogTerm", "Options", "SdWidth", "columns_of", "parse", "words_of"]

Analysis = Literal["rosenbaum", "robustness-value", "e-value", "oster", "leave-one-covariate-out"]


class Options(MatchingKeys):
    """The keys of a propensity-score-matching study."""

    treated: str = Field(description="Column of 0 and 1: who was served", json_schema_extra={"column": "treated"})
    covariates: tuple[Covariate, ...] = Field(
        min_length=1,
        description="What people are compared on: columns, { log = 'x' } or { interact = ['a', 'b'] }",
        json_schema_extra={"column": "covariates"},
    )
    exact: tuple[str, ...] = Field(
        (), description="Columns on which pairs must agree exactly", json_schema_extra={"column": "exact"}
    )
    method: Method = Field("nearest", description="How people are made comparable")
    distance: str = Field(
        "logit",
        description="The model of the propensity score (logit, probit, cloglog, penalized or boosted); mahalanobis, "
        "robust-mahalanobis or scaled-euclidean (on several covariates); or a column of numbers",
    )
    ratio: int = Field(1, ge=1, le=50, description="Matches for each person")
    caliper: float | None = Field(None, gt=0, description="Largest distance allowed in a pair; leave out for none")
    caliper_scale: Literal["sd-score", "sd-logit", "raw"] = Field(
        "sd-score",
        description="What the caliper counts in: standard deviations of the score, of its logit, or raw units",
    )
    replace: bool = Field(default=False, description="true where one person may be the match of several")
    order: Order | None = Field(
        None,
        description="Who chooses first, without replacement; if left out, the largest score (the smallest for "
        "ATC), or the order of the data where no score is used",
    )
    ties: Literal["one", "average", "all"] = Field(
        "one", description="With replacement: one of equally near matches, or the average over all (all is the same)"
    )
    estimand: Estimand = Field(
        "ATT",
        description="Whose effect: of those served (ATT), not served (ATC), of everybody (ATE); by weighting also of "
        "people who could have been in either group (ATO, ATM)",
    )
    effect: Effect = Field(
        "regression",
        description="Difference in means, covariate-adjusted regression on the sample, g-computation with a logit "
        "(yes/no outcomes, shares) or log (counts, rates) outcome model, or (weighting) the doubly robust aipw",
    )
    variance_neighbours: int = Field(
        2,
        ge=0,
        le=50,
        description="Abadie-Imbens errors: nearest people of the same group that the outcome's variance is taken from; "
        "0 for one variance for all",
    )
    score_known: bool = Field(
        default=False, description="Abadie-Imbens errors: true to treat the estimated score as known"
    )

    sensitivity: tuple[Analysis, ...] = Field(
        ("rosenbaum", "robustness-value", "e-value"),
        description="Analyses of what an unmeasured difference could do",
    )
    placebo_outcomes: tuple[str, ...] = Field(
        (),
        description="Columns that the program cannot have changed, on which no effect should be found",
        json_schema_extra={"column": "placebo-outcomes"},
    )
    outcome_before: tuple[str, ...] = Field(
        (),
        description="The outcome before the program, oldest first: changes since the last are compared, not levels",
        json_schema_extra={"column": "outcome_before"},
    )
    incomplete: Literal["drop", "indicator", "impute"] = Field(
        "drop",
        description="People with missing covariates: leave them out, keep them with an indicator, or impute values",
    )
    imputations: int | None = Field(
        None, ge=2, le=200, description="With incomplete = 'impute': how many times values are drawn (20 if left out)"
    )

    @model_validator(mode="after")
    def _agree(self) -> Options:
        if self.outcome_before and self.effect == "g-computation":
            msg = "outcome_before compares changes; use effect = 'regression' or 'difference', not 'g-computation'"
            raise ValueError(msg)
        if self.imputations is not None and self.incomplete != "impute":
            msg = "imputations needs incomplete = 'impute'"
            raise ValueError(msg)
        wrong = contradiction(self)
        if wrong is not None:
            raise ValueError(wrong)
        return self

    @property
    def metric(self) -> Metric | None:
        """The distance on several covariates; None where people are compared on one number."""
        return next((name for name in METRICS if name == self.distance), None)

    @property
    def column(self) -> str | None:
        """The column that stands for the score; None where there is none."""
        return None if self.model is not None or self.metric is not None else self.distance

    @property
    def uses_score(self) -> bool:
        """Whether anybody is compared, kept apart or put in order by the score."""
        if self.method in ("exact", "coarsened-exact", "cardinality"):
            return False
        by_score = self.caliper is not None or self.common_support != "none" or self.choosing in ("largest", "smallest")
        return self.metric is None or by_score

    @property
    def of_sets(self) -> Literal["ATT", "ATC", "ATE"]:
        """Whose effect, where people stand in sets: weighting alone knows others."""
        return self.estimand if self.estimand in ("ATC", "ATE") else "ATT"

    @property
    def n_imputations(self) -> int:
        """How many times missing covariates are imputed."""
        return self.imputations or 20

    @property
    def model(self) -> Model | None:
        """The model of the score; None where people are compared on something else."""
        return next((name for name in MODELS if name == self.distance), None)

    @property
    def weights_from(self) -> Weighting | None:
        """Where weights come from; None where people are matched."""
        return (self.weighting or "inverse-probability") if self.method == "weighting" else None

    @property
    def averages_ties(self) -> bool:
        """Whether equally near matches are all taken."""
        return self.ties != "one"

    @property
    def choosing(self) -> Order:
        """Who chooses first."""
        if self.order is None and self.metric is not None and self.caliper is None:
            return "data"
        return self.order or ("largest" if self.estimand == "ATT" else "smallest")


def parse(study: Study) -> Options:
    """Turn the study's own keys into options.

    Raises
    ------
    DesignFileError
        A key is unknown, missing or does not fit.
    OptionError
        The inference method is not one of this design's, or a column plays two roles.
    """
    options = validated(Options, study.settings, study.origin, known=SHARED_KEYS)
    known_inference(study, INFERENCE)
    if study.outcome.column in options.outcome_before:
        raise OptionError(
            f"'{study.outcome.column}' is the outcome after the program and before it", expected="columns from before",
            todo="name in outcome_before the columns that hold the outcome before the program",
            where=study.place("outcome_before"),
        )  # fmt: skip
    for i, covariate in enumerate(options.covariates):
        for column in columns_of(covariate):
            role = {options.treated: "says who was treated", study.outcome.column: "is the outcome"}.get(column)
            if role is not None:
                raise OptionError(
                    f"the covariate '{column}' {role}", expected="covariates measured before the program began",
                    todo=f"remove '{column}' from covariates", where=study.place("covariates", i),
                )  # fmt: skip
    _known_covariates(options, study)
    _refuse_placebos(options, study)
    return options


def _known_covariates(options: Options, study: Study) -> None:
    words = tuple(words_of(covariate) for covariate in options.covariates)
    asked = {"match_on": options.match_on, "bins": tuple(options.bins) if isinstance(options.bins, dict) else ()}
    for key, names in asked.items():
        for name in names:
            if name not in words:
                raise OptionError(
                    f"{key} names '{name}', which is no covariate{did_you_mean(name, words)}",
                    expected="names of covariates", todo=f"add '{name}' to covariates, or remove it from {key}",
                    where=study.place(key),
                )  # fmt: skip


def _refuse_placebos(options: Options, study: Study) -> None:
    taken = {options.treated, study.outcome.column, *(c for one in options.covariates for c in columns_of(one))}
    for i, name in enumerate(options.placebo_outcomes):
        if name in taken:
            raise OptionError(
                f"the placebo outcome '{name}' has another role already",
                expected="a column that the program cannot have changed and that people are not matched on",
                todo=f"remove '{name}' from placebo_outcomes, or from covariates",
                where=study.place("placebo_outcomes", i),
            )  # fmt: skip


def columns_of(covariate: Covariate) -> tuple[str, ...]:
    """Return the data columns that a covariate is made of."""
    if isinstance(covariate, LogTerm):
        return (covariate.log,)
    if isinstance(covariate, InteractTerm):
        return covariate.interact
    return (covariate,)


def words_of(covariate: Covariate) -> str:
    """Return a covariate as it should read.

    >>> words_of("age"), words_of(LogTerm(log="pay")), words_of(InteractTerm(interact=("a", "b")))
    ('age', 'log of pay', 'a × b')
    """
    if isinstance(covariate, LogTerm):
        return f"log of {covariate.log}"
    if isinstance(covariate, InteractTerm):
        return f"{covariate.interact[0]} × {covariate.interact[1]}"
    return covariate
