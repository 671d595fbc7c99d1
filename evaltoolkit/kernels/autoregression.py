"""Regression with first-order autoregressive errors, integrated over the autocorrelation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.t_mixture import Mixture

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

GRID: FloatArray = np.concatenate([np.linspace(-0.9, 0.9, 73), np.linspace(0.915, 0.99, 10)])
"""The 83 autocorrelations that are averaged over."""

_LIGHT = 1e-12
_EXACT = 1e-20


@dataclass(frozen=True, slots=True)
class MarginalAR1:
    """A regression of n periods on k columns for each of G autoregressions, with the weight of each.

    Attributes
    ----------
    rho
        Autocorrelations one period apart, shape (G,).
    weights
        Posterior weights, which add up to one, shape (G,).
    coefficients
        Shape (G, k).
    covariances
        Shape (G, k, k).
    df
        n - k.
    second
        A second number of the autoregression that is averaged over too, shape (G,); None of a first-order one.
    """

    rho: FloatArray
    weights: FloatArray
    coefficients: FloatArray
    covariances: FloatArray
    df: int
    second: FloatArray | None = None

    @property
    def centre(self) -> FloatArray:
        """Mean of the coefficients over the weights, shape (k,)."""
        return np.asarray(self.weights @ self.coefficients)

    @property
    def mean_rho(self) -> float:
        """Mean of the autocorrelation over the weights."""
        return float(self.weights @ self.rho)


def marginal_ar1(design: FloatArray, outcome: FloatArray, steps: IntArray, grid: FloatArray = GRID) -> MarginalAR1:
    r"""Fit :math:`y_t = x_t'\beta + u_t,\; u_t = \rho u_{t-1} + e_t` for every :math:`\rho` of a grid, and weigh them.

    For each :math:`\rho`, :math:`b` and :math:`s^2 = RSS/(n-k)` come from generalized least squares, and the weight is

    .. math:: w(\rho) \propto s^{-(n-k)} |V|^{-1/2} |X'V^{-1}X|^{-1/2} (1-\rho^2)^{-1/2} \Delta(\rho)

    (restricted likelihood, Jeffreys-type prior of the autocorrelation, width of the grid cell). A number
    :math:`c'\beta` is then a mixture of :math:`t_{n-k}(c'b_\rho, s_\rho)`. In short autocorrelated series these
    intervals hold their level where plug-in intervals do not. Rows d steps apart are whitened with :math:`\rho^d`, so
    gaps need no filling. Sums over periods are made once for all autocorrelations, on columns made orthonormal first.

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
    q, r = np.linalg.qr(design)
    plain = q.T @ outcome
    left = outcome - q @ plain
    back = np.linalg.inv(r)
    gram = np.tensordot(*precision_sums(np.column_stack([q, left]), steps, grid), axes=1)
    inverse = np.linalg.inv(gram[:, :k, :k])
    shift = np.einsum("gij,gj->gi", inverse, gram[:, :k, k])
    s2 = (gram[:, k, k] - np.einsum("gi,gi->g", shift, gram[:, :k, k])) / (n - k)
    if not np.all(s2 > _EXACT * max(float((outcome**2).mean()), 1e-300) * (1 - grid**2)):
        raise ValueError("the outcome follows the design without error")
    log_det = np.linalg.slogdet(gram[:, :k, :k])[1]
    log_weight = -(n - k) / 2 * np.log(s2) - log_det / 2 + prior(steps, grid)
    weights = np.exp(log_weight - log_weight.max())
    b = (plain + shift) @ back.T
    return MarginalAR1(grid, weights / weights.sum(), b, s2[:, None, None] * (back @ inverse @ back.T), n - k)


def mixture(fit: MarginalAR1, values: FloatArray, gradients: FloatArray) -> Mixture:
    """Return the mixtures of m numbers.

    Parameters
    ----------
    fit
        The regression.
    values
        The numbers at the coefficients of each autocorrelation, shape (G, m).
    gradients
        Their derivatives by the coefficients, shape (G, m, k), or (m, k) where they are the same for all.

    Returns
    -------
    Mixture
        Autocorrelations of negligible weight are left out.

    Examples
    --------
    >>> t = np.arange(30)
    >>> fit = marginal_ar1(np.ones((30, 1)), np.cos(2.4 * t), t)
    >>> found = mixture(fit, fit.coefficients, np.ones((1, 1)))
    >>> bool(found.quantile(0.025)[0] < found.mean[0] < found.quantile(0.975)[0])
    True
    """
    heavy = fit.weights > _LIGHT
    each = gradients if gradients.ndim == 2 else gradients[heavy]
    variance = ((each @ fit.covariances[heavy]) * each).sum(axis=-1)
    weights = fit.weights[heavy]
    return Mixture(values[heavy], np.sqrt(np.maximum(variance, 0.0)), weights / weights.sum(), fit.df)


