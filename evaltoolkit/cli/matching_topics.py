"""What ``evaltoolkit explain`` says about errors after matching and about hidden differences."""

from __future__ import annotations

from typing import Final

INFERENCE: Final = {
    "cr1": (
        "Standard errors for groups whose members go together, such as the two people of a pair or the people of a "
        "site. With few groups intervals tend to be too narrow; cr2 and wild-cluster hold better."
    ),
    "cr2": (
        "Standard errors by group that are right on average even with few groups, with their own degrees of freedom. "
        "Pustejovsky and Tipton (2018), doi:10.1080/07350015.2016.1247004."
    ),
    "cr3": "Standard errors by group that lean to the safe side with few groups, close to leaving out one at a time.",
    "wild-cluster": (
        "Flips the residuals of whole groups many times to see which effects are unusual. Good with few groups. "
        "Cameron, Gelbach and Miller (2008), doi:10.1162/rest.90.3.414."
    ),
    "abadie-imbens": (
        "Errors for the mean difference between people and their matches. With replacement they count how often each "
        "match is used (2006) and that the score is estimated (2016, doi:10.3982/ECTA11293); without replacement they "
        "rest on the differences of the pairs (2012)."
    ),
    "bootstrap": (
        "Draws pairs, or people with everything done again, many times. After matching with replacement it is invalid "
        "(Abadie and Imbens 2008, doi:10.3982/ECTA6474), and is refused."
    ),
    "g-computation": (
        "Predicts everybody's outcome with and without the program from an outcome model and averages the difference. "
        "For yes/no outcomes the model is logistic, for counts log-linear, so that risks stay between 0 and 1."
    ),
    "risk-ratio": "The risk with the program divided by the risk without it. 1 means no difference.",
    "odds-ratio": (
        "The odds with the program divided by the odds without it. For common outcomes it is farther from 1 than the "
        "risk ratio and must not be read as one."
    ),
}

DIAGNOSTICS: Final = {
    "rosenbaum": (
        "How strong a hidden difference within pairs would have to be, as an odds ratio of being served, before the "
        "result could be chance. 1 means that none is needed; 2 that one person of a pair would have to have twice the "
        "odds of the other. Rosenbaum (2002), doi:10.1007/978-1-4757-3692-2."
    ),
    "robustness-value": (
        "How much of being served and of the outcome an unmeasured covariate would have to explain to bring the "
        "difference to zero, beside what the measured ones explain. Cinelli and Hazlett (2020), doi:10.1111/rssb.12348."
    ),
    "e-value": (
        "How many times as frequent something unmeasured would have to be among the served, and the outcome with it, "
        "to explain the result away. VanderWeele and Ding (2017), doi:10.7326/M16-2607."
    ),
    "oster-delta": (
        "How much more than the measured covariates unmeasured ones would have to matter to bring the difference to "
        "zero, judged by how far it moves when the measured ones enter. Oster (2019), "
        "doi:10.1080/07350015.2016.1227711."
    ),
    "leave-one-covariate-out": (
        "Everything is done again without one covariate after another. A result that hangs on one covariate needs a "
        "reason to trust that covariate."
    ),
    "outcome-separation": (
        "Whether some combination of covariates tells the outcome fully. Then single coefficients of the outcome model "
        "cannot be estimated, though its mean predictions can."
    ),
}
