"""What a design file may say about an interrupted time series."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from evaltoolkit.designs.its.dependence import MODELLED, ErrorModel, Errors, Family, Lags, complaint
from evaltoolkit.designs.its.shapes import (
    MOMENT,
    Effect,
    Event,
    Interruption,
    Moment,
    PhaseIn,
    Recorded,
    form_of,
)
from evaltoolkit.errors import DesignFileValueError, OptionError
from evaltoolkit.study import SHARED_KEYS, Section, Study, validated

INFERENCE = ("auto",)
COUNTS = ("poisson", "quasi-poisson", "negative-binomial")
WHOLE = ("poisson", "negative-binomial")
Start = Interruption | Moment
_NAMED: Final[dict[str, Any]] = {
    "type": "object", "additionalProperties": False, "required": ["date"],
    "properties": {"date": MOMENT, "label": {"type": "string"}, "effects": {"type": "array", "minItems": 1}},
}  # fmt: skip
_STARTS: Final[dict[str, Any]] = {
    "anyOf": [MOMENT, _NAMED, {"type": "array", "items": {"anyOf": [MOMENT, _NAMED]}, "minItems": 1}]
}
_ORDER = ("level", "slope", "ramp", "temporary", "pulse")


class Harmonics(Section):
    """Seasons as waves: pairs of sine and cosine."""

    harmonics: int = Field(ge=1, le=26, description="Number of sine and cosine pairs within a cycle")
    cycle: Literal["year", "week"] = Field("year", description="For days: whether the cycle is the year or the week")


class Options(Section):
    """The keys of an interrupted-time-series study."""

    time: str = Field(description="Column of dates or periods", json_schema_extra={"column": "time"})
    interruption: Annotated[tuple[Start, ...], WithJsonSchema(_STARTS)] = Field(
        (), description="First period with the program, or { date, label, effects }; a list where there are several "
        "interruptions. Needed, unless first_treated is given", json_schema_extra={"ask": True},
    )  # fmt: skip
    every: Literal["day", "week", "month", "quarter", "year"] | None = Field(
        None, description="Length of a period; read off the data where it is left out"
    )
    effects: tuple[Effect, ...] = Field(
        ("level", "slope"), min_length=1, description="What may change at an interruption: level, slope, pulse, or a "
        "table such as { shape = 'ramp', over = 6 }, { shape = 'temporary', lasts = 3 } or "
        "{ shape = 'level', delay = 2 }",
    )  # fmt: skip
    phase_in: int | PhaseIn | None = Field(
        None, description="Periods of a phase-in that are left out, or { until = ..., as = 'excluded' or 'ramp' }"
    )
    family: Family = Field(
        "gaussian",
        description="Model of the outcome: gaussian on its own scale, the others for counts on the log scale",
    )
    season: Literal["months", "weekdays"] | Harmonics | None = Field(
        None, description='Seasons: "months" (one level for each month or quarter of the year), "weekdays" (of days), '
        "or { harmonics = 2 }",
    )  # fmt: skip
    covariates: tuple[str, ...] = Field(
        (), description="Columns that vary over time and enter the model as they are",
        json_schema_extra={"column": "covariates"},
    )  # fmt: skip
    placebo_outcomes: tuple[str, ...] = Field(
        (), description="Columns that the program cannot have changed, on which no effect should be found",
        json_schema_extra={"column": "placebo-outcomes"},
    )  # fmt: skip
    events: tuple[Event, ...] = Field(
        (), description="Other things that may have moved the outcome: { date, label, until, modelled }"
    )
    recording_changes: tuple[Event, ...] = Field(
        (), description="Changes in what is recorded or how: { date, label, modelled }"
    )
    recorded: Recorded | None = Field(
        None, description="Days between which recording was complete; periods that lie partly outside are left out"
    )
    errors: Errors = Field(
        "marginal-ar1",
        description="How autocorrelation enters the intervals; ols (gaussian), model-based, exact (counts) ignore it",
    )
    error_model: ErrorModel | None = Field(
        None, description="Details of prais-winsten, gls, arma and arima, such as { order = [1, 1], likelihood = 'ml' }"
    )
    lags: int | Lags | None = Field(
        None, description="Lags of newey-west: a number or a rule; the rule newey-west where it is left out"
    )

    unit: str | None = Field(
        None, description="Column of units where the data hold several series", json_schema_extra={"column": "unit"}
    )
    first_treated: str | None = Field(
        None, description="With unit: column with the first period with the program at each site, in place of "
        "interruption", json_schema_extra={"column": "start of a site"},
    )  # fmt: skip
    pooling: Literal["reml", "paule-mandel", "dersimonian-laird", "common-effect"] = Field(
        "reml", description="How the sites of unit are pooled: how the variance between them is estimated"
    )
    treated_unit: str | None = Field(None, description="With control: the unit that had the program")
    control: str | tuple[str, ...] | None = Field(
        None, description="What the treated series is compared with. With unit: 'mean' or 'all' of the other units, "
        "'matched' (alike before the start), 'synthetic' (weighted), or names of units; without unit: columns",
    )  # fmt: skip
    control_population: str | None = Field(None, description="Column with the population of a control that is a column")

    @field_validator("interruption", mode="before")
    @classmethod
    def _as_list(cls, value: object) -> object:
        return list(value) if isinstance(value, list | tuple) else [value]

    @field_validator("effects", mode="after")
    @classmethod
    def _once(cls, value: tuple[Effect, ...]) -> tuple[Effect, ...]:
        if any(value.count(effect) > 1 for effect in value):
            msg = "each effect once"
            raise ValueError(msg)
        return tuple(sorted(value, key=lambda effect: _ORDER.index(form_of(effect))))

    @field_validator("phase_in", mode="after")
    @classmethod
    def _some(cls, value: int | PhaseIn | None) -> int | PhaseIn | None:
        if isinstance(value, int) and value < 1:
            msg = "a phase-in has at least 1 period; leave it out where there is none"
            raise ValueError(msg)
        return value

    @field_validator("lags", mode="after")
    @classmethod
    def _not_negative(cls, value: int | str | None) -> int | str | None:
        if isinstance(value, int) and value < 0:
            msg = "lags must be 0 or more"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _starts_agree(self) -> Options:
        if bool(self.interruption) == (self.first_treated is not None):
            msg = "give interruption, the first period with the program (or first_treated, a column, with unit)"
            raise ValueError(msg)
        if self.first_treated is not None and not self.many_sites:
            msg = "first_treated is for many sites: it needs unit, and no control"
            raise ValueError(msg)
        if self.pooling != "reml" and not self.many_sites:
            msg = "pooling is for many sites: it needs unit, and no control"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _controls_agree(self) -> Options:
        if self.control is not None and (self.unit is None) != (self.treated_unit is None):
            msg = "control with unit needs treated_unit, and treated_unit needs unit"
            raise ValueError(msg)
        if self.control is None and (self.treated_unit or self.control_population):
            msg = "treated_unit and control_population are for a study with control"
            raise ValueError(msg)
        if self.control_population is not None and self.unit is not None:
            msg = "control_population is for a control that is a column; with unit, outcome.population holds it"
            raise ValueError(msg)
        if self.control is not None and self.family == "poisson" and self.errors == "model-based":
            msg = "the Poisson model's own errors leave out the control's chance; write family = 'quasi-poisson'"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _agree(self) -> Options:
        if self.lags is not None and self.errors != "newey-west":
            msg = f"lags is for errors = 'newey-west'; leave it out with '{self.errors}'"
            raise ValueError(msg)
        if self.errors == "exact" and (self.family != "poisson" or self.effects != ("level",) or self.season):
            msg = "errors = 'exact' is for family = 'poisson' with effects = ['level'] and no season"
            raise ValueError(msg)
        wrong = complaint(self.errors, self.error_model)
        if wrong is not None:
            raise ValueError(wrong)
        if self.counts and self.errors in {"ols", *MODELLED}:
            others = "'marginal-ar1', 'newey-west' or 'model-based'"
            msg = f"errors = '{self.errors}' is for family = 'gaussian'; with '{self.family}' write {others}"
            raise ValueError(msg)
        if self.errors == "model-based" and not self.counts:
            msg = "errors = 'model-based' is for counts; with family = 'gaussian' write 'ols'"
            raise ValueError(msg)
        return self

    @property
    def many_sites(self) -> bool:
        """Whether every unit has a model of its own."""
        return self.unit is not None and self.control is None

    @property
    def moments(self) -> tuple[Moment, ...]:
        """The first period of each interruption, in the order of the design file."""
        return tuple(s.date if isinstance(s, Interruption) else s for s in self.interruption)

    @property
    def phase(self) -> PhaseIn | None:
        """The phase-in, a plain number of periods spelled out."""
        if isinstance(self.phase_in, int):
            return PhaseIn.model_validate({"periods": self.phase_in})
        return self.phase_in

    @property
    def counts(self) -> bool:
        """Whether the model is one of counts on the log scale."""
        return self.family in COUNTS


def parse(study: Study) -> Options:
    """Turn the study's own keys into options.

    Raises
    ------
    DesignFileError
        A key is unknown, missing or does not fit.
    OptionError
        The inference method is not one of this design's, or a row is not a period.
    """
    options = validated(Options, study.settings, study.origin, known=SHARED_KEYS)
    if study.inference.method not in INFERENCE:
        raise OptionError(
            f"inference.method = '{study.inference.method}' is not for time series", expected="auto",
            todo="leave it out, and choose with errors", where=study.place("inference", "method"),
        )  # fmt: skip
    if study.counts_people and options.every is None:
        raise OptionError(
            f"data.rows = '{study.data.rows}' and every is not given", expected="the length of the periods to count in",
            todo="write every = 'month' (or day, week, quarter, year)", where=study.place("every"),
        )  # fmt: skip
    if study.counts_people and options.placebo_outcomes:
        raise OptionError(
            f"data.rows = '{study.data.rows}' and placebo_outcomes are given", expected="a row for each period",
            todo="count the rows by period first, with the other outcomes beside them",
            where=study.place("placebo_outcomes"),
        )  # fmt: skip
    if options.phase is not None and options.phase.until is not None and len(options.interruption) > 1:
        raise OptionError(
            "phase_in has until, and there are several interruptions", expected="a number of periods after each",
            todo="write phase_in = 3, or { periods = 3, as = 'ramp' }", where=study.place("phase_in"),
        )  # fmt: skip
    if options.counts and study.outcome.kind not in {"count", "rate"}:
        raise DesignFileValueError(
            f"family = '{options.family}' with outcome.kind = '{study.outcome.kind}'",
            expected="kind = 'count', or 'rate' with a population, for a model of counts",
            todo="correct outcome.kind, or choose family = 'gaussian'", where=study.place("family"),
        )  # fmt: skip
    if study.outcome.kind == "binary":
        raise DesignFileValueError(
            "outcome.kind = 'binary' for a series", expected="continuous, count, rate or proportion",
            todo="write kind = 'proportion' for the share of each period, or 'count'",
            where=study.place("outcome", "kind"),
        )  # fmt: skip
    counted = study.counts_people and study.outcome.kind in {"count", "rate"}
    if options.time == study.outcome.column and not counted:
        raise OptionError(
            f"'{options.time}' is both the time and the outcome", expected="two columns",
            todo="correct outcome.column", where=study.place("outcome", "column"),
        )  # fmt: skip
    return options
