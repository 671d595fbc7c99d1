"""What a design file may say about difference-in-differences."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from evaltoolkit.contract import known_inference
from evaltoolkit.errors import OptionError
from evaltoolkit.kernels.group_time import Rule
from evaltoolkit.study import SHARED_KEYS, Section, Study, validated

INFERENCE = ("auto", "analytic", "jackknife")


class Options(Section):
    """The keys of a difference-in-differences study."""

    unit: str = Field(description="Column of sites (counties, states, schools)", json_schema_extra={"column": "unit"})
    time: str = Field(description="Column of periods", json_schema_extra={"column": "time"})
    first_treated: str | None = Field(
        None,
        description="Column with the first treated period of the site; empty, 0 or inf = never",
        json_schema_extra={"column": "first-treated"},
    )
    treated: str | None = Field(
        None,
        description="In place of first_treated: column of 0 and 1, 1 from the first treated period on",
        json_schema_extra={"column": "treated"},
    )
    comparison: Literal["not-yet-treated", "never-treated"] = Field(
        "not-yet-treated", description="Who the treated sites are compared with"
    )
    estimator: Literal["callaway-santanna", "twfe", "two-by-two"] = Field(
        "callaway-santanna",
        description="Group-time effects, two-way fixed effects, or one before-after contrast of two groups",
    )
    covariates: tuple[str, ...] = Field(
        (),
        description="Columns to adjust for: values before the change (callaway-santanna) or in each period (others)",
        json_schema_extra={"column": "covariates"},
    )
    adjust: Literal["doubly-robust", "weighting", "regression"] = Field(
        "doubly-robust", description="How callaway-santanna adjusts for covariates"
    )
    anticipation: int = Field(0, ge=0, description="Periods before the start in which behaviour may already change")
    base_period: Literal["varying", "universal"] = Field(
        "varying", description="Earlier periods are compared with the one before them, or all with the last one before"
    )
    headline: Literal["group", "simple", "dynamic", "calendar"] = Field(
        "group", description="How group-time effects are averaged into the headline"
    )
    cluster: str | None = Field(
        None, description="Column of clusters above the site", json_schema_extra={"column": "cluster"}
    )

    @model_validator(mode="after")
    def _agree(self) -> Options:
        if (self.first_treated is None) == (self.treated is None):
            msg = "give either first_treated or treated"
            raise ValueError(msg)
        if self.estimator == "callaway-santanna":
            return self
        fixed: dict[str, str | int] = {
            "adjust": "doubly-robust", "anticipation": 0, "base_period": "varying", "headline": "group",
        }  # fmt: skip
        if self.estimator == "twfe":
            fixed["comparison"] = "not-yet-treated"
        for name, value in fixed.items():
            if getattr(self, name) != value:
                msg = f"{name} is for estimator = 'callaway-santanna'; leave it out with '{self.estimator}'"
                raise ValueError(msg)
        return self

    @property
    def rule(self) -> Rule:
        """How cells are estimated, for the kernel."""
        return Rule(
            comparison="never" if self.comparison == "never-treated" else "not-yet",
            adjust=self.adjust, base_period=self.base_period, anticipation=self.anticipation,
        )  # fmt: skip


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
    taken = {
        study.outcome.column: "the outcome", options.unit: "the unit", options.time: "the time",
        options.first_treated: "the first treated period", options.treated: "the treated column",
    }  # fmt: skip
    for i, name in enumerate(options.covariates):
        if name in taken:
            raise OptionError(
                f"the covariate '{name}' is {taken[name]}", expected="covariates that the program does not change",
                todo=f"remove '{name}' from covariates", where=study.place("covariates", i),
            )  # fmt: skip
    return options
