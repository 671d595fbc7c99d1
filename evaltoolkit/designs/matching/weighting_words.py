"""What is said of weighting: how it was done, by which equations, with which limits, after whom."""

from __future__ import annotations

from evaltoolkit.designs.matching.estimand_words import whose
from evaltoolkit.designs.matching.facts import Facts
from evaltoolkit.designs.matching.weighting_rules import Weighting
from evaltoolkit.results import Equation, Method, Reference, Term, number

_NAMES: dict[Weighting, str] = {
    "inverse-probability": "Propensity-score weighting",
    "overlap": "Overlap weighting",
    "matching": "Matching weights",
    "entropy": "Entropy balancing",
    "cbps": "Covariate balancing propensity score",
    "energy": "Energy balancing",
}
_BY_ESTIMAND: dict[str, Weighting] = {"ATO": "overlap", "ATM": "matching"}
_HOW: dict[Weighting, str] = {
    "inverse-probability": "Each person's weight follows from the estimated chance of being served: people who were "
    "unlikely to be in their own group count more",
    "overlap": "Each person's weight is the estimated chance of being in the other group, so that nobody's weight is "
    "above one",
    "matching": "Each person's weight is the smaller of the chances of being served and not served, over the chance of "
    "being in their own group",
    "entropy": "Weights were chosen so that the averages of the covariates agree exactly, and otherwise as even as can "
    "be",
    "cbps": "The chance of being served was estimated so that its weights make the averages of the covariates agree "
    "exactly",
    "energy": "Weights were chosen so that the whole distributions of the covariates lie as near to each other as "
    "can be",
}


def way_of(fitted: Facts) -> Weighting:
    """Return where the weights come from; with ATO and ATM, inverse-probability weights go by their own names."""
    way = fitted.options.weights_from
    assert way is not None
    return _BY_ESTIMAND.get(fitted.options.estimand, way) if way == "inverse-probability" else way


def design_name(fitted: Facts) -> str:
    """Return what the design is called in the report."""
    return "Doubly robust estimation" if fitted.options.effect == "aipw" else _NAMES[way_of(fitted)]


def plain(fitted: Facts, end: str) -> str:
    """Return the finding in a few plain words."""
    return (
        f"We compared {fitted.unit} who were served with {fitted.unit} who were not. We counted some people more and "
        f"others less, until the two groups were alike in what we know about them. {end}"
    )


def how_we_know(fitted: Facts) -> str:
    """Return how like was compared with like, and about whom the answer is."""
    return (
        "People were not assigned by lot. To compare like with like, people were given weights that make the two "
        f"groups alike in what was known before the program began. The answer is about {whose(fitted)}."
    )


def approach(fitted: Facts) -> tuple[str, ...]:
    """Return how the weights were made."""
    options = fitted.options
    lines = [f"{_HOW[way_of(fitted)]}. The weights make both groups stand for {whose(fitted)}."]
    if options.truncate is not None:
        at = number(100 * options.truncate, 1)
        lines.append(f"Weights above the {at}th percentile of their group were set to it.")
    if options.stabilize:
        lines.append("Weights were multiplied by their group's share of people, which changes no comparison.")
    if options.effect == "aipw":
        lines.append(
            "A model of the outcome in each group fills in what each person's outcome would have been, and weights "
            "correct its errors. The answer is right if either the outcome models or the score are."
        )
    if options.folds > 1:
        again = f", drawn {options.repeats} times and averaged" if options.repeats > 1 else ""
        lines.append(f"Models were fitted on the other of {options.folds} folds and used for each fold in turn{again}.")
    return tuple(lines)


