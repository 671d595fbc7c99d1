"""What each method of matching did, in plain words and in the field's terms."""

from __future__ import annotations

from evaltoolkit.designs.matching import weighting_words
from evaltoolkit.designs.matching.facts import Facts
from evaltoolkit.designs.matching.keys import SdWidth
from evaltoolkit.designs.matching.options import words_of
from evaltoolkit.results import Method, Reference, number

_NAMES = {
    "nearest": "Propensity-score matching", "optimal": "Optimal pair matching", "full": "Optimal full matching",
    "subclass": "Subclassification on the propensity score", "exact": "Exact matching",
    "coarsened-exact": "Coarsened exact matching", "cardinality": "Cardinality matching", "kernel": "Kernel matching",
    "radius": "Radius matching",
}  # fmt: skip
_DISTANCES = {
    "mahalanobis": "Mahalanobis distance", "robust-mahalanobis": "rank-based Mahalanobis distance",
    "scaled-euclidean": "Euclidean distance on covariates in standard deviations",
    "matrix": "distance that was given as a matrix",
}  # fmt: skip


def design_name(fitted: Facts) -> str:
    """Return the name of the method as the report prints it."""
    if fitted.weighted:
        return weighting_words.design_name(fitted)
    if fitted.options.method == "nearest" and fitted.options.metric is not None:
        return "Nearest-neighbour matching"
    return _NAMES[fitted.options.method]


def plain(fitted: Facts, end: str) -> str:
    """Return what was done for program staff, with how it ended."""
    if fitted.weighted:
        return weighting_words.plain(fitted, end)
    unit = fitted.unit
    looked = f"We looked for {unit} who were not served but were like those who were."
    did = {
        "nearest": f"{looked} We paired them up and compared how each group did.",
        "optimal": f"{looked} We paired them up so that all pairs together were as alike as possible, and compared how "
        "each group did.",
        "full": f"We put {unit} into small sets of people who were alike, each with some who were served and some who "
        "were not, and compared within these sets.",
        "subclass": f"We put {unit} into groups with about the same chance of being served, and compared within these "
        "groups those who were served with those who were not.",
        "exact": f"We compared served {unit} with {unit} not served who were the same in what was known before.",
        "coarsened-exact": f"We compared served {unit} with {unit} not served who were much the same in what was known "
        "before: numbers such as age were put into ranges first.",
        "cardinality": f"We kept as many served and not served {unit} as possible such that both groups were alike on "
        "average, and compared how each group did.",
        "kernel": f"We compared each of the served {unit} with an average of those not served, in which the most "
        "similar count most.",
        "radius": f"We compared each of the served {unit} with the average of all similar {unit} who were not served.",
    }[fitted.options.method]
    return f"{did} {end}"


def how_we_know(fitted: Facts) -> str:
    """Return why the comparison is one of like with like."""
    if fitted.weighted:
        return weighting_words.how_we_know(fitted)
    unit, estimand = fitted.unit, fitted.options.estimand
    who = {"ATT": f"each of the served {unit}", "ATC": f"each of the not served {unit}"}.get(estimand, f"all {unit}")
    verb = {
        "nearest": "paired with the most similar from the other group",
        "optimal": "paired with somebody similar from the other group, so that all pairs together are as alike as they "
        "can be",
        "full": "put into a set with similar people from the other group",
        "subclass": "compared with people of the other group who had about the same chance of being served",
        "exact": "compared with people of the other group who were the same in every respect that was known",
        "coarsened-exact": "compared with people of the other group who fell into the same ranges in every respect "
        "that was known",
        "cardinality": "looked at, and the largest groups were kept that are alike on average",
        "kernel": "compared with a weighted average of similar people from the other group",
        "radius": "compared with all similar people from the other group",
    }[fitted.options.method]
    be = "were" if who.startswith("all") else "was"
    return (
        f"People were not assigned by lot. To compare like with like, {who} {be} {verb}, by what was known before the "
        "program began."
    )


def approach(fitted: Facts) -> tuple[str, ...]:
    """Return what was done, in a few sentences."""
    changes = "The change of the outcome since before the program was compared, not its level."
    return (
        *((changes,) if fitted.options.outcome_before else ()),
        *(weighting_words.approach(fitted) if fitted.weighted else _matching_approach(fitted)),
    )


