"""Sums over many rows of standardized covariates, and Newton's method on top of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

FloatArray = NDArray[np.float64]

# A block of 9 columns stays within a processor's cache.
_BLOCK = 16_384
# A first guess from so many rows saves most passes over a million.
_FIRST_GUESS = 20_000
_ITERATIONS = 100
_TIGHT, _ENOUGH = 1e-12, 1e-10
# Where no minimum exists the gradient vanishes while steps stay near one; a minimum has both small.
_STEP, _FLAT = 1e-5, 3

# From a slice of the rows and z'b there: the sum of the losses, and of each row its falling slope and its curvature.
Loss = Callable[[slice, FloatArray], tuple[float, FloatArray, FloatArray]]


@dataclass(frozen=True, slots=True)
class Standardized:
    """An intercept and k covariates of n rows, each as (x - center) / spread.

    Attributes
    ----------
    Z
        One row per column of the design, ones first, so that each lies in one piece; shape (k + 1, n).
    center, spread
        Shape (k,).
    """

    Z: FloatArray
    center: FloatArray
    spread: FloatArray

    @classmethod
    def of(cls, X: FloatArray) -> Standardized:
        """Standardize by mean and standard deviation (n); a constant column keeps spread one.

        >>> Standardized.of(np.array([[1.0], [3.0]])).line(np.array([5.0, 2.0])).tolist()
        [3.0, 7.0]
        """
        n, k = X.shape
        Z = np.empty((k + 1, n))
        Z[0] = 1.0
        center, spread = np.empty(k), np.empty(k)
        for j, row in enumerate(Z[1:]):
            row[:] = X[:, j]
            center[j] = row.mean()
            row -= center[j]
            size = float(np.sqrt(row @ row / n))
            spread[j] = size if size > 0 else 1.0
            row /= spread[j]
        return cls(Z, center, spread)

    @property
    def n(self) -> int:
        """Rows."""
        return int(self.Z.shape[1])

    def every(self, step: int) -> Standardized:
        """Return every so-manieth row."""
        return Standardized(np.ascontiguousarray(self.Z[:, ::step]), self.center, self.spread)

    def line(self, b: FloatArray) -> FloatArray:
        """Return z_i'b of every row, shape (n,)."""
        found: FloatArray = b @ self.Z
        return found

    def total(self, a: FloatArray) -> FloatArray:
        """Return the sum of a_i z_i, shape (k + 1,)."""
        found: FloatArray = self.Z @ a
        return found

    def gram(self, c: FloatArray) -> FloatArray:
        """Return the sum of c_i z_i z_i', shape (k + 1, k + 1), block by block."""
        found = np.zeros((self.Z.shape[0],) * 2)
        for start in range(0, self.n, _BLOCK):
            part = self.Z[:, start : start + _BLOCK]
            found += (part * c[start : start + _BLOCK]) @ part.T
        return found

    def back(self) -> FloatArray:
        """Return the matrix that takes coefficients to the covariates' own scale."""
        found = np.diag(np.concatenate([[1.0], 1 / self.spread]))
        found[0, 1:] = -self.center / self.spread
        return found


@dataclass(frozen=True, slots=True)
class Minimum:
    """Where the mean of row-wise losses is least.

    Attributes
    ----------
    b
        Coefficients of the standardized covariates, the intercept first, shape (k + 1,).
    value
        Sum of the losses.
    line, score, curvature
        z_i'b, the falling slope of each loss, and its curvature, shape (n,).
    gradient
        Largest absolute mean gradient, per row and standardized covariate.
    iterations
        Passes over all rows.
    converged
        Whether gradient and step are both small: false where no minimum exists.
    """

    b: FloatArray
    value: float
    line: FloatArray
    score: FloatArray
    curvature: FloatArray
    gradient: float
    iterations: int
    converged: bool


def minimize(rows: Standardized, loss: Loss) -> Minimum:
    r"""Minimise :math:`\sum_i f_i(z_i'b)` for convex :math:`f_i` by Newton's method with step halving.

    It goes on until the mean gradient is below 1e-12, or below 1e-10 where rounding allows no better. Long data begin
    at the answer for every so-manieth row.

    Parameters
    ----------
    rows
        The covariates.
    loss
        The row-wise losses; its first argument says which rows.

    Returns
    -------
    Minimum

    References
    ----------
    Nocedal, J. and Wright, S. (2006). Numerical Optimization, 2nd ed., section 3.3. doi:10.1007/978-0-387-40065-5

    Examples
    --------
    >>> X, y = np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 3.0, 5.0])
    >>> def squares(part, line):
    ...     return float(((y[part] - line) ** 2).sum() / 2), y[part] - line, np.ones(line.size)
    >>> found = minimize(Standardized.of(X), squares)
    >>> (Standardized.of(X).back() @ found.b).round(9).tolist(), found.converged
    ([1.0, 2.0], True)
    """
    b = np.zeros(rows.Z.shape[0])
    step = rows.n // _FIRST_GUESS
    if step > 1:
        few, part = rows.every(step), slice(None, None, step)
        guess = _newton(few, loss, b, part)
        if guess.converged:
            b = guess.b
    return _newton(rows, loss, b, slice(None))


def _newton(rows: Standardized, loss: Loss, b: FloatArray, part: slice) -> Minimum:
    now, count = _look(rows, loss, b, part), 1
    previous, moved, flat = np.inf, np.inf, 0
    while count < _ITERATIONS and flat < _FLAT:
        if moved <= _STEP and (now.gradient <= _TIGHT or max(now.gradient, previous) <= _ENOUGH):
            break
        direction = _direction(rows.gram(now.curvature), now.slope)
        if direction is None:
            moved = np.inf
            break
        size, then = 1.0, _look(rows, loss, b + direction, part)
        count += 1
        while not then.value <= now.value + 1e-12 * abs(now.value) and size > 1e-8 and count < _ITERATIONS:
            size /= 2
            then = _look(rows, loss, b + size * direction, part)
            count += 1
        b, previous, now = b + size * direction, now.gradient, then
        moved = float(np.abs(size * direction).max())
        flat = flat + 1 if moved > _STEP and now.gradient <= _TIGHT else 0
    done = bool(moved <= _STEP and now.gradient <= _ENOUGH)
    return Minimum(b, now.value, now.line, now.score, now.curvature, now.gradient, count, done)


@dataclass(frozen=True, slots=True)
class _Look:
    value: float
    line: FloatArray
    score: FloatArray
    slope: FloatArray
    curvature: FloatArray
    gradient: float


def _look(rows: Standardized, loss: Loss, b: FloatArray, part: slice) -> _Look:
    with np.errstate(over="ignore", invalid="ignore"):
        line = rows.line(b)
        value, score, curvature = loss(part, line)
        slope = rows.total(score)
    return _Look(value, line, score, slope, curvature, float(np.abs(slope).max()) / rows.n)


def _direction(gram: FloatArray, slope: FloatArray) -> FloatArray | None:
    try:
        found: FloatArray = linalg.cho_solve(linalg.cho_factor(gram), slope)
    except (linalg.LinAlgError, ValueError):
        return None
    return found
