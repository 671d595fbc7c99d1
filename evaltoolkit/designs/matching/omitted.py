"""How strong an unmeasured covariate would have to be: robustness values with benchmarks, E-values, Oster's delta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.matching.facts import Facts
from evaltoolkit.designs.matching.figures import display
from evaltoolkit.designs.matching.fitted import Fitted
from evaltoolkit.designs.matching.options import Options, words_of
from evaltoolkit.designs.matching.ratios import ratio_of_means
from evaltoolkit.kernels.coefficient_stability import oster as oster_delta
from evaltoolkit.kernels.omitted_variables import (
    Benchmark,
    Moments,
    Regression,
    adjusted_estimate,
    benchmark,
    e_value,
    moments,
    regression,
    robustness_value,
    standardized_as_ratio,
)
from evaltoolkit.results import Cell, Column, Diagnostic, FigureData, number
from evaltoolkit.results.types import VerdictWord

FloatArray = NDArray[np.float64]

STRONG_E: Final = 1.5
"""E-value of the interval's end below which a conclusion counts as easily explained away."""
SHOWN: Final = 4
"""Measured covariates that are drawn beside the contours, the strongest first."""
_LEVELS: Final = (0.75, 0.5, 0.25, 0.0)


@dataclass(frozen=True, slots=True)
class Omitted:
    """The regression of the outcome on treatment and covariates in the matched sample, and measured covariates in it.

    Attributes
    ----------
    found
        The regression.
    benchmarks
        Name and strength before matching of each covariate, the one that would move the estimate most first.
    """

    found: Regression
    benchmarks: tuple[tuple[str, Benchmark], ...]


def omitted(fitted: Fitted) -> Omitted | None:
    """Fit the regression that robustness values rest on; None where it does not exist."""
    people, w = fitted.people, fitted.matched.weights
    y, t, X = people.outcome, people.treated.astype(np.float64), people.covariates.X
    after, before = moments(y, t, X, w), moments(y, t, X, np.ones(t.size))
    return omitted_from(after, before, np.array(people.covariates.owner), fitted.options)


def omitted_from(after: Moments, before: Moments, owner: NDArray[np.int64], options: Options) -> Omitted | None:
    """Fit it to second moments of the matched sample, with covariates as strong as they were before.

    Matching makes measured covariates weak with treatment; a hidden one is as strong as these were before.
    """
    try:
        found = regression(after)
    except ValueError:
        return None
    named = []
    for j, covariate in enumerate(options.covariates):
        columns = np.flatnonzero(owner == j)
        strength = benchmark(before, columns) if columns.size else None
        if strength is not None:
            named.append((words_of(covariate), strength))
    named.sort(key=lambda one: left_of(found, one[1]) * np.sign(found.estimate))
    return Omitted(found, tuple(named))


def left_of(found: Regression, strength: Benchmark) -> float:
    """Return what a hidden covariate as strong as a measured one would leave of the estimate."""
    return adjusted_estimate(found, strength.with_treatment, strength.with_outcome)


def robustness(fitted: Facts, told: Omitted | None) -> Diagnostic:
    """Return the robustness value, held against the measured covariates."""
    question = "How strong would an unmeasured covariate have to be to take the difference away?"
    if told is None:
        text = "The covariates explain who was served fully in the matched sample, so no regression can be held up."
        return Diagnostic(name="robustness-value", question=question, verdict="not-applicable", text=text)
    found, alpha = told.found, 1 - fitted.study.inference.level
    ratio = found.estimate / found.std_error
    value, of_interval = robustness_value(ratio, found.df), robustness_value(ratio, found.df, alpha=alpha)
    name, strength = told.benchmarks[0] if told.benchmarks else ("", None)
    left = found.estimate if strength is None else left_of(found, strength)
    text = (
        f"A covariate that explains {_percent(value)} of what is left of both being served and the outcome would bring "
        "the adjusted difference to zero; "
    )
    text += (
        f"{_percent(of_interval)} would bring no difference into the interval."
        if of_interval > 0 else "the interval already includes no difference."
    )  # fmt: skip
    if strength is not None:
        text += (
            f" One as strong as {name} was before people were {fitted.done}, the strongest of those measured, would "
            f"leave {amount_text(fitted, left)} of {amount_text(fitted, found.estimate)}."
        )
    return Diagnostic(
        name="robustness-value", question=question, statistic="partial R² with being served and with the outcome",
        value=value, verdict=_verdict(of_interval, left * found.estimate), text=text,
        reference="Cinelli and Hazlett 2020, doi:10.1111/rssb.12348",
    )  # fmt: skip


def _verdict(of_interval: float, left: float) -> VerdictWord:
    if of_interval == 0:
        return "not-applicable"
    return "pass" if left > 0 else "caution"


def _percent(share: float) -> str:
    return f"{number(100 * share, 1)}%"


def amount_text(fitted: Facts, value: float) -> str:
    """Return an effect in display units."""
    factor, unit = display(fitted)
    return f"{number(factor * value)} {unit}".rstrip()


def e_values(fitted: Facts) -> Diagnostic:
    """Return the E-value of the estimate and of its interval's end nearer to no difference."""
    question = "How closely would something unmeasured have to go with both being served and the outcome?"
    ends = _as_ratio(fitted)
    if ends is None:
        text = "The result has no ratio that may be shown, so there is no E-value."
        return Diagnostic(name="e-value", question=question, verdict="not-applicable", text=text)
    ratio, low, high, how = ends
    of_end = 1.0 if low <= 1 <= high else e_value(low if low > 1 else high)
    text = (
        f"{how} To explain it away, something unmeasured would have to be {number(e_value(ratio), 2)} times as "
        "frequent among the served, and with it the outcome as many times as frequent (or as much rarer). "
    )
    text += (
        "The interval already includes no difference, so nothing is needed to explain it."
        if of_end == 1 else f"For the end of the interval that is nearer to no difference, {number(of_end, 2)} times."
    )  # fmt: skip
    return Diagnostic(
        name="e-value", question=question, statistic="E-value of the estimate", value=e_value(ratio),
        threshold=STRONG_E, verdict="not-applicable" if of_end == 1 else "pass" if of_end >= STRONG_E else "caution",
        text=text, reference="VanderWeele and Ding 2017, doi:10.7326/M16-2607",
    )  # fmt: skip


