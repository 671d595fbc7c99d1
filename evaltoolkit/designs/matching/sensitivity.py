"""What would change the conclusion: the sensitivity analyses that a study asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from evaltoolkit.designs.matching.facts import Facts
from evaltoolkit.designs.matching.fitted import Fitted
from evaltoolkit.designs.matching.hidden_bias import NOT_SETS, rosenbaum
from evaltoolkit.designs.matching.hidden_bias import QUESTION as PAIRS_QUESTION
from evaltoolkit.designs.matching.omitted import (
    Omitted,
    contour,
    e_values,
    omitted,
    oster,
    oster_from,
    robustness,
)
from evaltoolkit.designs.matching.reanalysis import QUESTION as ONE_OUT_QUESTION
from evaltoolkit.designs.matching.reanalysis import leave_one_covariate_out, placebo_outcomes
from evaltoolkit.kernels.omitted_variables import Moments
from evaltoolkit.results import Diagnostic, FigureData


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Rows and figures on what would change the conclusion."""

    checks: tuple[Diagnostic, ...]
    figures: tuple[FigureData, ...]


def sensitivity(fitted: Fitted) -> Sensitivity:
    """Return the analyses named in ``sensitivity``, in a fixed order, and the placebo outcomes where some are named."""
    asked = fitted.options.sensitivity
    told = omitted(fitted) if "robustness-value" in asked else None
    made: dict[str, Callable[[], Diagnostic]] = {
        "rosenbaum": lambda: rosenbaum(fitted),
        "robustness-value": lambda: robustness(fitted, told),
        "e-value": lambda: e_values(fitted),
        "oster": lambda: oster(fitted),
        "leave-one-covariate-out": lambda: leave_one_covariate_out(fitted),
    }
    checks = [make() for name, make in made.items() if name in asked]
    placebo = placebo_outcomes(fitted)
    drawn = contour(fitted, told)
    return Sensitivity((*checks, *((placebo,) if placebo else ())), (drawn,) if drawn else ())


def sensitivity_of_facts(facts: Facts, told: Omitted | None, before: Moments) -> Sensitivity:
    """Return the analyses that sums can answer, and say of the others that they need rows.

    Parameters
    ----------
    facts
        The study.
    told
        The regression that robustness values rest on; None where it does not exist.
    before
        Second moments of everybody before matching.
    """
    asked = facts.options.sensitivity
    made: dict[str, Callable[[], Diagnostic]] = {
        "rosenbaum": lambda: _pairs(facts),
        "robustness-value": lambda: robustness(facts, told),
        "e-value": lambda: e_values(facts),
        "oster": lambda: oster_from(facts, before),
        "leave-one-covariate-out": lambda: _needs_rows(
            "leave-one-covariate-out", ONE_OUT_QUESTION, "a new match without each covariate"
        ),
    }
    drawn = contour(facts, told)
    return Sensitivity(tuple(make() for name, make in made.items() if name in asked), (drawn,) if drawn else ())


def _pairs(facts: Facts) -> Diagnostic:
    if facts.weighted or facts.options.method == "nearest":
        return Diagnostic(name="rosenbaum", question=PAIRS_QUESTION, verdict="not-applicable", text=NOT_SETS)
    return _needs_rows("rosenbaum", PAIRS_QUESTION, "sets of people")


def _needs_rows(name: str, question: str, what: str) -> Diagnostic:
    text = f"This needs {what}, and the people stay in the engine. The robustness value and the E-value need sums only."
    return Diagnostic(name=name, question=question, verdict="not-applicable", text=text)
