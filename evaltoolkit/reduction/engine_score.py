"""Logistic, exponential and linear models of people whom an engine holds: one scan for each Newton step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from evaltoolkit.kernels.arm_models import independent
from evaltoolkit.reduction.people import HeldPeople, smooth_step, where

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Family = Literal["gaussian", "binomial", "poisson"]

ITERATIONS: Final = 60
TIGHT: Final = 1e-12
ENOUGH: Final = 1e-10
STEP: Final = 1e-5
FLAT: Final = 3
"""Steps without a gradient after which no estimate is expected: coefficients run away."""
FAR: Final = 30.0


@dataclass(frozen=True, slots=True)
class HeldFit:
    """A model fitted in the engine.

    Attributes
    ----------
    b
        Coefficients of z, zero where a column is left out; shape (k + 1,).
    kept
        Columns of z that are estimated.
    gram
        Curvature of the loss, the sum of c z z', shape (k + 1, k + 1).
    iterations
        Scans of all rows.
    gradient
        Largest mean of the estimating equations, per row and standardized covariate.
    converged
        Whether an estimate was reached.
    """

    b: FloatArray
    kept: IntArray
    gram: FloatArray
    iterations: int
    gradient: float
    converged: bool

    def pull(self, direction: FloatArray) -> FloatArray:
        """Return the inverse of the curvature times a direction, zero where a column is left out."""
        found = np.zeros(self.b.size)
        block = self.gram[np.ix_(self.kept, self.kept)]
        found[self.kept] = np.linalg.pinv(block, hermitian=True) @ direction[self.kept]
        return found


# From a line b'z: the loss, how it falls with the line, and its curvature, row by row.
Loss = Callable[[HeldPeople], tuple[Any, Any, Any]]


def fit_chance(people: HeldPeople, what: str = "propensity score") -> HeldFit:
    r"""Fit the chance of treatment, :math:`P(t = 1) = 1/(1 + e^{-z'b})`, by maximum likelihood.

    Parameters
    ----------
    people
        The people.
    what
        The step in words, for the progress.
    """
    return _newton(people, _loss("binomial", "t", None), np.arange(people.k + 1), what)


def fit_outcome(people: HeldPeople, weight: str, family: Family, what: str) -> HeldFit:
    r"""Fit :math:`\sum_i w_i \{y_i - g(z_i'b)\} z_i = 0` to those whose weight is above zero.

    Columns that follow from those before them among these people get no coefficient.

    Parameters
    ----------
    people
        The people, with their weight as a column.
    weight
        Name of that column.
    family
        gaussian (identity), binomial (logistic) or poisson (exponential).
    what
        The step in words.
    """
    w = people[weight]
    found = people.sums({**people.gram("g", w), **people.total("y", w * people["y"])}, what)
    gram, kept = people.matrix(found, "g"), independent(people.matrix(found, "g"))
    if family != "gaussian":
        fit = _newton(people, _loss(family, "y", weight), kept, what)
        return replace(fit, converged=fit.converged and not _runs_away(people, weight, fit, what))
    b = np.zeros(people.k + 1)
    block = linalg.cho_factor(gram[np.ix_(kept, kept)])
    b[kept] = linalg.cho_solve(block, people.vector(found, "y")[kept])
    # One step of refinement takes back what the squared condition of the normal equations loses.
    left = people.adding({"left": people["y"] - people.line(b)})
    again = left.vector(left.sums(left.total("r", left[weight] * left["left"]), what), "r")
    b[kept] += linalg.cho_solve(block, again[kept])
    return HeldFit(b, kept, gram, 2, float(np.abs(again).max()) / people.n, converged=True)


def predicted(people: HeldPeople, fit: HeldFit, family: Family) -> Any:
    """Return the mean that a model expects of each person."""
    line = people.line(fit.b)
    if family == "gaussian":
        return line
    return smooth_step(line) if family == "binomial" else line.clip(upper=700.0).exp()


def _loss(family: Family, outcome: str, weight: str | None) -> Loss:
    def _of(people: HeldPeople) -> tuple[Any, Any, Any]:
        line, y = people["line"], people[outcome]
        if family == "binomial":
            mean = smooth_step(line)
            value = line.clip(lower=0.0) + (1.0 + (-line.abs().clip(upper=700.0)).exp()).ln() - y * line
            found = value, y - mean, mean * (1.0 - mean)
        else:
            mean = line.clip(upper=700.0).exp()
            found = mean - y * line, y - mean, mean
        if weight is None:
            return found
        w = people[weight]
        used = w > 0
        value, score, curvature = (where(used, w * part) for part in found)
        return value, score, curvature

    return _of


@dataclass(frozen=True, slots=True)
class _Look:
    value: float
    slope: FloatArray
    gram: FloatArray
    gradient: float


def _look(people: HeldPeople, loss: Loss, b: FloatArray, what: str) -> _Look:
    at = people.adding({"line": people.line(b)})
    value, score, curvature = loss(at)
    at = at.adding({"loss": value, "score": score, "curvature": curvature})
    asked = {"value": at["loss"].sum(), **at.total("s", at["score"]), **at.gram("c", at["curvature"])}
    found = at.sums(asked, what)
    slope = at.vector(found, "s")
    return _Look(found["value"], slope, at.matrix(found, "c"), float(np.abs(slope).max()) / people.n)


def _runs_away(people: HeldPeople, weight: str, fit: HeldFit, what: str) -> bool:
    far = (people.line(fit.b).abs() >= FAR) & (people[weight] > 0)
    return people.sums({"far": where(far, 1, 0).max()}, what)["far"] > 0


def _newton(people: HeldPeople, loss: Loss, kept: IntArray, what: str) -> HeldFit:
    b = np.zeros(people.k + 1)
    now, count = _look(people, loss, b, what), 1
    previous, moved, flat = np.inf, np.inf, 0
    while count < ITERATIONS and flat < FLAT:
        if moved <= STEP and (now.gradient <= TIGHT or max(now.gradient, previous) <= ENOUGH):
            break
        direction = _direction(now, kept)
        if direction is None:
            moved = np.inf
            break
        size, then = 1.0, _look(people, loss, b + direction, what)
        count += 1
        while not then.value <= now.value + 1e-12 * abs(now.value) and size > 1e-8 and count < ITERATIONS:
            size /= 2
            then = _look(people, loss, b + size * direction, what)
            count += 1
        b, previous, now = b + size * direction, now.gradient, then
        moved = float(np.abs(size * direction).max())
        flat = flat + 1 if moved > STEP and now.gradient <= TIGHT else 0
    done = bool(moved <= STEP and now.gradient <= ENOUGH)
    return HeldFit(b, kept, now.gram, count, now.gradient, done)


def _direction(now: _Look, kept: IntArray) -> FloatArray | None:
    found = np.zeros(now.slope.size)
    try:
        found[kept] = linalg.cho_solve(linalg.cho_factor(now.gram[np.ix_(kept, kept)]), now.slope[kept])
    except (linalg.LinAlgError, ValueError):
        return None
    return found
