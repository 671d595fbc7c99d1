"""Checks at other dates: earlier dates, where the data put the break, and the effect without each period."""

from __future__ import annotations

from typing import Final

import numpy as np

from evaltoolkit.designs.its.dated import SUPPORT, Dated, Placebos
from evaltoolkit.designs.its.display import digits, times, unit
from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.designs.its.working import INDEPENDENT
from evaltoolkit.results import Column, Diagnostic, FigureData, TableData, number, plural

MANY_FALSE: Final = 0.2
SIGN: Final = 0.05
"""Level of the clearest earlier date, its p-value times the number of dates."""
FEWEST_PLACEBOS: Final = 5
CLEAR: Final = 0.1
NEAR: Final = 0.03
"""Share of the periods by which a likely date may miss the start."""
_BERNAL = "Lopez Bernal, Cummins and Gasparrini 2017, doi:10.1093/ije/dyw098"


def placebo_check(fitted: Fitted, dated: Dated) -> Diagnostic:
    """Return whether changes are found at earlier dates, and how many are as clear as the one at the start."""
    question = "Does the method find changes before the start, where there was no program?"
    found = dated.placebos
    if found is None or found.dates.size < FEWEST_PLACEBOS:
        text = "There are too few periods before the start to try it."
        return Diagnostic(name="placebo-dates", question=question, verdict="not-applicable", text=text)
    m = found.dates.size
    share = found.sure / m
    sharp = m * float(found.found.p_value.min()) < SIGN
    many = share > MANY_FALSE or sharp
    at = fitted.series.calendar.label(int(found.dates[int(found.found.p_value.argmin())]))
    text = (
        f"A change of level was sought at {plural(m, 'earlier date')} and found at {found.sure} (p below 0.05). "
        f"{'None is' if found.as_clear == 0 else plural(found.as_clear, 'is', 'are')} as clear as the change at the "
        "start. "
        + ("The course before the start was not steady; the change at the start may be one of several."
           if many else "The course before the start was steady enough.")
        + (f" The clearest is at {at}." if sharp else "")
        + tried_words(fitted)
    )  # fmt: skip
    return Diagnostic(
        name="placebo-dates", question=question, statistic="share of earlier dates with a change", value=share,
        threshold=MANY_FALSE, verdict="caution" if many else "pass", text=text, reference=_BERNAL,
    )  # fmt: skip


def rank_check(dated: Dated) -> Diagnostic | None:
    """Return the place of the change at the start among those at earlier dates."""
    found = dated.placebos
    if found is None or found.dates.size < FEWEST_PLACEBOS:
        return None
    share = found.rank_p
    clear = share <= CLEAR
    return Diagnostic(
        name="placebo-rank", question="Does the change at the start stand out among earlier dates?",
        statistic="share of dates with a change as clear", value=share, threshold=CLEAR,
        verdict="pass" if clear else "caution",
        text=f"Had the start been one of the {found.dates.size + 1:,} dates by lot, a change as clear would be seen "
        f"with a chance of {number(share, 2)}. Neighbouring dates share most of their data, so this is a rank and not "
        "a strict test.",
        reference="Abadie, Diamond and Hainmueller 2015, doi:10.1111/ajps.12116",
    )  # fmt: skip


def break_date_check(fitted: Fitted, dated: Dated) -> Diagnostic | None:
    """Return whether the data, not told the start, would put the break there."""
    found = dated.break_date
    if found is None:
        return None
    start, label = fitted.series.starts[0], fitted.series.calendar.label
    likely = found.likely
    inside = bool((likely == start).any())
    wide = likely.size > found.dates.size / 2
    ends = f"the earliest {label(int(likely[0]))} and the latest {label(int(likely[-1]))}"
    where = label(int(likely[0])) if likely.size == 1 else ends
    text = (
        f"Not told the start, the data put a single break at {label(found.best)}; the likely dates "
        f"({100 * SUPPORT:.0f} percent of the support) are {likely.size:,} of {found.dates.size:,}, {where}. "
    )
    off = int(likely[int(np.abs(likely - start).argmin())]) - start
    near = 0 < abs(off) <= max(1, round(NEAR * fitted.model.steps.size))
    when = f"{plural(abs(off), fitted.series.calendar.noun)} {'after' if off > 0 else 'before'} the start"
    if wide:
        text += "They do not tell one date from another."
    elif inside:
        text += "The start is among them."
    else:
        text += f"The nearest is {when}{': near enough.' if near else '; look for what else happened.'}"
    return Diagnostic(
        name="break-date", question="Would the data put the break where the program began?",
        statistic="support for the start's own date", value=float(found.chances[found.dates == start][0]),
        verdict="pass" if inside or near else "caution", text=text,
        reference="Bai and Perron 2003, doi:10.1002/jae.659",
    )  # fmt: skip