def weights_method(fitted: Facts) -> Method:
    """Return how weights are defined."""
    way = way_of(fitted)
    facts = "; ".join(f"{fact.label.lower()} {_size(fact.value)}" for fact in fitted.made.told)
    ends = f" ({facts})" if facts else ""
    if way in ("entropy", "energy"):
        return Method(title="Weights", text=f"{_HOW[way]}{ends}.{_SOLVED[way]}")
    h = {"ATE": "1", "ATT": "e", "ATC": "1 − e", "ATO": "e(1 − e)", "ATM": "min(e, 1 − e)"}[fitted.options.estimand]
    return Method(
        title="Weights",
        text=f"With e the chance of being served and h(e) = {h}, treated people have weight h(e)/e and others "
        f"h(e)/(1 − e){ends}." + (_SOLVED["cbps"] if way == "cbps" else ""),
        equation=Equation(
            terms=(
                Term(text="w"), Term(text=" = "), Term(text="h"), Term(text="(e) {T / e + (1 − T) / (1 − e)}"),
            ),
            alt="The weight is h of e times T over e plus one less T over one less e.",
        ),
    )  # fmt: skip


def _size(value: float) -> str:
    return "below 0.0001" if abs(value) < 1e-4 else number(value, 3)


_SOLVED: dict[Weighting, str] = {
    "entropy": " The weights are exponential in the covariates; Newton's method solves their dual to a difference of "
    "1e-10 standard deviations or less.",
    "cbps": " The score solves the equations that make weighted means agree, as many as it has coefficients, by "
    "Newton's method to 1e-10.",
    "energy": " A quadratic programme solved by an interior-point method, with Euclidean distances on standardized "
    "covariates and a ridge of 1e-4.",
}


def effect_method(fitted: Facts) -> Method:
    """Return how the effect is estimated."""
    if fitted.options.effect == "difference":
        return Method(
            title="Effect",
            text="Difference in weighted means (Hájek).",
            equation=Equation(
                terms=(
                    Term(text="τ", accent="hat"), Term(text=" = "), Term(text="Σ wTy / Σ wT"), Term(text=" − "),
                    Term(text="Σ w(1 − T)y / Σ w(1 − T)"),
                ),
                alt="The effect is the weighted mean of the outcome in the treated less that in the others.",
            ),
        )  # fmt: skip
    model = {"gaussian": "linear", "binomial": "logistic", "poisson": "exponential"}[fitted.family]
    if fitted.options.effect != "aipw":
        name = model if fitted.options.effect == "g-computation" else "linear"
        return Method(
            title="Effect",
            text=f"A weighted {name} regression in each group with every covariate; the predictions of both are "
            f"averaged over {whose(fitted)}, and their difference is the effect.",
        )
    return Method(
        title="Effect",
        text=f"Augmented inverse-probability weighting with {model} outcome models in each group: the mean "
        "difference of the predictions plus the weighted mean of what they miss.",
        equation=Equation(
            terms=(
                Term(text="τ", accent="hat"), Term(text=" = mean of "), Term(text="m", sub="1"), Term(text=" − "),
                Term(text="m", sub="0"), Term(text=" + T(y − "), Term(text="m", sub="1"), Term(text=")/e − (1 − T)(y "
                "− "),
                Term(text="m", sub="0"), Term(text=")/(1 − e)"),
            ),
            alt="The effect is the mean of m1 less m0 plus T times y less m1 over e less one less T times y less m0 "
            "over one less e; for the treated or the others alone, all is weighted by their chances.",
        ),
    )  # fmt: skip


def errors_method(fitted: Facts) -> Method:
    """Return where standard errors come from."""
    inference = fitted.main.inference
    if inference.startswith("bootstrap"):
        text = "People were drawn anew with replacement, and everything was done again, the score included"
    elif inference.startswith("M-estimation"):
        text = (
            "The equations of the weights and of the effect are stacked, and the sandwich of all of them gives the "
            "standard error: it knows that the weights are estimated"
        )
    elif inference.startswith("influence"):
        text = "From the influence function of the doubly robust estimate, the mean of its square over n"
    else:
        text = (
            "From weighted residuals, with the weights taken as given; balancing usually makes the truth a little "
            "smaller"
        )
    if inference.endswith("HC2"):
        text += (
            ". Each person's part is enlarged by what it pulls the fit to itself, because a group is small in effect"
        )
    return Method(
        title="Standard errors",
        text=f"{text} ({inference}). Intervals use the t distribution with {fitted.main.df:g} degrees of freedom, by "
        "Welch's formula with the effective size of each group.",
    )


