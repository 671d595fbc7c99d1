"""What would change the conclusion: the sensitivity analyses that a study asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from evaltoolkit.designs.matching.fitted import Fitted
from evaltoolkit.designs.matching.hidden_bias import rosenbaum
from evaltoolkit.designs.matching.omitted import contour, e_values, omitted, oster, robustness
from evaltoolkit.designs.matching.reanalysis import leave_one_covariate_out, placebo_outcomes
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
