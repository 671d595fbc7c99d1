"""Effects on a matched sample in an engine: the outcome model, and errors grouped by sets, by people or by both.

Estimates and errors are those of ``outcome_fit`` and ``standard_errors``, to rounding, but where these need rows:

- Errors by person are HC1 however few people there are (in memory CR2 up to 400).
- With at most 100 strata and covariates in the outcome model, errors are by person where the strata's parts in the
  error count as fewer than 4 strata (in memory where Satterthwaite's degrees of freedom are below 4).
- An outcome model with a link whose coefficients run away is refused (in memory its means are given with a caution),
  and a group that cannot tell a slope has none (in memory it takes that of the other group).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.matching.effects import Asked, Effect
from evaltoolkit.designs.matching.outcome_fit import FAMILIES
from evaltoolkit.designs.matching.standard_errors import FEWEST_DF, MANY_SETS, WHY, enough_sets, too_few_sets
from evaltoolkit.errors import SeparationError
from evaltoolkit.kernels.arm_models import independent
from evaltoolkit.reduction.engine_score import Family, fit_outcome, predicted
from evaltoolkit.reduction.people import HeldPeople, where

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_ARMS = (0, 1)


@dataclass(frozen=True, slots=True)
class HeldSample:
    """A matched sample in an engine.

    Attributes
    ----------
    stack
        Rows of the outcome model with their weight ``w``: people, or pairs one after another where matches are reused.
    target
        People with the weight ``target`` of those whose effect is estimated.
    keys
        Columns of the stack that make its sets.
    person
        Column of the stack that says who stands in several rows; None where everybody stands in one.
    n_rows, n_people, n_sets
        Rows of the stack, people in it, and sets.
    fixed
        Whether sets are ranges of the score, whose people are independent.
    names
        Of the covariates of models.
    """

    stack: HeldPeople
    target: HeldPeople
    keys: tuple[str, ...]
    person: str | None
    n_rows: int
    n_people: int
    n_sets: int
    fixed: bool
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Model:
    """Coefficients of both groups (comparison first), how the means follow scores of each, terms, aliased names."""

    b: tuple[FloatArray, FloatArray]
    means: FloatArray
    pulls: tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]
    n_terms: int
    aliased: tuple[str, ...]


def matched_effect(sample: HeldSample, asked: Asked) -> Effect:
    """Estimate the effect on a matched sample in one way.

    Raises
    ------
    TooFewClustersError
        There are not more pairs than coefficients.
    SeparationError
        The outcome model of g-computation has no estimate.
    """
    family: Family = FAMILIES[asked.kind] if asked.way == "g-computation" else "gaussian"
    if asked.way == "difference":
        nothing = np.empty(0)
        sample = replace(
            sample, stack=replace(sample.stack, center=nothing, spread=nothing),
            target=replace(sample.target, center=nothing, spread=nothing), names=(),
        )  # fmt: skip
    model = _linear(sample) if family == "gaussian" else _curved(sample, family, asked.places[0])
    found = _errors(_with_influence(sample, model, family), model, asked)
    contrast = np.array([-1.0, 1.0])
    return Effect(
        way=asked.way,
        estimate=float(model.means[1] - model.means[0]),
        std_error=float(np.sqrt(max(contrast @ found.covariance @ contrast, 0.0))),
        df=found.df,
        means=model.means,
        covariance=found.covariance,
        n_people=sample.n_people,
        n_clusters=found.n_clusters,
        inference=found.name,
        why=found.why,
        aliased=model.aliased,
    )


def _linear(sample: HeldSample) -> _Model:
    """Fit covariates and their products with treatment at once: what one group cannot tell follows the other."""
    stack = sample.stack
    stack = stack.adding({"w0": stack["w"] * (1.0 - stack["t"]), "w1": stack["w"] * stack["t"]})
    asked: dict[str, Any] = {}
    for a in _ARMS:
        asked |= stack.gram(f"g{a}", stack[f"w{a}"]) | stack.total(f"y{a}", stack[f"w{a}"] * stack["y"])
    found = stack.sums(asked, "outcome model")
    G0, G1 = (stack.matrix(found, f"g{a}") for a in _ARMS)
    order, size = _order(stack.k), stack.k + 1
    gram = np.block([[G0 + G1, G1], [G1, G1]])[np.ix_(order, order)]
    kept = independent(gram)
    inverse = np.linalg.pinv(gram[np.ix_(kept, kept)], hermitian=True)

    def solved(zero: FloatArray, one: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the coefficients of both groups that answer to sums over each."""
        both = np.zeros(2 * size)
        both[order[kept]] = inverse @ np.concatenate([zero + one, one])[order][kept]
        return both[:size], both[:size] + both[size:]

    b = solved(stack.vector(found, "y0"), stack.vector(found, "y1"))
    left = stack.adding({"left": stack["y"] - where(stack["t"] == 1, stack.line(b[1]), stack.line(b[0]))})
    again = left.sums(
        {k: v for a in _ARMS for k, v in left.total(f"r{a}", left[f"w{a}"] * left["left"]).items()}, "residuals"
    )
    more = solved(left.vector(again, "r0"), left.vector(again, "r1"))
    b = (b[0] + more[0], b[1] + more[1])
    center = _target_mean(sample)
    nothing = np.zeros(size)
    # The mean without the program follows the coefficients of the comparison group alone.
    pulls = (_pull(solved, center, nothing), _pull(solved, nothing, center))
    return _Model(b, np.array([center @ b[0], center @ b[1]]), pulls, int(kept.size), _gone(order, kept, sample))