def limits(fitted: Facts) -> tuple[str, ...]:
    """Return the limits that every reader should know."""
    lines = [
        "Only measured differences are made alike; reasons for being served that were not recorded may still differ.",
    ]
    if fitted.options.truncate is not None:
        lines.append("Large weights were cut, so the groups stand for the people meant only nearly.")
    if fitted.options.estimand in ("ATO", "ATM"):
        lines.append(
            "The answer is about people near the middle of the chances of being served, not about all who were served."
        )
    if way_of(fitted) in ("inverse-probability", "matching", "overlap") and fitted.options.effect != "aipw":
        lines.append("The answer depends on the model for the chance of being served.")
    return tuple(lines)


_ALL = (
    Reference(
        text="Rosenbaum, P. and Rubin, D. (1983). The central role of the propensity score in observational studies "
        "for causal effects. Biometrika 70.", doi="10.1093/biomet/70.1.41",
    ),
    Reference(
        text="Austin, P. and Stuart, E. (2015). Moving towards best practice when using inverse probability of "
        "treatment weighting using the propensity score to estimate causal treatment effects in observational studies. "
        "Statistics in Medicine 34.", doi="10.1002/sim.6607",
    ),
    Reference(
        text="Stefanski, L. and Boos, D. (2002). The calculus of M-estimation. The American Statistician 56.",
        doi="10.1198/000313002753631330",
    ),
)  # fmt: skip
_BY_WAY: dict[Weighting, Reference] = {
    "inverse-probability": Reference(
        text="Lunceford, J. and Davidian, M. (2004). Stratification and weighting via the propensity score in "
        "estimation of causal treatment effects. Statistics in Medicine 23.", doi="10.1002/sim.1903",
    ),
    "overlap": Reference(
        text="Li, F., Morgan, K. and Zaslavsky, A. (2018). Balancing covariates via propensity score weighting. "
        "Journal of the American Statistical Association 113.", doi="10.1080/01621459.2016.1260466",
    ),
    "matching": Reference(
        text="Li, L. and Greene, T. (2013). A weighting analogue to pair matching in propensity score analysis. "
        "International Journal of Biostatistics 9.", doi="10.1515/ijb-2012-0030",
    ),
    "entropy": Reference(
        text="Hainmueller, J. (2012). Entropy balancing for causal effects. Political Analysis 20.",
        doi="10.1093/pan/mpr025",
    ),
    "cbps": Reference(
        text="Imai, K. and Ratkovic, M. (2014). Covariate balancing propensity score. Journal of the Royal Statistical "
        "Society B 76.", doi="10.1111/rssb.12027",
    ),
    "energy": Reference(
        text="Huling, J. and Mak, S. (2024). Energy balancing of covariate distributions. Journal of Causal Inference "
        "12.", doi="10.1515/jci-2022-0029",
    ),
}  # fmt: skip
_AUGMENTED = Reference(
    text="Glynn, A. and Quinn, K. (2010). An introduction to the augmented inverse propensity weighted estimator. "
    "Political Analysis 18.", doi="10.1093/pan/mpp036",
)  # fmt: skip
_CROSSED = Reference(
    text="Chernozhukov, V. et al. (2018). Double/debiased machine learning for treatment and structural parameters. "
    "The Econometrics Journal 21.", doi="10.1111/ectj.12097",
)  # fmt: skip


def references(fitted: Facts) -> tuple[Reference, ...]:
    """Return the sources of what was done."""
    found = [*_ALL, _BY_WAY[way_of(fitted)]]
    if fitted.options.effect == "aipw":
        found.append(_AUGMENTED)
    if fitted.options.folds > 1:
        found.append(_CROSSED)
    return tuple(found)
