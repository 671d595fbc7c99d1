"""The outcome model on the matched sample: its rows, its columns, and mean outcomes without and with the program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.matching.matched import Matched
from evaltoolkit.designs.matching.people import People
from evaltoolkit.errors import SeparationError
from evaltoolkit.kernels.g_computation import Family, OutcomeModel, outcome_model, standardize

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Way = Literal["difference", "regression", "g-computation", "aipw"]

FAMILIES: Final[dict[str, Family]] = {
    "binary": "binomial", "proportion": "binomial", "count": "poisson", "rate": "poisson", "continuous": "gaussian",
}  # fmt: skip

LIMIT: Final = 1e-6
"""A mean this near to its limit, relative to the other, counts as none."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Rows of the outcome model.

    Attributes
    ----------
    person
        Row of ``People``, shape (n,); a person stands in as many rows as pairs, where matches are reused.
    group
        Code of the pair, set or stratum; of the person where there is none, shape (n,).
    weight
        Shape (n,).
    """

    person: IntArray
    group: IntArray
    weight: FloatArray

    @property
    def n_people(self) -> int:
        """People in the rows, each counted once."""
        return int(np.count_nonzero(np.bincount(self.person)))


@dataclass(frozen=True, slots=True)
class OutcomeFit:
    """The outcome model, fitted.

    Attributes
    ----------
    stack, design
        Its rows, shape (n,), and columns, shape (n, k): intercept, treatment, and with covariates these and their
        products with treatment.
    model
        Coefficients and scores.
    means
        Mean outcome without and with the program among the matched focal people, shape (2,).
    contrasts
        Derivatives of these means and of their difference by the kept coefficients, shape (3, r).
    aliased
        Names of terms that could not be estimated and were left out.
    """

    stack: Stack
    design: FloatArray
    model: OutcomeModel
    means: FloatArray
    contrasts: FloatArray
    aliased: tuple[str, ...]

    @property
    def separated(self) -> bool:
        """Whether some coefficients of the outcome model run away."""
        return not self.model.exists

    @property
    def n_terms(self) -> int:
        """Coefficients that are estimated."""
        return int(self.model.kept.size)


def stacked(matched: Matched) -> Stack:
    """Return the rows of the outcome model: people, or pairs one after another where matches are reused."""
    if matched.sets is None and matched.pairs is not None:
        pairs = matched.pairs
        who = np.unique(pairs.focal)
        return Stack(
            np.concatenate([who, pairs.match]), np.concatenate([who, pairs.focal]),
            np.concatenate([np.ones(who.size), pairs.weight]),
        )  # fmt: skip
    used = np.flatnonzero(matched.used)
    return Stack(used, used if matched.sets is None else matched.sets[used], matched.weights[used])


def fit_outcome(people: People, matched: Matched, way: Way, kind: str, *, where: str = "") -> OutcomeFit:
    r"""Fit the outcome on the matched sample and average over the matched focal people.

    ``difference`` has treatment alone. ``regression`` has every covariate and its product with treatment, linear.
    ``g-computation`` has the same terms with a logit for yes/no outcomes and shares, and a log for counts and rates.
    Covariates are centered at the focal people, so that the coefficient of treatment in the linear model is the effect.

    Raises
    ------
    SeparationError
        A logit or log model has no estimate, because in a group everybody or nobody has the outcome.

    References
    ----------
    Abadie, A. and Spiess, J. (2022). Robust post-matching inference. Journal of the American Statistical Association
    117. doi:10.1080/01621459.2020.1840383
    """
    stack = stacked(matched)
    family = FAMILIES[kind] if way == "g-computation" else "gaussian"
    terms, names = _terms(people, matched, way)
    t = people.treated[stack.person].astype(np.float64)
    design = _columns(terms[stack.person], t)
    try:
        model = outcome_model(design, people.outcome[stack.person], stack.weight, family)
    except ValueError as error:
        raise _no_estimate(where) from error
    target = np.flatnonzero(matched.focal & matched.used)
    found = standardize(
        model, _columns(terms[target], np.zeros(target.size)), _columns(terms[target], np.ones(target.size)),
        matched.weights[target],
    )  # fmt: skip
    _refuse_limits(found.means, kind, way, where)
    contrasts = np.vstack([found.slopes, found.slopes[1] - found.slopes[0]])
    return OutcomeFit(stack, design, model, found.means, contrasts, tuple(names[j] for j in model.aliased))


def _refuse_limits(means: FloatArray, kind: str, way: Way, where: str) -> None:
    """Refuse a model in which a whole group has no events, or nothing but events."""
    family = FAMILIES[kind] if way == "g-computation" else "gaussian"
    at_limit = means.min() < LIMIT * means.max() or means.max() < LIMIT * LIMIT
    at_limit |= family == "binomial" and means.max() > 1 - LIMIT
    if family != "gaussian" and at_limit:
        raise _no_estimate(where)


def _no_estimate(where: str) -> SeparationError:
    return SeparationError(
        "the outcome model of g-computation has no estimate: in a group everybody or nobody has the outcome",
        expected="people with and without the outcome in both groups",
        todo="use effect = 'difference', or another outcome", where=where,
    )  # fmt: skip


def _terms(people: People, matched: Matched, way: Way) -> tuple[FloatArray, tuple[str, ...]]:
    names: tuple[str, ...] = ("mean", "effect")
    if way == "difference":
        return np.zeros((people.treated.size, 0)), names
    X = people.covariates.X
    target = np.where(matched.focal, matched.weights, 0.0)
    spread = X.std(axis=0)
    labels = people.covariates.names
    return (
        (X - target @ X / target.sum()) / np.where(spread > 0, spread, 1),
        names + labels + tuple(f"treated × {name}" for name in labels),
    )


def _columns(terms: FloatArray, t: FloatArray) -> FloatArray:
    return np.column_stack([np.ones(t.size), t, terms, t[:, None] * terms])
