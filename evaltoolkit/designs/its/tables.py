"""Tables of an interrupted time series."""

from __future__ import annotations

from evaltoolkit.designs.its import control_results
from evaltoolkit.designs.its.by_interruption import added
from evaltoolkit.designs.its.date_checks import break_table
from evaltoolkit.designs.its.dated import Dated
from evaltoolkit.designs.its.display import measure, times
from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.designs.its.residuals import Residuals
from evaltoolkit.designs.its.rows import EXPECTED, OUTCOMES
from evaltoolkit.results import Cell, Column, Estimate, TableData, interval, number
from evaltoolkit.results.numbers import digits_for


def tables(fitted: Fitted, rows: tuple[Estimate, ...], residuals: Residuals, dated: Dated) -> tuple[TableData, ...]:
    """Return the tables: effects, other models, coefficients, residuals, a break at an unknown date."""
    found = [effects(fitted, rows), coefficients(fitted, rows), residual_tests(residuals), autocorrelations(residuals)]
    breaks = break_table(fitted, dated)
    found += [] if breaks is None else [breaks]
    if fitted.variants:
        found.insert(1, other_models(fitted, rows))
    if len(fitted.series.starts) > 1:
        found.insert(1, by_interruption(fitted, rows))
    return (*found, *control_results.tables(fitted))


def _columns(fitted: Fitted, first: str, *more: Column) -> tuple[Column, ...]:
    return (
        Column(key="what", label=first, kind="text"), Column(key="estimate", label="Estimate", kind="text"),
        Column(key="std_error", label="Standard error", kind="text"),
        Column(key="interval", label=f"{100 * fitted.level:g}% interval", kind="text"),
        Column(key="p_value", label="p", kind="p-value"), *more,
    )  # fmt: skip


def _cells(fitted: Fitted, e: Estimate, *, plain: bool = False) -> tuple[Cell, ...]:
    """Return an estimate with its error and interval as text, so that each row has its own decimals."""
    shares = not plain and not e.is_ratio and e.kind != "percent"
    value, error, low, high = (
        times(fitted, v) if shares else v for v in (e.estimate, e.std_error, e.conf_low, e.conf_high)
    )
    width = None if low is None or high is None else high - low
    places = max((digits_for(v) for v in (value, width) if v), default=1)
    signed = not e.is_ratio and not plain
    return number(value, places, signed=signed), number(error, places), interval(low, high, places), e.p_value


_NAMES = {
    "percent": "In percent of what was expected",
    "average": "Average difference from what was expected",
    "rate-ratio": "Ratio to what was expected",
    "cumulative": "Sum of the differences",
}


def effects(fitted: Fitted, rows: tuple[Estimate, ...]) -> TableData:
    """Return the headline with its relative and absolute forms, the sum, and the first and last period."""
    kinds = {"average", "percent", "cumulative", "effect-at"}
    shown = [e for e in rows if e.kind in kinds and e.estimand == EXPECTED and not _of_one(e)]
    outcomes = {(e.kind, e.term.removesuffix(", outcomes")): e for e in rows if e.estimand == OUTCOMES}
    named: list[tuple[str, Estimate, str]] = []
    for e in shown:
        wide = outcomes.get((e.kind, "average" if e.kind == "average" and not e.is_ratio else e.term))
        named.append((_named(fitted, e), e, "" if wide is None else str(_cells(fitted, wide)[2])))
    events = " Sums are of events." if fitted.ratio else ""
    return TableData(
        key="effects", title="What changed after the start", subtitle=measure(fitted),
        columns=_columns(fitted, "Effect", Column(key="outcomes", label="Interval of the outcomes", kind="text")),
        rows=tuple((name, *_cells(fitted, e), wide) for name, e, wide in named), main_rows=(0,),
        note="The first interval is for the expected difference. That of the outcomes adds the scatter of the periods "
        "themselves, related as the errors are." + events,
    )  # fmt: skip


def _named(fitted: Fitted, e: Estimate) -> str:
    if e.kind == "effect-at":
        return f"Difference in the {e.term} ({e.time})"
    if e.kind == "cumulative" and e.term != "cumulative":
        return f"Sum of the differences per {fitted.study.outcome.per:,.0f} people"
    return _NAMES["rate-ratio" if e.is_ratio else e.kind]


def _of_one(e: Estimate) -> bool:
    """Return whether a row is of one of several interruptions."""
    return e.kind == "average" and e.time is not None