def _order(k: int) -> IntArray:
    """Return the columns in the order mean, effect, covariates, products: a later one gives way to earlier ones."""
    return np.concatenate([[0, k + 1], np.arange(1, k + 1), np.arange(k + 2, 2 * k + 2)]).astype(np.int64)


def _pull(solved: Any, zero: FloatArray, one: FloatArray) -> tuple[FloatArray, FloatArray]:
    found: tuple[FloatArray, FloatArray] = solved(zero, one)
    return found


def _gone(order: IntArray, kept: IntArray, sample: HeldSample) -> tuple[str, ...]:
    labels = ("mean", "effect", *sample.names, *(f"treated × {name}" for name in sample.names))
    return tuple(labels[j] for j in range(order.size) if j not in kept)


def _target_mean(sample: HeldSample) -> FloatArray:
    target = sample.target
    found = target.sums(target.total("t", target["target"]), "whose effect it is")
    sums = target.vector(found, "t")
    return np.asarray(sums / sums[0])


def _curved(sample: HeldSample, family: Family, place: str) -> _Model:
    """Fit a model with a link to each group; where one group cannot tell a slope, it has none there."""
    stack = sample.stack
    stack = stack.adding({"w0": stack["w"] * (1.0 - stack["t"]), "w1": stack["w"] * stack["t"]})
    fits = [fit_outcome(stack, f"w{a}", family, f"outcome model of group {a + 1}") for a in _ARMS]
    if not all(fit.converged for fit in fits):
        raise SeparationError(
            "the outcome model of g-computation has no estimate: in a group everybody or nobody has the outcome",
            expected="people with and without the outcome in both groups",
            todo="use effect = 'difference', or another outcome", where=place,
        )  # fmt: skip
    target = sample.target
    target = target.adding({f"m{a}": predicted(target, fits[a], family) for a in _ARMS})
    asked: dict[str, Any] = {"S": target["target"].sum()}
    for a in _ARMS:
        m = target[f"m{a}"]
        slope = m * (1.0 - m) if family == "binomial" else m
        asked |= {f"M{a}": (target["target"] * m).sum()} | target.total(f"G{a}", target["target"] * slope)
    found = target.sums(asked, "mean predictions")
    nothing = np.zeros(stack.k + 1)
    own = [fits[a].pull(target.vector(found, f"G{a}") / found["S"]) for a in _ARMS]
    gone = tuple(f"treated × {sample.names[j - 1]}" for fit in fits for j in range(1, stack.k + 1) if j not in fit.kept)
    return _Model(
        (fits[0].b, fits[1].b), np.array([found[f"M{a}"] / found["S"] for a in _ARMS]),
        ((own[0], nothing), (nothing, own[1])), sum(int(fit.kept.size) for fit in fits), gone,
    )  # fmt: skip