def _as_ratio(fitted: Facts) -> tuple[float, float, float, str] | None:
    level, effect = fitted.study.inference.level, fitted.main
    if fitted.study.outcome.kind != "continuous":
        ratio = ratio_of_means(effect, level) if fitted.finds_relative else None
        if ratio is None:
            return None
        return ratio.estimate, ratio.low, ratio.high, f"The ratio is {number(ratio.estimate, 2)}."
    spread = fitted.outcome_spread
    if spread <= 0:
        return None
    ratio_of, low, high = standardized_as_ratio(effect.estimate / spread, effect.std_error / spread, level)
    size = number(effect.estimate / spread, 2)
    return ratio_of, low, high, f"The difference is {size} standard deviations, about a ratio of {number(ratio_of, 2)}."


def oster(fitted: Fitted) -> Diagnostic:
    """Return Oster's delta for everybody before matching: how the estimate moves when the covariates enter."""
    people = fitted.people
    t = people.treated.astype(np.float64)
    return oster_from(fitted, moments(people.outcome, t, people.covariates.X, np.ones(t.size)))


def oster_from(fitted: Facts, before: Moments) -> Diagnostic:
    """Return Oster's delta from the second moments of everybody before matching."""
    question = "How much more than the measured covariates would unmeasured ones have to matter?"
    try:
        found = regression(before)
    except ValueError:
        text = "The covariates explain who was served fully, so there is nothing to compare."
        return Diagnostic(name="oster-delta", question=question, verdict="not-applicable", text=text)
    told = oster_delta(found)
    delta = told.delta
    strength = (
        "would have to work against the measured ones" if delta < 0
        else f"would have to matter {number(delta, 2)} times as much as the measured ones"
    )  # fmt: skip
    text = (
        f"Before matching, the difference is {amount_text(fitted, found.short_estimate)} without covariates and "
        f"{amount_text(fitted, found.estimate)} with them, by regression. Unmeasured covariates {strength} to bring "
        f"it to zero, if an R² of {number(told.r2, 2)} can be reached; if they mattered as much, "
        f"{amount_text(fitted, told.adjusted)} would be left."
    )
    return Diagnostic(
        name="oster-delta", question=question, statistic="Oster's δ for a difference of zero",
        value=delta if np.isfinite(delta) else None, threshold=1.0,
        verdict="pass" if delta < 0 or delta >= 1 else "caution", text=text,
        reference="Oster 2019, doi:10.1080/07350015.2016.1227711",
    )  # fmt: skip


def contour(fitted: Facts, told: Omitted | None) -> FigureData | None:
    """Return what a hidden covariate of any strength would leave of the difference, beside the measured covariates."""
    if told is None or told.found.estimate == 0:
        return None
    found, shown = told.found, told.benchmarks[:SHOWN]
    factor, unit = display(fitted)
    value = robustness_value(found.estimate / found.std_error, found.df)
    reach = [value, *(one.with_treatment for _, one in shown)], [value, *(one.with_outcome for _, one in shown)]
    basis = fitted.n_used if fitted.study.counts_people else None
    rows: list[tuple[Cell, ...]] = [
        (name, one.with_treatment, one.with_outcome, factor * left_of(found, one), basis) for name, one in shown
    ]
    kept = sum(left_of(found, one) * found.estimate > 0 for _, one in shown)
    return FigureData(
        key="hidden_covariate", kind="contour", section="checks",
        headline=f"A hidden covariate as strong as {_any_of(len(shown), kept)}",
        subtitle=f"Difference that would be left{f', {unit},' if unit else ''} by how much a hidden covariate explains",
        alt=f"Lines of equal remaining difference over the partial R² of a hidden covariate with being served and with "
        f"the outcome. A covariate with {_percent(value)} of both would bring the difference to zero. "
        + " ".join(
            f"One as strong as {name} would leave {amount_text(fitted, left_of(found, one))}." for name, one in shown
        ),
        columns=(
            Column(key="label", kind="text"), Column(key="with_treatment"), Column(key="with_outcome"),
            Column(key="left"), Column(key="basis", kind="basis", governs=("with_treatment", "with_outcome", "left")),
        ),
        rows=tuple(rows),
        marks={
            "x_label": "Partial R² of the hidden covariate with being served",
            "y_label": "Partial R² with the outcome", "estimate": factor * found.estimate,
            "scale": factor * found.std_error * float(np.sqrt(found.df)),
            "levels": [_level(factor * found.estimate * share) for share in _LEVELS],
            "x_high": min(1.25 * max(reach[0]), 0.95), "y_high": min(1.25 * max(reach[1]), 1.0),
        },
        note=f"By linear regression on the {fitted.done} sample; dots: as strong as a measured covariate was before "
        f"people were {fitted.done}.",
    )  # fmt: skip


def _level(value: float) -> dict[str, Any]:
    return {"x": value, "label": number(value, signed=True) if value else "no difference"}


def _any_of(n: int, kept: int) -> str:
    if n == 0:
        return "a measured one could not be drawn"
    if kept == n:
        return "any measured one would leave the direction as it is"
    return f"{'the' if n == 1 else f'{n - kept} of {n}'} measured {'one' if n == 1 else 'ones'} would turn it around"
