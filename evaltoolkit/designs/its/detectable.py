"""The smallest effect that a series like this one would show, from the periods before the start alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.its.display import amount
from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.designs.its.model import Model
from evaltoolkit.designs.its.options import Options
from evaltoolkit.designs.its.working import INDEPENDENT
from evaltoolkit.kernels.autoregression import GRID, marginal_ar1, whitening
from evaltoolkit.kernels.count_regression import poisson
from evaltoolkit.kernels.detectable import detectable_by_t
from evaltoolkit.kernels.interruption_power import errors_of_effect
from evaltoolkit.kernels.least_squares import least_squares
from evaltoolkit.results import Diagnostic, number
from evaltoolkit.results.types import VerdictWord

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

FEWEST_DF: Final = 3
POWER: Final = 0.8


@dataclass(frozen=True, slots=True)
class Ahead:
    """What the periods before the start say about the error of the effect.

    Attributes
    ----------
    std_error
        Of the average difference, or of the log ratio for counts, averaged over the autocorrelation.
    df
        Degrees of freedom before the start.
    rho, spread
        Mean autocorrelation and marginal standard deviation of the (working) errors before the start.
    expected
        Without the program: the response of every period, shape (n,); counts for counts.
    display
        Mean of what is expected after the start, in display units.
    """

    std_error: float
    df: int
    rho: float
    spread: float
    expected: FloatArray
    display: float


def ahead(model: Model, options: Options, start: int) -> Ahead | None:
    """Return the error to come; None where too few periods lie before the start, or they allow no estimate."""
    early = model.steps < start
    calm = np.flatnonzero((model.observed == model.expected).all(axis=0))
    belongs = np.flatnonzero((model.observed != model.expected).any(axis=0))
    if int(early.sum()) < FEWEST_DF + 2:
        return None
    X = model.observed[:, calm]
    X = X[:, least_squares(X[early], model.response[early]).kept]
    df = int(early.sum()) - X.shape[1]
    past = _past(model, X, early) if df >= FEWEST_DF else None
    if past is None:
        return None
    root, response = past
    grid = np.zeros(1) if options.errors in INDEPENDENT else GRID
    white = root[early][:, None] * X[early]
    try:
        fit = marginal_ar1(white, response, model.steps[early], grid)
    except ValueError:
        return None
    spread = _innovations(white, response, model.steps[early], fit.coefficients, grid) / np.sqrt(1 - grid**2)
    changes = model.observed[:, belongs]
    expected = X @ fit.centre
    if model.log_link:
        expected = np.exp(model.offset + expected)
        root = np.sqrt(expected)
    weights = model.after * (expected if model.log_link else 1.0)
    contrast = np.concatenate([np.zeros(X.shape[1]), weights @ changes / weights.sum()])
    design = root[:, None] * np.column_stack([X, changes])
    each = errors_of_effect(design, contrast, model.steps, grid, spread)
    return Ahead(
        float(np.sqrt(fit.weights @ each**2)), df, fit.mean_rho, float(np.sqrt(fit.weights @ spread**2)), expected,
        float((model.scale * expected)[model.after].mean()),
    )  # fmt: skip


def _past(model: Model, X: FloatArray, early: Mask) -> tuple[FloatArray, FloatArray] | None:
    """Return the roots of the weights of every period, and the weighted response before the start."""
    if not model.log_link:
        return np.ones(model.steps.size), model.response[early]
    fit = poisson(X[early], model.response[None, early], model.offset[early])
    if not fit.exists[0]:
        return None
    linear = X @ fit.coefficients[0]
    mu = np.exp(model.offset + linear)
    working = linear[early] + (model.response[early] - mu[early]) / mu[early]
    return np.sqrt(mu), np.sqrt(mu[early]) * working


def _innovations(
    X: FloatArray, y: FloatArray, steps: IntArray, coefficients: FloatArray, grid: FloatArray
) -> FloatArray:
    """Return the standard deviation of the innovations at every autocorrelation, shape (G,)."""
    keep, carry = whitening(steps, grid)
    left = y - coefficients @ X.T
    past = np.concatenate([np.zeros((left.shape[0], 1)), left[:, :-1]], axis=1)
    return np.asarray(np.sqrt(((keep * (left - carry * past)) ** 2).sum(axis=1) / (y.size - X.shape[1])))


def smallest(found: Ahead, level: float) -> float:
    """Return the effect, a log ratio for counts, that is shown with a chance of 80 percent."""
    return detectable_by_t(found.std_error, found.df, alpha=1 - level, power=POWER)


def detectable_check(fitted: Fitted) -> Diagnostic:
    """Return the smallest effect that four of five such series would show."""
    found = ahead(fitted.model, fitted.options, fitted.series.starts[0])
    question = "How large must an effect be to be found?"
    if found is None:
        return Diagnostic(
            name="detectable-effect", question=question, verdict="not-applicable",
            text="There are too few periods before the start to tell.",
        )  # fmt: skip
    effect = smallest(found, fitted.level)
    matters = fitted.study.outcome.smallest_effect_that_matters
    size = float(np.expm1(effect)) * found.display if fitted.ratio else effect
    missed: VerdictWord = "caution" if fitted.finding.strength == "unclear" else "not-applicable"
    blind = matters is not None and size > matters
    text = (
        f"By the periods before the start, four of five series like this one would show {_shown(fitted, effect)} as "
        f"clear{'' if fitted.is_constant else ', on average over the periods since the start'}."
    )
    if matters is not None:
        text += (
            " Smaller effects that would still matter can be missed."
            if blind else " That is no more than the smallest effect that matters."
        )  # fmt: skip
    return Diagnostic(
        name="detectable-effect", question=question, statistic="smallest detectable effect",
        value=float(np.exp(effect)) if fitted.ratio else effect, threshold=matters if not fitted.ratio else None,
        verdict="not-applicable" if matters is None else missed if blind else "pass", text=text,
        reference="Bloom 1995, doi:10.1177/0193841X9501900504",
    )  # fmt: skip


def _shown(fitted: Fitted, effect: float) -> str:
    if not fitted.ratio:
        return f"{amount(fitted, fitted.effects.average, effect)} or more"
    up, down = (number(float(np.exp(v)), 2) for v in (effect, -effect))
    return f"a ratio of {up} or more, or {down} or less"
