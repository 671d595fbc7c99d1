"""Assumptions, methods, limits and references of an interrupted time series."""

from __future__ import annotations

from evaltoolkit.designs.its import control_words
from evaltoolkit.designs.its.display import start_words
from evaltoolkit.designs.its.error_words import error_limits, error_references, standard_errors
from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.designs.its.options import Harmonics
from evaltoolkit.designs.its.rows import MODELS
from evaltoolkit.designs.its.shape_words import equation_parts, events_text, every_effect, phase_text, shapes_method
from evaltoolkit.designs.its.shapes import form_of
from evaltoolkit.results import Assumption, Diagnostic, Equation, Method, Reference, Term


def assumptions(fitted: Fitted, checks: tuple[Diagnostic, ...]) -> tuple[Assumption, ...]:
    """Return what has to be true, and how it was looked at."""
    verdicts = {check.name: check.verdict.replace("-", " ") for check in checks}
    dependence = verdicts["residual-autocorrelation"]
    course = Assumption(
        name="The course would have gone on",
        text="Without the program, the series would have kept the course that it had before.",
        checked=f"Earlier dates: {verdicts['placebo-dates']}. The course afterwards cannot be checked.",
    )
    return (
        course if fitted.series.control is None else control_words.assumption(fitted),
        Assumption(
            name="Nothing else at the same time",
            text=f"No other change that matters for this outcome began around {start_words(fitted)}.",
            checked="Not checked by the data; it rests on what is known of the time.",
        ),
        Assumption(
            name="Recording stayed the same",
            text="The outcome was defined, counted and recorded in the same way throughout.",
            checked="Not checked by the data; it rests on the source.",
        ),
        Assumption(
            name="The model's shape",
            text="Trend, seasons and the shape of the change are as the model says.",
            checked=f"Dependence left between neighbours: {dependence}. Other shapes are among the other models.",
        ),
    )


def methods(fitted: Fitted) -> tuple[Method, ...]:
    """Return the methods with their equations."""
    return (_regression(fitted), *control_words.method(fitted), _effect(fitted), standard_errors(fitted))


def _regression(fitted: Fitted) -> Method:
    options = fitted.options
    link = "log of the expected count" if fitted.ratio else "expected outcome"
    left = "log μ" if fitted.ratio else "E[y]"
    if fitted.series.control is not None:
        link += " in relation to the control" if fitted.ratio else ", less the control's,"
        left = "log μ/c" if fitted.ratio else "E[y − c]"
    season = ""
    if isinstance(options.season, Harmonics):
        season = f" Seasons enter as {options.season.harmonics} pairs of sine and cosine."
    elif options.season is not None:
        season = " Each season of the year has its own level."
    offset = " The log of the population is added with its coefficient fixed at one." if fitted.ratio else ""
    exposed = offset if fitted.series.exposure is not None else ""
    counted = "negative binomial" if options.family == "negative-binomial" else "Poisson"
    fitted_by = f"{counted} maximum likelihood" if fitted.ratio else "least squares"
    parts = [(" = α + β t", "alpha plus beta t")]
    parts += equation_parts(fitted.series, options)
    if options.season is not None:
        parts.append((" + season(t)", "the season of t"))
    if fitted.series.covariates or any(mark.modelled for mark in fitted.series.marked):
        parts.append((" + θ′z", "theta times other columns of t"))
    return Method(
        title="Model",
        text=f"A {MODELS[options.family]}: the {link} has a straight trend and, from {start_words(fitted)} on, "
        f"{shapes_method(fitted.series, options)}.{phase_text(fitted.series)}{season}{events_text(fitted.series)}"
        f"{exposed} The plain fit is by {fitted_by}.",
        equation=Equation(
            terms=(Term(text=left, sub="t"), *(Term(text=text) for text, _ in parts)),
            alt=f"{left} of period t equals " + ", plus ".join(words for _, words in parts) + ".",
        ),
    )  # fmt: skip


def _effect(fitted: Fitted) -> Method:
    several = (
        " With several interruptions, the expected course sets the changes at all of them to zero; what each adds is "
        "measured against the course with the earlier ones, until the next."
        if len(fitted.series.starts) > 1 else ""
    )  # fmt: skip
    what = (
        "The headline is the modelled total since the start over the total that the model expects with the changes set "
        "to zero. Differences and their sum are of the same two courses."
        if fitted.ratio else
        "The expected course sets the changes to zero. The headline averages the difference between the two courses "
        "over the periods since the start."
    )  # fmt: skip
    return Method(
        title="Effect",
        text=f"{what}{several} Intervals are for the expected difference: they hold the uncertainty of the model's "
        "coefficients, not the scatter of single periods. Those of curved quantities are by the delta method.",
    )


def limits(fitted: Fitted) -> tuple[str, ...]:
    """Return what a reader must keep in mind."""
    alone = "One series has no comparison group, so other changes at the same time cannot be ruled out."
    lines = [alone if fitted.series.control is None else control_words.limit(), *error_limits(fitted)]
    if any(form_of(effect) == "slope" for effect in every_effect(fitted.series, fitted.options)):
        lines.append("The farther from the start, the more the expected course rests on the trend going on as it was.")
    return tuple(lines)


def references(fitted: Fitted) -> tuple[Reference, ...]:
    """Return the sources of what was used."""
    found = [
        *control_words.references(fitted),
        Reference(
            text="Lopez Bernal, J., Cummins, S. and Gasparrini, A. (2017). Interrupted time series regression for the "
            "evaluation of public health interventions: a tutorial. International Journal of Epidemiology 46.",
            doi="10.1093/ije/dyw098",
        ),
        Reference(
            text="Turner, S. et al. (2021). Evaluation of statistical methods used in the analysis of interrupted time "
            "series studies: a simulation study. BMC Medical Research Methodology 21.",
            doi="10.1186/s12874-021-01364-0",
        ),
    ]
    found += error_references(fitted)
    if fitted.ratio:
        found.append(
            Reference(
                text="McCullagh, P. and Nelder, J. (1989). Generalized Linear Models, 2nd ed.",
                doi="10.1007/978-1-4899-3242-6",
            )
        )
    return tuple(found)
