"""Assumptions, methods, limits and references of a difference-in-differences study."""

from __future__ import annotations

from evaltoolkit.designs.did.catalogue import ESTIMATORS
from evaltoolkit.designs.did.display import compared_with
from evaltoolkit.designs.did.estimator_words import WORDS
from evaltoolkit.designs.did.fitted import AGGREGATIONS, Fitted
from evaltoolkit.designs.did.inference import FEW, Way
from evaltoolkit.designs.did.method_words import words
from evaltoolkit.results import Assumption, Diagnostic, Method, Reference, plural


def assumptions(fitted: Fitted, checks: tuple[Diagnostic, ...]) -> tuple[Assumption, ...]:
    """Return what has to be true, and how it was looked at."""
    verdicts = {check.name: check.verdict.replace("-", " ") for check in checks}
    among = f", among those alike in {', '.join(fitted.data.covariate_names)}" if fitted.data.covariate_names else ""
    return (
        Assumption(
            name="Parallel paths",
            text=f"Without the program, {fitted.unit} that started it would have changed as {compared_with(fitted)} "
            f"did{among}.",
            checked=f"Periods before the start: {verdicts['pre-trends']}. Later periods cannot be checked.",
        ),
        Assumption(
            name="No early change",
            text="Nothing changed because of the program before it started"
            + (f" (beyond {fitted.options.anticipation} periods)." if fitted.options.anticipation else "."),
            checked=f"Just before the start: {verdicts['anticipation']}.",
        ),
        Assumption(
            name="The program stays",
            text=f"Once {fitted.unit} start the program they keep it, or its effect stays with them.",
            checked="By definition of the start; where the data hold an indicator, that it does not switch off.",
        ),
        Assumption(
            name="No spill-over",
            text=f"The program in one place does not change the outcome of {compared_with(fitted)}.",
            checked="Not checked; it rests on how the program works.",
        ),
    )


def methods(fitted: Fitted) -> tuple[Method, ...]:
    """Return the methods with their equations."""
    found = [_estimator(fitted)]
    if fitted.cells is not None:
        found.append(_average(fitted))
    inference = Method(
        title="Standard errors", text=words(fitted.choice, fitted.options.estimator, fitted.cluster_rule)
    )
    return (*found, inference, _band(fitted))


def _estimator(fitted: Fitted) -> Method:
    options, own = fitted.options, WORDS[fitted.options.estimator]
    names = ", ".join(fitted.data.covariate_names)
    parts = [own.text]
    if options.family != "linear":
        parts.append(_FAMILY[options.family])
    if not options.panel:
        parts.append("Others are observed in each period; means of cohorts are compared, not the same units.")
    if names and "adjust" in ESTIMATORS[options.estimator].takes:
        parts.append(
            f"Covariates ({names}) enter by {_ADJUST[options.adjust]}, with their value in the earlier period."
        )
    elif names:
        parts.append(f"Covariates: {names}.")
    if options.period_effects is not None:
        parts.append(f"Period effects are those of each group of '{options.period_effects}'.")
    if "base_period" in ESTIMATORS[options.estimator].takes:
        parts.append(_BASE[options.base_period])
    if options.anticipation:
        unit = plural(options.anticipation, fitted.data.calendar.noun)
        parts.append(f"The last {unit} before the start may already show a change, and are no base.")
    return Method(title=own.title, text=" ".join(parts), equation=own.equation)


_FAMILY = {
    "poisson": "Effects multiply the expected outcome (Poisson, pseudo maximum likelihood); they are turned into "
    "differences on the scale of the outcome.",
    "logit": "Effects add to the log odds of the outcome (logit); they are turned into differences on its scale.",
}
_ADJUST = {
    "doubly-robust": "the doubly robust estimator (regression of the change, and weighting by the odds of the score)",
    "weighting": "weighting comparison units by the odds of the score (normalized)",
    "regression": "regression of the change among comparison units",
}
_BASE = {
    "varying": "Periods before the start are compared with the period before them.",
    "universal": "All periods are compared with the last one before the start.",
}


def _average(fitted: Fitted) -> Method:
    return Method(
        title="Averages",
        text=f"The headline is the {AGGREGATIONS[fitted.options.headline]}. {_sizes(fitted)} The other averages are "
        f"in the table of effects.",
    )


