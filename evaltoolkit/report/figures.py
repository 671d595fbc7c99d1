"""Which figures stand where, and the figures that the report itself makes from estimates and flow."""

from __future__ import annotations

from collections.abc import Sequence

from evaltoolkit.plots.tidy import decimals
from evaltoolkit.report.blocks import Picture
from evaltoolkit.report.record import Unit, level_of, seen, unit_of
from evaltoolkit.results import Column, Estimate, FigureData, Result, interval, level_text, number, plural

_LEADS = ("series", "effect_path", "forest", "love", "trajectories", "overlap", "decomposition", "flow")


def lead_figure(result: Result) -> FigureData | None:
    """Return the figure of page 1: relative effects of all outcomes where there are several, else the main figure."""
    relative = [e for e in result.estimates if e.kind == "percent" and e.standing in {"primary", "secondary"}]
    relative = [e for e in relative if e.estimate is not None]
    if len({e.outcome for e in relative}) > 1 and result.headline.estimate is not None:
        return _outcomes(relative, result)
    found = [f for f in result.figures if f.section == "results" and f.kind in _LEADS]
    return min(found, key=lambda f: _LEADS.index(f.kind), default=None)


def _outcomes(estimates: Sequence[Estimate], result: Result) -> FigureData:
    level = level_text(level_of(result))
    return FigureData(
        key="outcomes",
        kind="forest",
        headline=f"The estimated change in {plural(len(estimates), 'outcome')}",
        subtitle=f"Percent change with its {level} confidence interval. Hollow: the interval includes no change.",
        alt=_alt("Percent changes", [(e.outcome, e) for e in estimates], Unit()),
        columns=_FOREST,
        rows=tuple(
            (e.outcome, "main outcome" if e.standing == "primary" else "further outcome", e.estimate, e.conf_low,
             e.conf_high, e.standing == "primary")
            for e in estimates
        ),
        marks={
            "zero": 0, "zero_text": "no change", "level": level_of(result), "unit": "%", "x_label": "Percent change",
        },
    )  # fmt: skip


_FOREST = (
    Column(key="label", kind="text"),
    Column(key="detail", kind="text"),
    Column(key="estimate"),
    Column(key="low"),
    Column(key="high"),
    Column(key="main"),
)


def sensitivity_figure(result: Result) -> FigureData | None:
    """Return the main result beside the other analyses of the same quantity."""
    others = [e for e in result.estimates if _other_analysis(e, result.headline)]
    if not others or result.headline.estimate is None or _drawn_already(others, result):
        return None
    named = [("Main analysis", result.headline), *((_analysis(e, result.headline), e) for e in others)]
    unit = unit_of(result.headline, result)
    measure = ", percentage points" if unit.factor != 1 else ""
    return FigureData(
        key="other_analyses",
        kind="forest",
        headline=agreement(result),
        subtitle=f"{result.headline.outcome}{measure}: estimate with its {level_text(level_of(result))} confidence "
        "interval. Hollow: the interval includes no change.",
        alt=_alt("Estimates", named, unit),
        columns=_FOREST,
        rows=tuple(
            (
                name,
                e.estimator if name != e.estimator else "",
                *(unit.times(v) for v in (e.estimate, e.conf_low, e.conf_high)),
                e is result.headline,
            )
            for name, e in named
        ),
        marks={"zero": result.headline.null, "zero_text": "no change", "level": level_of(result)},
    )


def _analysis(e: Estimate, headline: Estimate) -> str:
    return e.estimator if e.estimator and e.term == headline.term else e.term.replace("_", " ")


def _drawn_already(others: Sequence[Estimate], result: Result) -> bool:
    """Return whether a forest of the design shows the same numbers."""
    unit = unit_of(result.headline, result)
    wanted = {tuple(unit.times(v) for v in (e.estimate, e.conf_low, e.conf_high)) for e in others}
    drawn = {
        tuple(row[[c.key for c in f.columns].index(key)] for key in ("estimate", "low", "high"))
        for f in result.figures
        if f.kind == "forest"
        for row in f.rows
    }
    return wanted <= drawn


