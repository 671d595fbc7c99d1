"""Checks of an interrupted time series, each with a verdict by a stated rule."""

from __future__ import annotations

from evaltoolkit.designs.its import control_results
from evaltoolkit.designs.its.audit import calendar, recording
from evaltoolkit.designs.its.date_checks import break_date_check, left_out_check, placebo_check, rank_check
from evaltoolkit.designs.its.dated import Dated
from evaltoolkit.designs.its.dependence import AVERAGED
from evaltoolkit.designs.its.detectable import detectable_check
from evaltoolkit.designs.its.elsewhere import elsewhere_checks
from evaltoolkit.designs.its.estimated import EDGE
from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.designs.its.residuals import Residuals, Test
from evaltoolkit.designs.its.rows import errors_text
from evaltoolkit.designs.its.small_counts import small_counts
from evaltoolkit.results import Diagnostic, number, p_value, plural
from evaltoolkit.results.types import VerdictWord

SHORT = 8
SHORT_WITH_SEASON = 12
STRONG = 0.8
SIGN = 0.05
_BERNAL = "Lopez Bernal, Cummins and Gasparrini 2017, doi:10.1093/ije/dyw098"


def checks(fitted: Fitted, residuals: Residuals, dated: Dated) -> tuple[Diagnostic, ...]:
    """Return every check."""
    found = [
        _length(fitted), calendar(fitted), *recording(fitted), *control_results.checks(fitted),
        _autocorrelation(fitted, residuals), _persistence(fitted), placebo_check(fitted, dated), rank_check(dated),
        break_date_check(fitted, dated), *elsewhere_checks(fitted), _season(fitted), _seasons_modelled(fitted),
        detectable_check(fitted),
    ]  # fmt: skip
    if fitted.ratio:
        found += [_dispersion(fitted), small_counts(fitted)]
    return tuple(check for check in found if check is not None)


def sensitivity(fitted: Fitted, dated: Dated) -> tuple[Diagnostic, ...]:
    """Return whether other admissible models agree with the headline, and whether a single period decides it."""
    found = (_other_models(fitted), left_out_check(fitted, dated))
    return tuple(check for check in found if check is not None)


def _other_models(fitted: Fitted) -> Diagnostic:
    known = [v.found for v in fitted.variants if v.found is not None and v.found.estimate is not None]
    lost = [v.label for v in fitted.variants if v.found is None]
    up = (fitted.tested.estimate or 0) > 0
    same = sum(((m.estimate or 0) > 0) == up for m in known)
    text = f"Other models with an effect in the same direction as the headline: {same} of {len(known)}."
    if lost:
        text += f" Could not be estimated: {'; '.join(lost)}."
    return Diagnostic(
        name="other-analyses", question="Do other reasonable models agree?",
        statistic="models in the same direction", value=float(same), threshold=float(len(known)),
        verdict="not-applicable" if not known else "pass" if same == len(known) else "caution", text=text,
    )  # fmt: skip


def _length(fitted: Fitted) -> Diagnostic:
    noun = fitted.series.calendar.noun
    after = int(fitted.model.after.sum())
    before = fitted.model.after.size - after
    few = min(before, after)
    wanted = SHORT_WITH_SEASON if fitted.options.season is not None else SHORT
    text = f"{plural(before, noun)} before and {after:,} after the start."
    if few < wanted:
        text += f" With fewer than {wanted} on a side, the trend can hardly be told from chance."
    return Diagnostic(
        name="series-length", question="Is the series long enough on both sides?",
        statistic=f"{noun}s on the shorter side", value=float(few), threshold=float(wanted),
        verdict="pass" if few >= wanted else "caution", text=text, reference=_BERNAL,
    )  # fmt: skip


def _autocorrelation(fitted: Fitted, residuals: Residuals) -> Diagnostic:
    question = f"Do neighbouring {fitted.series.calendar.noun}s still resemble one another after the model?"
    test = residuals.left or next(t for t in reversed(residuals.tests) if t.name == "Breusch-Godfrey")
    sign = test.p_value is not None and test.p_value < SIGN
    after = " after its autocorrelation is taken out" if residuals.left is not None else ""
    first = float(residuals.acf[0])
    text = f"Correlation of neighbours around the trend: {number(first, 2, signed=True)}. {_said(test, after)}"
    verdict: VerdictWord = "pass"
    if sign and fitted.options.errors == "newey-west":
        text += " The intervals allow for it, but tend to be too narrow in short series."
        verdict = "caution"
    elif sign:
        text += " The intervals may be too narrow."
        verdict = "caution"
    return Diagnostic(
        name="residual-autocorrelation", question=question, statistic=f"{test.name}, {test.df} lags",
        value=test.statistic, df=float(test.df or 0), p_value=test.p_value, threshold=SIGN, verdict=verdict, text=text,
        reference="Ljung and Box 1978, doi:10.1093/biomet/65.2.297" if residuals.left is not None
        else "Breusch 1978, doi:10.1111/j.1467-8454.1978.tb00635.x",
    )  # fmt: skip