def _sizes(fitted: Fitted) -> str:
    if fitted.cells is not None and fitted.cells.weights is not None:
        return "Cohorts and periods weigh by their treated observations, which count as known."
    return "Standard errors account for estimating the size of the cohorts."


def _band(fitted: Fitted) -> Method:
    if fitted.reach is not None:
        return Method(
            title="Band for all event times together",
            text="The band uses the largest of the standardized estimates over the same reassignments, with effects "
            "taken out as estimated. It is nowhere narrower than the interval of the one event time.",
        )
    return Method(
        title="Band for all event times together",
        text="The band uses the largest of the standardized estimates over "
        f"{fitted.study.inference.draws:,} draws from a normal distribution with their estimated covariance (seed "
        f"{fitted.study.inference.seed}); where intervals use the t distribution, so does the band, at the same chance "
        "of missing.",
    )  # fmt: skip


def limits(fitted: Fitted) -> tuple[str, ...]:
    """Return the limits that every reader should know."""
    lines = ["Other changes at the same time in the same places cannot be told apart from the program."]
    if fitted.choice.none_possible:
        lines.append("With a single treated or comparison cluster, chance cannot be judged from these data.")
    elif min(fitted.choice.n_treated, fitted.choice.n_comparison) < FEW:
        lines.append("Few clusters started the program or can be compared with, so intervals are wide and rough.")
    elif fitted.choice.few:
        lines.append("Some cohorts are small, so their own effects are rough.")
    if fitted.staggered:
        lines.append("Effects long after the start rest on the cohorts that started early.")
    if fitted.unit != "people" and fitted.study.outcome.kind == "rate":
        lines.append(f"Each {fitted.one_unit} counts the same, whatever its population.")
    return tuple(lines)


_ROTH = Reference(
    text="Roth, J. (2022). Pretest with caution: event-study estimates after testing for parallel trends. American "
    "Economic Review: Insights 4.", doi="10.1257/aeri.20210236",
)  # fmt: skip
_JACKKNIFE = Reference(
    text="MacKinnon, J., Nielsen, M. and Webb, M. (2023). Fast and reliable jackknife and bootstrap methods for "
    "cluster-robust inference. Journal of Applied Econometrics 38.", doi="10.1002/jae.2969",
)  # fmt: skip
_RANDOMIZATION = Reference(
    text="MacKinnon, J. and Webb, M. (2020). Randomization inference for difference-in-differences with few treated "
    "clusters. Journal of Econometrics 218.", doi="10.1016/j.jeconom.2020.04.024",
)  # fmt: skip
_FEW = Reference(
    text="Ferman, B. and Pinto, C. (2019). Inference in differences-in-differences with few treated groups and "
    "heteroskedasticity. Review of Economics and Statistics 101.", doi="10.1162/rest_a_00759",
)  # fmt: skip
_DONORS = Reference(
    text="Conley, T. and Taber, C. (2011). Inference with difference in differences with a small number of policy "
    "changes. Review of Economics and Statistics 93.", doi="10.1162/REST_a_00049",
)  # fmt: skip
_WELCH = Reference(
    text="Welch, B. (1947). The generalization of Student's problem when several different population variances are "
    "involved. Biometrika 34.", doi="10.1093/biomet/34.1-2.28",
)  # fmt: skip
_BY_WAY: dict[Way, tuple[Reference, ...]] = {
    "jackknife": (_JACKKNIFE,), "randomization": (_RANDOMIZATION,), "scaled": (_FEW,), "welch": (_WELCH,),
    "conley-taber": (_DONORS,), "ferman-pinto": (_DONORS, _FEW), "none": (_RANDOMIZATION,),
}  # fmt: skip
_BANDS = Reference(
    text="Montiel Olea, J. and Plagborg-Møller, M. (2019). Simultaneous confidence bands: theory, implementation, "
    "and an application to SVARs. Journal of Applied Econometrics 34.", doi="10.1002/jae.2656",
)  # fmt: skip


def references(fitted: Fitted) -> tuple[Reference, ...]:
    """Return the sources of what was done."""
    found = [*WORDS[fitted.options.estimator].references, _ROTH, _BANDS]
    return (*found, *_BY_WAY.get(fitted.choice.way, ()))