def _matching_approach(fitted: Facts) -> tuple[str, ...]:
    method = fitted.options.method
    if method == "nearest":
        return _nearest_approach(fitted)
    alike = f"the {_likeness(fitted)}"
    lines = {
        "optimal": f"People were paired by {alike} so that the sum of all distances is the least possible. Nobody is "
        "in two pairs.",
        "full": f"Everybody who can be compared is in exactly one set, formed by {alike}. Each set holds one person of "
        "one group and one or more of the other, and the sum of all distances within sets is the least possible.",
        "subclass": f"People were divided into {fitted.options.subclasses} ranges of {alike}, at its quantiles among "
        f"the {fitted.focal_words}.",
        "exact": f"Strata are all combinations of values of {_exact_columns(fitted)}; strata with one group only were "
        "left out.",
        "coarsened-exact": "Strata are all combinations of ranges of the covariates; strata with one group only were "
        "left out.",
        "cardinality": "The largest sample was chosen in which the mean of every covariate differs by at most "
        f"{fitted.options.balance_tolerance:g} standard deviations between the groups. Other samples of this size may "
        "balance as well; one of them was taken.",
        "kernel": f"Weights fall with the distance in {alike} ({fitted.options.kernel} kernel).",
        "radius": f"All people of the other group within the radius in {alike} count alike.",
    }[method]
    return (lines, _weights_sentence(fitted))


def _weights_sentence(fitted: Facts) -> str:
    if fitted.options.method in {"optimal", "cardinality"}:
        return "Everybody who is kept counts alike within their group."
    stands_for = {"ATT": "served", "ATC": "not served"}.get(fitted.options.estimand)
    if stands_for is None:
        return "Both groups are weighted to stand for everybody who can be compared."
    return f"The other group is weighted to stand for those who were {stands_for}."


def _nearest_approach(fitted: Facts) -> tuple[str, ...]:
    options = fitted.options
    again = "may be used more than once" if options.replace else "is used once at most"
    if options.reuse is not None:
        again = f"may be used up to {options.reuse} times"
    count = "one match" if options.ratio == 1 else f"up to {options.ratio} matches"
    order = f" Order of choosing: {options.choosing}." if not options.replace or options.reuse is not None else ""
    first = f"Each person was given {count} with the nearest {_likeness(fitted)}. A match {again}.{order}"
    limits = _limits(fitted)
    if options.metric is not None:
        return (first + limits,)
    return (
        first + limits,
        "Where two are equally near, the one with the lower score is taken"
        + (", or all of them with equal shares." if options.averages_ties else "; ties keep the order of the data."),
    )


def _likeness(fitted: Facts) -> str:
    options = fitted.options
    if options.metric is not None:
        return _DISTANCES[options.metric]
    return "estimated chance of being served" if options.column is None else f"value of {options.column}"


def _exact_columns(fitted: Facts) -> str:
    return ", ".join(fitted.options.exact or [words_of(covariate) for covariate in fitted.options.covariates])


def _limits(fitted: Facts) -> str:
    options = fitted.options
    lines = []
    if options.exact:
        lines.append(f"Pairs agree exactly on {', '.join(options.exact)}.")
    if options.antiexact:
        lines.append(f"Pairs differ on {', '.join(options.antiexact)}.")
    for column, width in options.calipers.items():
        unit = " standard deviations" if isinstance(width, SdWidth) else ""
        size = width.sd if isinstance(width, SdWidth) else width
        word = f"at most {number(size)}" if size >= 0 else f"more than {number(-size)}"
        lines.append(f"Pairs differ by {word}{unit} on {column}.")
    if options.common_support != "none":
        whose = {"both": "people of either group", "treated": "treated people", "comparison": "comparison people"}
        lines.append(
            f"Before that, {whose[options.common_support]} outside the other group's range of the score were left out."
        )
    return "".join(f" {line}" for line in lines)


def described(fitted: Facts) -> Method:
    """Return the method in the field's terms."""
    options = fitted.options
    facts = "".join(f" {fact.label}: {_figure(fact.value)}." for fact in fitted.made.told)
    return Method(title=_TITLES.get(options.method, "Matching"), text=_terms(fitted) + _limits(fitted) + facts)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else number(value, 4)


_TITLES = {"nearest": "Pairing", "optimal": "Pairing", "full": "Matched sets"}


