"""Numbers asked of a fitted model, with their intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evaltoolkit.designs.its.model import Functional
from evaltoolkit.kernels.autoregression import MarginalAR1, mixture

FloatArray = NDArray[np.float64]


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

    def centre(self, functional: Functional) -> FloatArray:
        """Return the numbers alone."""
        return functional(self.coefficients)[0]

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

    def centre(self, functional: Functional) -> FloatArray:
        """Return the numbers alone."""
        return mixture(self.fit, *functional(self.fit.coefficients)).mean

    def measure(self, functional: Functional, level: float) -> Measured:
        """Return the numbers with their intervals."""
        mixed = mixture(self.fit, *functional(self.fit.coefficients))
        tail = (1 - level) / 2
        low, high = mixed.quantile(tail), mixed.quantile(1 - tail)
        p = np.where(mixed.spread > 0, mixed.p_value(), np.nan)
        return Measured(mixed.mean, mixed.spread, low, high, p, float(self.fit.df))