def left_out_check(fitted: Fitted, dated: Dated) -> Diagnostic | None:
    """Return how far the headline moves when one period is left out."""
    found = dated.left_out
    whole, error = fitted.tested.estimate, fitted.tested.std_error
    if found is None or whole is None or not error:
        return None
    known = found[np.isfinite(found)]
    low, high = float(known.min()), float(known.max())
    turns = low < 0 < high
    far = max(high - whole, whole - low) > error
    return Diagnostic(
        name="leave-one-period-out", question="Does the result rest on a single period?",
        statistic="largest move in standard errors", value=max(high - whole, whole - low) / error, threshold=1.0,
        verdict="caution" if turns or far else "pass",
        text=f"Without one {fitted.series.calendar.noun} at a time, the headline lies between "
        f"{_span(fitted, low, high)}. "
        + ("Its direction rests on one of them." if turns else "It moves by more than its standard error."
           if far else "No single one decides it."),
    )  # fmt: skip


def _span(fitted: Fitted, low: float, high: float) -> str:
    if fitted.ratio:
        return f"{number(float(np.exp(low)), 2)} and {number(float(np.exp(high)), 2)}"
    places = digits(fitted, fitted.tested)
    ends = [number(times(fitted, v), places, signed=True) for v in (low, high)]
    return f"{ends[0]} and {ends[1]} {unit(fitted)}".rstrip()


def placebo_figure(fitted: Fitted, dated: Dated) -> FigureData | None:
    """Return the change of level at each earlier date and at the start."""
    found = dated.placebos
    if found is None or found.dates.size < FEWEST_PLACEBOS:
        return None
    label, start = fitted.series.calendar.label, fitted.series.starts[0]
    shown = [_bar(fitted, found, i) for i in range(found.dates.size)]
    rows = [(int(d), label(int(d)), *bar, "before") for d, bar in zip(found.dates, shown, strict=True)]
    rows.append((start, label(start), *_bar(fitted, found, None), "after"))
    named = _measured(fitted)
    as_clear = found.as_clear
    return FigureData(
        key="placebo_dates", kind="effect_path", section="checks",
        headline="No earlier date has a change as clear as the one at the start" if as_clear == 0 else
        f"{plural(as_clear, 'earlier date has', 'earlier dates have')} a change as clear as the one at the start",
        subtitle=f"{named} if the start had been then; the last point is the start itself",
        alt=f"Change of level at {plural(found.dates.size, 'date')} before the start and at the start "
        f"({label(start)}), with bars of two standard errors. {found.sure} of the earlier dates have a change by their "
        f"own test; {as_clear} are as clear as the start's.",
        columns=(
            Column(key="x"), Column(key="label", kind="text"), Column(key="estimate", signed=True), Column(key="low"),
            Column(key="high"), Column(key="phase", kind="text"),
        ),
        rows=tuple(rows),
        marks={
            "x_label": "First period with the change", "y_label": named, "before_text": "before the start",
            "after_text": "", "boundary": start - 0.5, "level": fitted.level,
        },
        note="Bars: two standard errors. Earlier dates use the periods before the start only; a level change alone.",
    )  # fmt: skip


def _bar(fitted: Fitted, found: Placebos, i: int | None) -> tuple[float, float, float]:
    source = found.own if i is None else found.found
    estimate, error = float(source.estimate[i or 0]), float(source.std_error[i or 0])
    values = (estimate, estimate - 2 * error, estimate + 2 * error)
    if fitted.ratio:
        a, b, c = (100 * float(np.expm1(v)) for v in values)
    else:
        a, b, c = (float(times(fitted, v) or 0.0) for v in values)
    return a, b, c


def _measured(fitted: Fitted) -> str:
    name = fitted.study.outcome.name
    if fitted.ratio:
        return f"Change in {name}, percent"
    return f"Change in {name}" + (f", {unit(fitted)}" if unit(fitted) else "")


def break_table(fitted: Fitted, dated: Dated) -> TableData | None:
    """Return the tests of a break at an unknown date, and the dates that Schwarz's criterion keeps."""
    found = dated.break_tests
    if found is None:
        return None
    label = fitted.series.calendar.label
    several = (
        "" if found.several is None else " By Schwarz's criterion the trend is straight throughout (Bai and Perron)."
        if not found.several else " By Schwarz's criterion the trend breaks at "
        f"{', '.join(label(s) for s in found.several)} (Bai and Perron)."
    )  # fmt: skip
    return TableData(
        key="unknown_break", title="Tests of a break at a date that is not known", section="methods",
        columns=(
            Column(key="test", label="Test", kind="text"), Column(key="statistic", label="Statistic", digits=2),
            Column(key="p_value", label="p", kind="p-value"),
        ),
        rows=found.tests,
        note=f"Of a straight trend (seasons taken out), 15 percent of the periods left on either side; the largest "
        f"statistic is at {label(found.best)}.{several} These tests take neighbouring periods as unrelated and find "
        "breaks too often where they are not, and with a straight trend in about 9 of 100 steady series; the check of "
        "the break's date allows for both.",
    )  # fmt: skip


def tried_words(fitted: Fitted) -> str:
    """Return how errors were dealt with at other dates, where it differs from the study's own way."""
    own = fitted.options.errors
    return "" if own in {"marginal-ar1", *INDEPENDENT} else " At other dates the errors are averaged over an AR(1)."
