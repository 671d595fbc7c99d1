"""The effect on the matched sample with its clustered error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from evaltoolkit.designs.matching.matched import Matched
from evaltoolkit.designs.matching.matching import match
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.people import People
from evaltoolkit.designs.matching.score import Score
from evaltoolkit.errors import TooFewClustersError
from evaltoolkit.kernels.least_squares import LeastSquares, least_squares
from evaltoolkit.kernels.sandwich import Covariance, clustered, clustered_two_ways

FloatArray = NDArray[np.float64]
Way = Literal["difference", "regression"]


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect on the matched sample: treated less comparison, averaged over the matched focal people.

    Attributes
    ----------
    estimate, std_error, df
        Effect, its clustered standard error, and degrees of freedom of the t reference.
    means, covariance
        Adjusted mean without and with the program, shape (2,), and their covariance, shape (2, 2).
    n_people, n_clusters
        People used, and clusters on each way.
    inference
        Name of the standard error.
    aliased
        Names of regression terms that could not be estimated and were left out.
    """

    estimate: float
    std_error: float
    df: float
    means: FloatArray
    covariance: FloatArray
    n_people: int
    n_clusters: tuple[int, ...]
    inference: str
    aliased: tuple[str, ...] = ()

    def interval(self, level: float) -> tuple[float, float]:
        """Return the confidence interval."""
        reach = float(stats.t.ppf(0.5 + level / 2, self.df)) * self.std_error
        return self.estimate - reach, self.estimate + reach

    @property
    def p_value(self) -> float:
        """Two-sided p-value."""
        if self.std_error == 0:
            return float(self.estimate == 0)
        return float(2 * stats.t.sf(abs(self.estimate) / self.std_error, self.df))

    def percent(self, level: float) -> tuple[float, float, float, float] | None:
        """Return the relative effect in percent with delta-method error and interval of the log ratio, if it exists."""
        low, high = self.means
        if low <= 0 or high <= 0:
            return None
        slope = np.array([-1 / low, 1 / high])
        se = float(np.sqrt(slope @ self.covariance @ slope))
        log_ratio, reach = float(np.log(high / low)), float(stats.t.ppf(0.5 + level / 2, self.df)) * se
        low_end, high_end = (100 * float(np.expm1(log_ratio + sign * reach)) for sign in (-1, 1))
        return 100 * float(np.expm1(log_ratio)), 100 * float(np.exp(log_ratio)) * se, low_end, high_end


@dataclass(frozen=True, slots=True)
class _Stack:
    """Rows of the outcome model: person, pair, weight."""

    person: NDArray[np.int64]
    pair: NDArray[np.int64]
    weight: FloatArray


def _stack(matched: Matched) -> _Stack:
    if matched.sets is None and matched.pairs is not None:
        pairs = matched.pairs
        who = np.unique(pairs.focal)
        return _Stack(
            np.concatenate([who, pairs.match]), np.concatenate([who, pairs.focal]),
            np.concatenate([np.ones(who.size), pairs.weight]),
        )  # fmt: skip
    used = np.flatnonzero(matched.used)
    return _Stack(used, used if matched.sets is None else matched.sets[used], matched.weights[used])


def effect_of(people: People, matched: Matched, effect: Way, *, where: str = "") -> Effect:
    r"""Estimate the effect on the matched sample.

    ``difference`` fits :math:`y = m_0 + \tau T` with matching weights. ``regression`` fits
    :math:`y = m_0 + \tau T + (x - \bar x)'\beta + T (x - \bar x)'\gamma` with :math:`\bar x` the mean of the matched
    focal people, so that :math:`\tau` is the g-computation contrast averaged over them. Errors are clustered by pair;
    with replacement, pairs are stacked and errors are clustered by pair and by person.

    Parameters
    ----------
    people, matched
        The people, and how they were made comparable.
    effect
        Which of the two.
    where
        Where the effect is declared, for messages.

    Raises
    ------
    TooFewClustersError
        There are not more pairs than coefficients.

    References
    ----------
    Abadie, A. and Spiess, J. (2022). Robust post-matching inference. Journal of the American Statistical Association
    117. doi:10.1080/01621459.2020.1840383
    """
    stack = _stack(matched)
    design, names = _design(people, matched, stack, effect)
    fit = least_squares(design, people.outcome[stack.person], stack.weight)
    _enough(stack, fit, effect, where)
    covariance, name = _covariance(fit, stack, matched)
    aliased = tuple(names[j] for j in fit.aliased)
    return _effect(fit, covariance, name, np.unique(stack.person).size, aliased)