def _with_influence(sample: HeldSample, model: _Model, family: Family) -> HeldSample:
    """Return the sample with each row's part ``phi0`` and ``phi1`` in the error of the two means."""
    stack = sample.stack
    treated = stack["t"] == 1
    line = where(treated, stack.line(model.b[1]), stack.line(model.b[0]))
    stack = stack.adding({"line": line})
    mean = {
        "gaussian": lambda: stack["line"],
        "binomial": lambda: 1.0 / (1.0 + (-stack["line"].clip(lower=-700.0, upper=700.0)).exp()),
        "poisson": lambda: stack["line"].clip(upper=700.0).exp(),
    }[family]()
    stack = stack.adding({"miss": stack["w"] * (stack["y"] - mean)})
    parts = {
        f"phi{a}": stack["miss"] * where(treated, stack.line(model.pulls[a][1]), stack.line(model.pulls[a][0]))
        for a in _ARMS
    }
    return replace(sample, stack=stack.adding(parts))


@dataclass(frozen=True, slots=True)
class _Errors:
    covariance: FloatArray
    df: float
    n_clusters: tuple[int, ...]
    name: str
    why: str


def _errors(sample: HeldSample, model: _Model, asked: Asked) -> _Errors:
    n, r, place = sample.n_rows, model.n_terms, asked.places[0]
    if sample.person is not None:
        return _both_ways(sample, r, place)
    few = sample.n_sets <= r or (
        not sample.fixed and sample.n_sets <= MANY_SETS and r > 2 and _effective(sample) < FEWEST_DF
    )
    if sample.fixed or few:
        enough_sets(r, sample.n_people, place)
        why = WHY["fixed"] if sample.fixed else too_few_sets(sample.n_sets, r)
        meat, _ = _meat(sample, ())
        return _Errors(n / (n - r) * meat, float(n - r), (n,), "HC1 (by person)", why)
    enough_sets(r, sample.n_sets, place)
    meat, g = _meat(sample, sample.keys)
    covariance = g / (g - 1) * (n - 1) / (n - r) * meat
    return _Errors(covariance, float(g - 1), (g,), "CR1 by stratum", WHY["stratum"])


def _effective(sample: HeldSample) -> float:
    """Return how many strata of equal weight the error rests on: three times the squared mean square over the fourth.

    It is the number of strata where their parts are alike and normal.
    """
    table = sample.stack.table
    summed = table.group_by(list(sample.keys)).aggregate(gap=(table["phi1"] - table["phi0"]).sum())
    whole = replace(sample.stack, table=summed)
    square = whole["gap"] * whole["gap"]
    found = whole.sums({"two": square.sum(), "four": (square * square).sum()}, "strata in the error")
    return 3 * found["two"] ** 2 / found["four"] if found["four"] > 0 else 0.0


def _both_ways(sample: HeldSample, r: int, place: str) -> _Errors:
    assert sample.person is not None
    enough_sets(r, sample.n_sets, place)
    n, parts, sizes = sample.n_rows, [], []
    for keys in (sample.keys, (sample.person,), (*sample.keys, sample.person)):
        meat, g = _meat(sample, keys)
        parts.append(g / (g - 1) * meat)
        sizes.append(g)
    matrix = (n - 1) / (n - r) * (parts[0] + parts[1] - parts[2])
    return _Errors(
        matrix, float(min(sizes[:2]) - 1), (sizes[0], sizes[1]), "two-way CR1 (pair and person)", WHY["both"]
    )  # fmt: skip


def _meat(sample: HeldSample, keys: tuple[str, ...]) -> tuple[FloatArray, int]:
    """Return the sum of products of parts summed by keys, and how many sums there are; rows alone without keys."""
    table = sample.stack.table
    if keys:
        table = table.group_by(list(keys)).aggregate(phi0=table["phi0"].sum(), phi1=table["phi1"].sum())
    whole = replace(sample.stack, table=table)
    zero, one = whole["phi0"], whole["phi1"]
    found = whole.sums(
        {"c00": (zero * zero).sum(), "c01": (zero * one).sum(), "c11": (one * one).sum(), "g": table.count()}, "errors"
    )
    return np.array([[found["c00"], found["c01"]], [found["c01"], found["c11"]]]), int(found["g"])
