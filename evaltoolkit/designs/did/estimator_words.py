"""What each estimator does, in words, with its equation and its source."""

from __future__ import annotations

from dataclasses import dataclass

from evaltoolkit.designs.did.catalogue import Name
from evaltoolkit.results import Equation, Reference, Term

NORMAL = "without a small-sample factor. Intervals use the normal distribution."
FIXEST = (
    "with the factor G/(G−1) · (N−1)/(N−K), where K does not count unit effects that lie within clusters (the "
    "convention of R fixest). Intervals use the t distribution with G−1 degrees of freedom."
)


@dataclass(frozen=True, slots=True)
class Words:
    """An estimator in words.

    Attributes
    ----------
    title, text, equation
        Of its entry among the methods.
    errors
        How its analytic errors are made, after "Standard errors are clustered, ".
    references
        Its sources.
    """

    title: str
    text: str
    equation: Equation
    errors: str
    references: tuple[Reference, ...]


def _equation(alt: str, *terms: str | tuple[str, str]) -> Equation:
    parts = [Term(text=t) if isinstance(t, str) else Term(text=t[0], sub=t[1]) for t in terms]
    return Equation(terms=tuple(parts), alt=alt)


def _source(text: str, doi: str) -> Reference:
    return Reference(text=text, doi=doi)


CALLAWAY = _source(
    "Callaway, B. and Sant'Anna, P. (2021). Difference-in-differences with multiple time periods. Journal of "
    "Econometrics 225.", "10.1016/j.jeconom.2020.12.001",
)  # fmt: skip
DOUBLY_ROBUST = _source(
    "Sant'Anna, P. and Zhao, J. (2020). Doubly robust difference-in-differences estimators. Journal of Econometrics "
    "219.",
    "10.1016/j.jeconom.2020.06.003",
)
BACON = _source(
    "Goodman-Bacon, A. (2021). Difference-in-differences with variation in treatment timing. Journal of Econometrics "
    "225.", "10.1016/j.jeconom.2021.03.014",
)  # fmt: skip
WEIGHTS = _source(
    "de Chaisemartin, C. and D'Haultfœuille, X. (2020). Two-way fixed effects estimators with heterogeneous treatment "
    "effects. American Economic Review 110.", "10.1257/aer.20181169",
)  # fmt: skip
_SUN = _source(
    "Sun, L. and Abraham, S. (2021). Estimating dynamic treatment effects in event studies with heterogeneous "
    "treatment effects. Journal of Econometrics 225.", "10.1016/j.jeconom.2020.09.006",
)  # fmt: skip
_BORUSYAK = _source(
    "Borusyak, K., Jaravel, X. and Spiess, J. (2024). Revisiting event-study designs: robust and efficient estimation. "
    "Review of Economic Studies 91.", "10.1093/restud/rdae007",
)  # fmt: skip
_GARDNER = _source("Gardner, J. (2022). Two-stage differences in differences.", "10.48550/arXiv.2207.05943")
_WOOLDRIDGE = _source(
    "Wooldridge, J. (2025). Two-way fixed effects, the two-way Mundlak regression, and difference-in-differences "
    "estimators. Empirical Economics 69.", "10.1007/s00181-025-02807-z",
)  # fmt: skip
_NONLINEAR = _source(
    "Wooldridge, J. (2023). Simple approaches to nonlinear difference-in-differences with panel data. Econometrics "
    "Journal 26.", "10.1093/ectj/utad016",
)  # fmt: skip
_STACKED = _source(
    "Wing, C., Freedman, S. and Hollingsworth, A. (2024). Stacked difference-in-differences. NBER Working Paper 32054.",
    "10.3386/w32054",
)
_PROJECTIONS = _source(
    "Dube, A., Girardi, D., Jordà, Ò. and Taylor, A. (2025). A local projections approach to "
    "difference-in-differences. "
    "Journal of Applied Econometrics 40.", "10.1002/jae.70000",
)  # fmt: skip
_SWITCHING = _source(
    "de Chaisemartin, C. and D'Haultfœuille, X. (2024). Difference-in-differences estimators of intertemporal "
    "treatment effects. Review of Economics and Statistics.", "10.1162/rest_a_01414",
)  # fmt: skip
_TRIPLE = _source(
    "Ortiz-Villavicencio, M. and Sant'Anna, P. (2025). Better understanding triple differences estimators.",
    "10.48550/arXiv.2505.09942",
)
_SYNTHETIC = _source(
    "Arkhangelsky, D., Athey, S., Hirshberg, D., Imbens, G. and Wager, S. (2021). Synthetic difference-in-differences. "
    "American Economic Review 111.", "10.1257/aer.20190159",
)  # fmt: skip

_CELL = _equation(
    "The effect on cohort g in period t is the mean change from base period b to t in the cohort, less the mean change "
    "in the comparison units.",
    "ATT(g,t) = E[Y", ("", "t"), (" − Y", "b"), " | G = g] − E[Y", ("", "t"), (" − Y", "b"), " | C = 1]",
)  # fmt: skip
_TWO_WAY = _equation(
    "The outcome equals a unit effect plus a period effect plus tau times treatment plus an error.",
    ("Y", "it"), (" = α", "i"), (" + λ", "t"), (" + τD", "it"), (" + ε", "it"),
)  # fmt: skip
_CELLS_OF = _equation(
    "The outcome equals a unit effect plus a period effect plus an effect of each cohort and period plus an error.",
    ("Y", "it"), (" = α", "i"), (" + λ", "t"), (" + τ", "gt"), (" + ε", "it"),
)  # fmt: skip

