"""Weighted means of people whom an engine holds, with the covariance that knows of the estimated weights.

The formulas are those of ``kernels.weighted_means`` and ``kernels.augmented``; the engine sums over people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from evaltoolkit.kernels.score_weights import Estimand
from evaltoolkit.reduction.engine_score import Family, HeldFit, fit_outcome, predicted
from evaltoolkit.reduction.people import HeldPeople, where

FloatArray = NDArray[np.float64]

MOST_LEVERAGE = 0.95
_ARMS = (0, 1)


@dataclass(frozen=True, slots=True)
class HeldMeans:
    """Mean outcome without and with the program, and each person's influence on them as columns.

    Attributes
    ----------
    means
        Shape (2,).
    people
        With columns ``phi0`` and ``phi1``.
    grams
        The sum of w z z' over each group, for leverages; shape (2, k + 1, k + 1).
    aliased
        Covariate columns left out of an outcome model, the intercept not counted.
    converged
        Whether every model reached an estimate.
    """

    means: FloatArray
    people: HeldPeople
    grams: FloatArray
    aliased: tuple[int, ...] = ()
    converged: bool = True

    def enlarged(self, weights: str) -> HeldMeans:
        """Return the same means with influence over the root of one less leverage, as HC2 does with residuals."""
        people = self.people
        inverse = [np.linalg.pinv(gram, hermitian=True) for gram in self.grams]
        h = people[weights] * where(people["t"] == 1, people.form(inverse[1]), people.form(inverse[0]))
        people = people.adding({"h": h.clip(lower=0.0, upper=MOST_LEVERAGE)})
        root = (1.0 - people["h"]).sqrt()
        people = people.adding({f"phi{a}": people[f"phi{a}"] / root for a in _ARMS})
        return HeldMeans(self.means, people, self.grams, self.aliased, self.converged)


def weighed(people: HeldPeople, score: HeldFit | None, estimand: Estimand, share_treated: float | None) -> HeldPeople:
    """Return people with their score ``p``, weight ``w``, its slope in the line of the score, and their ``share``.

    Parameters
    ----------
    people
        The people; with a column ``p`` where no score was estimated.
    score
        The score; None where it is given.
    estimand
        Whose effect.
    share_treated
        The share of the treated where weights are stabilized by it; else None.
    """
    if score is not None:
        people = people.adding({"p": predicted(people, score, "binomial")})
    p, t = people["p"], people["t"]
    q = 1.0 - p
    one, other = _score_weights(p, q, people["z0"], estimand)
    treated = t == 1
    by: Any = 1.0 if share_treated is None else where(treated, share_treated, 1.0 - share_treated)
    w, slope = where(treated, one[0], other[0]) * by, where(treated, one[1], other[1]) * p * q * by
    people = people.adding({"w": w, "slope": slope})
    w = people["w"]
    share = {"ATT": t, "ATC": 1.0 - t, "ATE": people["z0"]}.get(estimand, w)
    return people.adding({"share": share, "w1": w * t, "w0": w * (1.0 - t)})


def _score_weights(p: Any, q: Any, one: Any, estimand: Estimand) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Return weight and dw/dp of the treated, then of the others, as ``kernels.score_weights`` has them."""
    zero = one * 0.0
    if estimand == "ATE":
        return (1.0 / p, -1.0 / (p * p)), (1.0 / q, 1.0 / (q * q))
    if estimand == "ATT":
        return (one, zero), (p / q, 1.0 / (q * q))
    if estimand == "ATC":
        return (q / p, -1.0 / (p * p)), (one, zero)
    if estimand == "ATO":
        return (q, -one), (p, one)
    low = p <= q
    treated = where(low, one, q / p), where(low, zero, -1.0 / (p * p))
    return treated, (where(low, p / q, one), where(low, 1.0 / (q * q), zero))


