"""Estimate rows and tables of many sites."""

from __future__ import annotations

from typing import Any

import numpy as np

from evaltoolkit.designs.its.display import digits, measure, times
from evaltoolkit.designs.its.measures import One
from evaltoolkit.designs.its.rows import MODELS
from evaltoolkit.designs.its.site_pooling import POOLING_WORDS, SitesFitted, one_of
from evaltoolkit.results import Cell, Column, Estimate, TableData, interval, number
from evaltoolkit.results.numbers import digits_for
from evaltoolkit.results.types import RATE_RATIO, EstimateKind, Standing

MOST_SITES = 200
"""Sites that have a row of their own in the result; a researcher finds all of them in the sample's products."""


_MOST_HIDDEN = 20


def estimates(fitted: SitesFitted) -> tuple[Estimate, ...]:
    """Return the pooled effect first, then its other forms, other ways to pool, and the sites."""
    term = RATE_RATIO if fitted.ratio else "average"
    rows = [_row(fitted, fitted.headline, kind="average", term=term, standing="primary")]
    if fitted.ratio:
        percent = fitted.tested.percent()
        rows.append(_row(fitted, percent, kind="percent", term="relative change", standing="primary"))
    new = f"{RATE_RATIO}: a further site" if fitted.ratio else "a further site"
    rows.append(_row(fitted, fitted.new_site, kind="average", term=new, standing="secondary"))
    for name, pooled in fitted.changes.items():
        kind: EstimateKind = "level" if name.startswith("level") else "slope" if name.startswith("slope") else (
            "coefficient"
        )  # fmt: skip
        rows.append(_row(fitted, one_of(pooled), kind=kind, term=name, standing="exploratory"))
    for e, pooled in fitted.path:
        m = one_of(pooled).exp() if fitted.ratio else one_of(pooled)
        term = f"{RATE_RATIO}: {e} since the start" if fitted.ratio else f"{e} since the start"
        rows.append(_row(fitted, m, kind="event-time", term=term, standing="exploratory", event_time=e))
    for way in fitted.ways:
        m = way.found.exp() if fitted.ratio else way.found
        label = f"{RATE_RATIO}: {way.label}" if fitted.ratio else way.label
        rows.append(_row(fitted, m, kind="variant", term=label, standing="sensitivity", estimator=way.label))
    return (*rows, *_together(fitted), *_sites(fitted))


def _row(
    fitted: SitesFitted, m: One, *, kind: EstimateKind, term: str, standing: Standing, estimator: str = "",
    **place: Any,
) -> Estimate:  # fmt: skip
    outcome, fits = fitted.study.outcome, fitted.fits
    inference = "normal" if m.df is None else f"t({m.df:g})"
    return Estimate(
        term=term, kind=kind, estimand="change after the interruption, mean of sites", outcome=outcome.name,
        outcome_role=outcome.role, estimate=m.estimate, std_error=m.std_error, conf_low=m.low, conf_high=m.high,
        p_value=m.p_value, df=m.df, n_obs=sum(model.steps.size for model in fits.models), n_units=fits.kept.size,
        estimator=estimator or f"{MODELS[fitted.options.family]} by site, {POOLING_WORDS[fitted.options.pooling]}",
        inference=f"Hartung-Knapp, {inference}" if not estimator else inference, standing=standing, **place,
    )  # fmt: skip


def _together(fitted: SitesFitted) -> list[Estimate]:
    """Return the coefficients of the regressions of all sites."""
    rows = []
    for way in fitted.together:
        for j, name in enumerate(way.names):
            if name not in {"trend", *fitted.fits.names}:
                continue
            value, error, low, high, p = way.number(np.eye(len(way.names))[j], fitted.level)
            m = One(value, error, low, high, p, None if way.df is None else float(way.df))
            rows.append(_row(fitted, m, kind="coefficient", term=f"{name}: {way.label}", standing="exploratory",
                             estimator=way.label))  # fmt: skip
    return rows


def site_number(fitted: SitesFitted, i: int) -> One:
    """Return the effect of one site, as a ratio for counts."""
    f = fitted.fits
    m = One(
        float(f.estimate[i]), float(f.std_error[i]), float(f.low[i]), float(f.high[i]), float(f.p_value[i]),
        float(f.models[i].df),
    )  # fmt: skip
    return m.exp() if fitted.ratio else m


def _sites(fitted: SitesFitted) -> list[Estimate]:
    if len(fitted.names) > MOST_SITES:
        return []
    hidden = fitted.hidden
    rows = []
    for i, name in enumerate(fitted.names):
        if hidden[i]:
            continue
        m = site_number(fitted, i)
        term = f"{RATE_RATIO}: {name}" if fitted.ratio else name
        row = _row(fitted, m, kind="subgroup", term=term, standing="exploratory", estimator="own model",
                   subgroup=name)  # fmt: skip
        rows.append(row)
    return rows


def tables(fitted: SitesFitted) -> tuple[TableData, ...]:
    """Return the tables: effects, other ways to pool, sites."""
    return (_effects(fitted), _other_ways(fitted), _changes(fitted), _site_table(fitted))


