"""Regression with first-order autoregressive errors, integrated over the autocorrelation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

GRID: FloatArray = np.concatenate([np.linspace(-0.9, 0.9, 73), np.linspace(0.915, 0.99, 10)])
"""The 83 autocorrelations that are averaged over."""

_STEPS = 100
_CLOSE = 1e-14
_LIGHT = 1e-12


@dataclass(frozen=True, slots=True)
class MarginalAR1:
    """A regression of n periods on k columns for each of G autocorrelations, with the weight of each.

    Attributes
    ----------
    rho
        Autocorrelations, shape (G,).
    weights
        Posterior weights, which add up to one, shape (G,).
    coefficients
        Shape (G, k).
    covariances
        Shape (G, k, k).
    df
        n - k.
    """

    rho: FloatArray
    weights: FloatArray
    coefficients: FloatArray
    covariances: FloatArray
    df: int

    @property
    def centre(self) -> FloatArray:
        """Mean of the coefficients over the weights, shape (k,)."""
        return np.asarray(self.weights @ self.coefficients)

    @property
    def mean_rho(self) -> float:
        """Mean of the autocorrelation over the weights."""
        return float(self.weights @ self.rho)


@dataclass(frozen=True, slots=True)
class Mixture:
    """Mixtures of t distributions, one for each of m numbers: centres and scales of shape (G, m), weights (G,)."""

    centres: FloatArray
    scales: FloatArray
    weights: FloatArray
    df: int

    @property
    def mean(self) -> FloatArray:
        """Centre of each mixture, shape (m,)."""
        return np.asarray(self.weights @ self.centres)

    @property
    def spread(self) -> FloatArray:
        """Root of the average squared scale and the variance of the centres, shape (m,): the standard error."""
        return np.asarray(np.sqrt(self.weights @ (self.scales**2 + (self.centres - self.mean) ** 2)))

    def cdf(self, at: FloatArray) -> FloatArray:
        """Return the distribution function of each mixture at one point each, shape (m,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            z = (at - self.centres) / self.scales
        z = np.where(np.isnan(z), 0.0, z)
        return np.asarray(self.weights @ special.stdtr(self.df, z))

    def quantile(self, level: float) -> FloatArray:
        """Return the quantile of each mixture by Newton's method within a bracket that shrinks, shape (m,)."""
        each = float(special.stdtrit(self.df, level)) * self.scales
        low, high = (self.centres + each).min(axis=0), (self.centres + each).max(axis=0)
        at = (low + high) / 2
        for _ in range(_STEPS):
            off = self.cdf(at) - level
            low, high = np.where(off > 0, low, at), np.where(off > 0, at, high)
            with np.errstate(divide="ignore", invalid="ignore"):
                newton = at - off / self._density(at)
            inside = (newton >= low) & (newton <= high)
            found = np.where(inside, newton, (low + high) / 2)
            done = np.abs(found - at) <= _CLOSE * (np.abs(found) + self.spread)
            at = found
            if done.all():
                break
        return np.asarray(at)

    def _density(self, at: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore", invalid="ignore"):
            z = (at - self.centres) / self.scales
            log_kernel = -(self.df + 1) / 2 * np.log1p(z**2 / self.df)
            height = np.exp(log_kernel) / self.scales
        half = self.df / 2
        scale = np.exp(special.gammaln(half + 0.5) - special.gammaln(half)) / np.sqrt(np.pi * self.df)
        return np.asarray(scale * (self.weights @ height))

    def p_value(self) -> FloatArray:
        """Return twice the smaller tail beyond zero, shape (m,)."""
        below = self.cdf(np.zeros(self.centres.shape[1]))
        with np.errstate(divide="ignore", invalid="ignore"):
            z = self.centres / self.scales
        above = np.asarray(self.weights @ special.stdtr(self.df, np.where(np.isnan(z), 0.0, z)))
        return np.asarray(2 * np.minimum(below, above))


def marginal_ar1(design: FloatArray, outcome: FloatArray, steps: IntArray, grid: FloatArray = GRID) -> MarginalAR1:
    r"""Fit :math:`y_t = x_t'\beta + u_t,\; u_t = \rho u_{t-1} + e_t` for every :math:`\rho` of a grid, and weigh them.

    For each :math:`\rho` rows are whitened, :math:`b` and :math:`s^2 = RSS/(n-k)` are found by least squares, and the
    weight is

    .. math:: w(\rho) \propto s^{-(n-k)} |V|^{-1/2} |X'V^{-1}X|^{-1/2} (1-\rho^2)^{-1/2} \Delta(\rho)

    (restricted likelihood, Jeffreys-type prior of the autocorrelation, width of the grid cell). A number
    :math:`c'\beta` is then a mixture of :math:`t_{n-k}(c'b_\rho, s_\rho)`. In short autocorrelated series these
    intervals hold their level where plug-in intervals do not. Rows d steps apart are whitened with :math:`\rho^d`, so
    gaps need no filling.

    Parameters
    ----------
    design
        Shape (n, k), of full column rank, n > k.
    outcome
        Shape (n,).
    steps
        Period of each row, whole numbers that rise, shape (n,).
    grid
        Autocorrelations between -1 and 1 that rise, shape (G,).

    Returns
    -------
    MarginalAR1

    Raises
    ------
    ValueError
        The outcome follows the design without error, so there is nothing to weigh.

    References
    ----------
    Turner, S. et al. (2021). Evaluation of statistical methods used in the analysis of interrupted time series
    studies. BMC Medical Research Methodology 21. doi:10.1186/s12874-021-01364-0

    Examples
    --------
    >>> t = np.arange(30)
    >>> X = np.column_stack([np.ones(30), t])
    >>> fit = marginal_ar1(X, 2.0 + 0.5 * t + np.cos(2.4 * t), t)
    >>> fit.centre.round(1).tolist(), fit.coefficients.shape, round(float(fit.weights.sum()), 9)
    ([2.0, 0.5], (83, 2), 1.0)
    """
    n, k = design.shape
    both, log_scale = _whitened(np.column_stack([design, outcome]), steps, grid)
    X, y = both[:, :, :-1], both[:, :, -1]
    q, r = np.linalg.qr(X)
    inverse = np.linalg.inv(r)
    b = np.einsum("gij,gj->gi", inverse, np.einsum("gni,gn->gi", q, y))
    residuals = y - np.einsum("gni,gi->gn", X, b)
    s2 = (residuals**2).sum(axis=1) / (n - k)
    if not np.all(s2 > 1e-20 * np.maximum((y**2).mean(axis=1), 1e-300)):
        raise ValueError("the outcome follows the design without error")
    log_det = 2 * np.log(np.abs(np.diagonal(r, axis1=1, axis2=2))).sum(axis=1)
    log_weight = -(n - k) / 2 * np.log(s2) + log_scale - log_det / 2 - np.log1p(-(grid**2)) / 2 + np.log(_widths(grid))
    weights = np.exp(log_weight - log_weight.max())
    covariances = s2[:, None, None] * np.einsum("gij,gkj->gik", inverse, inverse)
    return MarginalAR1(grid, weights / weights.sum(), b, covariances, n - k)


def mixture(fit: MarginalAR1, values: FloatArray, gradients: FloatArray) -> Mixture:
    """Return the mixtures of m numbers.

    Parameters
    ----------
    fit
        The regression.
    values
        The numbers at the coefficients of each autocorrelation, shape (G, m).
    gradients
        Their derivatives by the coefficients, shape (G, m, k).

    Returns
    -------
    Mixture
        Autocorrelations of negligible weight are left out.

    Examples
    --------
    >>> t = np.arange(30)
    >>> fit = marginal_ar1(np.ones((30, 1)), np.cos(2.4 * t), t)
    >>> found = mixture(fit, fit.coefficients, np.ones((83, 1, 1)))
    >>> bool(found.quantile(0.025)[0] < found.mean[0] < found.quantile(0.975)[0])
    True
    """
    heavy = fit.weights > _LIGHT
    scales = np.sqrt(np.einsum("gmi,gij,gmj->gm", gradients[heavy], fit.covariances[heavy], gradients[heavy]))
    weights = fit.weights[heavy]
    return Mixture(values[heavy], scales, weights / weights.sum(), fit.df)


def whitening(steps: IntArray, rho: float | FloatArray) -> tuple[FloatArray, FloatArray]:
    r"""Return by what to multiply each row, and the row before it before taking it away, each of shape (..., n).

    With d steps between rows the factors are :math:`\sqrt{(1-\rho^2)/(1-\rho^{2d})}` and :math:`\rho^d`.

    >>> keep, carry = whitening(np.array([0, 1, 2]), 0.6)
    >>> keep.round(6).tolist(), carry.round(6).tolist()
    ([0.8, 1.0, 1.0], [0.0, 0.6, 0.6])
    """
    r = np.asarray(rho, dtype=np.float64)[..., None]
    gap = np.diff(steps).astype(np.float64)
    carry = np.sign(r) ** gap * np.abs(r) ** gap
    keep = np.sqrt((1 - r**2) / (1 - carry**2))
    return np.concatenate([np.sqrt(1 - r**2), keep], axis=-1), np.concatenate([np.zeros_like(r), carry], axis=-1)


def _whitened(columns: FloatArray, steps: IntArray, grid: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Whiten for every autocorrelation, shape (G, n, k), with half the log determinant of V^-1, shape (G,)."""
    before = np.vstack([np.zeros((1, columns.shape[1])), columns[:-1]])
    keep, carry = whitening(steps, grid)
    rows = keep[:, :, None] * (columns[None] - carry[:, :, None] * before[None])
    return rows, np.log(keep).sum(axis=1)


def _widths(grid: FloatArray) -> FloatArray:
    if grid.size == 1:
        return np.ones(1)
    middles = (grid[1:] + grid[:-1]) / 2
    edges = np.concatenate([grid[:1], middles, grid[-1:]])
    return np.diff(edges)
