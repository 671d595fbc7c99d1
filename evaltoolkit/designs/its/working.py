"""A fitted series as rows of a linear model: what the checks that look at many dates or periods work on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.kernels.autoregression import GRID
from evaltoolkit.kernels.least_squares import least_squares

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

INDEPENDENT = ("ols", "model-based", "exact")


@dataclass(frozen=True, slots=True)
class Working:
    """A series as a linear model of n rows.

    Counts enter by the working response at the maximum-likelihood fit, rows weighted by the root of their precision.

    Attributes
    ----------
    columns
        Every column, shape (n, k).
    calm
        Columns that do not belong to an interruption, shape (n, k0).
    response
        Shape (n,).
    root
        What a further column is multiplied by, shape (n,).
    steps
        Period of each row, shape (n,).
    grid
        Autocorrelations that are averaged over: a single 0 where the study takes periods as unrelated.
    """

    columns: FloatArray
    calm: FloatArray
    response: FloatArray
    root: FloatArray
    steps: IntArray
    grid: FloatArray

    def only(self, rows: Mask) -> Working:
        """Return some of the rows, without the columns that then follow from others."""
        calm = self.calm[rows]
        return Working(
            self.columns[rows], calm[:, least_squares(calm, self.response[rows]).kept], self.response[rows],
            self.root[rows], self.steps[rows], self.grid,
        )  # fmt: skip

    def levels(self, starts: IntArray) -> FloatArray:
        """Return a level from each date on, shape (m, n, 1)."""
        shape = (self.steps[None, :] >= starts[:, None]).astype(np.float64)
        return np.asarray((shape * self.root)[:, :, None])

    def levels_and_slopes(self, starts: IntArray) -> FloatArray:
        """Return a level and a slope from each date on, shape (m, n, 2)."""
        since = (self.steps[None, :] - starts[:, None]).astype(np.float64)
        slope = np.maximum(since, 0.0) * self.root
        return np.concatenate([self.levels(starts), slope[:, :, None]], axis=2)


def _theta(fitted: Fitted) -> float:
    """Return theta of a negative binomial model; infinity for the other models of counts."""
    return next((p.value for p in fitted.main.how.parameters if p.name == "theta"), float("inf"))


def working(fitted: Fitted) -> Working:
    """Return the fitted series as a linear model."""
    model, b = fitted.model, fitted.main.likelihood
    root, response = np.ones(model.steps.size), model.response
    if model.log_link:
        linear = model.observed @ b
        mu = np.exp(model.offset + linear)
        root = np.sqrt(mu / (1 + mu / _theta(fitted)))
        response = root * (linear + (model.response - mu) / mu)
    belongs = (model.observed != model.expected).any(axis=0)
    grid = np.zeros(1) if fitted.options.errors in INDEPENDENT else GRID
    X = root[:, None] * model.observed
    return Working(X, X[:, ~belongs], response, root, model.steps, grid)