WORDS: dict[Name, Words] = {
    "callaway-santanna": Words(
        "Group-time effects",
        "For each cohort g and period t, the change since a base period before the start is compared with the change "
        "in comparison units.",
        _CELL, f"from influence functions (the convention of R did), {NORMAL}", (CALLAWAY, DOUBLY_ROBUST),
    ),
    "two-by-two": Words(
        "Regression",
        "Ordinary least squares of the outcome on group, time after the start, and their product (PanelOLS).",
        _equation(
            "The outcome equals alpha plus gamma times group plus delta times after plus tau times their product.",
            ("Y", "it"), (" = α + γG", "i"), (" + δP", "t"), (" + τG", "i"), ("P", "t"), (" + ε", "it"),
        ), FIXEST, (BACON, WEIGHTS, CALLAWAY),
    ),
    "twfe": Words(
        "Regression", "Least squares with an effect for each unit and each period.", _TWO_WAY, FIXEST,
        (BACON, WEIGHTS, CALLAWAY),
    ),
    "sun-abraham": Words(
        "Interaction-weighted effects",
        "Least squares with an effect for each unit, each period, and each cohort in each period but the last before "
        "its start. Effects are averaged over treated observations.",
        _CELLS_OF, FIXEST, (_SUN, CALLAWAY),
    ),
    "imputation": Words(
        "Imputation",
        "Unit and period effects are fitted on untreated observations only. The effect on each treated observation is "
        "its outcome less what they predict; effects are averaged over treated observations. Times before the start "
        "are "
        "tested with untreated observations only.",
        _equation(
            "The effect is the mean over treated observations of the outcome less the predicted unit and period "
            "effect.",
            ("τ = mean(Y", "it"), (" − α", "i"), (" − λ", "t"), ") over treated observations",
        ), f"from residuals around the mean effect of each cohort and period, {NORMAL} They are conservative",
        (_BORUSYAK,),
    ),
    "two-stage": Words(
        "Two stages",
        "Unit and period effects are fitted on untreated observations only and taken out of all; what is left is "
        "regressed on treatment, or on time since the start.",
        _equation(
            "The outcome less the predicted unit and period effect equals tau times treatment plus an error.",
            ("Y", "it"), (" − α", "i"), (" − λ", "t"), (" = τD", "it"), (" + u", "it"),
        ), f"and allow for the first stage, {NORMAL}", (_GARDNER,),
    ),
    "etwfe": Words(
        "Extended two-way fixed effects",
        "A model with an effect for each cohort, each period, and each treated cohort in each period. The effect is "
        "the treated mean less what the model expects without the program, averaged over treated observations.",
        _equation(
            "The expected outcome is a function of a cohort effect plus a period effect plus an effect of each treated "
            "cohort and period.", ("E[Y", "it"), ("] = f(α", "g"), (" + λ", "t"), (" + δ", "gt"), ")",
        ),
        "by the delta method with the weights of averages held fixed, with the factor G/(G−1) · (N−1)/(N−K). "
        "Intervals use the t distribution with G−1 degrees of freedom.", (_WOOLDRIDGE, _NONLINEAR),
    ),
    "stacked": Words(
        "Stacked cohorts",
        "Each cohort and the units that are untreated in its whole window are a study of their own; the studies are "
        "stacked with weights that average their effects by treated units, for cohorts that have the whole window.",
        _equation(
            "The effect at event time e is the average over cohorts of their change less that of their comparison "
            "units.",
            ("τ", "e"), " = Σ ", ("ω", "g"), (" ATT(g,g+e)", ""),
        ), FIXEST, (_STACKED,),
    ),
    "lp-did": Words(
        "Local projections",
        "For each time since the start, the long difference of the outcome is regressed on starting the program and "
        "period effects, among units that start and units that have not by then.",
        _equation(
            "The outcome h periods after less the one before the start equals beta h times starting plus a period "
            "effect.",
            ("Y", "i,t+h"), (" − Y", "i,t−1"), (" = β", "h"), ("ΔD", "it"), (" + δ", "t"), (" + ε", "it"),
        ), FIXEST, (_PROJECTIONS,),
    ),
    "chaisemartin": Words(
        "Switchers",
        "Units whose treatment changes are compared, from the period before the change on, with units that had the "
        "same treatment at the beginning and have not changed by then. The headline is the average effect per unit of "
        "treatment received.",
        _equation(
            "The effect of l periods is the mean over switchers of their change less that of units not yet changed.",
            ("DID", "l"), " = mean of ", ("Y", "F−1+l"), (" − Y", "F−1"), ", switchers less the others",
        ), f"from influence functions around cohort means, {NORMAL}", (_SWITCHING,),
    ),
    "triple-difference": Words(
        "Triple differences",
        "In each cohort and period, eligible units are compared with ineligible ones where the program started, and "
        "this difference with the same difference where it had not.",
        _equation(
            "The effect is the change of eligible units where the program started beside three comparison groups.",
            "ATT(g,t) = Δ(g,1; g,0) + Δ(g,1; c,1) − Δ(g,1; c,0)",
        ), f"from influence functions, {NORMAL}", (_TRIPLE, CALLAWAY),
    ),
    "synthetic-did": Words(
        "Synthetic comparison",
        "Units that never start are weighted so that their past runs like that of the treated, and periods before the "
        "start so that they stand for the later ones; the effect is the weighted difference-in-differences.",
        _equation(
            "The effect is the treated mean less the weighted mean of comparison units, after the start less before.",
            ("τ = (Ȳ", "1,post"), (" − Σ ω", "i"), ("Y", "i,post"), (") − Σ λ", "t"), ("(Ȳ", "1t"), (" − Σ ω", "i"),
            ("Y", "it"), ")",
        ), "by placebos.", (_SYNTHETIC,),
    ),
}  # fmt: skip