def _cells(fitted: SitesFitted, m: One) -> tuple[Cell, ...]:
    """Return an effect as text, with its interval and p-value."""
    if fitted.ratio:
        return number(m.estimate, 2), interval(m.low, m.high, 2), m.p_value
    places = digits(fitted, m)
    value, low, high = (times(fitted, v) for v in (m.estimate, m.low, m.high))
    return number(value, places, signed=True), interval(low, high, places), m.p_value


def _plain_cells(m: One) -> tuple[Cell, ...]:
    """Return a coefficient as text, on the scale of the model."""
    width = None if m.low is None or m.high is None else m.high - m.low
    places = max((digits_for(v) for v in (m.estimate, width) if v), default=1)
    return number(m.estimate, places, signed=True), interval(m.low, m.high, places), m.p_value


def _columns(fitted: SitesFitted, first: str) -> tuple[Column, ...]:
    return (
        Column(key="what", label=first, kind="text"), Column(key="estimate", label="Estimate", kind="text"),
        Column(key="interval", label=f"{100 * fitted.level:g}% interval", kind="text"),
        Column(key="p_value", label="p", kind="p-value"),
    )  # fmt: skip


def _name(fitted: SitesFitted) -> str:
    return "Ratio to what was expected" if fitted.ratio else measure(fitted)


def _effects(fitted: SitesFitted) -> TableData:
    named: list[tuple[Cell, ...]] = [
        ("Mean over sites", *_cells(fitted, fitted.headline)),
        ("Where a further site would lie", *_cells(fitted, fitted.new_site)),
    ]
    p = fitted.pooled
    spread = number(float(np.sqrt(p.tau2)), 2)
    scale = " (of the log ratio)" if fitted.ratio else ""
    return TableData(
        key="effects", title="What changed after the start, over all sites", subtitle=_name(fitted),
        columns=_columns(fitted, "Effect"), rows=tuple(named), main_rows=(0,),
        note=f"{p.k:,} sites. Standard deviation of effects between sites: {spread}{scale}; share of the spread of "
        f"estimates that lies between sites (I²): {p.i2:.0f}%.",
    )  # fmt: skip


def _other_ways(fitted: SitesFitted) -> TableData:
    return TableData(
        key="other_ways", title="The same effect, pooled in other ways", subtitle=_name(fitted),
        columns=_columns(fitted, "Way"),
        rows=tuple(
            (way.label[:1].upper() + way.label[1:], *_cells(fitted, way.found.exp() if fitted.ratio else way.found))
            for way in fitted.ways
        ),
        note="Regressions of all sites count every site's trend before the start as one, or leave out that "
        "neighbouring periods resemble one another; their intervals are shown for comparison.",
    )  # fmt: skip


def _changes(fitted: SitesFitted) -> TableData:
    scale = "On the log scale. " if fitted.ratio else ""
    return TableData(
        key="changes", title="Each change of the model, pooled", section="methods", columns=_columns(fitted, "Change"),
        rows=tuple(
            (name.capitalize(), *_plain_cells(one_of(pooled)))
            for name, pooled in fitted.changes.items()
        ),
        note=f"{scale}Level: the change at the start, at once. Slope: the change in the trend per period.",
    )  # fmt: skip


def _site_table(fitted: SitesFitted) -> TableData:
    hidden = np.flatnonzero(fitted.hidden).tolist()[:_MOST_HIDDEN]
    shown = [*shown_sites(fitted), *hidden]
    rows: list[tuple[Cell, ...]] = []
    for i in shown:
        model, m = fitted.fits.models[i], site_number(fitted, i)
        value, span, p = _cells(fitted, m)
        before = int((~model.after).sum())
        start = fitted.calendar.label(fitted.sites.series[int(fitted.fits.kept[i])].starts[0])
        rows.append((fitted.names[i], start, before, int(model.after.sum()), value, span, p,
                     1 if i in hidden else None))  # fmt: skip
    more = len(fitted.names) - len(shown)
    left = f" {more:,} sites are not listed; those listed stand in equal steps from lowest to highest." if more else ""
    noun = fitted.calendar.noun
    return TableData(
        key="sites", title="The sites", subtitle=_name(fitted), section="methods",
        columns=(
            Column(key="site", label="Site", kind="text"), Column(key="start", label="Start", kind="text"),
            Column(key="before", label=f"{noun.capitalize()}s before", kind="count"),
            Column(key="after", label="After", kind="count"), Column(key="estimate", label="Estimate", kind="text"),
            Column(key="interval", label=f"{100 * fitted.level:g}% interval", kind="text"),
            Column(key="p_value", label="p", kind="p-value"),
            Column(key="basis", kind="basis", governs=("estimate", "interval", "p_value")),
        ),
        rows=tuple(rows), note=f"Each site by its own model.{left}",
    )  # fmt: skip


def shown_sites(fitted: SitesFitted, most: int = 60) -> list[int]:
    """Return the sites that are listed, from the lowest effect to the highest; in equal steps where there are more."""
    open_ = np.flatnonzero(~fitted.hidden)
    order = open_[np.argsort(fitted.fits.estimate[open_], kind="stable")]
    if order.size > most:
        order = order[np.unique(np.linspace(0, order.size - 1, most).round().astype(np.int64))]
    return [int(i) for i in order]
