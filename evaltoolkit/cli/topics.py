"""What ``evaltoolkit explain`` says about estimators, diagnostics, standards and outcome roles."""

from __future__ import annotations

from typing import Final

_ESTIMATORS: Final = {
    "two-by-two": (
        "The change in the program group less the change in the comparison group, from one period before to "
        "one after. It is the effect on the program group if both would have changed alike without the "
        "program."
    ),
    "twfe": (
        "Two-way fixed effects: a regression with a level for every unit and every period. When units start "
        "at different times and effects differ, it compares late starters with early starters and can "
        "mislead; callaway-santanna does not."
    ),
    "callaway-santanna": (
        "Estimates an effect for each group of units that started together and each period, against units "
        "that had not started, and then averages them. Callaway and Sant'Anna (2021), "
        "doi:10.1016/j.jeconom.2020.12.001."
    ),
    "nearest": (
        "Nearest-neighbour matching: each served person is paired with the unserved person whose estimated "
        "chance of being served is closest. People who find no partner are left out, and the report says how "
        "many."
    ),
    "caliper": (
        "The largest difference in the score that a matched pair may have. A narrow caliper gives better "
        "balance and fewer pairs."
    ),
    "marginal-ar1": (
        "Standard errors for a series whose neighbouring periods resemble one another: the errors follow a "
        "first-order autoregression, and the interval takes the uncertainty about that resemblance into "
        "account."
    ),
    "newey-west": (
        "Standard errors that allow neighbouring periods to resemble one another up to a stated number of "
        "lags. Newey and West (1987), doi:10.2307/1913610. In short series they tend to be too small."
    ),
    "quasi-poisson": (
        "A model of counts whose spread may be larger than a Poisson model allows; the effect is a ratio of rates."
    ),
}

_DIAGNOSTICS: Final = {
    "pre-trends": (
        "Whether the groups already moved apart before the program. A clear difference speaks against the "
        "design; finding none does not prove that they would have moved alike afterwards."
    ),
    "balance": (
        "Whether the matched groups look alike on what was measured. The standardized mean difference is the "
        "gap in standard deviations; below 0.1 is good, above 0.25 is a problem. It says nothing about what "
        "was not measured."
    ),
    "overlap": (
        "Whether the served and the unserved cover the same range of the score. Outside it there is nobody to "
        "compare with."
    ),
    "residual-autocorrelation": (
        "Whether the periods still resemble their neighbours after the model. If they do, intervals may be too narrow."
    ),
    "detection-ratio": (
        "How much a change in recording alone could explain. More identification after training is better "
        "detection, and not more exploitation."
    ),
    "separation": (
        "A covariate tells served and unserved people apart completely, so no chance of being served can be estimated."
    ),
}

_STANDARDS: Final = {
    "wwc": (
        "What Works Clearinghouse standards: baseline differences up to 0.05 standard deviations are "
        "acceptable, up to 0.25 need adjustment, above that the study does not meet the standard."
    ),
    "maryland-sms": (
        "The Maryland scale of methods: 5 random assignment, 4 something close to it, 3 before and after with "
        "a comparison group, 2 and 1 without one."
    ),
    "small-cells": (
        "Counts of 1 to 10 people are hidden wherever a number is shown, with what they could be worked out "
        "from, so that no young person can be recognized. It follows the cell-size policy of the Centers for "
        "Medicare & Medicaid Services."
    ),
    "language": (
        "Young people are victims and survivors, never offenders. 'evaltoolkit check' warns about words that "
        "say otherwise."
    ),
}

_ROLES: Final = {
    "incidence": "How often the thing itself happens, measured independently of the program.",
    "identification": (
        "How often exploitation is recognized or recorded. It rises when people look more closely, so it "
        "never says that exploitation rose or fell. State [detection]."
    ),
    "justice-contact": (
        "Arrests, charges or detention. It shows what institutions do, and not how young people behave. State "
        "[detection]."
    ),
    "service-access": "Whether young people reach services. More is better reach, and not more exploitation.",
    "wellbeing": "How young people are doing: health, safety, school, housing.",
    "knowledge": "What trained people know or can do. It does not show that practice changed.",
    "process": "What the program delivered.",
}

TOPICS: Final[dict[str, dict[str, str]]] = {
    "estimator": _ESTIMATORS,
    "diagnostic": _DIAGNOSTICS,
    "standard": _STANDARDS,
    "outcome role": _ROLES,
}
