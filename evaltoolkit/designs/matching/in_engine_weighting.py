"""Weighting of people in an engine: weights from the score, and effects with their errors, from sums alone.

Estimates and errors are those of ``weighted_effects``, to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaltoolkit.designs.matching.effects import Asked, Effect
from evaltoolkit.designs.matching.in_engine_balance import Groups
from evaltoolkit.designs.matching.in_engine_means import (
    HeldMeans,
    augmented_means,
    difference_means,
    regression_means,
    spread_of,
    weighed,
)
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.weighted_effects import (
    FAMILIES,
    FEWEST_CLUSTERS,
    SMALL,
    as_small,
    enough,
    named,
    welch_df,
)
from evaltoolkit.errors import ColumnTypeError, SeparationError, TooFewClustersError
from evaltoolkit.reduction.engine_score import HeldFit
from evaltoolkit.reduction.people import HeldPeople, where


@dataclass(frozen=True, slots=True)
class HeldWeights:
    """People with their weights, and what these follow from.

    Attributes
    ----------
    people
        With ``p``, ``w``, ``w0``, ``w1``, ``slope`` and ``share``.
    score
        The score; None where it was given.
    names
        Of the covariates of models.
    """

    people: HeldPeople
    score: HeldFit | None
    names: tuple[str, ...]


def weights_of(people: HeldPeople, score: HeldFit | None, options: Options, treated: int) -> HeldPeople:
    """Return the people with weights for the estimand.

    Raises
    ------
    ColumnTypeError
        A column is given as the score that is no probability.
    """
    if score is None:
        p = people["p"]
        found = people.sums({"odd": where((p <= 0) | (p >= 1), 1, 0).max()}, "values of the score")
        if found["odd"] > 0:
            raise ColumnTypeError(
                f"the score holds values that are not between 0 and 1 (column or model '{options.distance}')",
                expected="chances of being served, above 0 and below 1",
                todo="use distance = 'logit', or another column", where="distance",
            )  # fmt: skip
    share = treated / people.n if options.stabilize else None
    return weighed(people, score, options.estimand, share)


def effect_of(held: HeldWeights, groups: Groups, options: Options, asked: Asked) -> Effect:
    """Estimate the effect after weighting in one way.

    Raises
    ------
    TooFewClustersError
        A group has too few people for the outcome model, or there are too few clusters.
    SeparationError
        An outcome model has no estimate.
    """
    people, equations = held.people, held.score is not None
    parameters = 1 if asked.way == "difference" else people.k + 1
    enough(min(groups.treated.n, groups.comparison.n), parameters, 1, asked.places[0])
    means = _means(held, options, asked)
    name, why = named(asked.way, 1, from_equations=equations)
    sizes = [groups.comparison.effective, groups.treated.effective]
    if asked.method == "auto" and equations and min(sizes) < SMALL:
        means = means.enlarged("z0" if asked.way == "aipw" else "w")
        name, why = as_small(name, why)
    found = spread_of(means, None if options.cluster is None else "c")
    if options.cluster is not None:
        _enough_clusters(found.n_clusters, options)
        name, why = f"{name}, by {options.cluster}", f"{why}; people of one {options.cluster} may be alike"
    contrast = np.array([-1.0, 1.0])
    return Effect(
        way=asked.way,
        estimate=float(means.means[1] - means.means[0]),
        std_error=float(np.sqrt(max(contrast @ found.covariance @ contrast, 0.0))),
        df=min(welch_df(list(found.parts), sizes, parameters), found.n_clusters - 1),
        means=means.means,
        covariance=found.covariance,
        n_people=people.n,
        n_clusters=(found.n_clusters,),
        inference=name,
        why=why,
        aliased=tuple(held.names[j] for j in means.aliased),
    )


def _means(held: HeldWeights, options: Options, asked: Asked) -> HeldMeans:
    people, way = held.people, asked.way
    family = FAMILIES.get(asked.kind, "gaussian")
    if way == "difference":
        means = difference_means(people, held.score)
    elif way == "aipw":
        means = augmented_means(people, family, options.estimand)
    else:
        moving = options.estimand in ("ATO", "ATM")
        used = family if way == "g-computation" else "gaussian"
        means = regression_means(people, held.score, used, moving=moving)
    if not means.converged:
        raise no_outcome_model(asked.places[0])
    return means


def no_outcome_model(where: str) -> SeparationError:
    """Return the error for an outcome model without an estimate."""
    return SeparationError(
        "covariates tell outcomes apart perfectly within a group, so that its outcome model has no estimate",
        expected="an outcome that varies at every value of the covariates in both groups",
        todo="use effect = 'difference' or 'regression', or fewer covariates", where=where,
    )  # fmt: skip


def _enough_clusters(found: int, options: Options) -> None:
    if found < FEWEST_CLUSTERS:
        raise TooFewClustersError(
            f"the column '{options.cluster}' holds {found} clusters", expected=f"at least {FEWEST_CLUSTERS}",
            todo="leave cluster out, or group people more finely", where="cluster",
        )  # fmt: skip
