"""What ``evaltoolkit explain`` says about estimators, diagnostics, standards and outcome roles."""

from __future__ import annotations

from typing import Final

from evaltoolkit.cli import matching_topics, moment_topics, series_topics

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
    "sun-abraham": (
        "Interaction-weighted effects: a path for each group that started together, averaged by treated units. Sun and "
        "Abraham (2021), doi:10.1016/j.jeconom.2020.09.006."
    ),
    "imputation": (
        "Predicts what treated units would have shown from untreated observations only, and averages the differences. "
        "Borusyak, Jaravel and Spiess (2024), doi:10.1093/restud/rdae007."
    ),
    "two-stage": (
        "Takes out unit and period effects of untreated observations first, then averages what is left where the "
        "program runs. Gardner (2022), doi:10.48550/arXiv.2207.05943."
    ),
    "etwfe": (
        "Two-way fixed effects with an effect for every group and period; linear, or Poisson for counts and rates, or "
        "logit for shares. Wooldridge (2023), doi:10.1093/ectj/utad016."
    ),
    "stacked": (
        "Puts the groups that started together under one another, each with its own untreated units, and averages them "
        "with the weights that this needs. Wing, Freedman and Hollingsworth (2024), doi:10.3386/w32054."
    ),
    "lp-did": (
        "A regression of the long difference for every time since the start, among starters and units not yet started. "
        "Dube, Girardi, Jordà and Taylor (2025), doi:10.1002/jae.70000."
    ),
    "chaisemartin": (
        "For programs that switch on and off: units whose treatment changes beside units that had the same treatment "
        "and kept it. de Chaisemartin and D'Haultfœuille (2024), doi:10.1162/rest_a_01414."
    ),
    "triple-difference": (
        "Compares eligible with ineligible people or sites in the same place, where the program started and where it "
        "had not. Ortiz-Villavicencio and Sant'Anna (2025), doi:10.48550/arXiv.2505.09942."
    ),
    "synthetic-did": (
        "Weights untreated units so that their past runs like that of the treated. Arkhangelsky and others (2021), "
        "doi:10.1257/aer.20190159."
    ),
    "randomization": (
        "Inference by dealing the same starts out to other units: an effect is unusual if few other deals give one as "
        "large. Right with few treated units where units are alike in how much they vary."
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
    "marginal-ar2": (
        "As marginal-ar1, for errors in which periods two apart may resemble one another beyond what neighbours pass "
        "on. Its intervals hold there, where those of marginal-ar1 are too narrow."
    ),
    "marginal-seasonal-ar": (
        "As marginal-ar1, for errors in which the same season of the next year resembles this one, too. Needs "
        "error_model = { cycle = 12 } for months."
    ),
    "prais-winsten": (
        "Estimates the autocorrelation and the model in turn and plugs the former in; error_model sets rho and robust. "
        "As Stata's prais. In short series its intervals are too narrow."
    ),
    "gls": (
        "Autoregressive errors of order p by restricted or plain maximum likelihood, plugged in, as R's nlme::gls. An "
        "estimate at the boundary (beyond 0.99) is flagged; its standard errors mean little."
    ),
    "arma": "As gls, with autoregressive and moving-average errors: error_model = { order = [1, 1] }.",
    "arima": (
        "Regression with ARIMA errors by exact maximum likelihood and its Hessian, as R's arima: error_model = "
        "{ order = [0, 1, 1], seasonal = [0, 1, 1], cycle = 12 }. In short series its intervals are too narrow."
    ),
    "ols": "Least squares, neighbouring periods taken as unrelated. In series with autocorrelation it is far too sure.",
    "model-based": "The errors of the count model itself: counts are taken as unrelated.",
    "exact": (
        "For few events: the law of the number after the start, given the total and the trend, with no approximation. "
        "One change of level, family = 'poisson', events that are independent."
    ),
    "newey-west": (
        "Standard errors that allow neighbouring periods to resemble one another up to a stated number of "
        "lags. Newey and West (1987), doi:10.2307/1913610. In short series they tend to be too small."
    ),
    "poisson": "A model of counts: the effect is a ratio of rates, and the spread is that of chance alone.",
    "negative-binomial": (
        "A model of counts that vary more than chance: the variance is mu + mu^2/theta. Errors take theta as known, as "
        "R's MASS::glm.nb. Where counts vary no more than chance it is the Poisson model, and the report says so."
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
    "anticipation": (
        "Whether something changed just before the start, because people knew of the program. Such periods can be set "
        "aside with the option anticipation."
    ),
    "treated-clusters": (
        "How many clusters started the program. With fewer than thirty, ordinary standard errors come out too small, "
        "and the report says what was used instead; fewer than eight call for caution."
    ),
    "comparison-clusters": "How many clusters there are to compare with; fewer than eight call for caution.",
    "pre-trend-power": (
        "How large a straight difference in trends the test of earlier periods would miss in one of two studies, and "
        "how far off the estimate would then be."
    ),
    "pre-trend-equivalence": (
        "How small the differences before the start are sure to be. A test that finds none is weaker than one that "
        "shows them to be small."
    ),
    "departures": (
        "How far trends may differ after the start, beside the largest difference before it, until the finding is "
        "lost. Rambachan and Roth (2023), doi:10.1093/restud/rdad018."
    ),
    "placebo-time": "Whether an effect is found at a start that did not happen, before the real one.",
    "placebo-outcomes": "Whether an effect is found on outcomes that the program cannot have changed.",
    "effects-left-out": (
        "Whether some group that started together, or some period, has no effect that could be estimated, so that the "
        "headline is about the others."
    ),
    "interval": "Whether the data allow an interval at all; without one, chance cannot be judged.",
    "leave-one-cohort-out": "How far the estimate moves when one group that started together is left out.",
    "leave-one-cluster-out": "How far the estimate moves when one site (or cluster of sites) is left out.",
    "period-gaps": "Whether the calendar has gaps, so that some times since the start rest on few groups.",
    "composition": "Whether who is observed, or what they are like, changed differently in the two groups.",
    "overlap-by-cohort": (
        "Whether each group that started together has untreated units like it, and how few of them carry the weight."
    ),
    "detectable-effect": "The effect that four of five studies like this one would find.",
    "specification-curve": (
        "The same effect by every estimator and reasonable choice, in order of size ('evaltoolkit compare'). "
        "It shows how far the answer rests on choices; the analyses share their data, so agreement is no proof. "
        "Simonsohn, Simmons and Nelson (2020), doi:10.1038/s41562-020-0912-z."
    ),
    "decomposition": (
        "What a two-way fixed-effects estimate averages: comparisons of treated with never treated, earlier with later "
        "and later with earlier starters. Goodman-Bacon (2021), doi:10.1016/j.jeconom.2021.03.014."
    ),
    "small-cohorts": "Whether each group that started together is large enough for an effect of its own.",
    "panel-balance": (
        "Whether the same units are observed in every period; units with gaps are counted, and used for the periods "
        "they have or left out."
    ),
    "placebo-sites": (
        "With a single treated site: where its effect ranks among effects computed for each comparison site, which had "
        "no program."
    ),
    "forbidden-comparisons": (
        "Two-way fixed effects with several starts use units that already have the program as a comparison, and can "
        "mislead. Callaway-Sant'Anna does not."
    ),
    "moving-covariates": "Whether covariates change over time, so that the program may have changed them.",
    "baseline-equivalence": "Whether the matched groups would count as alike by the thresholds of the standard wwc.",
    "variance-ratios": "Whether measured characteristics vary as much in one matched group as in the other; 1 is best.",
    "balance-products": (
        "Whether the matched groups are alike on squares and products of what was measured too: equal averages alone "
        "can hide groups that differ in spread, or in who has two traits at once."
    ),
    "balance-predicted": (
        "Whether the matched groups have the same outcome in prospect: what a model of those not served expects from "
        "what was measured. A gap here matters more than one in a trait that does not bear on the outcome."
    ),
    "missing-values": (
        "Which measured characteristics lack values, and how that was dealt with: people left out, kept with a mark, "
        "or values imputed several times."
    ),
    "imputations": "Whether the answer is the same whichever way missing values are filled in.",
    "changes-before": (
        "Whether the outcome of the matched groups changed alike between two measurements before the program began."
    ),
    "matched-on-outcome": (
        "Whether people were matched on the very outcome whose change is compared: a passing high or low then fades by "
        "itself, and looks like an effect."
    ),
    "unmatched": "How many served people found nobody alike and were left out; the effect is not about them.",
    "score-stability": (
        "Whether tiny changes of the score change who is paired with whom, and with it the answer. Many equal scores "
        "make pairing partly arbitrary."
    ),
    "pairs": "How many matched sets the standard error rests on; with few, intervals can be too narrow.",
    "outcome-model": "Whether every term of the outcome regression could be estimated in the matched sample.",
    "series-length": "Whether there are enough periods before and after the start: at least 8, and 12 with seasons.",
    "calendar": "Whether every period has a value. Missing periods are counted and never filled in.",
    "recording-changes": (
        "Whether what is recorded, or how, changed within the series. Such a change looks like a change of the "
        "outcome; with modelled = true it gets a level of its own."
    ),
    "control-trend": (
        "Whether a series and its control ran alike before the start. Where they drew apart, the model carries that "
        "forward, and the result rests on its going on."
    ),
    "control-size": (
        "How many events the control counts in a period. Below 30, chance in the control makes intervals a little too "
        "narrow; add up more controls."
    ),
    "number-of-sites": "Whether enough sites have an effect of their own to say how much they differ: at least 5.",
    "sites-agree": (
        "How much of the spread of sites' estimates is more than chance (Cochran's Q, I squared), and whether a "
        "further site may as well see no change."
    ),
    "one-site-left-out": "How far the mean over sites moves without any one of them, and whether it turns.",
    "persistence": (
        "How strongly the series wanders instead of returning to its trend. The more it does, the harder a change is "
        "to tell from drift. The table of tests has augmented Dickey-Fuller and KPSS of the time before."
    ),
    "placebo-dates": (
        "Whether the method finds changes at earlier dates, when there was no program. If it often does, the series "
        "was not steady."
    ),
    "season": "Whether the rhythm of the year is part of the model, and seen on both sides of the start.",
    "small-counts": (
        "Whether there are enough events for approximate intervals: below one a period, marginal-ar1 still holds in "
        "simulations, and exact needs no approximation."
    ),
    "dispersion": "Whether counts vary more than pure chance would make them.",
    "other-analyses": "Whether other reasonable ways to estimate the same effect agree in direction.",
    "outcome-role": "Whether the design file states what the outcome can tell about; without it, words stay neutral.",
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
    "estimator": _ESTIMATORS | matching_topics.METHODS,
    "inference": matching_topics.INFERENCE,
    "diagnostic": _DIAGNOSTICS | matching_topics.DIAGNOSTICS | series_topics.DIAGNOSTICS | moment_topics.DIAGNOSTICS,
    "standard": _STANDARDS,
    "outcome role": _ROLES,
    "sums in place of rows": moment_topics.SUMS,
}