def difference_means(people: HeldPeople, score: HeldFit | None) -> HeldMeans:
    """Return the weighted mean of each group (Hájek)."""
    asked = {f"W{a}": people[f"w{a}"].sum() for a in _ARMS}
    asked |= {f"Y{a}": (people[f"w{a}"] * people["y"]).sum() for a in _ARMS}
    for a in _ARMS:
        asked |= people.gram(f"g{a}", people[f"w{a}"])
    found = people.sums(asked, "weighted means")
    means = np.array([found[f"Y{a}"] / found[f"W{a}"] for a in _ARMS])
    away = {f"away{a}": _of(people, a) * (people["y"] - float(means[a])) / found[f"W{a}"] for a in _ARMS}
    people = people.adding(away)
    answers = _answers(people, score, [people[f"away{a}"] for a in _ARMS])
    people = people.adding(
        {f"phi{a}": people["w"] * people[f"away{a}"] * float(people.n) + answers[a] for a in _ARMS}
    )  # fmt: skip
    return HeldMeans(means, people, np.array([people.matrix(found, f"g{a}") for a in _ARMS]))


def regression_means(people: HeldPeople, score: HeldFit | None, family: Family, *, moving: bool) -> HeldMeans:
    """Return the mean prediction of each group's weighted outcome model over the people meant."""
    fits = [fit_outcome(people, f"w{a}", family, f"outcome model of group {a + 1}") for a in _ARMS]
    people = people.adding({f"m{a}": predicted(people, fits[a], family) for a in _ARMS})
    asked = {"S": people["share"].sum()}
    for a in _ARMS:
        m = people[f"m{a}"]
        asked |= {f"M{a}": (people["share"] * m).sum()} | people.total(f"G{a}", people["share"] * _slope(m, family))
        asked |= people.gram(f"g{a}", people[f"w{a}"])
    found = people.sums(asked, "mean predictions")
    total, n = found["S"], float(people.n)
    means = np.array([found[f"M{a}"] / total for a in _ARMS])
    pulls = [n * fits[a].pull(people.vector(found, f"G{a}") / total) for a in _ARMS]
    parts = {}
    for a in _ARMS:
        miss = people["y"] - people[f"m{a}"]
        off = people[f"m{a}"] - float(means[a])
        line = people.line(pulls[a])
        moved = _of(people, a) * miss * line / n
        parts[f"moved{a}"] = moved + off / total if moving else moved
        parts[f"own{a}"] = people["share"] * off * (n / total) + people[f"w{a}"] * miss * line
    people = people.adding(parts)
    answers = _answers(people, score, [people[f"moved{a}"] for a in _ARMS])
    people = people.adding({f"phi{a}": people[f"own{a}"] + answers[a] for a in _ARMS})
    grams = np.array([people.matrix(found, f"g{a}") for a in _ARMS])
    return HeldMeans(means, people, grams, _left(fits), all(fit.converged for fit in fits))


def augmented_means(people: HeldPeople, family: Family, estimand: Estimand) -> HeldMeans:
    """Return doubly robust means: what the outcome models predict, and the weighted mean of what they miss."""
    people = people.adding({"a1": people["t"], "a0": 1.0 - people["t"]})
    fits = [fit_outcome(people, f"a{a}", family, f"outcome model of group {a + 1}") for a in _ARMS]
    people = people.adding({f"m{a}": predicted(people, fits[a], family) for a in _ARMS})
    t, p, y, m0, m1 = (people[name] for name in ("t", "p", "y", "m0", "m1"))
    if estimand == "ATE":
        meant = people["z0"]
        parts = (m0 + (1.0 - t) * (y - m0) / (1.0 - p), m1 + t * (y - m1) / p)
    elif estimand == "ATT":
        meant, parts = t, (t * m0 + (1.0 - t) * p / (1.0 - p) * (y - m0), t * y)
    else:
        meant, parts = 1.0 - t, ((1.0 - t) * y, (1.0 - t) * m1 + t * (1.0 - p) / p * (y - m1))
    people = people.adding({"meant": meant, "part0": parts[0], "part1": parts[1]})
    asked = {"meant": people["meant"].mean()} | {f"part{a}": people[f"part{a}"].mean() for a in _ARMS}
    for a in _ARMS:
        asked |= people.gram(f"g{a}", people[f"a{a}"])
    found = people.sums(asked, "doubly robust means")
    means = np.array([found[f"part{a}"] for a in _ARMS]) / found["meant"]
    people = people.adding({
        f"phi{a}": (people[f"part{a}"] - people["meant"] * float(means[a])) / found["meant"] for a in _ARMS
    })  # fmt: skip
    grams = np.array([people.matrix(found, f"g{a}") for a in _ARMS])
    return HeldMeans(means, people, grams, _left(fits), all(fit.converged for fit in fits))


