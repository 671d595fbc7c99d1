"""Who is observed when, who is alike, and what the study could have found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evaltoolkit.designs.did.display import amount, display
from evaltoolkit.designs.did.fitted import Fitted
from evaltoolkit.designs.did.power import placebos
from evaltoolkit.kernels.composition import CompositionError, attrition, composition
from evaltoolkit.kernels.composition_overlap import Overlap, overlap
from evaltoolkit.kernels.detectable import minimum_detectable, power_curve
from evaltoolkit.results import Diagnostic, number, p_value
from evaltoolkit.results.types import VerdictWord

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
SIGN = 0.05
LARGEST_SHARE = 0.25
FEWEST = 10.0
BEYOND = 0.10


def sample_checks(fitted: Fitted) -> list[Diagnostic]:
    """Return the checks of who is compared."""
    found = [_gaps(fitted), _detectable(fitted)]
    if fitted.data.rows is not None:
        found[1:1] = [_composition(fitted), _overlap(fitted)]
    return [d for d in found if d is not None]


def _gaps(fitted: Fitted) -> Diagnostic | None:
    steps = np.diff(fitted.facts.periods)
    if steps.size == 0 or (steps == steps.min()).all():
        return None
    label, unit = fitted.data.calendar.label, fitted.data.calendar.noun
    at = np.flatnonzero(steps > steps.min())
    pairs = [(label(int(fitted.facts.periods[i])), label(int(fitted.facts.periods[i + 1]))) for i in at[:3]]
    where = ", ".join(f"{a} and {b}" for a, b in pairs)
    more = f" and {at.size - 3} more" if at.size > 3 else ""
    return Diagnostic(
        name="period-gaps", question="Are the periods evenly spaced?", statistic="gaps between periods",
        value=float(at.size), threshold=0.0, verdict="caution",
        text=f"No data lie between {where}{more}. Time since the start is counted in {unit}s of the calendar, so that "
        "some times rest on few cohorts.",
    )  # fmt: skip


def _composition(fitted: Fitted) -> Diagnostic | None:
    panel = fitted.panel
    if panel.whole:
        return None
    treated = panel.start <= panel.periods[-1]
    base = max(int(np.searchsorted(panel.periods, panel.start[treated].min())) - 1, 0)
    there = np.isfinite(panel.outcome)
    question = "Did who is observed change differently in the two groups?"
    try:
        if not fitted.options.panel:
            if not panel.covariates.shape[2]:
                return None
            made = composition(there, panel.covariates, treated, base, panel.clusters, panel.weights)
            what, moves, errors, df = "the make-up by covariates", made.drift, made.std_error, made.df
            p = None if made.test is None else made.test.p_value
        else:
            lost = attrition(there, treated, base, panel.clusters, panel.weights)
            what, moves, errors, df = "the share that is observed", lost.difference, lost.std_error, lost.df
            p = None if lost.test is None else lost.test.p_value
    except CompositionError:
        return None
    p = _largest(moves, errors, df) if p is None else p
    if p is None:
        text = "There are too few clusters, or too little change, to test it."
        return Diagnostic(name="composition", question=question, verdict="not-applicable", text=text)
    moved, size = p < SIGN, float(np.nanmax(np.abs(moves)))
    return Diagnostic(
        name="composition", question=question, statistic="joint test over periods", value=size, p_value=p,
        threshold=SIGN, verdict="caution" if moved else "pass",
        text=f"Between periods {what} changed by up to {number(size, 2)} more in one group than in the other (p = "
        f"{p_value(p)})" + (": the groups may no longer be alike." if moved else ", no clear difference."),
    )  # fmt: skip


def _largest(moves: FloatArray, errors: FloatArray, df: int) -> float | None:
    """Return the p-value of the largest of several numbers that cannot be tested together (Bonferroni)."""
    known = np.isfinite(moves) & (errors > 0)
    if not known.any() or df < 1:
        return None
    t = float((np.abs(moves[known]) / errors[known]).max())
    return min(1.0, 2 * float(special.stdtr(df, -t)) * int(known.sum()))


def _overlap(fitted: Fitted) -> Diagnostic | None:
    panel, options = fitted.panel, fitted.options
    scored = options.estimator == "callaway-santanna" and options.panel and options.adjust != "regression"
    if not scored or not panel.covariates.shape[2]:
        return None
    rows = overlap(panel.start, panel.periods, panel.design, options.rule, panel.weights)
    known = [row for row in rows if row.problem is None and np.isfinite(row.effective)]
    if not known:
        return None
    worst = min(known, key=lambda row: row.effective)
    share = max(row.largest_share for row in known)
    beyond = max(row.outside[0] for row in known)
    bad = worst.effective < FEWEST or share > LARGEST_SHARE or beyond > BEYOND
    verdict: VerdictWord = "caution" if bad else "pass"
    unit = fitted.unit
    return Diagnostic(
        name="overlap-by-cohort", question="Is each cohort compared with units like it?",
        statistic=f"effective number of comparison {unit}, smallest", value=worst.effective, threshold=FEWEST,
        verdict=verdict,
        text=f"For the cohort of {fitted.data.calendar.label(worst.cohort)} the comparison rests on "
        f"{number(worst.effective, 1)} {unit} after weighting. The largest weight of one is {number(100 * share, 0)} "
        f"percent, and up to {number(100 * beyond, 0)} percent of a cohort lie outside the range of those compared."
        + _gone(rows, known),
        reference="Callaway and Sant'Anna 2021, doi:10.1016/j.jeconom.2020.12.001",
    )  # fmt: skip


def _gone(rows: list[Overlap], known: list[Overlap]) -> str:
    lost = len(rows) - len(known)
    return f" For {lost} comparisons no score could be estimated." if lost else ""


def _detectable(fitted: Fitted) -> Diagnostic | None:
    """Return the smallest effect that would be found in four of five studies like this one."""
    m = fitted.headline
    alpha = 1 - fitted.level
    if m.std_error is not None:
        smallest = minimum_detectable(m.std_error, np.inf if m.df is None else m.df, alpha=alpha)
    elif m.low is not None and m.high is not None:
        # Without a standard error: half the interval's length stands in for the critical value times it.
        z = float(special.ndtri(1 - alpha / 2))
        smallest = (m.high - m.low) / 2 * (1 + float(special.ndtri(0.8)) / z)
    else:
        return None
    matters = fitted.study.outcome.smallest_effect_that_matters
    bound = None if matters is None else abs(matters) / display(fitted)[0]
    unclear = m.low is None or m.high is None or m.low <= 0 <= m.high
    missed: VerdictWord = "caution" if unclear else "not-applicable"
    verdict: VerdictWord = "not-applicable" if bound is None else "pass" if smallest <= bound else missed
    compared = (
        ""
        if bound is None
        else " That is no more than the smallest effect that matters."
        if smallest <= bound
        else " Smaller effects that would still matter can be missed."
    )
    simulated = _simulated(fitted)
    if simulated is not None:
        compared += (
            f" From the periods before the start, with starts dealt out anew, it is {amount(fitted, m, simulated)}."
        )
    return Diagnostic(
        name="detectable-effect", question="How large must an effect be to be found?",
        statistic="effect found with 80 percent probability", value=smallest, threshold=bound, verdict=verdict,
        text=f"An effect of {amount(fitted, m, smallest)} would be found in four of five studies like this one."
        + compared, reference="Bloom 1995, doi:10.1177/0193841X9501900504",
    )  # fmt: skip


def _simulated(fitted: Fitted) -> float | None:
    """Return the detectable effect from placebos in the periods before the first start; None where they are too few."""
    if not fitted.options.permutable or fitted.data.rows is None:
        return None
    found = placebos(fitted.panel, fitted.options, fitted.study.inference.seed)
    if found is None or not found.estimates.size:
        return None
    curve = power_curve(found.estimates, np.zeros(1), alpha=1 - fitted.level)
    return curve.detectable if np.isfinite(curve.detectable) else None
