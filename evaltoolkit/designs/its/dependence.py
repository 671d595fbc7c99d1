"""How errors depend on one another, where the design file spells it out."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, WithJsonSchema, field_validator

from evaltoolkit.kernels.arma_process import Orders
from evaltoolkit.study import Section

Errors = Literal[
    "marginal-ar1", "marginal-ar2", "marginal-seasonal-ar", "newey-west", "prais-winsten", "gls", "arma", "arima",
    "ols", "model-based", "exact",
]  # fmt: skip
Family = Literal["gaussian", "poisson", "quasi-poisson", "negative-binomial"]
Lags = Literal["newey-west", "stock-watson", "seasonal", "newey-west-automatic", "andrews"]

ERROR_WORDS: Final[dict[str, str]] = {
    "marginal-ar1": "first-order autoregression, averaged over its strength",
    "marginal-ar2": "second-order autoregression, averaged over its two numbers",
    "marginal-seasonal-ar": "first-order and seasonal autoregression, averaged over both",
    "newey-west": "Newey-West",
    "prais-winsten": "Prais-Winsten",
    "gls": "autoregressive errors by generalized least squares",
    "arma": "ARMA errors by generalized least squares",
    "arima": "ARIMA",
    "ols": "ordinary least squares",
    "model-based": "independent counts",
    "exact": "the exact law of independent counts, given their total and their trend",
}
LIKELIHOODS: Final = ("gls", "arma", "arima")
MODELLED: Final = (*LIKELIHOODS, "prais-winsten")
AVERAGED: Final = ("marginal-ar1", "marginal-ar2", "marginal-seasonal-ar")
_WHOLE: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}
_ORDER: Final[dict[str, Any]] = {"anyOf": [_WHOLE, {"type": "array", "items": _WHOLE, "minItems": 1, "maxItems": 3}]}
_LENGTHS: Final = {"gls": 1, "arma": 2, "arima": 3}
_NAMES: Final = {"gls": "p", "arma": "[p, q]", "arima": "[p, d, q]"}
_DEFAULTS: Final[dict[str, tuple[int, ...]]] = {"gls": (1,), "arma": (1, 1), "arima": (1, 0, 0)}


class ErrorModel(Section):
    """Details of errors = marginal-seasonal-ar, prais-winsten, gls, arma or arima."""

    order: Annotated[tuple[int, ...] | None, WithJsonSchema(_ORDER)] = Field(
        None, description="gls: p (default 1); arma: [p, q] (default [1, 1]); arima: [p, d, q] (default [1, 0, 0])"
    )
    seasonal: Annotated[tuple[int, ...] | None, WithJsonSchema(_ORDER)] = Field(
        None, description="The same for whole cycles apart, for arma and arima; needs cycle"
    )
    cycle: int | None = Field(
        None, ge=2, description="Periods in a cycle, such as 12 for months; needed with seasonal and with "
        "marginal-seasonal-ar",
    )  # fmt: skip
    likelihood: Literal["reml", "ml"] | None = Field(
        None, description="gls and arma: restricted (the default) or plain; arima is plain"
    )
    rho: Literal["regress", "tscorr"] | None = Field(
        None, description="prais-winsten: how the autocorrelation is estimated; regress where it is left out"
    )
    robust: bool = Field(default=False, description="prais-winsten: errors robust to unequal spread (HC1)")

    @field_validator("order", "seasonal", mode="before")
    @classmethod
    def _as_list(cls, value: object) -> object:
        return [value] if isinstance(value, int) else value

    @field_validator("order", "seasonal", mode="after")
    @classmethod
    def _not_negative(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value is not None and min(value, default=0) < 0:
            msg = "orders are 0 or more"
            raise ValueError(msg)
        return value


def complaint(errors: Errors, model: ErrorModel | None) -> str | None:
    """Return what does not fit between errors and its details; None where all does."""
    if errors == "marginal-seasonal-ar":
        wanted = ErrorModel(cycle=None if model is None else model.cycle)
        if model is None or model.cycle is None or model != wanted:
            return "errors = 'marginal-seasonal-ar' needs error_model = { cycle = 12 } (or 4, 52), and nothing else"
        return None
    if model is None:
        return None
    if errors not in MODELLED:
        return f"error_model is for errors = {', '.join(MODELLED)}; leave it out with '{errors}'"
    if errors == "prais-winsten":
        if model.order or model.seasonal or model.cycle or model.likelihood:
            return "errors = 'prais-winsten' takes rho and robust only; for orders choose gls, arma or arima"
        return None
    if model.rho or model.robust:
        return "rho and robust are for errors = 'prais-winsten'"
    return _orders_complaint(errors, model)


def _orders_complaint(errors: Errors, model: ErrorModel) -> str | None:
    wanted = _LENGTHS[errors]
    for name, value in (("order", model.order), ("seasonal", model.seasonal)):
        if value is not None and len(value) != wanted:
            return f"{name} for errors = '{errors}' is {_NAMES[errors]}"
    if errors == "gls" and model.seasonal is not None:
        return "seasonal is for arma and arima"
    if (model.seasonal is None) != (model.cycle is None):
        return "seasonal and cycle belong together, such as seasonal = [1, 0] with cycle = 12"
    if errors == "arima" and model.likelihood == "reml":
        return "errors = 'arima' is by plain likelihood; choose gls or arma for 'reml'"
    if sum(model.order or _DEFAULTS[errors]) + sum(model.seasonal or ()) == 0:
        return "all orders are 0; choose errors = 'ols'"
    return None


def orders_of(errors: Errors, model: ErrorModel | None) -> Orders:
    """Return the orders of gls, arma or arima.

    >>> orders_of("arma", None), orders_of("arima", ErrorModel(order=(0, 1, 1))).difference
    (Orders(ar=1, ma=1, seasonal_ar=0, seasonal_ma=0, cycle=1, difference=0, seasonal_difference=0), 1)
    """
    model = model or ErrorModel()
    p, d, q = _spread(errors, model.order or _DEFAULTS[errors])
    seasonal_p, seasonal_d, seasonal_q = _spread(errors, model.seasonal or (0,) * _LENGTHS[errors])
    return Orders(p, q, seasonal_p, seasonal_q, model.cycle or 1, d, seasonal_d)


def _spread(errors: Errors, order: tuple[int, ...]) -> tuple[int, int, int]:
    if errors == "gls":
        return order[0], 0, 0
    return (order[0], 0, order[1]) if errors == "arma" else (order[0], order[1], order[2])


def name_of(errors: Errors, orders: Orders) -> str:
    """Return the usual name of the model of the errors.

    >>> name_of("arima", Orders(1, 0, 0, 1, 12, 0, 1)), name_of("gls", Orders(2))
    ('ARIMA(1,0,0)(0,1,1)12', 'GLS AR(2)')
    """
    o = orders
    if errors == "arima":
        cycle = f"({o.seasonal_ar},{o.seasonal_difference},{o.seasonal_ma}){o.cycle}" if o.cycle > 1 else ""
        return f"ARIMA({o.ar},{o.difference},{o.ma}){cycle}"
    cycle = f"({o.seasonal_ar},{o.seasonal_ma}){o.cycle}" if o.cycle > 1 else ""
    return f"GLS ARMA({o.ar},{o.ma}){cycle}" if o.ma or cycle else f"GLS AR({o.ar})"