def whitening(steps: IntArray, rho: float | FloatArray) -> tuple[FloatArray, FloatArray]:
    r"""Return by what to multiply each row, and the row before it before taking it away, each of shape (..., n).

    With d steps between rows the factors are :math:`\sqrt{(1-\rho^2)/(1-\rho^{2d})}` and :math:`\rho^d`.

    >>> keep, carry = whitening(np.array([0, 1, 2]), 0.6)
    >>> keep.round(6).tolist(), carry.round(6).tolist()
    ([0.8, 1.0, 1.0], [0.0, 0.6, 0.6])
    """
    r = np.asarray(rho, dtype=np.float64)[..., None]
    keep, carry = _factors(np.diff(steps), r)
    return np.concatenate([np.sqrt(1 - r**2), keep], axis=-1), np.concatenate([np.zeros_like(r), carry], axis=-1)


def precision_sums(rows: FloatArray, steps: IntArray, grid: FloatArray) -> tuple[FloatArray, FloatArray]:
    r"""Return J numbers for each autocorrelation and J sums of products of rows, which give :math:`Z'V^{-1}Z`.

    Rows at the same distance from the one before share a factor, so J = 1 + 3 times the number of distances.

    Parameters
    ----------
    rows
        Z, shape (..., n, p).
    steps, grid
        As for ``marginal_ar1``.

    Returns
    -------
    tuple
        Shapes (G, J) and (..., J, p, p).

    >>> numbers, sums = precision_sums(np.array([[1.0], [2.0], [4.0]]), np.arange(3), np.array([0.5]))
    >>> np.tensordot(numbers, sums, axes=1).ravel().tolist()  # 0.75 * 1 + 1.5 ** 2 + 3 ** 2
    [12.0]
    """
    gaps = np.diff(steps)
    numbers = [1 - grid**2]
    sums = [rows[..., 0, :, None] * rows[..., 0, None, :]]
    now, before = rows[..., 1:, :], rows[..., :-1, :]
    for gap in np.unique(gaps):
        keep, carry = _factors(np.array([gap]), grid[:, None])
        square, factor = keep[:, 0] ** 2, carry[:, 0]
        here = gaps == gap
        a, b = (now, before) if here.all() else (now[..., here, :], before[..., here, :])
        a_turned, b_turned = np.swapaxes(a, -1, -2), np.swapaxes(b, -1, -2)
        cross = a_turned @ b
        numbers += [square, -square * factor, square * factor**2]
        sums += [a_turned @ a, cross + np.swapaxes(cross, -1, -2), b_turned @ b]
    return np.stack(numbers, axis=1), np.stack(sums, axis=-3)


def correlated_squares(weights: FloatArray, steps: IntArray, rho: FloatArray) -> FloatArray:
    r"""Return :math:`w'Rw` with the correlations :math:`\rho^{|t-s|}`, shape (G, m), in one walk along the periods.

    Parameters
    ----------
    weights
        Rows w, shape (m, n).
    steps
        Period of each column, shape (n,).
    rho
        Autocorrelations, shape (G,).

    >>> correlated_squares(np.array([[1.0, 1.0]]), np.array([0, 1]), np.array([0.5])).tolist()
    [[3.0]]
    """
    gaps = np.diff(steps).astype(np.float64)
    carry = np.sign(rho)[:, None] ** gaps * np.abs(rho)[:, None] ** gaps
    past = np.zeros((rho.size, weights.shape[0]))
    total = np.zeros_like(past)
    for i in range(weights.shape[1]):
        now = weights[:, i]
        total += now * (now + 2 * past)
        if i < gaps.size:
            past = (past + now) * carry[:, i : i + 1]
    return total


def prior(steps: IntArray, grid: FloatArray) -> FloatArray:
    """Return what the autocorrelations weigh before the data: half log det of V^-1, log prior, log cell width, (G,)."""
    distances, many = np.unique(np.diff(steps), return_counts=True)
    keep, _ = _factors(distances, grid[:, None])
    half = np.log1p(-(grid**2)) / 2 + np.log(keep) @ many
    return np.asarray(half - np.log1p(-(grid**2)) / 2 + np.log(widths(grid)))


def _factors(gaps: IntArray, rho: FloatArray) -> tuple[FloatArray, FloatArray]:
    gap = gaps.astype(np.float64)
    carry = np.sign(rho) ** gap * np.abs(rho) ** gap
    return np.sqrt((1 - rho**2) / (1 - carry**2)), carry


def widths(grid: FloatArray) -> FloatArray:
    """Return the width of the cell around each point; the first and the last have a whole cell too.

    >>> widths(np.array([0.0, 0.1, 0.3])).round(2).tolist()
    [0.1, 0.15, 0.2]
    """
    return np.asarray(np.gradient(grid)) if grid.size > 1 else np.ones(1)
