"""Assumptions, methods, limits and references of a matched comparison."""

from __future__ import annotations

from evaltoolkit.designs.matching import weighting_words
from evaltoolkit.designs.matching.change import parallel_trends
from evaltoolkit.designs.matching.facts import Facts
from evaltoolkit.designs.matching.fitted import Fitted
from evaltoolkit.designs.matching.method_words import described, sources
from evaltoolkit.designs.matching.score import MODEL_WORDS
from evaltoolkit.designs.matching.weighting_rules import FROM_SCORE
from evaltoolkit.results import Assumption, Diagnostic, Equation, Method, Reference, Term, number


def assumptions(checks: tuple[Diagnostic, ...]) -> tuple[Assumption, ...]:
    """Return what has to be true, and how it was looked at."""
    verdicts: dict[str, str] = {check.name: check.verdict for check in checks}
    first = Assumption(
        name="No unmeasured differences",
        text="Among people with the same covariates, who was served does not depend on how they would have done.",
        checked="Cannot be checked with data; it rests on knowing how people came to be served.",
    )
    return (
        parallel_trends(verdicts) if "changes-before" in verdicts else first,
        Assumption(
            name="Overlap",
            text="For everybody who is compared there could be somebody alike in the other group.",
            checked=f"Outside the other group's range: {verdicts['overlap']}."
            + (f" Left unmatched: {verdicts['unmatched']}." if "unmatched" in verdicts else ""),
        ),
        Assumption(
            name="Balance",
            text="The groups that are compared are alike on what was measured.",
            checked=f"Mean differences: {verdicts['balance']}. Variance ratios: {verdicts['variance-ratios']}.",
        ),
        Assumption(
            name="No interference",
            text="Serving one person does not change the outcome of another.",
            checked="Not checked; it rests on how the program works.",
        ),
    )


def methods(fitted: Facts) -> tuple[Method, ...]:
    """Return the methods with their equations."""
    if fitted.weighted:
        words = weighting_words
        found = [*_missing(fitted), words.weights_method(fitted), words.effect_method(fitted)]
        found.append(words.errors_method(fitted))
        scored = bool(fitted.score_model.names) and fitted.options.weights_from in FROM_SCORE
        return (_score(fitted), *found) if scored else tuple(found)
    found = [*_missing(fitted), described(fitted), _effect(fitted), _errors(fitted)]
    return (_score(fitted), *found) if fitted.score_model.names else tuple(found)


def _score(fitted: Facts) -> Method:
    score = fitted.score_model
    assert score.model is not None
    assert score.gradient is not None
    left = {"probit": "normal quantile of", "cloglog": "complementary log-log of"}.get(score.model, "logit")
    firth = {"penalized": " Firth's penalty keeps estimates finite where covariates tell the groups apart."}
    return Method(
        title="Propensity score",
        text=f"The chance of being served given the covariates, by {MODEL_WORDS[score.model]}, fitted by Newton's "
        f"method until the mean of the estimating equations was below 1e-10 ({score.iterations} passes over the data; "
        f"{score.gradient:.0e} at the end). Categories enter as indicators.{firth.get(score.model, '')}",
        equation=Equation(
            terms=(
                Term(text=left, upright=True), Term(text=" P(T = 1 | x) = "), Term(text="α"), Term(text=" + "),
                Term(text="x", sup="′"), Term(text="β"),
            ),
            alt=f"The {left} of the chance of being served equals alpha plus x prime beta.",
        ),
    )  # fmt: skip


def _missing(fitted: Facts) -> tuple[Method, ...]:
    completed = fitted.people.completed if isinstance(fitted, Fitted) else None
    if not isinstance(fitted, Fitted) or completed is None or not completed.gaps:
        return ()
    if fitted.imputed is None:
        text = (
            "A number that is not recorded is set to the mean of its column, and an indicator says for whom; a "
            "category that is not recorded is a level of its own. Both enter the score, the balance and the outcome "
            "model."
        )
        return (Method(title="Missing covariates", text=text),)
    text = (
        "Values are drawn by chained equations with predictive mean matching (5 nearest donors) from all covariates, "
        f"the treatment and the outcome, {fitted.imputed.m} times. In each completed data set the score is fitted, "
        "people are matched and the effect is estimated; effects are pooled by Rubin's rules with the degrees of "
        "freedom of Barnard and Rubin. A category of more than two levels keeps a level for what is not recorded."
    )
    return (
        Method(
            title="Missing covariates", text=text,
            equation=Equation(
                terms=(
                    Term(text="T"), Term(text=" = "), Term(text="U", accent="bar"), Term(text=" + (1 + 1/m) "),
                    Term(text="B"),
                ),
                alt="The total variance is the mean variance plus one plus one over m times the variance between.",
            ),
        ),
    )  # fmt: skip


