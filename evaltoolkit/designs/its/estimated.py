"""A fitted model, and how its intervals are made."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.its.exact import Exact
from evaltoolkit.designs.its.measures import Averaged, Measured, PlugIn
from evaltoolkit.designs.its.model import Functional, Model
from evaltoolkit.errors import NoVariationError
from evaltoolkit.kernels.autoregression import whitening

FloatArray = NDArray[np.float64]

EDGE = 0.99
"""An autocorrelation beyond this is at the boundary of what the model allows."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number of the error model or the family, such as an autocorrelation or theta, with its standard error."""

    name: str
    value: float
    std_error: float | None = None


@dataclass(frozen=True, slots=True)
class How:
    """How the intervals are made.

    Attributes
    ----------
    name
        For a statistician: "Newey-West, 3 lags", "GLS AR(1), REML".
    words
        For any reader.
    autocorrelation
        Of the errors, where one number of it is part of the model.
    lags
        Lags of Newey-West.
    parameters
        What else was estimated.
    boundary
        Whether the estimate lies at the edge of what the model allows, where its errors mean little.
    """

    name: str
    words: str
    autocorrelation: float | None = None
    lags: int | None = None
    parameters: tuple[Parameter, ...] = ()
    boundary: bool = False


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
        Coefficients by least squares or maximum likelihood of the mean, shape (k,).
    residuals
        Of that fit, on the outcome's scale or Pearson residuals for counts, shape (n,).
    how
        How the intervals are made.
    dispersion
        Pearson chi-square over its degrees of freedom for counts; None otherwise.
    whitened
        What is left of the residuals when the dependence that is part of the model is taken out; None without one.
    """

    model: Model
    errors: PlugIn | Averaged | Exact
    likelihood: FloatArray
    residuals: FloatArray
    how: How
    dispersion: float | None = None
    whitened: FloatArray | None = field(default=None)

    @property
    def autocorrelation(self) -> float | None:
        """Autocorrelation of the errors, where one number of it is part of the model."""
        return self.how.autocorrelation

    @property
    def lags(self) -> int | None:
        """Lags of Newey-West."""
        return self.how.lags

    def centre(self, functional: Functional) -> FloatArray:
        """Return the numbers alone."""
        return self.errors.centre(functional)

    def measure(self, functional: Functional, level: float) -> Measured:
        """Return the numbers with their intervals."""
        return self.errors.measure(functional, level)

    def inference(self, df: float | None) -> str:
        """Return the kind of errors and their reference, and whether the estimate is at a boundary."""
        if isinstance(self.errors, Exact):
            return self.how.name
        law = "normal" if df is None else f"t({df:g})"
        mixed = "mixture of " if isinstance(self.errors, Averaged) else ""
        return f"{self.how.name}, {mixed}{law}{', at the boundary' if self.how.boundary else ''}"


def without_ar1(residuals: FloatArray, steps: NDArray[np.int64], rho: float) -> FloatArray:
    """Take a first-order autocorrelation out of residuals.

    >>> without_ar1(np.array([1.0, 2.0]), np.arange(2), 0.6).round(6).tolist()
    [0.8, 1.4]
    """
    keep, carry = whitening(steps, rho)
    return np.asarray(keep * (residuals - carry * np.concatenate([[0.0], residuals[:-1]])))


def too_good(where: str) -> NoVariationError:
    """Return the error for an outcome that the model explains without error."""
    return NoVariationError(
        "the outcome follows the model without any error", expected="an outcome that varies around its trend",
        todo="check the outcome column; a computed or copied series is a common cause", where=where,
    )  # fmt: skip
