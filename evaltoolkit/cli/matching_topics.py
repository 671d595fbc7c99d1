"""What ``evaltoolkit explain`` says about errors after matching and about hidden differences."""

from __future__ import annotations

from typing import Final

METHODS: Final = {
    "optimal": (
        "Pairs whose distances add up to the least possible, so that nobody takes a match that somebody else needs "
        "more. Exact, at any number of people on a score without a caliper. Rosenbaum (1989), "
        "doi:10.1080/01621459.1989.10478868."
    ),
    "full": (
        "Matched sets that use everybody: each set holds one person of one group and one or more of the other, and all "
        "distances together are the least possible. Hansen (2004), doi:10.1198/016214504000000647."
    ),
    "subclass": (
        "People in a few groups with about the same chance of being served, compared within these groups. Rosenbaum "
        "and Rubin (1984), doi:10.1080/01621459.1984.10478078."
    ),
    "exact": "People compared only with people who are the same on every column that is named.",
    "coarsened-exact": (
        "People compared only with people who fall into the same ranges of every covariate. Wider ranges keep more "
        "people and make them less alike. Iacus, King and Porro (2012), doi:10.1093/pan/mpr013."
    ),
    "cardinality": (
        "The largest groups of served and not served people whose averages agree on every covariate. Zubizarreta, "
        "Paredes and Rosenbaum (2014), doi:10.1214/13-AOAS713."
    ),
    "kernel": (
        "Each person compared with an average of the other group in which the most similar count most. Heckman, "
        "Ichimura and Todd (1997), doi:10.2307/2971733."
    ),
    "radius": "Each person compared with the average of all people of the other group within the caliper.",
    "mahalanobis": (
        "A distance on several covariates at once that counts each in its own spread and does not count twice what two "
        "covariates share. Rubin (1980), doi:10.2307/2529981. robust-mahalanobis takes ranks, which outliers and rare "
        "categories do not pull; scaled-euclidean only divides each covariate by its standard deviation."
    ),
    "common-support": (
        "The range of the score in which both groups are found. common_support leaves out who lies outside before "
        "matching; the effect is then about the others only, and the report says how many left."
    ),
}

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
    "weighting": (
        "Keeps everybody and counts some people more and others less, until both groups are alike. Weights come from "
        "the chance of being served (inverse-probability, overlap, matching), or balance the covariates themselves "
        "(entropy, cbps, energy)."
    ),
    "inverse-probability": (
        "Weights one over the chance of being in one's own group. People who were unlikely to be where they are count "
        "most; a few large weights can decide the answer. truncate cuts them. "
        "Lunceford and Davidian (2004), doi:10.1002/sim.1903."
    ),
    "overlap": (
        "Weights each person by the chance of being in the other group. The answer is about people who could well have "
        "been in either (ATO), and nobody's weight is large. Li, Morgan and Zaslavsky (2018), "
        "doi:10.1080/01621459.2016.1260466."
    ),
    "entropy": (
        "Weights that make the averages of the covariates agree exactly and are otherwise as even as can be. Refused "
        "where no weights can, with the covariates named. Hainmueller (2012), doi:10.1093/pan/mpr025."
    ),
    "cbps": (
        "A score estimated so that its weights make the averages of the covariates agree exactly. "
        "Imai and Ratkovic (2014), doi:10.1111/rssb.12027."
    ),
    "energy": (
        "Weights that bring the whole distributions of the covariates together, not their averages alone; for at most "
        "4,000 people. Its plain errors are wide; the bootstrap is closer. Huling and Mak (2024), "
        "doi:10.1515/jci-2022-0029."
    ),
    "aipw": (
        "Doubly robust: an outcome model in each group, corrected by weights. Right if either the outcome models or "
        "the score are. folds fits the models on other people than those they are used for (cross-fitting). "
        "Robins, Rotnitzky and Zhao (1994), doi:10.1080/01621459.1994.10476818."
    ),
    "m-estimation": (
        "Errors from the stacked equations of score, weights and outcome models, so that they know that the weights "
        "are estimated. Where a group is small in effect (below 30), auto enlarges them as HC2 does. "
        "Stefanski and Boos (2002), doi:10.1198/000313002753631330."
    ),
    "penalized": (
        "A logit for the chance of being served with Firth's penalty, which exists even where covariates tell the "
        "groups apart. Firth (1993), doi:10.1093/biomet/80.1.27."
    ),
    "boosted": (
        "The chance of being served by boosted trees (pip install 'evaltoolkit[boosted]'), with as many trees as "
        "balance the covariates best. McCaffrey, Ridgeway and Morral (2004), doi:10.1037/1082-989X.9.4.403."
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
    "effective-size": (
        "As how many equally weighted people a weighted group counts. Uneven weights leave few, however many people "
        "there are; below 30 the standard error is shaky, below 10 the answer is."
    ),
    "largest-weight": (
        "The largest share of one person in the weight of a group. Over 5% the answer hangs on single people: overlap "
        "weights, truncate or another estimand help."
    ),
    "outcome-separation": (
        "Whether some combination of covariates tells the outcome fully. Then single coefficients of the outcome model "
        "cannot be estimated, though its mean predictions can."
    ),
}
