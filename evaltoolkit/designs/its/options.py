"""What a design file may say about an interrupted time series."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from evaltoolkit.errors import DesignFileValueError, OptionError
from evaltoolkit.study import SHARED_KEYS, Section, Study, validated

INFERENCE = ("auto",)
COUNTS = ("poisson", "quasi-poisson")
Effect = Literal["level", "slope"]
Errors = Literal["marginal-ar1", "newey-west", "ols", "model-based"]
Moment = datetime.date | int | str

_MOMENT: Final[dict[str, Any]] = {"anyOf": [{"type": "string"}, {"type": "integer"}]}
_MOMENTS: Final[dict[str, Any]] = {"type": "array", "items": _MOMENT, "minItems": 1}


class Harmonics(Section):
    """Seasons as waves: pairs of sine and cosine."""

    harmonics: int = Field(ge=1, le=26, description="Number of sine and cosine pairs within a year")


class Options(Section):
    """The keys of an interrupted-time-series study."""

    time: str = Field(description="Column of dates or periods", json_schema_extra={"column": "time"})
    interruption: Annotated[tuple[Moment, ...], WithJsonSchema({"anyOf": [_MOMENT, _MOMENTS]})] = Field(
        min_length=1, description="First period with the program; a list where there are several interruptions"
    )
    every: Literal["day", "week", "month", "quarter", "year"] | None = Field(
        None, description="Length of a period; read off the data where it is left out"
    )
    effects: tuple[Effect, ...] = Field(
        ("level", "slope"), min_length=1, description="What may change at an interruption"
    )
    family: Literal["gaussian", "poisson", "quasi-poisson"] = Field(
        "gaussian",
        description="Model of the outcome: gaussian on its own scale, the others for counts on the log scale",
    )
    season: Literal["months"] | Harmonics | None = Field(
        None, description='Seasons: "months" (one level for each month or quarter), or { harmonics = 2 }'
    )
    errors: Errors = Field(
        "marginal-ar1",
        description="How autocorrelation enters the intervals; ols (gaussian) and model-based (counts) ignore it",
    )
    lags: int | Literal["newey-west", "stock-watson", "seasonal"] | None = Field(
        None, description="Lags of newey-west: a number or a rule; the rule newey-west where it is left out"
    )

    @field_validator("interruption", mode="before")
    @classmethod
    def _as_list(cls, value: object) -> object:
        return list(value) if isinstance(value, list | tuple) else [value]

    @field_validator("effects", mode="after")
    @classmethod
    def _once(cls, value: tuple[Effect, ...]) -> tuple[Effect, ...]:
        if len(set(value)) < len(value):
            msg = "each effect once"
            raise ValueError(msg)
        return tuple(sorted(value))

    @field_validator("lags", mode="after")
    @classmethod
    def _not_negative(cls, value: int | str | None) -> int | str | None:
        if isinstance(value, int) and value < 0:
            msg = "lags must be 0 or more"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _agree(self) -> Options:
        if self.lags is not None and self.errors != "newey-west":
            msg = f"lags is for errors = 'newey-west'; leave it out with '{self.errors}'"
            raise ValueError(msg)
        if self.errors == "ols" and self.counts:
            msg = f"errors = 'ols' is for family = 'gaussian'; with '{self.family}' write 'model-based'"
            raise ValueError(msg)
        if self.errors == "model-based" and not self.counts:
            msg = "errors = 'model-based' is for counts; with family = 'gaussian' write 'ols'"
            raise ValueError(msg)
        return self

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
    if study.counts_people:
        raise OptionError(
            f"data.rows = '{study.data.rows}'", expected="'aggregates': one row for each period",
            todo="count or average the rows of each period first, and keep the periods with none as zero",
            where=study.place("data", "rows"),
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
            todo="give the share or the count of each period", where=study.place("outcome", "kind"),
        )  # fmt: skip
    if options.time == study.outcome.column:
        raise OptionError(
            f"'{options.time}' is both the time and the outcome", expected="two columns",
            todo="correct outcome.column", where=study.place("outcome", "column"),
        )  # fmt: skip
    return options