def _effect(fitted: Facts) -> Method:
    if fitted.options.outcome_before:
        return _change(fitted)
    if fitted.options.effect == "g-computation" and fitted.study.outcome.kind != "continuous":
        return _g_computation(fitted)
    if fitted.options.effect == "difference":
        return Method(
            title="Effect",
            text="Difference in weighted means on the matched sample.",
            equation=Equation(
                terms=(
                    Term(text="τ", accent="hat"), Term(text=" = "), Term(text="y", sub="1", accent="bar"),
                    Term(text=" − "), Term(text="y", sub="0", accent="bar"),
                ),
                alt="The effect is the mean of the outcome in the matched treated less that in the matched comparison.",
            ),
        )  # fmt: skip
    return Method(
        title="Effect",
        text="Weighted least squares on the matched sample with every covariate and its product with treatment, "
        "covariates centered at the mean of the matched focal group, so that the coefficient of treatment is the "
        "g-computation contrast averaged over that group.",
        equation=Equation(
            terms=(
                Term(text="y"), Term(text=" = "), Term(text="α"), Term(text=" + τT + (x − "),
                Term(text="x", accent="bar"), Term(text=")"), Term(text="′", sup=""), Term(text="β + T(x − "),
                Term(text="x", accent="bar"), Term(text=")"), Term(text="′", sup=""), Term(text="γ + ε"),
            ),
            alt="The outcome equals alpha plus tau times T plus centered covariates times beta "
            "plus T times centered covariates times gamma plus an error.",
        ),
    )  # fmt: skip


def _change(fitted: Facts) -> Method:
    adjusted = (
        " Covariates and their products with treatment enter the regression of the change, centered at the matched "
        "focal group."
        if fitted.options.effect == "regression" else ""
    )  # fmt: skip
    return Method(
        title="Effect",
        text="Difference-in-differences on the matched sample: the outcome after the program less the one in "
        f"'{fitted.options.outcome_before[-1]}', compared between the matched groups with their weights.{adjusted} One "
        "row is one person, so errors are clustered by person within matched set.",
        equation=Equation(
            terms=(
                Term(text="τ", accent="hat"), Term(text=" = "), Term(text="Δy", sub="1", accent="bar"),
                Term(text=" − "), Term(text="Δy", sub="0", accent="bar"),
            ),
            alt="The effect is the mean change in the matched treated less that in the matched comparison.",
        ),
    )  # fmt: skip


def _g_computation(fitted: Facts) -> Method:
    logit = fitted.study.outcome.kind in {"binary", "proportion"}
    name, link = ("Logistic", "logit") if logit else ("Log-linear (Poisson)", "log")
    return Method(
        title="Effect",
        text=f"{name} regression on the matched sample with every covariate and its product with treatment. The "
        "outcome is predicted for each person of the matched focal group with and without the program, and the "
        "predictions are averaged (g-computation). Errors of means, differences and ratios follow by the delta method.",
        equation=Equation(
            terms=(
                Term(text=link, upright=True), Term(text=" E[y] = "), Term(text="α + τT + "), Term(text="x", sup="′"),
                Term(text="β + T"), Term(text="x", sup="′"), Term(text="γ,   "), Term(text="μ", sub="a", accent="hat"),
                Term(text=" = mean of E[y | T = a, x] over the focal group"),
            ),
            alt="The link of the expected outcome equals alpha plus tau T plus x beta plus T times x gamma; the mean "
            "outcome with and without the program is the average prediction over the focal group.",
        ),
    )  # fmt: skip


def _errors(fitted: Facts) -> Method:
    effect = fitted.main
    text = f"{effect.inference[:1].upper()}{effect.inference[1:]}: {effect.why}. "
    if effect.inference.startswith(("CR1", "two-way CR1")):
        text += "The factors are G/(G−1) and (n−1)/(n−k). "
    law = {"": "", "normal": "Intervals use the normal distribution. "}.get(
        effect.reference, f"Intervals use the t distribution with {number(effect.df, 1)} degrees of freedom. "
    )
    return Method(title="Standard errors", text=f"{text}{law}{_given(fitted)}")


def _given(fitted: Facts) -> str:
    if "2016" in fitted.main.inference or "of people" in fitted.main.inference:
        return "That the score is estimated is taken into account."
    return "They treat the score as given."


