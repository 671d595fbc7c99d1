"""The smallest effect that a series like this one would show, from the periods before the start alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.its.display import amount
from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.designs.its.working import Working, working
from evaltoolkit.kernels.autoregression import marginal_ar1, whitening
from evaltoolkit.kernels.detectable import detectable_by_t
from evaltoolkit.kernels.interruption_power import ErrorsAhead, error_of_effect
from evaltoolkit.kernels.least_squares import least_squares
from evaltoolkit.results import Diagnostic, number
from evaltoolkit.results.types import VerdictWord

FloatArray = NDArray[np.float64]

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
    rho
        Mean autocorrelation before the start.
    per_log
        For counts: by what a small log ratio is multiplied to be an average difference in display units; else 1.
    """

    std_error: float
    df: int
    rho: float
    per_log: float


def ahead(fitted: Fitted) -> Ahead | None:
    """Return the error to come; None where too few periods lie before the start."""
    rows = working(fitted)
    early = rows.steps < fitted.series.starts[0]
    if not early.any():
        return None
    before = rows.only(early)
    df = before.steps.size - before.calm.shape[1]
    if df < FEWEST_DF:
        return None
    try:
        fit = marginal_ar1(before.calm, before.response, before.steps, rows.grid)
    except ValueError:
        return None
    known = _past_columns(rows, early)
    X, contrast = _design_ahead(fitted, known, fit.centre)
    spread = _innovations(before, fit.coefficients, fit.rho)
    each = np.array([
        error_of_effect(X, contrast, rows.steps, ErrorsAhead(float(rho), float(s)))
        for rho, s in zip(fit.rho, spread / np.sqrt(1 - fit.rho**2), strict=True)
    ])  # fmt: skip
    error = float(np.sqrt(fit.weights @ each**2))
    return Ahead(error, df, fit.mean_rho, _per_log(fitted, known, fit.centre))


def _past_columns(rows: Working, early: NDArray[np.bool_]) -> NDArray[np.int64]:
    return least_squares(rows.calm[early], rows.response[early]).kept


def _design_ahead(fitted: Fitted, known: NDArray[np.int64], b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the columns of the model, weighted as the past expects them, and what the headline asks of them."""
    model = fitted.model
    belongs = np.flatnonzero((model.observed != model.expected).any(axis=0))
    calm = np.flatnonzero((model.observed == model.expected).all(axis=0))[known]
    X = model.observed[:, np.concatenate([calm, belongs])]
    shifts = X[:, calm.size :]
    after = model.after.astype(np.float64)
    if not fitted.ratio:
        contrast = np.concatenate([np.zeros(calm.size), after @ shifts / after.sum()])
        return X, contrast
    mu = np.exp(model.offset + X[:, : calm.size] @ b)
    weights = after * mu
    contrast = np.concatenate([np.zeros(calm.size), weights @ shifts / weights.sum()])
    return np.sqrt(mu)[:, None] * X, contrast


def _innovations(before: Working, coefficients: FloatArray, rho: FloatArray) -> FloatArray:
    keep, carry = whitening(before.steps, rho)
    left = before.response - coefficients @ before.calm.T
    past = np.concatenate([np.zeros((left.shape[0], 1)), left[:, :-1]], axis=1)
    df = before.steps.size - before.calm.shape[1]
    return np.asarray(np.sqrt(((keep * (left - carry * past)) ** 2).sum(axis=1) / df))


def _per_log(fitted: Fitted, known: NDArray[np.int64], b: FloatArray) -> float:
    if not fitted.ratio:
        return 1.0
    model = fitted.model
    calm = np.flatnonzero((model.observed == model.expected).all(axis=0))[known]
    mu = np.exp(model.offset + model.observed[:, calm] @ b)
    return float((model.scale * mu)[model.after].mean())


def detectable_check(fitted: Fitted) -> Diagnostic | None:
    """Return the smallest effect that four of five such series would show."""
    found = ahead(fitted)
    question = "How large must an effect be to be found?"
    if found is None:
        return Diagnostic(
            name="detectable-effect", question=question, verdict="not-applicable",
            text="There are too few periods before the start to tell.",
        )  # fmt: skip
    alpha = 1 - fitted.level
    smallest = detectable_by_t(found.std_error, found.df, alpha=alpha, power=POWER)
    matters = fitted.study.outcome.smallest_effect_that_matters
    if fitted.ratio:
        up, down = (number(float(np.exp(v)), 2) for v in (smallest, -smallest))
        shown = f"a ratio of {up} or more, or {down} or less"
        size = float(np.expm1(smallest)) * found.per_log
    else:
        shown, size = f"{amount(fitted, fitted.effects.average, smallest)} or more", smallest
    blind = matters is not None and size > matters
    missed: VerdictWord = "caution" if fitted.finding.strength == "unclear" else "not-applicable"
    verdict: VerdictWord = "not-applicable" if matters is None else missed if blind else "pass"
    text = (
        f"By the periods before the start, four of five series like this one would show {shown} as clear"
        f"{'' if fitted.is_constant else ', on average over the periods since the start'}."
    )
    if matters is not None:
        text += (
            " Smaller effects that would still matter can be missed."
            if blind else " That is no more than the smallest effect that matters."
        )  # fmt: skip
    return Diagnostic(
        name="detectable-effect", question=question, statistic="smallest detectable effect",
        value=float(np.exp(smallest)) if fitted.ratio else smallest, threshold=matters if not fitted.ratio else None,
        verdict=verdict, text=text,
        reference="Bloom 1995, doi:10.1177/0193841X9501900504",
    )  # fmt: skip