def _said(test: Test, after: str) -> str:
    sign = test.p_value is not None and test.p_value < SIGN
    what = "Signs of dependence are left" if sign else "No clear sign of dependence is left"
    return f"{what}{after} ({test.name}, p = {p_value(test.p_value)})."


def _persistence(fitted: Fitted) -> Diagnostic | None:
    how = fitted.main.how
    rho = how.autocorrelation
    if how.boundary:
        return Diagnostic(
            name="persistence", question="Does the series return to its trend?", statistic="autocorrelation",
            value=rho, threshold=EDGE, verdict="caution",
            text=f"The errors' autocorrelation lies at the edge of what the model ({how.name}) allows: its standard "
            "errors mean little. Choose errors = 'marginal-ar1', which averages over the autocorrelation instead.",
        )  # fmt: skip
    if rho is None:
        return None
    strong = rho > STRONG
    averaged = fitted.options.errors in AVERAGED
    statistic = "mean autocorrelation" if averaged else "autocorrelation"
    text = f"The errors' autocorrelation is about {number(rho, 2)}"
    text += " on average over its likely values." if averaged else "."
    if strong:
        text += " The series wanders: a change of its course is hard to tell from a passing drift."
    return Diagnostic(
        name="persistence", question="Does the series return to its trend?", statistic=statistic,
        value=rho, threshold=STRONG, verdict="caution" if strong else "pass", text=text,
    )  # fmt: skip


def _season(fitted: Fitted) -> Diagnostic | None:
    """Return a caution where a yearly cycle may be there and is not modelled."""
    unit = fitted.series.calendar.unit
    if fitted.options.season is not None or unit not in {"month", "quarter", "week"}:
        return None
    return Diagnostic(
        name="season", question="Are seasons taken into account?", verdict="caution",
        text=f"The model has no seasons, and a period is a {fitted.series.calendar.noun}. If the year has a rhythm, "
        "part of it may look like a change; set season.",
        reference=_BERNAL,
    )  # fmt: skip


def _seasons_modelled(fitted: Fitted) -> Diagnostic | None:
    if fitted.options.season is None:
        return None
    found = fitted.series.calendar.season(fitted.model.steps)
    assert found is not None
    place, length = found
    both = {int(p) for p in place[fitted.model.after]} & {int(p) for p in place[~fitted.model.after]}
    whole = len(both) == length
    text = (
        "Every season of the year was seen before and after the start."
        if whole else
        f"{len(both)} of {length} seasons were seen both before and after the start; the others rest on one side."
    )  # fmt: skip
    return Diagnostic(
        name="season", question="Are seasons taken into account?", statistic="seasons seen on both sides",
        value=float(len(both)), threshold=float(length), verdict="pass" if whole else "caution", text=text,
        reference=_BERNAL,
    )  # fmt: skip


def _dispersion(fitted: Fitted) -> Diagnostic:
    spread = fitted.main.dispersion
    assert spread is not None
    plain = fitted.options.family == "poisson" and fitted.options.errors in {"model-based", "exact"}
    wide = spread > 1.5
    text = f"The counts vary {number(spread, 1)} times as much as pure chance would make them."
    text += (
        " The intervals assume pure chance and are too narrow; choose family = 'quasi-poisson'."
        if plain and wide else f" The intervals allow for it ({errors_text(fitted)})." if not plain else ""
    )  # fmt: skip
    return Diagnostic(
        name="dispersion", question="Do the counts vary more than chance?",
        statistic="Pearson chi-square over its degrees of freedom", value=spread, threshold=1.5,
        verdict="caution" if plain and wide else "pass", text=text,
        reference="McCullagh and Nelder 1989, doi:10.1007/978-1-4899-3242-6",
    )  # fmt: skip