def by_interruption(fitted: Fitted, rows: tuple[Estimate, ...]) -> TableData:
    """Return what each of several interruptions added until the next."""
    parts = added(fitted)
    named: list[tuple[str, Estimate]] = []
    for part in parts:
        until = f"{fitted.series.label(part.start)} to {fitted.series.label(part.end)}"
        mine = [e for e in rows if _of_one(e) and e.time == part.period]
        named += [(f"{part.label}{', as a ratio' if e.is_ratio else ''} ({until})", e) for e in mine]
    return TableData(
        key="by_interruption", title="What each interruption added", subtitle=measure(fitted),
        columns=_columns(fitted, "Interruption"), rows=tuple((name, *_cells(fitted, e)) for name, e in named),
        note="Each row compares the model with what it expects from the earlier interruptions alone, on average until "
        "the next one.",
    )  # fmt: skip


def other_models(fitted: Fitted, rows: tuple[Estimate, ...]) -> TableData:
    """Return the headline by other models."""
    shown = [e for e in rows if e.kind == "variant"]
    named = [(v.estimator[:1].upper() + v.estimator[1:], v) for v in shown]
    return TableData(
        key="other_models", title="The same effect by other models",
        subtitle="Ratio to what was expected" if fitted.ratio else measure(fitted),
        columns=_columns(fitted, "Model"), rows=tuple((name, *_cells(fitted, e)) for name, e in named),
        note="Each differs from the headline in the one thing that is named.",
    )  # fmt: skip


def coefficients(fitted: Fitted, rows: tuple[Estimate, ...]) -> TableData:
    """Return every coefficient, and for counts the plain maximum-likelihood one beside it."""
    names = fitted.model.names
    shown = [e for e in rows if e.kind in {"level", "slope", "coefficient"} and e.term in names]
    plain = fitted.main.likelihood
    both = fitted.ratio and fitted.main.autocorrelation is not None
    more = (Column(key="plain", label="Without autocorrelation", digits=4),) if both else ()
    cells = [
        (e.term.capitalize(), *_cells(fitted, e, plain=True), *((float(plain[i]),) if both else ()))
        for i, e in enumerate(shown)
    ]
    scale = "On the log scale. " if fitted.ratio else ""
    return TableData(
        key="coefficients", title="The model", section="methods", columns=_columns(fitted, "Term", *more),
        rows=tuple(cells),
        note=f"{scale}Level: the change at the start, at once. Slope: the change in the trend per period, 0 in the "
        "first period after the start. The trend counts from 0 in the first period.",
    )  # fmt: skip


def residual_tests(residuals: Residuals) -> TableData:
    """Return the tests for autocorrelation of the residuals."""
    tests = [(t, "residuals of the plain fit") for t in residuals.tests]
    tests += [] if residuals.left is None else [(residuals.left, "residuals, autocorrelation taken out")]
    tests += [(t, "outcome before the start, around a trend") for t in residuals.before]
    return TableData(
        key="residual_tests", title="Tests for dependence between neighbours, and for wandering", section="methods",
        columns=(
            Column(key="test", label="Test", kind="text"), Column(key="of", label="Of", kind="text"),
            Column(key="lags", label="Lags", kind="count"), Column(key="statistic", label="Statistic", digits=2),
            Column(key="p_value", label="p", kind="p-value"),
        ),
        rows=tuple((t.name, of, t.df, t.statistic, t.p_value) for t, of in tests),
        note="Durbin-Watson is near 2 where neighbours are unrelated. A small p of Dickey-Fuller speaks against a "
        "series that wanders, one of KPSS (given between 0.01 and 0.10 only) against one that does not.",
    )  # fmt: skip


def autocorrelations(residuals: Residuals) -> TableData:
    """Return the correlations of residuals some periods apart."""
    return TableData(
        key="autocorrelations", title="Correlation of residuals some periods apart", section="methods",
        columns=(
            Column(key="lag", label="Periods apart", kind="count"),
            Column(key="correlation", label="Correlation", digits=2, signed=True),
            Column(key="partial", label="Nearer ones taken out", digits=2, signed=True),
        ),
        rows=tuple(
            (i + 1, float(v), float(w)) for i, (v, w) in enumerate(zip(residuals.acf, residuals.pacf, strict=True))
        ),
        note="Residuals of the plain fit. The last column is the partial autocorrelation.",
    )  # fmt: skip
