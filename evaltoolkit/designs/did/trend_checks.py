"""What the test of earlier periods could have missed, and how far trends may differ before the finding is lost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evaltoolkit.designs.did.display import amount, display, measure
from evaltoolkit.designs.did.event_paths import Path, one_base
from evaltoolkit.designs.did.fitted import Fitted
from evaltoolkit.kernels.equivalence import pre_period_equivalence
from evaltoolkit.kernels.honest import (
    EventStudy,
    HonestError,
    HonestRow,
    breakdown,
    honest_relative,
    honest_smoothness,
    original_interval,
)
from evaltoolkit.kernels.pretest_power import Pretest, linear, slope_detected, trend_missed
from evaltoolkit.results import Cell, Column, Diagnostic, FigureData, level_text, number

MOST_TIMES = 24
"""Event times on either side beyond which the bounds are not computed: the integrals have as many dimensions."""
RELATIVE = (0.5, 1.0, 1.5, 2.0)
SMOOTH = (0.0, 0.1, 0.25, 0.5)
"""Changes of slope that are shown, in standard errors of the first effect."""


@dataclass(frozen=True, slots=True)
class Trends:
    """The path against one base, and the intervals that allow trends to differ; None where there is none."""

    path: Path | None
    departures: Departures | None

    @classmethod
    def of(cls, fitted: Fitted) -> Trends:
        """Look at a study."""
        path = one_base(fitted)
        return cls(path, departures(fitted, path))


def trend_checks(fitted: Fitted, path: Path | None) -> list[Diagnostic]:
    """Return the power of the pre-test, and how small differences before the start are sure to be."""
    if path is None or path.n_before > MOST_TIMES:
        return []
    found = [_power(fitted, path), _equivalence(fitted, path)]
    return [d for d in found if d is not None]


def _power(fitted: Fitted, path: Path) -> Diagnostic | None:
    test = Pretest(path.estimates, path.covariance, path.labels.astype(np.float64), float(path.reference))
    try:
        slope = slope_detected(test, 0.5)
        missed = trend_missed(test, linear(test, slope))
    except (ValueError, np.linalg.LinAlgError):
        return None
    after = path.labels > path.reference
    bias = float(np.mean(missed.conditional_bias[-int(after.sum()) :]))
    large = abs(bias) >= abs(fitted.headline.estimate)
    unit = fitted.data.calendar.noun
    m = fitted.headline
    return Diagnostic(
        name="pre-trend-power", question="What could the test of earlier periods have missed?",
        statistic="bias of an undetected straight difference in trends", value=bias,
        threshold=abs(m.estimate), verdict="caution" if large else "pass",
        text=f"A straight difference in trends of {amount(fitted, m, slope)} per {unit} would be found in one of two "
        f"studies like this. Where it is not found, effects are off by {amount(fitted, m, abs(bias))} on average, "
        f"{'as much as the estimate or more' if large else 'less than the estimate'}.",
        reference="Roth 2022, doi:10.1257/aeri.20210236",
    )  # fmt: skip


def _equivalence(fitted: Fitted, path: Path) -> Diagnostic | None:
    early = slice(0, path.n_before)
    outcome = fitted.study.outcome
    matters = outcome.smallest_effect_that_matters
    bound = abs(fitted.headline.estimate) if matters is None else abs(matters) / display(fitted)[0]
    if bound <= 0:
        return None
    try:
        found = pre_period_equivalence(path.estimates[early], path.covariance[early, early], bound, path.df)
    except ValueError:
        return None
    smallest = float(found.two_one_sided.smallest)
    small = smallest <= bound
    against = "the estimate" if matters is None else "the smallest effect that matters"
    m = fitted.headline
    return Diagnostic(
        name="pre-trend-equivalence", question="How small are differences before the start sure to be?",
        statistic="smallest bound by two one-sided tests", value=smallest, p_value=float(found.two_one_sided.p_value),
        threshold=bound,
        # Not to have shown that differences are small is no sign that they are large.
        verdict="pass" if small else "not-applicable",
        text=f"All differences before the start are smaller than {amount(fitted, m, smallest)} (95% sure, one by one), "
        f"which is {'less' if small else 'more'} than {against}.",
        reference="Hartman and Hidalgo 2018, doi:10.1111/ajps.12387",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Departures:
    """Intervals that allow trends to differ.

    Attributes
    ----------
    original
        The interval under parallel trends.
    relative, smooth
        Those under bounds on the departure: relative to the largest before the start, and on its change of slope.
    held
        The largest relative bound at which the interval leaves out zero; None where the original one holds it.
    """

    original: HonestRow
    relative: tuple[HonestRow, ...]
    smooth: tuple[HonestRow, ...]
    held: float | None


def departures(fitted: Fitted, path: Path | None) -> Departures | None:
    """Return the intervals of Rambachan and Roth for the mean effect after the start; None where there are none."""
    if path is None or max(path.n_before, path.labels.size - path.n_before) > MOST_TIMES:
        return None
    late = path.labels[path.n_before :]
    weights = (late >= 0) / (late >= 0).sum() if (late >= 0).any() else None
    if weights is None:
        return None
    study = EventStudy(path.estimates, path.covariance, path.n_before)
    unit = math.sqrt(float(path.covariance[path.n_before, path.n_before]))
    try:
        original = original_interval(study, weights, fitted.level)
        relative = honest_relative(study, weights, RELATIVE, level=fitted.level)
        smooth = honest_smoothness(study, weights, [m * unit for m in SMOOTH], level=fitted.level)
        held = None
        if not original.low <= 0 <= original.high:
            held = breakdown(study, weights, "relative", level=fitted.level, precision=1e-3).value
    except (HonestError, np.linalg.LinAlgError, ValueError):
        return None
    return Departures(original, relative, smooth, held)


def departure_check(fitted: Fitted, found: Departures | None) -> list[Diagnostic]:
    """Return how large departures from parallel trends may be before the finding is lost."""
    if found is None:
        return []
    question = "How far may trends differ after the start before the finding is lost?"
    reference = "Rambachan and Roth 2023, doi:10.1093/restud/rdad018"
    if found.original.low <= 0 <= found.original.high:
        text = "The mean effect over the times since the start is not clear of zero even where trends are parallel."
        return [
            Diagnostic(
                name="departures", question=question, verdict="not-applicable", text=text, reference=reference,
                statistic="breakdown value (relative to the largest difference before)", value=0.0, threshold=1.0,
            )
        ]  # fmt: skip
    held = found.held or 0.0
    words = "more than any tried" if math.isinf(held) else f"up to {number(held, 2)} times"
    return [
        Diagnostic(
            name="departures", question=question, reference=reference, threshold=1.0,
            statistic="breakdown value (relative to the largest difference before)",
            value=None if math.isinf(held) else held, verdict="pass" if held >= 1 else "caution",
            text=f"The mean effect over the times since the start stays clear of zero if trends differ after it, from "
            f"one {fitted.data.calendar.noun} to the next, by {words} the largest such difference before it"
            + ("." if held >= 1 else ": a difference as large as before could explain it."),
        )
    ]  # fmt: skip


def departure_figure(fitted: Fitted, found: Departures | None) -> FigureData | None:
    """Return the intervals under larger and larger departures."""
    if found is None:
        return None
    rows = [("Trends are parallel", "the usual interval", found.original, True)]
    rows += [
        (f"Up to {number(row.m, 1)} times the largest difference before", "relative magnitude", row, False)
        for row in found.relative
    ]
    rows += [
        ("A straight difference in trends" if share == 0 else f"Slope may change by {number(share, 2)} errors a period",
         "smoothness", row, False)
        for share, row in zip(SMOOTH, found.smooth, strict=True)
    ]  # fmt: skip
    factor, _ = display(fitted)
    level = level_text(fitted.level)
    cells: list[tuple[Cell, ...]] = []
    said = []
    for label, detail, row, main in rows:
        low, high = factor * row.low, factor * row.high
        cells.append((label, detail, (low + high) / 2, low, high, main))
        said.append(f"{label}: {number(low)} to {number(high)}")
    held = found.held or 0.0
    headline = (
        "Differences in trends could explain the finding" if held < 1
        else "The finding stands if trends differ as much as before the start"
    )  # fmt: skip
    return FigureData(
        key="departures", kind="forest", section="checks", headline=headline,
        subtitle=f"{measure(fitted)}, mean over the times since the start, with {level} robust intervals",
        alt=f"Intervals under larger and larger departures from parallel trends. {'; '.join(said)}.",
        columns=(
            Column(key="label", kind="text"), Column(key="detail", kind="text"), Column(key="estimate", signed=True),
            Column(key="low"), Column(key="high"), Column(key="main", kind="text"),
        ),
        rows=tuple(cells),
        marks={"x_label": measure(fitted), "zero": 0, "zero_text": "no change", "level": fitted.level},
        note="Points are the middles of the intervals. Rambachan and Roth (2023).",
    )  # fmt: skip
