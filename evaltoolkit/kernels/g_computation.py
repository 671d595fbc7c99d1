"""Outcome models with a canonical link, and outcomes standardized to a population (g-computation)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from evaltoolkit.kernels.least_squares import LeastSquares, least_squares

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Family = Literal["gaussian", "binomial", "poisson"]

ITERATIONS: Final = 30
"""Newton steps. Where no estimate exists the linear predictor moves by about 1 in each step and never settles; where
one exists, a dozen steps suffice."""
SETTLED: Final = 1e-10
"""Relative change of the likelihood at which fitted means have settled, though the predictor may still run away."""
STEP: Final = 1e-12
"""Relative change of the linear predictor at which the fit has converged."""


@dataclass(frozen=True, slots=True)
class OutcomeModel:
    """A weighted fit of n rows on k columns, of which r are kept.

    Attributes
    ----------
    family
        gaussian (identity link), binomial (logit) or poisson (log).
    coefficients
        Of the kept columns, shape (r,).
    kept, aliased
        Indices of the columns that are estimated, and of those that follow from earlier ones.
    scores
        w_i (y_i - m_i) x_i, shape (n, r).
    bread
        Inverse of the information X'WVX, shape (r, r).
    working, response
        Weights w v and response of the last least-squares step, shape (n,): the fit is their regression.
    exists
        False where coefficients run away, because some combination of columns tells outcomes apart or a group has no
        events; fitted means have settled then, some of them at their limit.
    """

    family: Family
    coefficients: FloatArray
    kept: IntArray
    aliased: IntArray
    scores: FloatArray
    bread: FloatArray
    working: FloatArray
    response: FloatArray
    exists: bool


@dataclass(frozen=True, slots=True)
class Standardized:
    """Mean outcomes of one population without and with treatment.

    Attributes
    ----------
    means
        Shape (2,).
    slopes
        Derivative of the means by the kept coefficients, shape (2, r): the delta method's.
    """

    means: FloatArray
    slopes: FloatArray


def outcome_model(design: FloatArray, outcome: FloatArray, weights: FloatArray, family: Family) -> OutcomeModel:
    r"""Solve :math:`\sum_i w_i x_i (y_i - m(x_i'\beta)) = 0` by iterated least squares.

    The mean is :math:`m(\eta) = \eta`, :math:`1/(1+e^{-\eta})` or :math:`e^\eta`. Only the mean needs to be right: with
    errors by cluster these are quasi-likelihood fits, so shares and rates may stand for 0/1 outcomes and counts.
    Columns that follow from earlier ones get no coefficient.

    Parameters
    ----------
    design
        Shape (n, k).
    outcome
        Shape (n,); within [0, 1] for binomial, not negative for poisson.
    weights
        Not negative, shape (n,).
    family
        Which mean.

    Returns
    -------
    OutcomeModel

    Raises
    ------
    ValueError
        Shapes or numbers are not as stated, or means do not settle.

    References
    ----------
    McCullagh, P. and Nelder, J. (1989). Generalized Linear Models, 2nd ed., section 2.5. doi:10.1201/9780203753736

    Examples
    --------
    >>> X = np.column_stack([np.ones(4), [0.0, 0, 1, 1]])
    >>> fit = outcome_model(X, np.array([0.0, 1, 1, 1]), np.ones(4), "binomial")
    >>> fit.exists
    False
    >>> fit = outcome_model(X, np.array([1.0, 3, 4, 8]), np.ones(4), "poisson")
    >>> np.exp(fit.coefficients).round(6).tolist()
    [2.0, 3.0]
    """
    y, w = np.asarray(outcome, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    _check(y, family)
    if family == "gaussian":
        fit = least_squares(design, y, w)
        return _made(fit, family, w, y, fit.scores, exists=True)
    used = w > 0
    line = _start(y, w, family)
    settled: _Step | None = None
    last = np.inf
    for _ in range(ITERATIONS):
        step = _step(design, y, w, line, family)
        if step is None:
            break
        change = float(np.abs(step.line - line)[used].max())
        line = step.line
        if change <= STEP * (1 + float(np.abs(line[used]).max())):
            return _finished(step, design, y, w, family, exists=True)
        if settled is None and abs(step.deviance - last) <= SETTLED * (1 + abs(step.deviance)):
            settled = step
        last = step.deviance
    if settled is None:
        raise ValueError("the outcome model did not converge")
    return _finished(settled, design, y, w, family, exists=False)


@dataclass(frozen=True, slots=True)
class _Step:
    """One least-squares step: its fit, what it rested on, and where it leads."""

    fit: LeastSquares
    working: FloatArray
    response: FloatArray
    line: FloatArray
    deviance: float


def _start(y: FloatArray, w: FloatArray, family: Family) -> FloatArray:
    if family == "binomial":
        mean = (np.where(w > 0, y, 0.5) + 0.5) / 2
        return np.asarray(np.log(mean / (1 - mean)))
    level = float(np.average(y, weights=w))
    return np.asarray(np.log((np.where(w > 0, y, level) + level) / 2))


def _step(design: FloatArray, y: FloatArray, w: FloatArray, line: FloatArray, family: Family) -> _Step | None:
    mean = mean_of(line, family)
    slope = np.maximum(mean * (1 - mean) if family == "binomial" else mean, 1e-290)
    working, response = w * slope, line + (y - mean) / slope
    if not np.isfinite(response).all():
        return None
    fit = least_squares(design, response, working)
    moved = design[:, fit.kept] @ fit.coefficients[fit.kept]
    total = np.logaddexp(0.0, moved) if family == "binomial" else mean_of(moved, family)
    return _Step(fit, working, response, moved, float(w @ (total - y * moved)))


def _finished(
    step: _Step, design: FloatArray, y: FloatArray, w: FloatArray, family: Family, *, exists: bool
) -> OutcomeModel:
    mean = mean_of(step.line, family)
    scores = design[:, step.fit.kept] * (w * (y - mean))[:, None]
    return _made(step.fit, family, step.working, step.response, scores, exists=exists)


def standardize(model: OutcomeModel, without: FloatArray, treated: FloatArray, target: FloatArray) -> Standardized:
    r"""Average predicted outcomes over a population, once as if nobody and once as if everybody were treated.

    :math:`\hat\mu_a = \sum_i g_i\, m(x_{ia}'\hat\beta) / \sum_i g_i`. With ``V`` the covariance of the coefficients,
    ``slopes @ V @ slopes.T`` is that of the means.

    Parameters
    ----------
    model
        From ``outcome_model``.
    without, treated
        Design rows of the population without and with treatment, shape (m, k).
    target
        Weight g of each in the population, shape (m,).

    Returns
    -------
    Standardized

    References
    ----------
    Robins, J. (1986). A new approach to causal inference in mortality studies with a sustained exposure period.
    Mathematical Modelling 7. doi:10.1016/0270-0255(86)90088-6

    Examples
    --------
    >>> X = np.column_stack([np.ones(4), [0.0, 0, 1, 1]])
    >>> fit = outcome_model(X, np.array([0.0, 1, 3, 5]), np.ones(4), "gaussian")
    >>> standardize(fit, X[:2], X[2:], np.ones(2)).means.round(6).tolist()
    [0.5, 4.0]
    """
    share = target / target.sum()
    means, slopes = [], []
    for rows in (without, treated):
        kept = rows[:, model.kept]
        mean = mean_of(kept @ model.coefficients, model.family)
        slope = {"gaussian": np.ones_like(mean), "binomial": mean * (1 - mean), "poisson": mean}[model.family]
        means.append(float(share @ mean))
        slopes.append((share * slope) @ kept)
    return Standardized(np.array(means), np.array(slopes))


def mean_of(line: FloatArray, family: Family) -> FloatArray:
    """Return the mean at a linear predictor.

    >>> mean_of(np.zeros(1), "binomial").tolist(), mean_of(np.zeros(1), "poisson").tolist()
    ([0.5], [1.0])
    """
    if family == "gaussian":
        return line
    found: FloatArray = expit(line) if family == "binomial" else np.exp(np.clip(line, -700, 700))
    return found


def _made(
    fit: LeastSquares, family: Family, working: FloatArray, response: FloatArray, scores: FloatArray, *, exists: bool
) -> OutcomeModel:
    return OutcomeModel(
        family=family,
        coefficients=fit.coefficients[fit.kept],
        kept=fit.kept,
        aliased=fit.aliased,
        scores=scores,
        bread=fit.bread,
        working=working,
        response=response,
        exists=exists,
    )


def _check(y: FloatArray, family: Family) -> None:
    if family == "binomial" and not ((y >= 0) & (y <= 1)).all():
        raise ValueError("a binomial outcome must lie between 0 and 1")
    if family == "poisson" and not ((y >= 0).all() and y.any()):
        raise ValueError("a poisson outcome must not be negative, nor zero throughout")