def _terms(fitted: Facts) -> str:
    options, on = fitted.options, _on(fitted)
    if options.method == "nearest":
        return _nearest_terms(fitted)
    return {
        "optimal": f"Optimal pairs on the {on}, {options.ratio} to each, {_caliper(fitted)}: the exact minimum of the "
        "total distance.",
        "full": f"Optimal full matching on the {on}, {_caliper(fitted)}: the exact minimum of the total distance, "
        "which is a cheapest edge cover of the two groups.",
        "subclass": f"Subclasses between quantiles of the {on}; a value on a cutpoint belongs to the range above.",
        "exact": f"Exact matching on {_exact_columns(fitted)}.",
        "coarsened-exact": f"Coarsened exact matching, bins: {_bins(fitted)}. A value on a cutpoint belongs to the bin "
        "above.",
        "cardinality": f"Mixed-integer programme (HiGHS) for the largest sample with {options.ratio} to each and "
        f"standardized mean differences of at most {options.balance_tolerance:g}.",
        "kernel": f"Kernel matching on the {on}, {options.kernel} kernel.",
        "radius": f"Radius matching on the {on}, {_caliper(fitted)}.",
    }[options.method]


def _nearest_terms(fitted: Facts) -> str:
    options = fitted.options
    replace = "with replacement" if options.replace else f"without replacement, order '{options.choosing}'"
    if options.reuse is not None:
        replace = f"with up to {options.reuse} uses of a match, order '{options.choosing}'"
    text = f"Nearest neighbour on the {_on(fitted)}, {options.ratio} to each, {replace}, {_caliper(fitted)}"
    if options.metric == "matrix":
        return f"{text}. Of equally near people, the first in the data is taken."
    if options.metric is not None:
        return (
            f"{text}. The covariance matrix is pooled within groups; of equally near people, the one farther along the "
            "first axis of the turned covariates is taken."
        )
    return (
        f"{text}, ties '{options.ties}'. All units stand in ascending order of the score (ties in data order); the "
        "nearest free unit below is taken where it is at least as near as the nearest free unit above."
    )


def _on(fitted: Facts) -> str:
    if fitted.options.metric is not None:
        on = f" of {', '.join(fitted.options.match_on)}" if fitted.options.match_on else ""
        return _DISTANCES[fitted.options.metric] + on
    return "logit of the score" if fitted.options.caliper_scale == "sd-logit" else "score"


def _caliper(fitted: Facts) -> str:
    width = fitted.made.width
    options = fitted.options
    if width is None or options.caliper is None:
        return "without a caliper"
    of = "logit of the score" if options.caliper_scale == "sd-logit" else "score"
    scale = "raw units" if options.caliper_scale == "raw" else f"{options.caliper:g} standard deviations of the {of}"
    return f"within a caliper of {number(width, 4)} ({scale} over both groups)"


def _bins(fitted: Facts) -> str:
    bins = fitted.options.bins
    if isinstance(bins, dict):
        return ", ".join(f"{name} {value}" for name, value in bins.items()) + ", others by Sturges' rule"
    return str(bins)


_SOURCES = {
    "optimal": Reference(
        text="Rosenbaum, P. (1989). Optimal matching for observational studies. Journal of the American Statistical "
        "Association 84.", doi="10.1080/01621459.1989.10478868",
    ),
    "full": Reference(
        text="Hansen, B. (2004). Full matching in an observational study of coaching for the SAT. Journal of the "
        "American Statistical Association 99.", doi="10.1198/016214504000000647",
    ),
    "subclass": Reference(
        text="Rosenbaum, P. and Rubin, D. (1984). Reducing bias in observational studies using subclassification on "
        "the propensity score. Journal of the American Statistical Association 79.",
        doi="10.1080/01621459.1984.10478078",
    ),
    "coarsened-exact": Reference(
        text="Iacus, S., King, G. and Porro, G. (2012). Causal inference without balance checking: coarsened exact "
        "matching. Political Analysis 20.", doi="10.1093/pan/mpr013",
    ),
    "cardinality": Reference(
        text="Zubizarreta, J., Paredes, R. and Rosenbaum, P. (2014). Matching for balance, pairing for heterogeneity "
        "in an observational study of the effectiveness of for-profit and not-for-profit high schools in Chile. "
        "Annals of Applied Statistics 8.", doi="10.1214/13-AOAS713",
    ),
    "kernel": Reference(
        text="Heckman, J., Ichimura, H. and Todd, P. (1997). Matching as an econometric evaluation estimator. Review "
        "of Economic Studies 64.", doi="10.2307/2971733",
    ),
}  # fmt: skip
_MAHALANOBIS = Reference(
    text="Rubin, D. (1980). Bias reduction using Mahalanobis-metric matching. Biometrics 36.", doi="10.2307/2529981"
)


def sources(fitted: Facts) -> tuple[Reference, ...]:
    """Return where the method comes from."""
    method = "kernel" if fitted.options.method == "radius" else fitted.options.method
    found = [_SOURCES[method]] if method in _SOURCES else []
    given = fitted.options.metric in (None, "matrix")
    return tuple(found if given else [*found, _MAHALANOBIS])
