"""Mixtures of t distributions: the law of a number that was estimated under many assumptions, each with a weight."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

FloatArray = NDArray[np.float64]

_STEPS: Final = 100
_NEAR: Final = 1e-5
_SMALL: Final = 1e-6
_HALF: Final = 0.5
_CELLS: Final = 64
_TABLE_END: Final = 40


@dataclass(frozen=True, slots=True)
class Mixture:
    r"""Mixtures of t distributions, one for each of m numbers: :math:`F(x) = \sum_g w_g\, T_\nu((x - b_g)/s_g)`.

    Attributes
    ----------
    centres, scales
        Of each component, shape (G, m).
    weights
        Weights, which add up to one over components, shape (G,) or, where they differ by number, (G, m).
    df
        Degrees of freedom of every component.

    Examples
    --------
    >>> one = Mixture(np.array([[2.0], [2.0]]), np.array([[1.0], [1.0]]), np.array([0.3, 0.7]), 10)
    >>> one.quantile(0.975).round(6).tolist(), one.p_value().round(6).tolist()  # a plain t with 10 degrees of freedom
    ([4.228139], [0.073388])
    """

    centres: FloatArray
    scales: FloatArray
    weights: FloatArray
    df: int

    @property
    def mean(self) -> FloatArray:
        """Centre of each mixture, shape (m,)."""
        return _sum(self.weights, self.centres)

    @property
    def spread(self) -> FloatArray:
        """Root of the average squared scale and the variance of the centres, shape (m,): the standard error."""
        return np.asarray(np.sqrt(_sum(self.weights, self.scales**2 + (self.centres - self.mean) ** 2)))

    def cdf(self, at: FloatArray) -> FloatArray:
        """Return the distribution function of each mixture at one point each, shape (m,)."""
        return _sum(self.weights, special.stdtr(self.df, _standard(at, self.centres, self.scales)))

    def quantile(self, level: float) -> FloatArray:
        """Return the quantile of each mixture, shape (m,).

        By Halley's method within a bracket that shrinks, from the quantile of a t distribution of the same mean and
        spread. Where a step is below 1e-5 spreads, the next would be below 1e-14, and the search ends.
        """
        mean, spread = self.mean, self.spread
        each = float(special.stdtrit(self.df, level)) * self.scales
        low, high = (self.centres + each).min(axis=0), (self.centres + each).max(axis=0)
        at = np.clip(mean + float(special.stdtrit(self.df, level)) * spread, low, high)
        open_ = np.flatnonzero((spread > 0) & (high > low))
        for _ in range(_STEPS):
            if not open_.size:
                break
            part = self._columns(open_)
            here = at[open_]
            off, step = part._halley(here, level)
            low[open_], high[open_] = np.where(off > 0, low[open_], here), np.where(off > 0, here, high[open_])
            found = here - step
            outside = ~((found >= low[open_]) & (found <= high[open_]))
            at[open_] = np.where(outside, (low[open_] + high[open_]) / 2, found)
            wide = high[open_] - low[open_] > 1e-15 * np.abs(here)
            open_ = open_[(outside & wide) | (np.abs(step) > _NEAR * spread[open_])]
        return at

    def p_value(self) -> FloatArray:
        """Return twice the smaller tail beyond zero, shape (m,)."""
        z = _standard(np.zeros(self.centres.shape[1]), self.centres, self.scales)
        below = _sum(self.weights, _table(self.df)(z))
        tail = np.minimum(below, 1 - below)
        small = np.flatnonzero(tail < _SMALL)  # where the 1e-15 of the table are no longer small beside the tail
        if small.size:
            part = self._columns(small)
            signed = np.where(below[small] < _HALF, z[:, small], -z[:, small])
            tail[small] = _sum(part.weights, special.stdtr(self.df, signed))
        return np.asarray(np.minimum(2 * tail, 1.0))

    def _columns(self, which: NDArray[np.int64]) -> Mixture:
        if which.size == self.centres.shape[1]:
            return self
        weights = self.weights if self.weights.ndim == 1 else self.weights[:, which]
        return Mixture(self.centres[:, which], self.scales[:, which], weights, self.df)

    def _halley(self, at: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
        """Return by how much the distribution function is off, and the step that mends it."""
        z = _standard(at, self.centres, self.scales)
        off = _sum(self.weights, _table(self.df)(z)) - level
        z2 = z * z
        density = np.exp(-(self.df + 1) / 2 * np.log1p(z2 / self.df)) / self.scales * _height(self.df)
        slope = _sum(self.weights, density)
        bend = _sum(self.weights, -density * (self.df + 1) * z / ((self.df + z2) * self.scales))
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = off / slope
            step = newton / (1 - newton * bend / (2 * slope))
        return off, step


def _standard(at: FloatArray, centres: FloatArray, scales: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (at - centres) / scales
    return np.where(np.isnan(z), 0.0, z)


def _sum(weights: FloatArray, values: FloatArray) -> FloatArray:
    return np.asarray(weights @ values if weights.ndim == 1 else np.einsum("gm,gm->m", weights, values))


def t_below(df: int, z: FloatArray) -> FloatArray:
    """Return the distribution function of t, to 1e-14, many times faster than by the function itself.

    >>> t_below(10, np.array([0.0, 2.228139])).round(6).tolist()
    [0.5, 0.975]
    """
    return _table(df)(z)


def _height(df: int) -> float:
    return float(np.exp(special.gammaln((df + 1) / 2) - special.gammaln(df / 2)) / np.sqrt(np.pi * df))


@dataclass(frozen=True, slots=True)
class _Table:
    """The distribution function of t by a polynomial of fifth degree in each of many short cells.

    Each polynomial has the value, the density and its slope at both ends of its cell, which leaves an error below
    1e-14; beyond the cells the function itself is called.
    """

    df: int
    terms: FloatArray

    def __call__(self, z: FloatArray) -> FloatArray:
        size = np.abs(z) * _CELLS
        last = self.terms.shape[1] - 1
        cell = np.minimum(size, last).astype(np.intp)
        u = np.minimum(size - cell, 1.0)
        c = self.terms
        tail = c[5][cell]
        for i in (4, 3, 2, 1, 0):
            tail *= u
            tail += c[i][cell]
        far = size > last + 1
        if far.any():
            tail[far] = special.stdtr(self.df, -np.abs(z[far]))
        return np.asarray(np.where(z > 0, 1 - tail, tail))


@lru_cache(maxsize=32)
def _table(df: int) -> _Table:
    h = 1 / _CELLS
    x = np.arange(_TABLE_END * _CELLS + 1) * h
    value = special.stdtr(df, -x)
    density = -h * _height(df) * np.exp(-(df + 1) / 2 * np.log1p(x**2 / df))
    curve = -density * h * (df + 1) * x / (df + x**2)
    f0, f1, d0, d1, s0, s1 = value[:-1], value[1:], density[:-1], density[1:], curve[:-1], curve[1:]
    rise = f1 - f0
    return _Table(df, np.stack([
        f0, d0, s0 / 2, 10 * rise - 6 * d0 - 4 * d1 - 1.5 * s0 + 0.5 * s1,
        -15 * rise + 8 * d0 + 7 * d1 + 1.5 * s0 - s1, 6 * rise - 3 * (d0 + d1) - 0.5 * (s0 - s1),
    ]))  # fmt: skip
