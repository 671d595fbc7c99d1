"""One model, fitted; and any number asked of it, with its interval by the chosen errors."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evaltoolkit.designs.its.model import Functional, Model
from evaltoolkit.designs.its.options import Errors, Options
from evaltoolkit.errors import NoVariationError
from evaltoolkit.kernels.autoregression import MarginalAR1, marginal_ar1, mixture
from evaltoolkit.kernels.least_squares import least_squares
from evaltoolkit.kernels.newey_west import lag_by_rule, newey_west

FloatArray = NDArray[np.float64]

ERROR_WORDS = {
    "marginal-ar1": "first-order autoregression, averaged over its strength",
    "newey-west": "Newey-West",
    "ols": "ordinary least squares",
    "model-based": "independent counts",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """m numbers with standard errors, intervals and p-values, each of shape (m,); ``df`` is None for a normal law."""

    estimate: FloatArray
    std_error: FloatArray
    low: FloatArray
    high: FloatArray
    p_value: FloatArray
    df: float | None

    def one(self, i: int = 0) -> One:
        """Return the i-th number."""
        numbers = (self.estimate, self.std_error, self.low, self.high, self.p_value)
        estimate, error, low, high, p = (_finite(float(a[i])) for a in numbers)
        return One(estimate, error, low, high, p, self.df)


@dataclass(frozen=True, slots=True)
class One:
    """One number with its standard error, interval and p-value; None where it does not exist."""

    estimate: float | None
    std_error: float | None
    low: float | None
    high: float | None
    p_value: float | None
    df: float | None

    def exp(self) -> One:
        """Return the ratio of a log ratio; the standard error by the delta method, the p-value of the log."""
        ratio = [None if v is None else float(np.exp(v)) for v in (self.estimate, self.low, self.high)]
        error = None if ratio[0] is None or self.std_error is None else ratio[0] * self.std_error
        return One(ratio[0], error, ratio[1], ratio[2], self.p_value, self.df)

    def percent(self) -> One:
        """Return a log ratio as a change in percent."""
        ratio = self.exp()
        shifted = [None if v is None else 100 * (v - 1) for v in (ratio.estimate, ratio.low, ratio.high)]
        error = None if ratio.std_error is None else 100 * ratio.std_error
        return One(shifted[0], error, shifted[1], shifted[2], self.p_value, self.df)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class PlugIn:
    """Coefficients with one covariance: delta method, t or (``df`` None) normal reference."""

    coefficients: FloatArray
    covariance: FloatArray
    df: float | None

    def measure(self, functional: Functional, level: float) -> Measured:
        """Return the numbers with their intervals."""
        value, gradient = functional(self.coefficients)
        error = np.sqrt(np.maximum(np.einsum("mi,ij,mj->m", gradient, self.covariance, gradient), 0.0))
        tail = (1 - level) / 2
        reach = -float(special.ndtri(tail) if self.df is None else special.stdtrit(self.df, tail)) * error
        with np.errstate(divide="ignore", invalid="ignore"):
            z = -np.abs(value / error)
        p = 2 * (special.ndtr(z) if self.df is None else special.stdtr(self.df, z))
        return Measured(value, error, value - reach, value + reach, np.where(error > 0, p, np.nan), self.df)


@dataclass(frozen=True, slots=True)
class Averaged:
    """Coefficients averaged over the autocorrelation: quantiles of the mixture."""

    coefficients: FloatArray
    fit: MarginalAR1

    def measure(self, functional: Functional, level: float) -> Measured:
        """Return the numbers with their intervals."""
        mixed = mixture(self.fit, *functional(self.fit.coefficients))
        tail = (1 - level) / 2
        low, high = mixed.quantile(tail), mixed.quantile(1 - tail)
        p = np.where(mixed.spread > 0, mixed.p_value(), np.nan)
        return Measured(mixed.mean, mixed.spread, low, high, p, float(self.fit.df))


@dataclass(frozen=True, slots=True)
class Estimated:
    """A fitted model.

    Attributes
    ----------
    model
        What was fitted.
    errors
        What measures numbers of it.
    likelihood
        Coefficients by least squares or maximum likelihood, shape (k,).
    residuals
        Of that fit, on the outcome's scale or Pearson residuals for counts, shape (n,).
    dispersion
        Pearson chi-square over its degrees of freedom for counts; None otherwise.
    autocorrelation
        Mean autocorrelation of the errors where it is part of the model, else None.
    lags
        Lags of Newey-West, else None.
    """

    model: Model
    errors: PlugIn | Averaged
    likelihood: FloatArray
    residuals: FloatArray
    dispersion: float | None
    autocorrelation: float | None
    lags: int | None

    def measure(self, functional: Functional, level: float) -> Measured:
        """Return the numbers with their intervals."""
        return self.errors.measure(functional, level)


def estimate(model: Model, options: Options, *, errors: Errors, lags: int, where: str) -> Estimated:
    """Fit a model.

    Raises
    ------
    NoVariationError
        The outcome follows the model without error, or the counts allow no estimate.
    """
    return _counts(model, options, errors, lags, where) if model.log_link else _gaussian(model, errors, lags, where)


def lags_of(options: Options, n: int, cycle: int | None) -> int:
    """Return the lags of Newey-West for n periods."""
    if isinstance(options.lags, int):
        return min(options.lags, n - 1)
    if options.lags == "seasonal":
        return min(cycle or lag_by_rule(n), n - 1)
    return lag_by_rule(n, options.lags or "newey-west")


def _gaussian(model: Model, errors: Errors, lags: int, where: str) -> Estimated:
    X, y = model.observed, model.response
    fit = least_squares(X, y)
    s2 = float(fit.residuals @ fit.residuals) / model.df
    if s2 <= 1e-20 * float(y @ y) / y.size:
        raise _too_good(where)
    if errors == "marginal-ar1":
        averaged = marginal_ar1(X, y, model.steps)
        return Estimated(
            model, Averaged(averaged.centre, averaged), fit.coefficients, fit.residuals, None, averaged.mean_rho, None
        )
    used = lags if errors == "newey-west" else None
    matrix = s2 * fit.bread if used is None else newey_west(fit.scores, fit.bread, used, model.steps)
    return Estimated(
        model, PlugIn(fit.coefficients, matrix, float(model.df)), fit.coefficients, fit.residuals, None, None, used
    )


def _counts(model: Model, options: Options, errors: Errors, lags: int, where: str) -> Estimated:
    X, y = model.observed, model.response
    b = _poisson(model, where)
    mu = np.exp(model.offset + X @ b)
    residual = y - mu
    pearson = residual / np.sqrt(mu)
    dispersion = float(pearson @ pearson) / model.df
    if errors == "marginal-ar1":
        root = np.sqrt(mu)
        working = X @ b + residual / mu
        try:
            averaged = marginal_ar1(root[:, None] * X, root * working, model.steps)
        except ValueError:
            raise _too_good(where) from None
        return Estimated(model, Averaged(averaged.centre, averaged), b, pearson, dispersion, averaged.mean_rho, None)
    bread: FloatArray = np.asarray(np.linalg.inv((X * mu[:, None]).T @ X), dtype=np.float64)
    if errors == "newey-west":
        matrix = newey_west(X * residual[:, None], bread, lags, model.steps)
        return Estimated(model, PlugIn(b, matrix, float(model.df)), b, pearson, dispersion, None, lags)
    quasi = options.family == "quasi-poisson"
    matrix = dispersion * bread if quasi else bread
    return Estimated(model, PlugIn(b, matrix, float(model.df) if quasi else None), b, pearson, dispersion, None, None)


def _poisson(model: Model, where: str) -> FloatArray:
    """Return coefficients by maximum likelihood, where they exist."""
    from statsmodels.genmod.families import Poisson
    from statsmodels.genmod.generalized_linear_model import GLM

    y = model.response
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = GLM(y, model.observed, family=Poisson(), offset=model.offset).fit(maxiter=200, tol=1e-12)
            found = (
                y.any()
                and bool(fit.converged)
                and np.isfinite(fit.params).all()
                and fit.fittedvalues.min() >= 1e-8 * y.max()
            )
        except ValueError:  # weights that are not finite: the same for counts that allow no estimate
            found = False
    if not found:
        raise NoVariationError(
            "the counts allow no estimate of the ratio (all of them are zero in some part of the model)",
            expected="counts above zero in every part", where=where,
            todo="use fewer effects or no season, longer periods, or family = 'gaussian'",
        )  # fmt: skip
    return np.asarray(fit.params, dtype=np.float64)


def _too_good(where: str) -> NoVariationError:
    return NoVariationError(
        "the outcome follows the model without any error", expected="an outcome that varies around its trend",
        todo="check the outcome column; a computed or copied series is a common cause", where=where,
    )  # fmt: skip
