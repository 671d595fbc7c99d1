"""What the report says about how standard errors and intervals were made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from evaltoolkit.designs.its.dependence import LIKELIHOODS
from evaltoolkit.designs.its.estimated import EDGE, How
from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.kernels.autoregression import GRID
from evaltoolkit.kernels.autoregression_wide import FIRST, SECOND
from evaltoolkit.results import Method, Reference, number

_SHORT: Final = "In short series such intervals tend to be too narrow."


def standard_errors(fitted: Fitted) -> Method:
    """Return the method of the standard errors."""
    how = fitted.main.how
    text = _TEXTS[fitted.options.errors](fitted)
    if how.boundary:
        text += (
            f" Here the estimate lies at the boundary (an autocorrelation beyond {EDGE:g}), where its standard errors "
            "mean little."
        )
    return Method(title="Standard errors", text=text + _found(how))


def _found(how: How) -> str:
    parts = []
    for p in how.parameters:
        error = "" if p.std_error is None else f" (standard error {number(p.std_error, 2)})"
        value = "infinite: the counts vary no more than Poisson counts" if p.value == float("inf") else None
        parts.append(f"{p.name} {value or number(p.value, 3)}{error}")
    return f" Estimated: {'; '.join(parts)}." if parts else ""


def _marginal(fitted: Fitted) -> str:
    working = (
        " Counts enter by their working response at the maximum-likelihood fit, weighted by the root of its precision, "
        "so extra spread is allowed for."
        if fitted.ratio else ""
    )  # fmt: skip
    kind, over = {
        "marginal-ar2": ("second-order", f"{FIRST.size * SECOND.size} pairs of partial autocorrelations"),
        "marginal-seasonal-ar": (
            "first-order and a seasonal", f"{FIRST.size * SECOND.size} pairs of an autocorrelation from −0.9 to 0.99 "
            "and one a cycle apart",
        ),
    }.get(fitted.options.errors, ("first-order", f"{GRID.size} autocorrelations from −0.9 to 0.99"))  # fmt: skip
    return (
        f"Errors follow a {kind} autoregression. For each of {over} the model was fitted by generalized least squares; "
        "the fits were weighted by their restricted likelihood and the prior (1 − ρ²)^(−1/2), and every interval is a "
        "quantile of the weighted mixture of t distributions. Short series call for this: intervals that plug in one "
        f"estimated autocorrelation come out too narrow.{working}"
    )


def _newey_west(fitted: Fitted) -> str:
    scores = " of the scores of the likelihood" if fitted.ratio else ""
    return (
        f"{fitted.main.how.words} (Bartlett weights{scores}, factor n/(n − k)) and a t reference with n − k degrees of "
        f"freedom. {_SHORT}"
    )


def _prais(fitted: Fitted) -> str:
    robust = " The errors are robust to unequal spread (HC1)." if "robust" in fitted.main.how.name else ""
    return (
        f"Prais and Winsten's iterated least squares ({fitted.main.how.name}): the autocorrelation and the model are "
        "estimated in turn until the former moves by less than 1e-10; the first period is kept. The reference is t "
        f"with n − k degrees of freedom.{robust} {_SHORT}"
    )


def _likelihood(fitted: Fitted) -> str:
    reference = (
        "Standard errors come from the Hessian of the likelihood in all its parameters, with a normal reference."
        if fitted.options.errors == "arima" else
        "Standard errors plug the estimates in, with the residual variance over n − k and a t reference."
    )  # fmt: skip
    differenced = (
        " Differencing leaves no intercept to estimate; the one that is shown only places the course."
        if fitted.options.errors == "arima" and _differenced(fitted) else ""
    )  # fmt: skip
    return f"{fitted.main.how.name}, by exact likelihood. {reference}{differenced} {_SHORT}"


def _differenced(fitted: Fitted) -> bool:
    model = fitted.options.error_model
    return model is not None and any(order[1] for order in (model.order, model.seasonal) if order)


def _ols(fitted: Fitted) -> str:
    law = f"a t reference for {fitted.model.df} degrees of freedom"
    return f"Ordinary least squares with {law}; neighbouring periods count as unrelated."


def _model_based(fitted: Fitted) -> str:
    family = fitted.options.family
    if family == "quasi-poisson":
        return (
            "By the quasi-Poisson model: the spread is estimated (Pearson chi-square over n − k), with a t reference; "
            "counts are taken as unrelated."
        )
    if family == "negative-binomial":
        return (
            "By the negative binomial model (variance μ + μ²/θ), with a normal reference and θ taken as known; counts "
            "are taken as unrelated."
        )
    return "By the Poisson model, with a normal reference: counts are taken as unrelated and varying by chance only."


def _exact(fitted: Fitted) -> str:
    noun = fitted.series.calendar.noun
    return (
        f"Exact: given the total of the {noun}s' counts and the sum of their times, which carry the level and the "
        "trend, the number after the start has a known law. The interval of the ratio holds what neither of its tails "
        "rejects; it covers at least as often as it says, for counts that are unrelated and vary by chance only. "
        "Differences are at the ends of that interval, the course with the program held as it was modelled."
    )


_TEXTS: Final[dict[str, Callable[[Fitted], str]]] = {
    "marginal-ar1": _marginal, "marginal-ar2": _marginal, "marginal-seasonal-ar": _marginal,
    "newey-west": _newey_west, "prais-winsten": _prais, "gls": _likelihood, "arma": _likelihood,
    "arima": _likelihood, "ols": _ols, "model-based": _model_based, "exact": _exact,
}  # fmt: skip


def error_limits(fitted: Fitted) -> list[str]:
    """Return what a reader must keep in mind about the intervals."""
    lines = []
    if fitted.options.errors == "marginal-ar1":
        lines.append(
            "Dependence of another kind than a first-order autoregression is not allowed for. Where periods two apart, "
            "or a year apart, resemble one another more than that, intervals are off; errors = 'marginal-ar2' and "
            "'marginal-seasonal-ar' allow for it."
        )
    if fitted.options.errors == "exact":
        lines.append("The exact interval takes events to be independent; where they come in clusters it is too narrow.")
    if fitted.main.how.boundary:
        lines.append(
            "The estimated autocorrelation lies at the edge of what its model allows: its intervals should not be "
            "relied on. The default, errors = 'marginal-ar1', has no such edge."
        )
    return lines


def error_references(fitted: Fitted) -> list[Reference]:
    """Return the sources of the method of the errors."""
    errors, family = fitted.options.errors, fitted.options.family
    found = []
    if errors == "newey-west":
        found.append(
            Reference(
                text="Newey, W. and West, K. (1987). A simple, positive semi-definite, heteroskedasticity and "
                "autocorrelation consistent covariance matrix. Econometrica 55.",
                doi="10.2307/1913610",
            )
        )
    if errors == "prais-winsten":
        found.append(
            Reference(
                text="Prais, S. and Winsten, C. (1954). Trend estimators and serial correlation. Cowles Commission "
                "Discussion Paper 383."
            )
        )
    if errors in LIKELIHOODS:
        found.append(
            Reference(
                text="Pinheiro, J. and Bates, D. (2000). Mixed-Effects Models in S and S-PLUS. Springer.",
                doi="10.1007/b98882",
            )
        )
    if errors == "exact":
        found.append(
            Reference(
                text="Agresti, A. (1992). A survey of exact inference for contingency tables. Statistical Science 7.",
                doi="10.1214/ss/1177011454",
            )
        )
    if family == "negative-binomial":
        found.append(
            Reference(
                text="Venables, W. and Ripley, B. (2002). Modern Applied Statistics with S, 4th ed. Springer.",
                doi="10.1007/978-0-387-21706-2",
            )
        )
    return found
