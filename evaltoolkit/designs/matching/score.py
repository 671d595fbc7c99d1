"""The propensity score: a logit fitted to tight convergence, refused where it does not exist."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy.optimize import linprog

from evaltoolkit.designs.matching.covariates import Covariates
from evaltoolkit.errors import SeparationError

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Change of the standardized coefficients at which iteration stops: pairs may flip where scores are off by 1e-6.
_TOLERANCE = 1e-12
_ITERATIONS = 100
# A fitted probability nearer to 0 or 1 than this makes the fit suspect, and separation is then looked for.
_EDGE = 1e-8


@dataclass(frozen=True, slots=True)
class Score:
    """A score of n people.

    Attributes
    ----------
    probability
        The score on the scale of the data: the fitted probability, or the column that was given. Shape (n,).
    linear
        The linear predictor, shape (n,); None where a column was given.
    names, coefficients, std_errors
        Terms of the logit, the intercept first; empty where a column was given.
    iterations
        Iterations until convergence.
    """

    probability: FloatArray
    linear: FloatArray | None = None
    names: tuple[str, ...] = ()
    coefficients: tuple[float, ...] = ()
    std_errors: tuple[float, ...] = ()
    iterations: int = 0

    def line(self, *, on_logit: bool) -> FloatArray:
        """Return the linear predictor where that is asked for and there is one, else the score."""
        return self.linear if on_logit and self.linear is not None else self.probability

    def moved(self, noise: FloatArray, *, on_logit: bool) -> Score:
        """Return the score with noise added to its line."""
        if on_logit and self.linear is not None:
            return replace(self, linear=self.linear + noise)
        return replace(self, probability=self.probability + noise)


def fit_logit(covariates: Covariates, treated: Mask, places: tuple[str, ...]) -> Score:
    r"""Fit :math:`\mathrm{logit}\,P(T=1 \mid x) = \alpha + x'\beta` by iterated least squares.

    Covariates are standardized for the iteration, so that the scale they are measured in does not matter; the
    coefficients are given back on their own scale.

    Parameters
    ----------
    covariates
        Covariates of n people.
    treated
        Shape (n,).
    places
        Where each covariate is declared, for messages.

    Returns
    -------
    Score

    Raises
    ------
    SeparationError
        Some combination of covariates tells treated and others apart, so that no estimate exists.

    References
    ----------
    Albert, A. and Anderson, J. (1984). On the existence of maximum likelihood estimates in logistic regression
    models. Biometrika 71. doi:10.1093/biomet/71.1.1
    """
    _refuse_one_covariate(covariates, treated, places)
    center, spread = covariates.X.mean(axis=0), covariates.X.std(axis=0)
    Z = np.column_stack([np.ones(treated.size), (covariates.X - center) / spread])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = sm.GLM(treated.astype(np.float64), Z, family=sm.families.Binomial())
        fit = model.fit(maxiter=_ITERATIONS, tol=_TOLERANCE, tol_criterion="params", wls_method="qr", attach_wls=False)
    probability = np.asarray(fit.fittedvalues)
    if not fit.converged or min(probability.min(), 1 - probability.max()) < _EDGE:
        _refuse_combination(covariates, Z, treated, places)
    back = np.eye(Z.shape[1])
    back[0, 1:] = -center / spread
    back[1:, 1:] = np.diag(1 / spread)
    covariance = back @ np.asarray(fit.cov_params()) @ back.T
    return Score(
        probability=probability,
        linear=Z @ np.asarray(fit.params),
        names=("(Intercept)", *covariates.names),
        coefficients=tuple((back @ np.asarray(fit.params)).tolist()),
        std_errors=tuple(np.sqrt(np.diag(covariance)).tolist()),
        iterations=int(fit.fit_history["iteration"]),
    )


def _refuse_one_covariate(covariates: Covariates, treated: Mask, places: tuple[str, ...]) -> None:
    for j, name in enumerate(covariates.shown_names):
        x = covariates.shown[:, j]
        mine, theirs = x[treated], x[~treated]
        if mine.max() <= theirs.min() or theirs.max() <= mine.min():
            _refuse(
                f"the covariate '{name}' tells treated and comparison people apart perfectly",
                places[covariates.shown_owner[j]],
            )


def _refuse_combination(covariates: Covariates, Z: FloatArray, treated: Mask, places: tuple[str, ...]) -> None:
    """Look for a direction that separates the groups by linear programming; return where there is none."""
    signed = np.where(treated, 1.0, -1.0)[:, None] * Z
    found = linprog(-signed.mean(axis=0), A_ub=-signed, b_ub=np.zeros(treated.size), bounds=(-1, 1), method="highs")
    if found.status != 0 or -found.fun < 1e-9:
        return
    size = np.abs(found.x[1:])
    involved = [covariates.names[j] for j in np.flatnonzero(size > 1e-6 * size.max())]
    j = int(np.argmax(size))
    _refuse(
        "the covariates together tell treated and comparison people apart perfectly: "
        + ", ".join(f"'{n}'" for n in involved),
        places[covariates.owner[j]],
    )


def _refuse(found: str, where: str) -> None:
    raise SeparationError(
        found, expected="treated and comparison people at the same values of every covariate",
        todo="remove the covariate, group its levels, or keep only people who could have been in either group",
        where=where,
    )  # fmt: skip
