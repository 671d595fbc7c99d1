"""What of the study could not be estimated: cohorts and periods without an effect, a headline without an interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.fitted import Fitted
from evaltoolkit.results import Diagnostic, plural

IntArray = NDArray[np.int64]
SHOWN = 4
"""Cohorts that are named."""


def left_out(fitted: Fitted) -> list[Diagnostic]:
    """Return the checks of what is missing; none where nothing is."""
    found = [_effects(fitted), _interval(fitted)]
    return [d for d in found if d is not None]


def _effects(fitted: Fitted) -> Diagnostic | None:
    lost = _lost(fitted)
    every = sum(n for _, _, n in lost)
    if not any(gone for _, gone, _ in lost):
        return None
    label = fitted.data.calendar.label
    none = [g for g, gone, n in lost if gone == n]
    some = [g for g, gone, n in lost if 0 < gone < n]
    said = []
    for cohorts, words in ((none, "has no effect that can be estimated"), (some, "lacks effects in some periods")):
        if cohorts:
            names = ", ".join(label(g) for g in cohorts[:SHOWN])
            more = f" and {len(cohorts) - SHOWN} more" if len(cohorts) > SHOWN else ""
            said.append(f"{'The cohorts' if len(cohorts) > 1 else 'The cohort'} of {names}{more} "
                        f"{words if len(cohorts) == 1 else _many(words)}")  # fmt: skip
    gone = sum(n for _, n, _ in lost)
    why = (
        "untreated observations at the same values of the covariates are missing"
        if fitted.options.estimator == "etwfe" and fitted.data.covariate_names
        else "nobody of the cohort, or nobody to compare it with, was observed both then and before the start"
    )
    return Diagnostic(
        name="effects-left-out", question="Does the headline cover every cohort and period with the program?",
        statistic="share of cohorts and periods without an effect", value=gone / every, threshold=0.0,
        verdict="caution",
        text=f"{'; '.join(said)}: {why}. The headline averages over the others, {plural(every - gone, 'effect')} of "
        f"{every:,}.",
    )  # fmt: skip


def _many(words: str) -> str:
    return words.replace("has no", "have no").replace("lacks", "lack")


def _lost(fitted: Fitted) -> list[tuple[int, int, int]]:
    """Return each cohort with how many effects from the start on are missing, and how many there could be."""
    facts, periods = fitted.facts, fitted.facts.periods
    found = []
    for g, seen in zip(facts.cohorts.tolist(), facts.seen, strict=False):
        expected = periods[(periods >= g) & (seen > 0)]
        if fitted.cells is not None:
            cells = fitted.cells.cells
            have: IntArray = cells.period[(cells.cohort == g) & np.isfinite(cells.att)]
        elif fitted.options.estimator == "stacked" and fitted.options.event_window is not None:
            first, last = fitted.options.event_window
            inside = g + first >= periods[0] and g + last <= periods[-1]
            expected = expected[expected <= g + last]
            have = expected if inside else expected[:0]
        else:
            have = expected
        found.append((g, int((~np.isin(expected, have)).sum()), int(expected.size)))
    return found


def _interval(fitted: Fitted) -> Diagnostic | None:
    """Say why there is no interval, where the number of clusters is not the reason (another check then says so)."""
    if fitted.headline.low is not None or fitted.choice.none_possible:
        return None
    how = {
        "jackknife": "Without one of the clusters the effect cannot be estimated, or it is the same without each of "
        "them, so leaving clusters out gives no error.",
        "randomization": "Too few ways to deal the starts out anew differ from the one observed.",
    }.get(fitted.choice.way, "The effect does not vary between clusters, so these data give no error.")
    return Diagnostic(
        name="interval", question="Can chance be judged at all?", verdict="fail",
        text=f"The headline has no interval. {how} Use more or other clusters, or a longer series.",
    )  # fmt: skip
