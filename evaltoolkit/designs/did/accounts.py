"""Assumptions, methods, limits and references of a difference-in-differences study."""

from __future__ import annotations

from evaltoolkit.designs.did.display import compared_with
from evaltoolkit.designs.did.fitted import AGGREGATIONS, Fitted
from evaltoolkit.designs.did.inference import MANY, Way
from evaltoolkit.designs.did.method_words import words
from evaltoolkit.results import Assumption, Diagnostic, Equation, Method, Reference, Term


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
    found = [_cells(fitted), _average(fitted)] if fitted.cells is not None else [_regression(fitted)]
    inference = Method(
        title="Standard errors", text=words(fitted.choice, regression=fitted.cells is None, small=fitted.cluster_rule)
    )
    return (*found, inference, _band(fitted))


def _cells(fitted: Fitted) -> Method:
    options = fitted.options
    way = {
        "doubly-robust": "the doubly robust estimator (regression of the change, and weighting by the odds of the "
        "score)",
        "weighting": "weighting comparison units by the odds of the score (normalized)",
        "regression": "regression of the change among comparison units",
    }[options.adjust]
    covariates = fitted.data.covariate_names
    adjusted = (
        f" Covariates ({', '.join(covariates)}) enter by {way}, with their value in the earlier period."
        if covariates
        else ""
    )
    early = f" (less {options.anticipation} for anticipation)" if options.anticipation else ""
    base = (
        "Periods before the start are compared with the period before them."
        if options.base_period == "varying" else "All periods are compared with the last one before the start."
    )  # fmt: skip
    return Method(
        title="Group-time effects",
        text=f"For each cohort g and period t, the change since the last period before the start{early} is compared "
        f"with the change in {options.comparison} units.{adjusted} {base}",
        equation=Equation(
            terms=(
                Term(text="ATT(g,t) = E[Y", sub="t"), Term(text=" − Y", sub="b"), Term(text=" | G = g] − E[Y", sub="t"),
                Term(text=" − Y", sub="b"), Term(text=" | C = 1]"),
            ),
            alt="The effect on cohort g in period t is the mean change from base period b to t in the cohort, less the "
            "mean change in the comparison units.",
        ),
    )  # fmt: skip


def _average(fitted: Fitted) -> Method:
    return Method(
        title="Averages",
        text=f"The headline is the {AGGREGATIONS[fitted.options.headline]}. Standard errors account for estimating the "
        "size of the cohorts. The other averages are in the table of effects.",
    )


def _regression(fitted: Fitted) -> Method:
    if fitted.options.estimator == "two-by-two":
        terms: tuple[Term, ...] = (
            Term(text="Y", sub="it"), Term(text=" = α + γG", sub="i"), Term(text=" + δP", sub="t"),
            Term(text=" + τG", sub="i"), Term(text="P", sub="t"), Term(text=" + ε", sub="it"),
        )  # fmt: skip
        text = "Ordinary least squares of the outcome on group, time after the start, and their product (PanelOLS)."
        alt = "The outcome equals alpha plus gamma times group plus delta times after plus tau times their product."
    else:
        terms = (
            Term(text="Y", sub="it"), Term(text=" = α", sub="i"), Term(text=" + λ", sub="t"),
            Term(text=" + τD", sub="it"), Term(text=" + ε", sub="it"),
        )  # fmt: skip
        text = "Least squares with an effect for each unit and each period (PanelOLS)."
        alt = "The outcome equals a unit effect plus a period effect plus tau times treatment plus an error."
    covariates = fitted.data.covariate_names
    more = f" Covariates: {', '.join(covariates)}, as they stand in each period." if covariates else ""
    path = " The event study has unit and period effects and an indicator for each time since the start."
    return Method(title="Regression", text=text + more + path, equation=Equation(terms=terms, alt=alt))


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
    elif min(fitted.choice.n_treated, fitted.choice.n_comparison) < MANY:
        lines.append("Few clusters started the program or can be compared with, so intervals are wide and rough.")
    elif fitted.choice.few:
        lines.append("Some cohorts are small, so their own effects are rough.")
    if fitted.staggered:
        lines.append("Effects long after the start rest on the cohorts that started early.")
    if fitted.unit != "people" and fitted.study.outcome.kind == "rate":
        lines.append(f"Each {fitted.one_unit} counts the same, whatever its population.")
    return tuple(lines)


_CS = Reference(
    text="Callaway, B. and Sant'Anna, P. (2021). Difference-in-differences with multiple time periods. Journal of "
    "Econometrics 225.", doi="10.1016/j.jeconom.2020.12.001",
)  # fmt: skip
_DR = Reference(
    text="Sant'Anna, P. and Zhao, J. (2020). Doubly robust difference-in-differences estimators. Journal of "
    "Econometrics 219.", doi="10.1016/j.jeconom.2020.06.003",
)  # fmt: skip
_BACON = Reference(
    text="Goodman-Bacon, A. (2021). Difference-in-differences with variation in treatment timing. Journal of "
    "Econometrics 225.", doi="10.1016/j.jeconom.2021.03.014",
)  # fmt: skip
_WEIGHTS = Reference(
    text="de Chaisemartin, C. and D'Haultfœuille, X. (2020). Two-way fixed effects estimators with heterogeneous "
    "treatment effects. American Economic Review 110.", doi="10.1257/aer.20181169",
)  # fmt: skip
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
    found = [_CS, _DR] if fitted.cells is not None else [_BACON, _WEIGHTS, _CS]
    found += [_ROTH, _BANDS]
    return (*found, *_BY_WAY.get(fitted.choice.way, ()))
