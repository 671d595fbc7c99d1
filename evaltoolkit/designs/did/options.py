"""What a design file may say about difference-in-differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from evaltoolkit.contract import known_inference
from evaltoolkit.errors import OptionError
from evaltoolkit.kernels.cohorts import Rule
from evaltoolkit.study import SHARED_KEYS, Section, Study, validated

INFERENCE = ("auto", "analytic", "jackknife", "welch", "scaled", "randomization", "conley-taber", "ferman-pinto")
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]
FOR_CELLS = ("welch", "scaled", "randomization", "conley-taber", "ferman-pinto")
"""Methods that need group-time effects."""


@dataclass(frozen=True, slots=True)
class EventTimes:
    """Which event times are averaged and shown: of cohorts seen long enough, and within a window; None for all."""

    balanced: int | None = None
    window: tuple[int, int] | None = None

    def among(self, cohort: IntArray, period: IntArray, periods: IntArray) -> Mask:
        """Return which cells enter averages by event time, shape (K,), by the rule of R ``did``'s ``balance_e``."""
        e = period - cohort
        used = np.ones(e.shape, dtype=np.bool_)
        if self.balanced is not None:
            span = int(periods[-1] - periods[0])
            used &= (periods[-1] - cohort >= self.balanced) & (e <= self.balanced) & (e >= self.balanced - span)
        if self.window is not None:
            used &= (e >= self.window[0]) & (e <= self.window[1])
        return used


class Options(Section):
    """The keys of a difference-in-differences study."""

    unit: str | None = Field(
        None, description="Column of sites (counties, states, schools)", json_schema_extra={"column": "unit"}
    )
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
    weights: str | None = Field(
        None,
        description="Column of sampling weights, one for each site",
        json_schema_extra={"column": "weights"},
    )
    sampling: Literal["panel", "cross-sections"] = Field(
        "panel", description="The same sites in each period, or other people in each period (repeated cross-sections)"
    )
    incomplete: Literal["keep", "drop"] = Field(
        "keep", description="Sites that lack some period: kept for the periods they have, or left out"
    )
    balance_event_times: int | None = Field(
        None, ge=0, description="Average by event time over cohorts seen at least so many periods after the start"
    )
    event_window: tuple[int, int] | None = Field(None, description="Event times that are shown: [first, last]")

    @model_validator(mode="after")
    def _agree(self) -> Options:
        if (self.first_treated is None) == (self.treated is None):
            msg = "give either first_treated or treated"
            raise ValueError(msg)
        if self.unit is None and self.sampling == "panel":
            msg = "unit is needed; only sampling = 'cross-sections' goes without"
            raise ValueError(msg)
        if self.sampling == "cross-sections" and (self.first_treated is None or self.incomplete != "keep"):
            msg = "with sampling = 'cross-sections' give first_treated, and leave incomplete out"
            raise ValueError(msg)
        if self.event_window is not None and not self.event_window[0] <= 0 <= self.event_window[1]:
            msg = "event_window must be [first, last] with first <= 0 <= last"
            raise ValueError(msg)
        if self.estimator == "callaway-santanna":
            return self
        fixed: dict[str, str | int | None] = {
            "adjust": "doubly-robust", "anticipation": 0, "base_period": "varying", "headline": "group",
            "weights": None, "balance_event_times": None, "event_window": None, "sampling": "panel",
        }  # fmt: skip
        if self.estimator == "twfe":
            fixed["comparison"] = "not-yet-treated"
        for name, value in fixed.items():
            if getattr(self, name) != value:
                msg = f"{name} is for estimator = 'callaway-santanna'; leave it out with '{self.estimator}'"
                raise ValueError(msg)
        return self

    @property
    def keeps_incomplete(self) -> bool:
        """Whether units that lack some period are used for the periods they have."""
        return self.incomplete == "keep" and self.estimator == "callaway-santanna"

    @property
    def permutable(self) -> bool:
        """Whether starts can be dealt out anew: cells come from changes of the same units."""
        return self.estimator == "callaway-santanna" and self.sampling == "panel"

    @property
    def shown(self) -> EventTimes:
        """Which event times are averaged and shown."""
        return EventTimes(self.balance_event_times, self.event_window)

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
    if study.inference.method in FOR_CELLS and not options.permutable:
        raise OptionError(
            f"inference '{study.inference.method}' with estimator = '{options.estimator}' and sampling = "
            f"'{options.sampling}'",
            expected="one of auto, analytic, jackknife", todo="change the method, or use estimator = "
            "'callaway-santanna' on a panel",
            where=study.place("inference", "method"),
        )  # fmt: skip
    taken = {
        study.outcome.column: "the outcome", options.unit: "the unit", options.time: "the time",
        options.first_treated: "the first treated period", options.treated: "the treated column",
        options.weights: "the weights",
    }  # fmt: skip
    for i, name in enumerate(options.covariates):
        if name in taken:
            raise OptionError(
                f"the covariate '{name}' is {taken[name]}", expected="covariates that the program does not change",
                todo=f"remove '{name}' from covariates", where=study.place("covariates", i),
            )  # fmt: skip
    return options