def limits(fitted: Facts) -> tuple[str, ...]:
    """Return the limits that every reader should know."""
    if fitted.weighted:
        return weighting_words.limits(fitted)
    lines = [
        "Only measured differences are made alike; reasons for being served that were not recorded may still differ.",
    ]
    if "as given" in _given(fitted):
        lines.append("The standard error treats the score and the matched sample as given.")
    if fitted.options.replace:
        lines.append("Matches are used more than once, so the comparison rests on fewer people than there are pairs.")
    return tuple(lines)


_REFERENCES = (
    Reference(
        text="Rosenbaum, P. and Rubin, D. (1983). The central role of the propensity score in observational studies "
        "for causal effects. Biometrika 70.", doi="10.1093/biomet/70.1.41",
    ),
    Reference(
        text="Ho, D., Imai, K., King, G. and Stuart, E. (2011). MatchIt: nonparametric preprocessing for parametric "
        "causal inference. Journal of Statistical Software 42(8).", doi="10.18637/jss.v042.i08",
    ),
    Reference(
        text="Stuart, E. (2010). Matching methods for causal inference: a review and a look forward. Statistical "
        "Science 25.", doi="10.1214/09-STS313",
    ),
    Reference(
        text="Austin, P. (2009). Balance diagnostics for comparing the distribution of baseline covariates between "
        "treatment groups in propensity-score matched samples. Statistics in Medicine 28.", doi="10.1002/sim.3697",
    ),
    Reference(
        text="Abadie, A. and Spiess, J. (2022). Robust post-matching inference. Journal of the American Statistical "
        "Association 117.", doi="10.1080/01621459.2020.1840383",
    ),
)  # fmt: skip
_TWO_WAY = Reference(
    text="Cameron, A., Gelbach, J. and Miller, D. (2011). Robust inference with multiway clustering. Journal of "
    "Business and Economic Statistics 29.", doi="10.1198/jbes.2010.07136",
)  # fmt: skip
_BY_METHOD = {
    "Abadie-Imbens 2006": Reference(
        text="Abadie, A. and Imbens, G. (2006). Large sample properties of matching estimators for average treatment "
        "effects. Econometrica 74.", doi="10.1111/j.1468-0262.2006.00655.x",
    ),
    "Abadie-Imbens 2012": Reference(
        text="Abadie, A. and Imbens, G. (2012). A martingale representation for matching estimators. Journal of the "
        "American Statistical Association 107.", doi="10.1080/01621459.2012.682537",
    ),
    "Abadie-Imbens 2016": Reference(
        text="Abadie, A. and Imbens, G. (2016). Matching on the estimated propensity score. Econometrica 84.",
        doi="10.3982/ECTA11293",
    ),
    "CR2": Reference(
        text="Pustejovsky, J. and Tipton, E. (2018). Small-sample methods for cluster-robust variance estimation and "
        "hypothesis testing in fixed effects models. Journal of Business and Economic Statistics 36.",
        doi="10.1080/07350015.2016.1247004",
    ),
    "wild cluster": Reference(
        text="Cameron, A., Gelbach, J. and Miller, D. (2008). Bootstrap-based improvements for inference with "
        "clustered errors. Review of Economics and Statistics 90.", doi="10.1162/rest.90.3.414",
    ),
}  # fmt: skip
_CALIPER = Reference(
    text="Austin, P. (2011). Optimal caliper widths for propensity-score matching when estimating differences in means "
    "and differences in proportions in observational studies. Pharmaceutical Statistics 10.", doi="10.1002/pst.433",
)  # fmt: skip


_IMPUTED = (
    Reference(
        text="Rubin, D. (1987). Multiple Imputation for Nonresponse in Surveys. Wiley.", doi="10.1002/9780470316696",
    ),
    Reference(
        text="Barnard, J. and Rubin, D. (1999). Small-sample degrees of freedom with multiple imputation. Biometrika "
        "86.", doi="10.1093/biomet/86.4.948",
    ),
    Reference(
        text="van Buuren, S. and Groothuis-Oudshoorn, K. (2011). mice: multivariate imputation by chained equations in "
        "R. Journal of Statistical Software 45(3).", doi="10.18637/jss.v045.i03",
    ),
)  # fmt: skip


def references(fitted: Facts) -> tuple[Reference, ...]:
    """Return the sources of what was done."""
    if fitted.weighted:
        return weighting_words.references(fitted)
    found = [*_REFERENCES, *sources(fitted)]
    if fitted.main.inference.startswith("two-way"):
        found.append(_TWO_WAY)
    found += [source for name, source in _BY_METHOD.items() if fitted.main.inference.startswith(name)]
    if fitted.made.width is not None:
        found.append(_CALIPER)
    if isinstance(fitted, Fitted) and fitted.imputed is not None:
        found += _IMPUTED
    return tuple(found)
