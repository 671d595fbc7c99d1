"""What few events a period mean for the intervals."""

from __future__ import annotations

from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.results import Diagnostic
from evaltoolkit.results.types import VerdictWord

FEW = 1.0
"""Events a period below which approximate intervals of counts need a word."""


def small_counts(fitted: Fitted) -> Diagnostic | None:
    """Say which intervals hold where there is less than one event a period; None where there are more."""
    mean, noun, errors = float(fitted.model.response.mean()), fitted.series.calendar.noun, fitted.options.errors
    if mean >= FEW:
        return None
    verdict: VerdictWord = "pass"
    start = f"On average less than one event a {noun}."
    if errors in {"marginal-ar1", "marginal-ar2", "marginal-seasonal-ar"}:
        text = (
            f"{start} In simulations of such series the intervals hold what they say, being a little wide. For one "
            "change of level, errors = 'exact' needs no approximation, if events are independent."
        )
    elif errors == "exact":
        text = f"{start} The interval of the ratio is exact if events are independent."
    else:
        verdict = "caution"
        text = (
            f"{start} These intervals rest on larger counts. Choose errors = 'marginal-ar1', which holds in "
            "simulations, or for one change of level errors = 'exact'."
        )
    return Diagnostic(
        name="small-counts", question="Are there enough events for the intervals?", statistic=f"events a {noun}",
        threshold=FEW, verdict=verdict, text=text,
        reference="Agresti 1992, doi:10.1214/ss/1177011454",
    )  # fmt: skip
