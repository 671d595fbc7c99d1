"""The two terms of a cohort's effects beside a comparison group, from sums over the two."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cell_logit import chance, solve
from evaltoolkit.kernels.cohorts import Rule

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TRIM = 0.995
"""Comparison units with a score at or above this get weight zero, as in DRDID."""

Fitted = tuple[FloatArray, FloatArray]
"""Cross-product of a comparison group's covariates, and its regression by period, shape (k, T)."""


@dataclass(frozen=True, slots=True)
class Model:
    """One cohort beside one comparison group, with all cells that share them.

    Attributes
    ----------
    cohort, compared
        Index of the cohort's start, and indices of the starts compared with.
    cells, to, since
        Which cells, and the indices of their period and base period, shape (c,).
    slope
        Change of the comparison group by covariates, shape (k, T): only differences of columns mean something.
    score
        Coefficients of the logit; None where nothing is weighted by a score.
    odds_total
        Total weight of the comparison group: 0 where the second term is left out.
    moved, follow
        How far comparison covariates are from the cohort's, through the regression, shape (k,), and through the score
        by cell, shape (k, c).
    treated, theirs
        The two terms of each effect, shape (c,).
    n_treated
        Weight of the cohort.
    """

    cohort: int
    compared: tuple[int, ...]
    cells: IntArray
    to: IntArray
    since: IntArray
    slope: FloatArray
    score: FloatArray | None
    odds_total: float
    moved: FloatArray
    follow: FloatArray
    treated: FloatArray
    theirs: FloatArray
    n_treated: float

    @property
    def att(self) -> FloatArray:
        """Effects, shape (c,)."""
        found: FloatArray = self.treated - self.theirs
        return found

    @property
    def gap(self) -> FloatArray:
        """Slope of each cell's change, shape (k, c)."""
        found: FloatArray = self.slope[:, self.to] - self.slope[:, self.since]
        return found

    def odds(self, X: FloatArray, rule: Rule) -> tuple[FloatArray, FloatArray]:
        """Return odds (zero where trimmed) and probabilities of rows, shape (rows,) each."""
        n = X.shape[1]
        if self.score is None:
            return np.full(n, 0.0 if rule.adjust == "regression" and X.shape[0] > 1 else 1.0), np.zeros(n)
        p = chance(self.score @ X)
        return np.where(p < TRIM, p / (1 - p), 0.0), p


@dataclass(frozen=True, slots=True)
class Cohort:
    """Weight of a cohort, and its mean covariates, shape (k,), and mean outcomes, shape (T,)."""

    mass: float
    at: FloatArray
    mean: FloatArray


@dataclass(frozen=True, slots=True)
class OddsSums:
    """Sums over a comparison group in which a unit counts with its weight times its odds.

    Attributes
    ----------
    total, first, second
        Of one, of covariates, shape (k,), and of their products, shape (k, k).
    outcome, outcome_x
        Of outcomes, shape (T,), and of their products with covariates, shape (k, T).

    Without a score only ``total``, ``first`` and ``outcome`` are used.
    """

    total: float
    first: FloatArray
    second: FloatArray
    outcome: FloatArray
    outcome_x: FloatArray


def begun(
    place: tuple[int, tuple[int, ...], IntArray], fitted: Fitted, cohort: Cohort, score: FloatArray | None
) -> Model:
    """Return a model with the term of its cohort, and none yet of its comparison group.

    >>> fitted, cohort = (np.ones((1, 1)), np.array([[1.0, 2]])), Cohort(2.0, np.ones(1), np.array([1.0, 5]))
    >>> begun((0, (1,), np.array([[0, 1, 0]])), fitted, cohort, None).treated.tolist()
    [3.0]
    """
    j, compared, members = place
    which, to, since = members.T
    slope = fitted[1]
    mean, k = cohort.mean - cohort.at @ slope, slope.shape[0]
    return Model(
        j, compared, which, to, since, slope, score, 0.0, np.zeros(k), np.zeros((k, which.size)),
        mean[to] - mean[since], np.zeros(which.size), cohort.mass,
    )  # fmt: skip


def unweighted(blank: Model, fitted: Fitted, cohort: Cohort) -> Model:
    """Return a model of the regression alone, from one that was begun.

    >>> fitted, cohort = (np.full((1, 1), 4.0), np.array([[1.0, 2]])), Cohort(2.0, np.ones(1), np.array([1.0, 5]))
    >>> unweighted(begun((0, (1,), np.array([[0, 1, 0]])), fitted, cohort, None), fitted, cohort).moved.tolist()
    [-0.25]
    """
    return replace(blank, moved=solve(fitted[0], -cohort.at))


def weighted(blank: Model, rule: Rule, fitted: Fitted, sums: tuple[Cohort, OddsSums, FloatArray]) -> Model:
    """Return a model with the term of its comparison group, from one that was begun.

    Parameters
    ----------
    blank
        The model.
    rule, fitted
        How cells are estimated, and the regression in the comparison group.
    sums
        Means of the cohort, sums over the comparison group (with some weight), and the information of the score,
        shape (k, k).

    Examples
    --------
    >>> fitted, cohort = (np.full((1, 1), 4.0), np.array([[1.0, 2]])), Cohort(2.0, np.ones(1), np.array([1.0, 5]))
    >>> blank = begun((0, (1,), np.array([[0, 1, 0]])), fitted, cohort, None)
    >>> theirs = OddsSums(4.0, np.full(1, 4.0), np.zeros((1, 1)), np.array([4.0, 8.0]), np.zeros((1, 2)))
    >>> weighted(blank, Rule(), fitted, (cohort, theirs, np.zeros((1, 1)))).att.tolist()
    [3.0]
    """
    (gram, _), (cohort, theirs, information) = fitted, sums
    left = (theirs.outcome - theirs.first @ blank.slope) / theirs.total
    found = left[blank.to] - left[blank.since]
    moved = np.zeros(blank.slope.shape[0])
    if rule.adjust != "weighting":
        moved = solve(gram, theirs.first / theirs.total - cohort.at)
    follow = np.zeros((moved.size, found.size))
    if blank.score is not None:
        spread = (theirs.outcome_x - theirs.second @ blank.slope) / theirs.total
        pull = spread[:, blank.to] - spread[:, blank.since] - np.outer(theirs.first / theirs.total, found)
        follow = solve(information, pull)
    return replace(blank, odds_total=theirs.total, moved=moved, follow=follow, theirs=found)
