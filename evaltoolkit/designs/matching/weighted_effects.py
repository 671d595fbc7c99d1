"""Effects after weighting, with errors that know how the weights came about, and doubly robust effects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.matching.boosted import boosted_predictor
from evaltoolkit.designs.matching.effects import Asked, Effect
from evaltoolkit.designs.matching.matched import Matched
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.people import People
from evaltoolkit.designs.matching.resampling import MOST_FAILED, Rematch
from evaltoolkit.designs.matching.score import Score, link_of, regression
from evaltoolkit.errors import EvaluationError, NoVariationError, OptionError, SeparationError, TooFewClustersError
from evaltoolkit.kernels.arm_models import Family
from evaltoolkit.kernels.augmented import Scorer, augmented_means, averaged, cross_fitted, predictions
from evaltoolkit.kernels.balance import effective_size
from evaltoolkit.kernels.propensity import inverse_link
from evaltoolkit.kernels.standardized import Standardized
from evaltoolkit.kernels.weighted_means import Means, leverages, regression_means, weighted_means

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

FAMILIES: dict[str, Family] = {
    "binary": "binomial", "proportion": "binomial", "count": "poisson", "rate": "poisson",
}  # fmt: skip
METHODS = ("auto", "m-estimation", "bootstrap")
FEWEST_CLUSTERS: Final = 5
SMALL: Final = 30
"""Effective size of a group below which plain errors are too small: see docs/coverage_weighting.md."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """What an effect after weighting is estimated from.

    Attributes
    ----------
    people, score, matched, options
        The people, their score and weights, and how they were made.
    kind
        Kind of the outcome: it decides the outcome models of g-computation and aipw.
    seed
        Of cross-fitting.
    where
        Where the effect is declared, for messages.
    """

    people: People
    score: Score
    matched: Matched
    options: Options
    kind: str
    seed: int
    where: str

    @property
    def family(self) -> Family:
        """Of those outcome models: logit for yes/no, exponential for counts, linear elsewhere."""
        return FAMILIES.get(self.kind, "gaussian")


def weighted_effect(
    people: People, score: Score, matched: Matched, options: Options, asked: Asked, rematch: Rematch
) -> Effect:
    """Estimate the effect after weighting: a difference, a regression, g-computation, or doubly robust.

    Errors come from stacked estimating equations of score, weights and outcome models (M-estimation); for aipw from
    influence functions. Where a group is small in effect, ``auto`` enlarges them as HC2 does. Where weights do not come
    from equations (boosted trees, energy balancing, a given score) they are taken as given. The t reference has the
    degrees of freedom of Welch, with effective group sizes. The bootstrap draws people and does everything again.

    Raises
    ------
    OptionError
        The inference asked for is not one for weighting.
    TooFewClustersError
        A group has too few people for the outcome model.
    SeparationError
        An outcome model or, in cross-fitting, a score has no estimate.

    References
    ----------
    Stefanski, L. and Boos, D. (2002). The calculus of M-estimation. The American Statistician 56.
    doi:10.1198/000313002753631330
    """
    if asked.method not in METHODS:
        raise OptionError(
            f"inference '{asked.method}' is for matched people, and people are weighted here",
            expected=", ".join(METHODS), todo="choose one of these", where=asked.places[1],
        )  # fmt: skip
    found = Weighed(people, score, matched, options, asked.kind, asked.seed, asked.places[0])
    parameters = 1 if asked.way == "difference" else people.covariates.X.shape[1] + 1
    fewest = min(int(people.treated.sum()), int((~people.treated).sum()))
    enough(fewest, parameters, options.folds if asked.way == "aipw" else 1, found.where)
    means = means_of(found, asked.way)
    weights = matched.estimated
    name, why = named(asked.way, options.folds, from_equations=weights is not None and bool(weights.equations))
    if asked.method == "auto" and _few_in_effect(found):
        means = _enlarged(found, asked.way, means)
        name, why = as_small(name, why)
    both, n_clusters = _grouped(found, means)
    if people.clusters is not None:
        name, why = f"{name}, by {options.cluster}", f"{why}; people of one {options.cluster} may be alike"
    if asked.method == "bootstrap":
        both, name = resampled(found, asked, rematch)
        why = "it was asked for; everything is done again in each draw, the score included"
    contrast = np.array([-1.0, 1.0])
    return Effect(
        way=asked.way,
        estimate=means.difference,
        std_error=float(np.sqrt(max(contrast @ both @ contrast, 0.0))),
        df=min(_df(means, people.treated, matched.weights, parameters), n_clusters - 1),
        means=means.means,
        covariance=both,
        n_people=int(matched.used.sum()),
        n_clusters=(n_clusters,),
        inference=name,
        why=why,
        aliased=tuple(people.covariates.names[j] for j in means.aliased),
    )


def _few_in_effect(found: Weighed) -> bool:
    """Whether a group is small; errors of given weights and of cross-fitting are wide enough without help."""
    weights = found.matched.estimated
    if weights is None or not weights.equations or found.options.folds > 1:
        return False
    t, w = found.people.treated, found.matched.weights
    return min(effective_size(w[t]), effective_size(w[~t])) < SMALL


def _enlarged(found: Weighed, way: str, means: Means) -> Means:
    weights, t = found.matched.estimated, found.people.treated
    assert weights is not None
    assert weights.rows is not None
    return means.enlarged(leverages(weights.rows, t, np.ones(t.size) if way == "aipw" else weights.weights))


def resampled(found: Weighed, asked: Asked, rematch: Rematch) -> tuple[FloatArray, str]:
    """Return the covariance of the two means over draws of people, and what the error is called."""
    rng, n = np.random.default_rng(asked.seed), found.people.treated.size
    whole = np.arange(n) if found.people.clusters is None else found.people.clusters
    members = np.split(np.argsort(whole, kind="stable"), np.cumsum(np.bincount(whole))[:-1])
    draws = []
    for _ in range(asked.draws):
        drawn = np.concatenate([members[g] for g in rng.integers(0, len(members), len(members))])
        people = found.people.take(drawn)
        n = drawn.size
        if not 0 < people.treated.sum() < n:
            continue
        try:
            again = replace(found, people=people, matched=rematch(people))
            draws.append(means_of(again, asked.way).means)
        except EvaluationError:
            continue
    if len(draws) < (1 - MOST_FAILED) * asked.draws:
        raise OptionError(
            f"{asked.draws - len(draws):,} of {asked.draws:,} bootstrap draws have no estimate",
            expected=f"no more than {100 * MOST_FAILED:.0f}%",
            todo="use inference = 'auto', fewer covariates, or a simpler effect", where=asked.places[1],
        )  # fmt: skip
    what = "people" if found.people.clusters is None else f"every {found.options.cluster}"
    return np.cov(np.array(draws).T), f"bootstrap of {what} ({len(draws):,} draws)"


def _grouped(found: Weighed, means: Means) -> tuple[FloatArray, int]:
    """Return the covariance of the means and how many independent people or clusters it rests on."""
    clusters = found.people.clusters
    if clusters is None:
        return means.covariance(), int(found.matched.used.sum())
    g = int(clusters.max()) + 1
    if g < FEWEST_CLUSTERS:
        raise TooFewClustersError(
            f"the column '{found.options.cluster}' holds {g} clusters", expected=f"at least {FEWEST_CLUSTERS}",
            todo="leave cluster out, or group people more finely", where="cluster",
        )  # fmt: skip
    return means.covariance(clusters), g


def means_of(found: Weighed, way: str) -> Means:
    """Return mean outcomes without and with the program, with influence functions."""
    people, weights = found.people, found.matched.estimated
    assert weights is not None
    if way == "aipw":
        means = _augmented(found)
    elif way == "difference":
        means = weighted_means(people.outcome, people.treated, weights)
    else:
        rows = weights.rows if weights.rows is not None else Standardized.of(people.covariates.X)
        family: Family = found.family if way == "g-computation" else "gaussian"
        means = regression_means(people.outcome, people.treated, weights, rows, family)
    if not means.converged:
        raise SeparationError(
            "covariates tell outcomes apart perfectly within a group, so that its outcome model has no estimate",
            expected="an outcome that varies at every value of the covariates in both groups",
            todo="use effect = 'difference' or 'regression', or fewer covariates", where=found.where,
        )  # fmt: skip
    return means


def named(way: str, folds: int, *, from_equations: bool) -> tuple[str, str]:
    """Return what the standard error is called, and why it is this one."""
    if way == "aipw":
        crossed = f", {folds} folds" if folds > 1 else ""
        return (
            f"influence function{crossed}",
            "what score and outcome models miss matters to second order only",
        )
    if from_equations:
        return "M-estimation", "the weights are estimated, and the equations behind them are known"
    return "robust, weights taken as given", "no equations stand behind these weights"


def as_small(name: str, why: str) -> tuple[str, str]:
    """Return name and reason of an error that is enlarged because a group is small in effect."""
    return f"{name}, HC2", f"{why}; a group is small in effect (below {SMALL}), where plain errors are too small"


def _augmented(found: Weighed) -> Means:
    people, options = found.people, found.options
    X, y, t = people.covariates.X, people.outcome, people.treated
    estimand = options.estimand
    assert estimand in ("ATT", "ATC", "ATE")
    if options.folds == 1:
        rows = found.matched.estimated.rows if found.matched.estimated else None
        nuisance = predictions(rows if rows is not None else Standardized.of(X), y, t, _line(found), found.family)
        return augmented_means(y, t, nuisance, estimand)
    repetitions = []
    for r in range(options.repeats):
        crossed = cross_fitted(X, y, t, _scorer(found), found.family, folds=options.folds, seed=found.seed + r)
        if crossed is None:
            raise SeparationError(
                "in a fold of cross-fitting the covariates tell treated and comparison people apart perfectly",
                expected="treated and comparison people at the same values of every covariate in every fold",
                todo="use fewer folds, distance = 'penalized', or fewer covariates", where=found.where,
            )  # fmt: skip
        repetitions.append(augmented_means(y, t, crossed, estimand))
    return averaged(repetitions)


def _line(found: Weighed) -> FloatArray:
    # Of the people at hand: those drawn by the bootstrap have their own score.
    assert found.matched.line is not None
    return found.matched.line


def _scorer(found: Weighed) -> Scorer:
    model, trees, seed = found.score.model, found.score.iterations, found.seed

    def _score(X: FloatArray, chosen: Mask, at: FloatArray) -> FloatArray | None:
        if model == "boosted":
            return boosted_predictor(X, chosen, at, trees, seed)
        fit = regression(X, chosen, model or "logit")
        if not fit.converged:
            return None
        return inverse_link(fit.coefficients[0] + at @ fit.coefficients[1:], link_of(model))

    return _score


def enough(fewest: int, parameters: int, folds: int, where: str) -> None:
    """Refuse an outcome model for which the smaller group has too few people.

    Raises
    ------
    TooFewClustersError
    """
    left = fewest - -(-fewest // folds) if folds > 1 else fewest
    if left > parameters:
        return
    raise TooFewClustersError(
        f"one of the groups has too few people for the {parameters} coefficients of its outcome model"
        + (f" when one of {folds} folds is left out" if folds > 1 else ""),
        expected=f"more than {parameters} people in each group",
        todo="use effect = 'difference', fewer covariates or fewer folds", where=where,
    )  # fmt: skip


def _df(means: Means, treated: Mask, weights: FloatArray, parameters: int) -> int:
    phi = means.influence[1] - means.influence[0]
    arms = (~treated, treated)
    return welch_df(
        [float(phi[arm] @ phi[arm]) for arm in arms], [effective_size(weights[arm]) for arm in arms], parameters
    )


def welch_df(parts: list[float], sizes: list[float], parameters: int) -> int:
    """Return Welch's degrees of freedom, with the effective size of each group less its parameters.

    >>> welch_df([1.0, 1.0], [12.0, 12.0], 2)
    20

    Raises
    ------
    NoVariationError
        The outcome does not vary within the groups.
    """
    total = sum(parts)
    if total <= 0:
        raise NoVariationError(
            "the outcome does not vary within the groups", expected="an outcome that varies",
            todo="check the outcome column and the filters", where="outcome",
        )  # fmt: skip
    left = [max(size - parameters, 1.0) for size in sizes]
    return max(1, int(total**2 / sum(part**2 / size for part, size in zip(parts, left, strict=True))))