def _of(people: HeldPeople, arm: int) -> Any:
    return people["t"] if arm else 1.0 - people["t"]


def _slope(mean: Any, family: Family) -> Any:
    if family == "gaussian":
        return mean * 0.0 + 1.0
    return mean * (1.0 - mean) if family == "binomial" else mean


def _left(fits: list[HeldFit]) -> tuple[int, ...]:
    gone = {j - 1 for fit in fits for j in range(1, fit.b.size) if j not in fit.kept}
    return tuple(sorted(gone))


def _answers(people: HeldPeople, score: HeldFit | None, moved: list[Any]) -> list[Any]:
    """Return the influence through the parameters of the score, where the means move with each weight by ``moved``."""
    if score is None:
        return [people["z0"] * 0.0 for _ in moved]
    asked: dict[str, Any] = {}
    for a, one in enumerate(moved):
        asked |= people.total(f"d{a}", people["slope"] * one)
    found = people.sums(asked, "how the means follow the score")
    factor = linalg.cho_factor(score.gram / people.n)
    pulls = [linalg.cho_solve(factor, people.vector(found, f"d{a}")) for a in range(len(moved))]
    return [(people["t"] - people["p"]) * people.line(pull) for pull in pulls]


@dataclass(frozen=True, slots=True)
class Spread:
    """Covariance of the two means, shape (2, 2); squared influence of each group; how many people or clusters."""

    covariance: FloatArray
    parts: tuple[float, float]
    n_clusters: int


def spread_of(found: HeldMeans, cluster: str | None) -> Spread:
    """Return what the influence functions say of the error, by people or by clusters of them."""
    people, n = found.people, found.people.n
    people = people.adding({"gap": people["phi1"] - people["phi0"]})
    square = people["gap"] * people["gap"]
    asked = {"part0": (square * (1.0 - people["t"])).sum(), "part1": (square * people["t"]).sum()}
    if cluster is None:
        both = people.sums(asked | _products(people["phi0"], people["phi1"]), "errors")
        return Spread(_matrix(both) / n**2, (both["part0"], both["part1"]), n)
    told = people.sums(asked, "errors")
    summed = people.table.group_by(cluster).aggregate(phi0=people["phi0"].sum(), phi1=people["phi1"].sum())
    whole = HeldPeople(people.source, summed, people.center, people.spread, n)
    both = whole.sums(_products(whole["phi0"], whole["phi1"]) | {"g": whole.table.count()}, "errors by cluster")
    g = int(both["g"])
    factor = g / (g - 1) if g > 1 else float("nan")
    return Spread(factor * _matrix(both) / n**2, (told["part0"], told["part1"]), g)


def _products(zero: Any, one: Any) -> dict[str, Any]:
    return {"c00": (zero * zero).sum(), "c01": (zero * one).sum(), "c11": (one * one).sum()}


def _matrix(found: dict[str, float]) -> FloatArray:
    return np.array([[found["c00"], found["c01"]], [found["c01"], found["c11"]]])