def agreement(result: Result) -> str:
    """Return how many other analyses point the same way, as a sentence without a stop; empty where there are none."""
    others = [e for e in result.estimates if _other_analysis(e, result.headline)]
    if not others or result.headline.estimate is None:
        return ""
    agree = sum(_same_way(e, result.headline) for e in others)
    if len(others) == 1:
        return f"The other analysis points {'the same way' if agree else 'the other way'}"
    return f"{agree} of {len(others)} other analyses point the same way"


def _same_way(e: Estimate, headline: Estimate) -> bool:
    known = e.estimate is not None and headline.estimate is not None
    return known and (e.estimate > e.null) == (headline.estimate > headline.null)  # type: ignore[operator]


def _other_analysis(e: Estimate, headline: Estimate) -> bool:
    same = e.outcome == headline.outcome and e.kind in {headline.kind, "variant", "overall", "average"}
    return same and (e.standing == "sensitivity" or e.kind == "variant")


def flow_figure(result: Result) -> FigureData | None:
    """Return the way from the data to the analysis sample as a figure."""
    steps = result.flow
    if not steps:
        return None
    first, last = steps[0], steps[-1]
    enter = ""
    if last.n is not None:
        of = f" of {first.n:,}" if first.n is not None and first.unit == last.unit else ""
        enter = f"{last.n:,}{of} {last.unit} {'enters' if last.n == 1 else 'enter'} the analysis"
    parts = [
        f"{s.label}: {_count(s.n)} {s.unit}" + (f", {_count(s.excluded)} left out" if s.excluded else "") for s in steps
    ]
    return FigureData(
        key="flow",
        kind="flow",
        headline=enter or "How the analysis sample was made",
        subtitle="Each step, and what was left out at it",
        alt="From the data to the analysis sample. " + ". ".join(parts) + ".",
        note="A number marked as hidden is protected by the small-cell rule." if _hidden_in_flow(result) else "",
        columns=tuple(
            Column(key=k, kind="text" if k in {"label", "unit", "reason"} else "number")
            for k in ("label", "n", "excluded", "unit", "reason", "treated", "comparison")
        ),
        rows=tuple((s.label, s.n, s.excluded, s.unit, s.reason, s.treated, s.comparison) for s in steps),
        marks={"split_hidden": "yes"} if _split_hidden(result) else {},
    )  # fmt: skip


def _count(n: int | None) -> str:
    return "a hidden number of" if n is None else f"{n:,}"


def _hidden_in_flow(result: Result) -> bool:
    return any(h.path.startswith("flow/") for h in result.disclosure.hidden)


def _split_hidden(result: Result) -> bool:
    last = f"flow/{len(result.flow) - 1}/"
    return {f"{last}treated", f"{last}comparison"} <= {h.path for h in result.disclosure.hidden}


def picture(figure: FigureData, result: Result) -> Picture:
    """Return a figure with its words; says how many of its values are hidden."""
    hidden = sum(h.path.startswith(f"figures/{figure.key}/") for h in result.disclosure.hidden)
    said = f"{plural(hidden, 'value')} hidden to protect small groups." if hidden else ""
    return Picture(
        figure=figure,
        headline=seen(figure.headline, figure.kind.replace("_", " ").capitalize()),
        subtitle=figure.subtitle,
        note=" ".join(part for part in (figure.note, said) if part),
        alt=seen(figure.alt, figure.headline, figure.kind.replace("_", " ").capitalize()),
    )


def _alt(what: str, named: Sequence[tuple[str, Estimate]], unit: Unit) -> str:
    parts = []
    for name, e in named:
        shown, low, high = (unit.times(v) for v in (e.estimate, e.conf_low, e.conf_high))
        digits = decimals(shown, low, high)
        span = f", interval {interval(low, high, digits)}" if low is not None else ""
        value = number(shown, digits, signed=not e.is_ratio) if shown is not None else "not shown"
        parts.append(f"{name} {value}{span}")
    return f"{what} with intervals. " + "; ".join(parts) + "."
