"""Which standard error the matched sample calls for, why, and what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.matching.effects import Asked, Effect
from evaltoolkit.designs.matching.matched import Matched
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.outcome_fit import OutcomeFit
from evaltoolkit.errors import OptionError, SeparationError, TooFewClustersError
from evaltoolkit.kernels.sandwich import clustered, clustered_two_ways, heteroskedastic
from evaltoolkit.kernels.small_sample import small_sample
from evaltoolkit.kernels.small_sample_fit import ClusteredFit, clustered_fit
from evaltoolkit.kernels.wild_bootstrap import Wild, wild_cluster

FloatArray = NDArray[np.float64]

STRATA: Final[frozenset[str]] = frozenset({"subclass", "exact", "coarsened-exact", "cardinality"})
"""Methods whose sets are fixed cells of the covariates rather than people chosen for one another."""
BY_PERSON: Final[frozenset[str]] = frozenset({"subclass"})
"""Methods with so few strata that errors are not grouped by them."""
FEWEST_DF: Final = 4.0
"""Satterthwaite degrees of freedom below which errors are not grouped by sets where the outcome model adjusts."""
FEW_SETS: Final = 75
"""Matched sets of several people up to which errors are CR2."""
FEW_PEOPLE: Final = 400
"""People up to which errors by person are CR2."""
MANY_SETS: Final = 100
"""Sets above which their number is not in doubt."""
WHY: Final = {
    "pair": "the two people of a pair were chosen for each other, so their outcomes go together",
    "matched set": "the people of a matched set were chosen for one another, so their outcomes go together",
    "stratum": "people of a stratum are alike in the covariates that make it",
    "both": "a person may stand in several pairs, so pairs are not independent",
    "fixed": "strata of the score are few and fixed, and people in them independent",
}
"""Why errors are grouped as they are."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """What the rows of the outcome model are grouped by in its standard error.

    Attributes
    ----------
    by
        Pairs, matched sets or strata; people; or pairs and people at once.
    name, why
        In words, and the reason for it.
    """

    by: Literal["set", "person", "both"]
    name: str
    why: str


def grouping(fit: OutcomeFit, matched: Matched, options: Options, where: str) -> Grouping:
    """Choose what errors are grouped by.

    Raises
    ------
    TooFewClustersError
        There are not more pairs than coefficients.
    """
    if matched.sets is None and matched.pairs is not None:
        enough_sets(fit.n_terms, matched.n_sets, where)
        return Grouping("both", "pair and person", WHY["both"])
    if matched.sets is None:
        return _by_person(fit, "people are weighted and stand in no sets", where)
    if options.method in BY_PERSON:
        return _by_person(fit, WHY["fixed"], where)
    word = "stratum" if options.method in STRATA else "pair" if _one_to_one(matched) else "matched set"
    if word != "pair" and _too_few(fit, matched.n_sets):
        return _by_person(fit, too_few_sets(matched.n_sets, fit.n_terms), where)
    enough_sets(fit.n_terms, matched.n_sets, where)
    return Grouping("set", word, WHY[word])


def _by_person(fit: OutcomeFit, why: str, where: str) -> Grouping:
    enough_sets(fit.n_terms, fit.stack.n_people, where)
    return Grouping("person", "person", why)


def _too_few(fit: OutcomeFit, n_sets: int) -> bool:
    """Return whether sets carry no error for the outcome model: no more than its terms, or few that are alike in size.

    Satterthwaite's degrees of freedom below 4 mean that a few sets decide (Tipton 2015, doi:10.1037/met0000011).
    """
    if n_sets <= fit.n_terms:
        return True
    if n_sets > MANY_SETS or fit.n_terms <= 2:
        return False
    again = clustered_fit(fit.design, fit.model.response, fit.stack.group, fit.model.working)
    contrast = np.zeros((1, fit.design.shape[1]))
    contrast[:, fit.model.kept] = fit.contrasts[2]
    return bool(small_sample(again, "CR2", contrast).df[0] < FEWEST_DF)


def _one_to_one(matched: Matched) -> bool:
    return matched.pairs is not None and matched.pairs.focal.size == matched.pairs.n_focal


def too_few_sets(n_sets: int, n_terms: int) -> str:
    """Return why errors are not grouped by sets."""
    return f"there are only {n_sets} sets for {n_terms} terms of the outcome model, too few to group by"


def enough_sets(n_terms: int, n_sets: int, where: str) -> None:
    """Refuse an outcome model with as many coefficients as there are pairs, sets or people.

    Raises
    ------
    TooFewClustersError
    """
    if n_sets > n_terms:
        return
    other = "use effect = 'difference' or fewer covariates" if n_terms > 2 else "find more people to match"
    raise TooFewClustersError(
        f"the matched sample has too few pairs for the {n_terms} coefficients of the outcome model",
        expected=f"more than {n_terms} pairs", todo=f"{other}, or widen the caliper", where=where,
    )  # fmt: skip


def with_errors(fit: OutcomeFit, matched: Matched, options: Options, asked: Asked) -> Effect:
    """Return the effect with the clustered error that was asked for, or that the method calls for."""
    chosen = grouping(fit, matched, options, asked.places[0])
    if asked.method == "auto" and _few(fit, chosen):
        return _small_sample(fit, chosen, asked)
    if asked.method in {"auto", "cr1"}:
        return _sandwich(fit, chosen, asked)
    if chosen.by == "both":
        raise OptionError(
            f"inference '{asked.method}' needs each person in one pair only, and matches are reused here",
            expected="auto or cr1 (two-way by pair and person), or abadie-imbens",
            todo="choose one of these, or match without replacement", where=asked.places[1],
        )  # fmt: skip
    if asked.method == "wild-cluster":
        return _wild(fit, chosen, asked)
    return _small_sample(fit, chosen, asked)


def _few(fit: OutcomeFit, chosen: Grouping) -> bool:
    """Return whether sets of several people, or people, are so few that CR1 is too small: see coverage_matching.md."""
    if chosen.by == "person":
        return fit.stack.n_people <= FEW_PEOPLE
    return chosen.name == "matched set" and int(np.unique(fit.stack.group).size) <= FEW_SETS


def _sandwich(fit: OutcomeFit, chosen: Grouping, asked: Asked) -> Effect:
    model, stack = fit.model, fit.stack
    if chosen.by == "both":
        found = clustered_two_ways(model.scores, model.bread, stack.group, stack.person)
        name = "two-way CR1 (pair and person)"
    elif chosen.by == "set":
        found, name = clustered(model.scores, model.bread, stack.group), f"CR1 by {chosen.name}"
    else:
        found, name = heteroskedastic(model.scores, model.bread), "HC1 (by person)"
    covariance = fit.contrasts @ found.matrix @ fit.contrasts.T
    return _effect(fit, asked, covariance, float(found.df), found.n_clusters, name, chosen.why)


def _small_sample(fit: OutcomeFit, chosen: Grouping, asked: Asked) -> Effect:
    kind: Literal["CR2", "CR3"] = "CR3" if asked.method == "cr3" else "CR2"
    again = _refitted(fit, chosen)
    contrasts = np.zeros((3, fit.design.shape[1]))
    contrasts[:, fit.model.kept] = fit.contrasts
    linear = fit.model.family == "gaussian"
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = small_sample(again, kind, contrasts, "equal" if linear else "inverse-weights")
    if fit.separated or not (np.isfinite(found.covariance).all() and np.isfinite(found.df[2])):
        if asked.method == "auto":
            return _sandwich(fit, chosen, asked)
        raise SeparationError(
            f"inference '{asked.method}' has no answer, because covariates tell some outcomes apart",
            expected="an outcome that the covariates leave open", todo="use inference = 'cr1', or fewer covariates",
            where=asked.places[1],
        )  # fmt: skip
    name = f"{kind} by {chosen.name}, Satterthwaite degrees of freedom"
    few = f"{chosen.why}; and with so few, CR1 would be too small"
    why = few if asked.method == "auto" else _asked_for(chosen)
    return _effect(fit, asked, found.covariance, float(found.df[2]), (again.n_clusters,), name, why)


def _wild(fit: OutcomeFit, chosen: Grouping, asked: Asked) -> Effect:
    if fit.model.family != "gaussian":
        raise OptionError(
            "inference 'wild-cluster' is for linear outcome models, and effect = 'g-computation' is not one here",
            expected="effect = 'difference' or 'regression'", todo="choose one of these, or inference = 'cr2'",
            where=asked.places[1],
        )  # fmt: skip
    plain = _sandwich(fit, chosen, asked)
    if plain.std_error == 0:
        return plain
    how = Wild(draws=asked.draws, seed=asked.seed, level=asked.level)
    found = wild_cluster(_refitted(fit, chosen), 1, how)
    listed = "all" if found.listed else f"{found.draws:,}"
    return Effect(
        way=asked.way, estimate=plain.estimate, std_error=plain.std_error, df=plain.df, means=plain.means,
        covariance=plain.covariance, n_people=plain.n_people, n_clusters=plain.n_clusters,
        inference=f"wild cluster bootstrap by {chosen.name} ({found.law}, {listed} draws)", why=_asked_for(chosen),
        aliased=plain.aliased, ends=(found.lower, found.upper), chance=found.p_value,
    )  # fmt: skip


def _refitted(fit: OutcomeFit, chosen: Grouping) -> ClusteredFit:
    # The last step of iterated least squares is a weighted regression, whose errors are those of the model.
    codes = fit.stack.group if chosen.by == "set" else fit.stack.person
    return clustered_fit(fit.design, fit.model.response, codes, fit.model.working)


def _asked_for(chosen: Grouping) -> str:
    return f"it was asked for; {chosen.why}"


def _effect(
    fit: OutcomeFit, asked: Asked, covariance: FloatArray, df: float, n_clusters: tuple[int, ...], name: str, why: str
) -> Effect:
    return Effect(
        way=asked.way,
        estimate=float(fit.means[1] - fit.means[0]),
        std_error=float(np.sqrt(max(float(covariance[2, 2]), 0.0))),
        df=df,
        means=fit.means,
        covariance=covariance[:2, :2],
        n_people=fit.stack.n_people,
        n_clusters=n_clusters,
        inference=name,
        why=why,
        aliased=fit.aliased,
        separated=fit.separated,
    )
