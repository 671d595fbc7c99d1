"""The estimators: what they are called, which options they take, and how their uncertainty can be measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Name = Literal[
    "callaway-santanna", "two-by-two", "twfe", "sun-abraham", "imputation", "two-stage", "etwfe", "stacked",
    "lp-did", "chaisemartin", "triple-difference", "synthetic-did",
]  # fmt: skip
REGRESSION_WAYS = ("analytic", "jackknife", "cr1", "cr2", "cr3", "wild-cluster")
CELL_MODEL_WAYS = ("analytic", "jackknife", "bootstrap")
CELL_WAYS = ("analytic", "jackknife", "welch", "scaled", "randomization", "conley-taber", "ferman-pinto", "bootstrap")
"""Methods for effects by cohort and period that come from changes of the same units."""


@dataclass(frozen=True, slots=True)
class Estimator:
    """One estimator.

    Attributes
    ----------
    words
        What it is called in a sentence.
    cells
        Whether it gives an effect for each cohort and period.
    takes
        Options that mean something to it, besides those that all take.
    ways
        Methods of inference besides ``auto``.
    holes
        Whether units may lack some period.
    """

    words: str
    cells: bool
    takes: frozenset[str]
    ways: tuple[str, ...] = ("analytic", "jackknife")
    holes: bool = True


_AVERAGED = ("headline", "balance_event_times", "event_window")
_RULE = ("comparison", "covariates", "adjust", "anticipation", "base_period", "weights", *_AVERAGED)


def _takes(*names: str) -> frozenset[str]:
    return frozenset(names)


ESTIMATORS: dict[Name, Estimator] = {
    "callaway-santanna": Estimator(
        "group-time effects (Callaway and Sant'Anna)", cells=True, takes=_takes("panel", *_RULE), ways=CELL_WAYS
    ),
    "two-by-two": Estimator(
        "two-by-two difference-in-differences", cells=False, takes=_takes("comparison", "covariates", "weights"),
        ways=REGRESSION_WAYS,
    ),
    "twfe": Estimator(
        "two-way fixed effects", cells=False,
        takes=_takes("covariates", "weights", "family", "period_effects", "event_window"), ways=REGRESSION_WAYS,
    ),
    "sun-abraham": Estimator(
        "interaction-weighted effects (Sun and Abraham)", cells=True, takes=_takes("weights", *_AVERAGED),
        ways=CELL_MODEL_WAYS,
    ),
    "imputation": Estimator(
        "imputation (Borusyak, Jaravel and Spiess)", cells=True, takes=_takes("covariates", "weights", *_AVERAGED),
        ways=CELL_MODEL_WAYS,
    ),
    "two-stage": Estimator(
        "two-stage differences-in-differences (Gardner)", cells=False,
        takes=_takes("covariates", "weights", "event_window"),
    ),
    "etwfe": Estimator(
        "extended two-way fixed effects (Wooldridge)", cells=True,
        takes=_takes("comparison", "covariates", "weights", "family", "anticipation", *_AVERAGED),
        ways=CELL_MODEL_WAYS,
    ),
    "stacked": Estimator(
        "stacked difference-in-differences", cells=False, holes=False,
        takes=_takes("comparison", "anticipation", "weights", "event_window"),
    ),
    "lp-did": Estimator(
        "local projections", cells=False,
        takes=_takes("comparison", "covariates", "weighting", "weights", "event_window"),
    ),
    "chaisemartin": Estimator(
        "the comparison of switchers with units not yet switched (de Chaisemartin and D'Haultfœuille)", cells=False,
        takes=_takes("event_window"),
    ),
    "triple-difference": Estimator(
        "triple differences (Ortiz-Villavicencio and Sant'Anna)", cells=True, takes=_takes("eligible", *_RULE),
        ways=CELL_MODEL_WAYS,
    ),
    "synthetic-did": Estimator(
        "synthetic difference-in-differences", cells=True, takes=_takes("anticipation", *_AVERAGED),
        ways=("placebo", "jackknife"), holes=False,
    ),
}  # fmt: skip
"""In the order in which they are listed."""
WAYS = ("auto", *dict.fromkeys(way for e in ESTIMATORS.values() for way in e.ways))
"""Every method of inference."""
