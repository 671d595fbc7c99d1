"""Effects sought where there was no program: on other outcomes, and on each control."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.designs.its.working import INDEPENDENT
from evaltoolkit.kernels.autoregression import GRID, marginal_ar1, mixture
from evaltoolkit.kernels.least_squares import least_squares
from evaltoolkit.results import Diagnostic, number, p_value, plural

FloatArray = NDArray[np.float64]

SIGN: Final = 0.05
FEWEST: Final = 5
"""Controls below which a rank says little."""
_UNUSUAL: Final = 0.1
_NEAR: Final = {"day": 30, "week": 13, "month": 6, "quarter": 2, "year": 1}
"""Periods around the start within which another event may explain the change."""


def elsewhere_checks(fitted: Fitted) -> list[Diagnostic]:
    """Return the checks on other outcomes and on controls; none where there are no such."""
    found = (history(fitted), placebo_outcomes(fitted), control_rank(fitted))
    return [check for check in found if check is not None]


def history(fitted: Fitted) -> Diagnostic | None:
    """Return which of the other events that the study names fall so near the start that they may explain the change."""
    series = fitted.series
    named = [m for m in series.marked if m.kind == "event" and series.steps[0] < m.step <= series.steps[-1]]
    if not named:
        return None
    label, start = series.calendar.label, series.starts[0]
    reach = _NEAR.get(series.calendar.unit, 1)
    close = [m for m in named if abs(m.step - start) <= reach and not m.modelled]
    said = "; ".join(f"{m.label} ({label(m.step)}{', part of the model' if m.modelled else ''})" for m in named)
    noun = series.calendar.noun
    return Diagnostic(
        name="history", question="Did something else happen that may explain the change?",
        statistic=f"other events within {plural(reach, noun)} of the start", value=float(len(close)), threshold=0.0,
        verdict="caution" if close else "pass",
        text=f"Named by the study: {said}. "
        + (f"{plural(len(close), 'event')} so near the start cannot be told apart from the program."
           if close else "None that is left out of the model lies near the start."),
    )  # fmt: skip


def placebo_outcomes(fitted: Fitted) -> Diagnostic | None:
    """Return the average difference on outcomes that the program cannot have changed."""
    if not fitted.series.placebos:
        return None
    question = "Is there an effect where there cannot be one?"
    found = [(name.replace("_", " "), _average(fitted, y)) for name, y in fitted.series.placebos.items()]
    known = [(name, m) for name, m in found if m is not None]
    if not known:
        return Diagnostic(
            name="placebo-outcomes", question=question, verdict="not-applicable",
            text="The outcomes named as placebos allow no estimate.",
        )  # fmt: skip
    # As many tests as outcomes: the smallest p-value times their number (Bonferroni).
    smallest = min(1.0, len(known) * min(p for _, (_, _, p) in known))
    clear = smallest < SIGN
    said = "; ".join(f"{name}: {number(value, signed=True)} (p = {p_value(p)})" for name, (value, _, p) in known)
    return Diagnostic(
        name="placebo-outcomes", question=question, statistic="smallest p-value, times the number of outcomes",
        value=smallest, p_value=smallest, threshold=SIGN, verdict="caution" if clear else "pass",
        text=f"Average differences on outcomes that the program cannot have changed: {said}."
        + (" Something else changed at the same time too." if clear else ""),
    )  # fmt: skip


def control_rank(fitted: Fitted) -> Diagnostic | None:
    """Return how many controls, each taken for the treated series, differ from the others by as much."""
    control = fitted.series.control
    if control is None or len(control.names) < FEWEST:
        return None
    series, each = fitted.series, control.each
    own_rate = series.values if series.exposure is None else series.values / series.exposure
    own = _average(fitted, own_rate - control.rates)
    n = each.shape[1]
    others = (each.sum(axis=1)[:, None] - each) / (n - 1)
    apart = [_average(fitted, each[:, j] - others[:, j]) for j in range(n)]
    known = [abs(m[0] / m[1]) for m in apart if m is not None and m[1] > 0]
    if own is None or own[1] <= 0 or len(known) < FEWEST:
        return None
    as_clear = sum(v >= abs(own[0] / own[1]) * (1 - 1e-12) for v in known)
    chance = (1 + as_clear) / (1 + len(known))
    return Diagnostic(
        name="control-rank", question="How unusual is the change beside those of the controls?",
        statistic="share of series with a change as clear", value=chance, threshold=_UNUSUAL,
        verdict="pass" if chance <= _UNUSUAL else "caution",
        text=f"Each of {plural(len(known), 'control')} was taken for the treated series and compared with the others. "
        f"{'None' if as_clear == 0 else as_clear} had a change as clear as the one found. Had the treated series been "
        f"drawn by lot, so clear a change would be seen with a chance of {number(chance, 2)} without any effect.",
        reference="Abadie, Diamond and Hainmueller 2010, doi:10.1198/jasa.2009.ap08746",
    )  # fmt: skip


def _average(fitted: Fitted, y: FloatArray) -> tuple[float, float, float] | None:
    """Return the average difference of any series by the study's columns, its error and p-value; None without one."""
    model = fitted.model
    rows = np.isfinite(y)
    X = model.observed[rows]
    if rows.sum() - X.shape[1] < 2 or not rows[model.after].any():
        return None
    kept = least_squares(X, y[rows]).kept
    shift = ((model.observed - model.expected)[model.after].mean(axis=0))[kept]
    if not shift.any():
        return None
    grid = np.zeros(1) if fitted.options.errors in INDEPENDENT else GRID
    try:
        fit = marginal_ar1(X[:, kept], y[rows], model.steps[rows], grid)
    except ValueError:
        return None
    law = mixture(fit, fit.coefficients @ shift[:, None], shift[None, :])
    return float(law.mean[0]), float(law.spread[0]), float(law.p_value()[0])
