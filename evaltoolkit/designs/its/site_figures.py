"""Figures of many sites."""

from __future__ import annotations

from evaltoolkit.designs.its.display import amount, ratio_text, span, times, unit
from evaltoolkit.designs.its.measures import One
from evaltoolkit.designs.its.site_pooling import SitesFitted, one_of
from evaltoolkit.designs.its.site_rows import shown_sites, site_number
from evaltoolkit.results import Cell, Column, FigureData, level_text, number, plural

_MOST = 28


def figures(fitted: SitesFitted) -> tuple[FigureData, ...]:
    """Return the figures: sites with their mean, the path since the start, other ways to pool."""
    path = event_path(fitted)
    return (forest(fitted), *([] if path is None else [path]), ways(fitted))


def said(fitted: SitesFitted, m: One) -> str:
    """Return an effect with its interval in words."""
    return ratio_text(m) if fitted.ratio else f"{amount(fitted, m, m.estimate, signed=True)} ({span(fitted, m)})"


def _name(fitted: SitesFitted) -> str:
    if fitted.ratio:
        return "Ratio of rates"
    name = f"Average difference in {fitted.study.outcome.name}"
    return f"{name}, {unit(fitted)}" if unit(fitted) else name


def _drawn(fitted: SitesFitted, v: float | None) -> float | None:
    return v if fitted.ratio else times(fitted, v)


def forest(fitted: SitesFitted) -> FigureData:
    """Return the mean, where a further site would lie, and the sites."""
    shown = shown_sites(fitted, _MOST)
    rows: list[tuple[Cell, ...]] = [
        _line(fitted, f"Mean of {fitted.pooled.k:,} sites", fitted.headline, main=True),
        _line(fitted, "A further site", fitted.new_site, main=False),
        *(_line(fitted, fitted.names[i], site_number(fitted, i), main=False) for i in shown),
    ]
    more = len(fitted.names) - len(shown)
    level = level_text(fitted.level)
    return FigureData(
        key="forest_of_sites", kind="forest", section="results", headline=_headline(fitted),
        subtitle=f"{_name(fitted)}, with {level} intervals",
        alt=f"Estimates with {level} intervals: the mean of all sites {said(fitted, fitted.headline)}; a further site "
        f"{said(fitted, fitted.new_site)}; {plural(len(shown), 'site')} one by one, from the lowest effect to the "
        "highest.",
        columns=(
            Column(key="label", kind="text"), Column(key="estimate"), Column(key="low"), Column(key="high"),
            Column(key="main", kind="text"),
        ),
        rows=tuple(rows), marks={"x_label": _name(fitted), "zero": 1 if fitted.ratio else 0, "zero_text": "no change",
                                 "level": fitted.level},
        note="The row of a further site is the prediction interval."
        + (f" {more:,} more sites are not drawn." if more else ""),
    )  # fmt: skip


def _line(fitted: SitesFitted, label: str, m: One, *, main: bool) -> tuple[Cell, ...]:
    return (label, *(_drawn(fitted, v) for v in (m.estimate, m.low, m.high)), main)


def _headline(fitted: SitesFitted) -> str:
    finding = fitted.finding
    if finding.strength == "unclear":
        return "Over all sites, the difference from what was expected is not clear"
    new = fitted.new_site
    null = 1.0 if fitted.ratio else 0.0
    alike = new.low is not None and new.high is not None and not new.low <= null <= new.high
    end = "and a further site would very likely be so too" if alike else "but sites differ"
    return f"Over all sites, the outcome was {finding.higher} than expected, {end}"


def event_path(fitted: SitesFitted) -> FigureData | None:
    """Return the pooled difference by periods since each site's own start; None where it is one number."""
    if len(fitted.path) < 2 or (fitted.fits.names == ("level",)):
        return None
    noun, level = fitted.calendar.noun, level_text(fitted.level)
    numbers = [(e, one_of(p).exp() if fitted.ratio else one_of(p)) for e, p in fitted.path]
    rows: list[tuple[Cell, ...]] = []
    for e, m in numbers:
        values = (m.estimate, m.low, m.high)
        shown = [None if v is None else 100 * (v - 1) if fitted.ratio else times(fitted, v) for v in values]
        rows.append((e, f"{e}" if e == 0 else f"+{e}", *shown, "after"))
    first, last = numbers[0][1], numbers[-1][1]
    named = "Difference in percent" if fitted.ratio else f"Difference in {fitted.study.outcome.name}"
    measured = f"{named}, {unit(fitted)}" if unit(fitted) and not fitted.ratio else named
    return FigureData(
        key="path_over_sites", kind="effect_path", section="results",
        headline=f"Pooled over sites: {_short(fitted, first)} in the first {noun}, {_short(fitted, last)} in {noun} "
        f"{numbers[-1][0] + 1}",
        subtitle=f"{measured}, by {noun}s since each site's own start",
        alt=f"Pooled differences with {level} intervals by {noun}s since each site's own start: first {noun} "
        f"{said(fitted, first)}, last {said(fitted, last)}.",
        columns=(
            Column(key="x"), Column(key="label", kind="text"), Column(key="estimate", signed=True), Column(key="low"),
            Column(key="high"), Column(key="phase", kind="text"),
        ),
        rows=tuple(rows),
        marks={"x_label": f"{noun.capitalize()}s since the start", "y_label": measured, "after_text": "after the start",
               "before_text": "", "boundary": -0.5, "level": fitted.level},
        note=f"Each {noun} is pooled by itself over the sites seen until the last of them.",
    )  # fmt: skip


def _short(fitted: SitesFitted, m: One) -> str:
    if not fitted.ratio:
        return amount(fitted, m, m.estimate, signed=True)
    return f"{number(100 * ((m.estimate or 1) - 1), 0, signed=True)}%"


def ways(fitted: SitesFitted) -> FigureData:
    """Return the headline beside other ways to pool."""
    shown = [("Headline", fitted.tested, True), *((w.label[:1].upper() + w.label[1:], w.found, False)
                                                  for w in fitted.ways)]  # fmt: skip
    up = (fitted.tested.estimate or 0) > 0
    same = sum(((w.found.estimate or 0) > 0) == up for w in fitted.ways)
    plain = [(label, m.exp() if fitted.ratio else m, main) for label, m, main in shown]
    level = level_text(fitted.level)
    return FigureData(
        key="sensitivity", kind="forest", section="results",
        headline=f"{same} of {plural(len(fitted.ways), 'other way', 'other ways')} to pool "
        f"{'points' if same == 1 else 'point'} the same way",
        subtitle=f"{_name(fitted)}, with {level} intervals",
        alt=f"Estimates with {level} intervals, one row each. "
        + "; ".join(f"{label}: {said(fitted, m)}" for label, m, _ in plain) + ".",
        columns=(
            Column(key="label", kind="text"), Column(key="estimate"), Column(key="low"), Column(key="high"),
            Column(key="main", kind="text"),
        ),
        rows=tuple(_line(fitted, label, m, main=main) for label, m, main in plain),
        marks={"x_label": _name(fitted), "zero": 1 if fitted.ratio else 0, "zero_text": "no change",
               "level": fitted.level},
    )  # fmt: skip
