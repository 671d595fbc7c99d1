"""The words of many sites, chosen by the outcome's role and the finding."""

from __future__ import annotations

import math

from evaltoolkit.designs.its.display import amount, percent_text, ratio_text, span, times, unit, what
from evaltoolkit.designs.its.rows import MODELS
from evaltoolkit.designs.its.shape_words import changes_text, phase_text_of_sites
from evaltoolkit.designs.its.site_accounts import assumptions, errors_text, limits, methods, references
from evaltoolkit.designs.its.site_figures import said
from evaltoolkit.designs.its.site_pooling import SitesFitted
from evaltoolkit.designs.its.wording import supports
from evaltoolkit.results import (
    Estimand,
    Finding,
    Statements,
    Tile,
    far_end,
    interval,
    level_text,
    number,
    plural,
    role_words,
    unclear_note,
)

_DIFFER = "Asking what the sites with larger and with smaller changes did differently."


def estimand(fitted: SitesFitted) -> Estimand:
    """Return what is estimated, in symbols and words."""
    if fitted.ratio:
        return Estimand(
            symbol="exp(E[θᵢ]), θᵢ = mean of log E[Y(1)]/E[Y(0)], t ≥ T₀ᵢ",
            words="the typical (geometric mean) ratio, over sites, of what was expected with the program to what a "
            "site's past leads one to expect without it, over the periods since its start",
        )
    return Estimand(
        symbol="E[θᵢ], θᵢ = mean of E[Y(1) − Y(0)], t ≥ T₀ᵢ",
        words="the mean over sites of the average difference, over the periods since a site's start, from what its "
        "past leads one to expect",
    )


def statements(fitted: SitesFitted) -> Statements:
    """Return every sentence that the report prints."""
    finding = fitted.finding
    series = fitted.sites.series
    first, last = min(int(s.steps[0]) for s in series), max(int(s.steps[-1]) for s in series)
    return Statements(
        bottom_line=_bottom_line(fitted, finding), tile=_tile(fitted),
        supports=supports(finding, fitted.study.outcome.better, _DIFFER),
        does_not_show=_does_not_show(fitted, finding), design_name="Interrupted time series at many sites",
        plain=_plain(finding), how_we_know=_how_we_know(fitted), approach=_approach(fitted),
        findings=_findings(fitted), assumptions=assumptions(), methods=methods(fitted), limits=limits(fitted),
        references=references(),
        study_period=f"{fitted.calendar.label(first)} to {fitted.calendar.label(last)}", comparison="many-series",
    )  # fmt: skip


def _each(fitted: SitesFitted) -> str:
    return f" a {fitted.calendar.noun}" if fitted.study.outcome.kind == "rate" and not fitted.ratio else ""


def _bottom_line(fitted: SitesFitted, finding: Finding) -> str:
    program, m, k = fitted.study.program_name, fitted.headline, fitted.pooled.k
    if finding.strength == "unclear":
        best = f"{number(m.estimate, 2)} times what was expected" if fitted.ratio else (
            f"{amount(fitted, m, m.estimate, signed=True)}{_each(fitted)}"
        )  # fmt: skip
        fits = f", and the data also fit {_range(fitted)}" if m.low is not None else ""
        return (
            f"It is not yet clear whether {program} changed {what(fitted)} at the {k:,} sites. The best estimate is "
            f"{best}{fits}."
        )
    size = _size(fitted)
    did = (
        f"After {program} began, {what(fitted)} was about {size}{_each(fitted)} {finding.higher} at a typical one of "
        f"{k:,} sites than its past leads one to expect"
    )
    if finding.strength == "small":
        return f"{did}. This may be a small change, less than the smallest effect that matters."
    return f"{did}."


def _size(fitted: SitesFitted) -> str:
    if fitted.ratio:
        return f"{percent_text(abs(fitted.tested.percent().estimate or 0))} percent"
    return amount(fitted, fitted.headline, abs(fitted.headline.estimate or 0))


def _range(fitted: SitesFitted) -> str:
    m = fitted.headline
    return f"{interval(m.low, m.high, 2)} times" if fitted.ratio else f"a difference of {span(fitted, m)}"


