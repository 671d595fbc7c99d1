"""The propensity score: fitted to tight convergence, refused where it does not exist, or given as a column."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from evaltoolkit.designs.matching.boosted import boosted_probability
from evaltoolkit.designs.matching.covariates import Covariates
from evaltoolkit.designs.matching.keys import Model
from evaltoolkit.errors import SeparationError
from evaltoolkit.kernels.propensity import Link, YesNoFit, fit_firth, fit_yes_no
from evaltoolkit.kernels.score_weights import Estimand

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

MODEL_WORDS: dict[Model, str] = {
    "logit": "logistic regression",
    "probit": "probit regression",
    "cloglog": "complementary log-log regression",
    "penalized": "logistic regression with Firth's penalty",
    "boosted": "boosted trees",
}


@dataclass(frozen=True, slots=True)
class Score:
    """A score of n people.

    Attributes
    ----------
    probability
        The score on the scale of the data: the fitted probability, or the column that was given. Shape (n,).
    linear
        The logit of the probability, shape (n,); None where a column was given.
    model
        How it was estimated; None where a column was given.
    names, coefficients, std_errors
        Terms of the regression, the intercept first; empty where there is none.
    iterations
        Passes over the data until convergence; the number of trees for boosted trees.
    gradient
        Largest mean of the estimating equations at the end, per person and standardized covariate; None without a
        regression.
    fit
        The regression; None where there is none.
    """

    probability: FloatArray
    linear: FloatArray | None = None
    model: Model | None = None
    names: tuple[str, ...] = ()
    coefficients: tuple[float, ...] = ()
    std_errors: tuple[float, ...] = ()
    iterations: int = 0
    gradient: float | None = None
    fit: YesNoFit | None = None

    def line(self, *, on_logit: bool) -> FloatArray:
        """Return the logit of the score where that is asked for and there is one, else the score."""
        return self.linear if on_logit and self.linear is not None else self.probability

    def moved(self, noise: FloatArray, *, on_logit: bool) -> Score:
        """Return the score with noise added to its line."""
        if on_logit and self.linear is not None:
            return replace(self, linear=self.linear + noise)
        return replace(self, probability=self.probability + noise)


def estimated_score(
    covariates: Covariates, treated: Mask, model: Model, places: tuple[str, ...], *, estimand: Estimand, seed: int
) -> Score:
    """Estimate the chance of being served given the covariates.

    Parameters
    ----------
    covariates
        Covariates of n people.
    treated
        Shape (n,).
    model
        Which model.
    places
        Where each covariate is declared, for messages.
    estimand
        Whose effect: boosted trees stop where the weights for it balance best.
    seed
        Of boosted trees.

    Returns
    -------
    Score

    Raises
    ------
    SeparationError
        Some combination of covariates tells treated and others apart, so that no estimate exists.
    SetupError
        Boosted trees are asked for, and scikit-learn is not installed.

    References
    ----------
    Albert, A. and Anderson, J. (1984). On the existence of maximum likelihood estimates in logistic regression
    models. Biometrika 71. doi:10.1093/biomet/71.1.1
    """
    if model == "boosted":
        probability, trees = boosted_probability(covariates.X, treated, estimand, seed)
        return Score(probability, np.log(probability / (1 - probability)), model, iterations=trees)
    fit = regression(covariates.X, treated, model) if model == "penalized" else None
    if fit is None:
        _refuse_one_covariate(covariates, treated, places)
        fit = regression(covariates.X, treated, model)
        if not fit.converged:
            _refuse_combination(covariates, treated, places)
    p = fit.probability
    with np.errstate(divide="ignore"):
        linear = fit.line if model in ("logit", "penalized") else np.log(p) - np.log1p(-p)
    return Score(
        probability=p,
        linear=linear,
        model=model,
        names=("(Intercept)", *covariates.names),
        coefficients=tuple(fit.coefficients.tolist()),
        std_errors=tuple(np.sqrt(np.diag(fit.covariance)).tolist()),
        iterations=fit.iterations,
        gradient=fit.gradient,
        fit=fit,
    )


def regression(X: FloatArray, treated: Mask, model: Model) -> YesNoFit:
    """Fit one of the regressions."""
    return fit_firth(X, treated) if model == "penalized" else fit_yes_no(X, treated, link_of(model))


def link_of(model: Model | None) -> Link:
    """Return the link of a regression for the score.

    >>> link_of("probit"), link_of("penalized")
    ('probit', 'logit')
    """
    return model if model in ("probit", "cloglog") else "logit"


def _refuse_one_covariate(covariates: Covariates, treated: Mask, places: tuple[str, ...]) -> None:
    for j, name in enumerate(covariates.shown_names):
        x = covariates.shown[:, j]
        mine, theirs = x[treated], x[~treated]
        if mine.max() <= theirs.min() or theirs.max() <= mine.min():
            refuse(
                f"the covariate '{name}' tells treated and comparison people apart perfectly",
                places[covariates.shown_owner[j]],
            )


def _refuse_combination(covariates: Covariates, treated: Mask, places: tuple[str, ...]) -> None:
    """Look for a direction that separates the groups by linear programming, and name the covariates in it."""
    X = covariates.X
    Z = np.column_stack([np.ones(treated.size), (X - X.mean(axis=0)) / X.std(axis=0)])
    signed = np.where(treated, 1.0, -1.0)[:, None] * Z
    found = linprog(-signed.mean(axis=0), A_ub=-signed, b_ub=np.zeros(treated.size), bounds=(-1, 1), method="highs")
    if found.status != 0 or -found.fun < 1e-9:
        refuse("the model for the chance of being served reaches no estimate", places[0])
    size = np.abs(found.x[1:])
    involved = [covariates.names[j] for j in np.flatnonzero(size > 1e-6 * size.max())]
    j = int(np.argmax(size))
    refuse(
        "the covariates together tell treated and comparison people apart perfectly: "
        + ", ".join(f"'{n}'" for n in involved),
        places[covariates.owner[j]],
    )


def refuse(found: str, where: str) -> NoReturn:
    """Refuse a score that does not exist."""
    raise SeparationError(
        found, expected="treated and comparison people at the same values of every covariate",
        todo="remove the covariate, group its levels, keep only people who could have been in either group, or use "
        "distance = 'penalized'", where=where,
    )  # fmt: skip
