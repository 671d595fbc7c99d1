"""What a design file may say about difference-in-differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from evaltoolkit.contract import known_inference
from evaltoolkit.designs.did.catalogue import CELL_WAYS, ESTIMATORS, WAYS, Name
from evaltoolkit.errors import OptionError
from evaltoolkit.kernels.cohorts import Rule
from evaltoolkit.study import SHARED_KEYS, Section, Study, validated

IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]
COMMON = ("unit", "time", "first_treated", "treated", "estimator", "cluster", "incomplete", "placebo_outcomes")
"""Options that every estimator takes."""


@dataclass(frozen=True, slots=True)
class EventTimes:
    """Which event times are averaged and shown: of cohorts seen long enough, and within a window; None for all."""

    balanced: int | None = None
    window: tuple[int, int] | None = None

    def among(self, cohort: IntArray, period: IntArray, periods: IntArray) -> Mask:
        """Return which cells enter averages by event time, shape (K,), by the rule of R ``did``'s ``balance_e``."""
        e = period - cohort
        used = self.inside(e)
        if self.balanced is not None:
            span = int(periods[-1] - periods[0])
            used &= (periods[-1] - cohort >= self.balanced) & (e <= self.balanced) & (e >= self.balanced - span)
        return used

    def inside(self, event_time: IntArray) -> Mask:
        """Return which event times lie in the window."""
        if self.window is None:
            return np.ones(event_time.shape, dtype=np.bool_)
        found: Mask = (event_time >= self.window[0]) & (event_time <= self.window[1])
        return found


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
    estimator: Name = Field("callaway-santanna", description="How the effect is estimated")
    covariates: tuple[str, ...] = Field(
        (),
        description="Columns to adjust for: values before the change (effects by cohort and period) or in each period "
        "(regressions)",
        json_schema_extra={"column": "covariates"},
    )
    adjust: Literal["doubly-robust", "weighting", "regression"] = Field(
        "doubly-robust", description="How callaway-santanna and triple-difference adjust for covariates"
    )
    anticipation: int = Field(0, ge=0, description="Periods before the start in which behaviour may already change")
    base_period: Literal["varying", "universal"] = Field(
        "varying", description="Earlier periods are compared with the one before them, or all with the last one before"
    )
    headline: Literal["group", "simple", "dynamic", "calendar"] = Field(
        "group", description="How effects by cohort and period are averaged into the headline"
    )
    cluster: str | None = Field(
        None, description="Column of clusters above the site", json_schema_extra={"column": "cluster"}
    )
    weights: str | None = Field(
        None,
        description="Column of sampling weights, one for each site",
        json_schema_extra={"column": "weights"},
    )
    eligible: str | None = Field(
        None,
        description="Column of 0 and 1: which sites or people the program treats, for triple-difference",
        json_schema_extra={"column": "eligible"},
    )
    family: Literal["linear", "poisson", "logit"] = Field(
        "linear", description="Whether effects add to the outcome, multiply it (counts and rates) or its odds"
    )
    period_effects: str | None = Field(
        None,
        description="Column of groups of sites with period effects of their own, as regions (twfe)",
        json_schema_extra={"column": "period-effects"},
    )
    weighting: Literal["variance", "equal"] = Field(
        "variance", description="How lp-did weighs cohorts: by size and variance as least squares, or by treated sites"
    )
    panel: bool = Field(
        default=True,
        description="Whether the same sites are seen in each period; false for other people in each period (repeated "
        "cross-sections), with unit left out or, where units come and go, the unit",
    )
    incomplete: Literal["keep", "drop"] = Field(
        "keep", description="Sites that lack some period: kept for the periods they have, or left out"
    )
    balance_event_times: int | None = Field(
        None, ge=0, description="Average by event time over cohorts seen at least so many periods after the start"
    )
    event_window: tuple[int, int] | None = Field(None, description="Event times that are shown: [first, last]")
    placebo_outcomes: tuple[str, ...] = Field(
        (),
        description="Columns that the program cannot have changed, on which no effect should be found",
        json_schema_extra={"column": "placebo-outcomes"},
    )

    @model_validator(mode="after")
    def _agree(self) -> Options:
        self._agree_on_timing()
        for name, field in type(self).model_fields.items():
            known = name in COMMON or name in ESTIMATORS[self.estimator].takes
            if not known and getattr(self, name) != field.default:
                others = ", ".join(f"'{key}'" for key, e in ESTIMATORS.items() if name in e.takes)
                msg = f"{name} is for estimator = {others}; leave it out with '{self.estimator}'"
                raise ValueError(msg)
        if self.estimator == "triple-difference" and self.eligible is None:
            msg = "estimator = 'triple-difference' needs eligible, the column of 0 and 1 of whom the program treats"
            raise ValueError(msg)
        if self.family == "logit" and self.estimator == "twfe":
            msg = "family = 'logit' is for estimator = 'etwfe': with an effect for each site it is biased"
            raise ValueError(msg)
        return self

    def _agree_on_timing(self) -> None:
        if (self.first_treated is None) == (self.treated is None):
            msg = "give either first_treated or treated"
            raise ValueError(msg)
        if self.unit is None and self.panel:
            msg = "unit is needed; only panel = false (repeated cross-sections) goes without"
            raise ValueError(msg)
        if not self.panel and (self.first_treated is None or self.incomplete != "keep"):
            msg = "with panel = false (repeated cross-sections) give first_treated, and leave incomplete out"
            raise ValueError(msg)
        if self.estimator == "chaisemartin" and self.treated is None:
            msg = "estimator = 'chaisemartin' needs treated, the column of 0 and 1, in place of first_treated"
            raise ValueError(msg)
        if self.event_window is not None and not self.event_window[0] <= 0 <= self.event_window[1]:
            msg = "event_window must be [first, last] with first <= 0 <= last"
            raise ValueError(msg)

    @property
    def ways(self) -> tuple[str, ...]:
        """The methods of inference that fit the estimator."""
        own = ESTIMATORS[self.estimator].ways
        permuted = set(CELL_WAYS) - {"analytic", "jackknife", "bootstrap"}
        barred = {"cr1", "cr2", "cr3", "wild-cluster"} if self.panel else permuted
        if self.family == "linear" and self.panel:
            barred = set()
        return ("auto", *(way for way in own if way not in barred))

    @property
    def permutable(self) -> bool:
        """Whether starts can be dealt out anew: cells come from changes of the same units."""
        return self.estimator == "callaway-santanna" and self.panel

    @property
    def shown(self) -> EventTimes:
        """Which event times are averaged and shown."""
        return EventTimes(self.balance_event_times, self.event_window)

    @property
    def keeps_incomplete(self) -> bool:
        """Whether units that lack some period are used for the periods they have."""
        return self.incomplete == "keep" and ESTIMATORS[self.estimator].holes

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
    known_inference(study, WAYS)
    if study.inference.method not in options.ways:
        sections = "" if options.panel else " and panel = false (repeated cross-sections)"
        raise OptionError(
            f"inference '{study.inference.method}' with estimator = '{options.estimator}'{sections}",
            expected=f"one of {', '.join(options.ways)}", todo="change the method, or the estimator",
            where=study.place("inference", "method"),
        )  # fmt: skip
    if options.family == "logit" and study.outcome.kind not in {"binary", "proportion"}:
        raise OptionError(
            f"family = 'logit' with an outcome of kind = '{study.outcome.kind}'",
            expected="an outcome of kind = 'binary' or 'proportion'", todo="use family = 'linear' or 'poisson'",
            where=study.place("family"),
        )  # fmt: skip
    taken = {
        study.outcome.column: "the outcome", options.unit: "the unit", options.time: "the time",
        options.first_treated: "the first treated period", options.treated: "the treated column",
        options.weights: "the weights", options.eligible: "who is eligible",
    }  # fmt: skip
    for i, name in enumerate(options.covariates):
        if name in taken:
            raise OptionError(
                f"the covariate '{name}' is {taken[name]}", expected="covariates that the program does not change",
                todo=f"remove '{name}' from covariates", where=study.place("covariates", i),
            )  # fmt: skip
    return options