def _covariance(fit: LeastSquares, stack: _Stack, matched: Matched) -> tuple[Covariance, str]:
    if matched.sets is not None:
        name = "CR1 by matched set" if matched.pairs is None else "CR1 by pair"
        return clustered(fit.scores, fit.bread, stack.pair), name
    if matched.pairs is not None:
        return clustered_two_ways(fit.scores, fit.bread, stack.pair, stack.person), "two-way CR1 (pair and person)"
    return clustered(fit.scores, fit.bread, stack.person), "HC1"


def _effect(fit: LeastSquares, covariance: Covariance, name: str, n: int, aliased: tuple[str, ...]) -> Effect:
    contrast = np.zeros((2, fit.kept.size))
    contrast[:, 0] = 1
    contrast[1, 1] = 1
    both = contrast @ covariance.matrix @ contrast.T
    return Effect(
        estimate=float(fit.coefficients[1]),
        std_error=float(np.sqrt(covariance.matrix[1, 1])),
        df=covariance.df,
        means=contrast @ fit.coefficients[fit.kept],
        covariance=both,
        n_people=n,
        n_clusters=covariance.n_clusters,
        inference=name,
        aliased=aliased,
    )


def _design(people: People, matched: Matched, stack: _Stack, effect: str) -> tuple[FloatArray, tuple[str, ...]]:
    t = people.treated[stack.person].astype(np.float64)
    columns = [np.ones(t.size), t]
    names: tuple[str, ...] = ("mean", "effect")
    if effect == "difference":
        return np.column_stack(columns), names
    X = people.covariates.X
    target = np.where(matched.focal, matched.weights, 0.0)
    spread = X.std(axis=0)
    centered = (X[stack.person] - target @ X / target.sum()) / np.where(spread > 0, spread, 1)
    labels = people.covariates.names
    names += labels + tuple(f"treated × {name}" for name in labels)
    return np.column_stack([*columns, centered, t[:, None] * centered]), names


def _enough(stack: _Stack, fit: LeastSquares, effect: str, where: str) -> None:
    n_pairs = int(np.unique(stack.pair).size)
    if n_pairs > fit.kept.size:
        return
    other = "use effect = 'difference' or fewer covariates" if effect == "regression" else "find more people to match"
    raise TooFewClustersError(
        f"the matched sample has too few pairs for the {fit.kept.size} coefficients of the outcome model",
        expected=f"more than {fit.kept.size} pairs", todo=f"{other}, or widen the caliper", where=where,
    )  # fmt: skip


def jittered(people: People, score: Score, options: Options, seed: int, draws: int = 10) -> FloatArray:
    """Return the effects when a little noise is added to what is matched on, shape (draws,).

    The noise has standard deviation 1e-4 on the scale of a probability (of its logit: as many times its own range).
    Draws in which no effect can be estimated are left out.
    """
    rng = np.random.default_rng(seed)
    on_score = match(people, score, options, seed).line is score.probability
    scale = 1e-4 * (1.0 if on_score and people.distance is None else float(np.ptp(score.line(on_logit=not on_score))))
    found = []
    for _ in range(draws):
        noise = scale * rng.standard_normal(people.treated.size)
        again = match(people, score.moved(noise, on_logit=not on_score), options, seed)
        stack = _stack(again)
        design, _ = _design(people, again, stack, options.effect)
        fit = least_squares(design, people.outcome[stack.person], stack.weight)
        found.append(fit.coefficients[1])
    return np.array([value for value in found if np.isfinite(value)])