def _tile(fitted: SitesFitted) -> Tile:
    m, level = fitted.headline, level_text(fitted.level)
    sites = f"at a typical one of {fitted.pooled.k:,} sites"
    if fitted.ratio:
        return Tile(
            kicker=fitted.study.outcome.name, number=f"{number(m.estimate, 2)}×",
            meaning=f"as many as the past leads one to expect, {sites}",
            interval=f"{level} CI {interval(m.low, m.high, 2)}",
        )  # fmt: skip
    direction = "lower" if (m.estimate or 0) < 0 else "higher"
    return Tile(
        kicker=fitted.study.outcome.name, number=number(times(fitted, m.estimate), signed=True),
        meaning=f"{unit(fitted)}, {direction} than expected, {sites}".lstrip(", "),
        interval=f"{level} CI {span(fitted, m)}",
    )  # fmt: skip


def _does_not_show(fitted: SitesFitted, finding: Finding) -> tuple[str, ...]:
    lines = [
        role_words(fitted.study.outcome.role).caveat,
        "Every site had the program in the end: what changed everywhere at about the same time is part of the result.",
    ]
    m = fitted.tested
    if finding.strength == "unclear":
        end = far_end(m.low, m.high, fitted.study.outcome.better)
        size = "" if end is None else _end_size(fitted, end)
        lines.append(unclear_note(end, size))
    return tuple(lines)


def _end_size(fitted: SitesFitted, end: float) -> str:
    if fitted.ratio:
        return f"{percent_text(abs(100 * math.expm1(end)))} percent"
    return amount(fitted, fitted.headline, abs(end))


def _plain(finding: Finding) -> str:
    end = {
        "clear": f"Over all sites it came out {finding.higher} than that.",
        "small": f"Over all sites it came out a little {finding.higher} than that.",
        "unclear": "Over all sites it came out too close to that to tell apart.",
    }[finding.strength]
    return (
        "At each site we looked at how this measure moved before the program began there, and carried that course "
        f"forward. Then we looked at what really happened, and took the sites together. {end}"
    )


def _how_we_know(fitted: SitesFitted) -> str:
    starts = [s.starts[0] for s in fitted.sites.series]
    low, high = (fitted.calendar.label(v) for v in (min(starts), max(starts)))
    when = f"in {low}" if low == high else f"between {low} and {high}, at each site in its own time"
    return (
        f"There are {plural(fitted.pooled.k, 'site')} with a series each. The program began {when}. The course of a "
        "site before its start stands for what would have happened there without the program."
    )


def _approach(fitted: SitesFitted) -> tuple[str, ...]:
    options, series = fitted.options, fitted.sites.series[int(fitted.fits.kept[0])]
    seasons = " Seasons are part of each model." if options.season is not None else ""
    exposure = " The size of the population is taken into account." if series.exposure is not None else ""
    return (
        f"Each site has its own model, a {MODELS[options.family]} with a trend; at its start the course may change "
        f"{changes_text(series, options)}.{phase_text_of_sites(series)}{seasons}{exposure}",
        f"The intervals of a site rest on: {errors_text(fitted)}. Sites are pooled by random effects, which let each "
        "site have its own effect." if options.pooling != "common-effect" else
        f"The intervals of a site rest on: {errors_text(fitted)}. Sites are pooled as if all had the same effect.",
    )  # fmt: skip


def _findings(fitted: SitesFitted) -> tuple[str, ...]:
    level = level_text(fitted.level)
    lines = []
    if fitted.ratio:
        lines.append(
            f"The typical ratio to what was expected is {ratio_text(fitted.headline)} ({level} interval in brackets)."
        )
    else:
        lines.append(f"The mean difference over sites is {said(fitted, fitted.headline)} ({level} interval).")
    new = fitted.new_site
    around = f"{interval(new.low, new.high, 2)} times" if fitted.ratio else span(fitted, new)
    lines.append(f"A further site of this kind would lie between {around.replace(' to ', ' and ')}.")
    return tuple(lines)
