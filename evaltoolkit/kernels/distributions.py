"""Distances between the weighted distributions of two groups: distribution functions and densities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

_POINTS = 512
_SLICES = 1000


def ecdf_distances(x: FloatArray, steps: FloatArray) -> FloatArray:
    r"""Return the mean and largest :math:`|F_1(v) - F_2(v)|` over the distinct values of a column, for m weightings.

    Values with weight zero are points of the mean too, so that it is over the same points before and after matching.
    For 0/1 columns both are the difference in proportions. The largest is the Kolmogorov-Smirnov distance. The column
    is sorted once for all weightings.

    Parameters
    ----------
    x
        Column, shape (n,).
    steps
        For each weighting, weights of the first group that sum to 1 and weights of the second group, with a minus,
        that sum to -1; shape (n, m).

    Returns
    -------
    ndarray
        Shape (m, 2).

    References
    ----------
    Austin, P. and Stuart, E. (2015). Moving towards best practice when using inverse probability of treatment
    weighting. Statistics in Medicine 34. doi:10.1002/sim.6607

    Examples
    --------
    >>> ecdf_distances(np.array([1.0, 2.0, 2.0, 3.0]), np.array([[0.5], [0.5], [-0.5], [-0.5]])).round(4).tolist()
    [[0.3333, 0.5]]
    """
    from evaltoolkit.kernels.compiled.columns import gaps

    sums, largest, points = gaps(x, steps)
    return np.column_stack([sums / points if points > 2 else largest, largest])


def signed_steps(first: Mask, weights: FloatArray) -> FloatArray:
    """Return weights that sum to 1 in the first group and, with a minus, to -1 in the second, shape (n,).

    >>> signed_steps(np.array([True, False, False]), np.array([3.0, 1.0, 1.0])).tolist()
    [1.0, -0.5, -0.5]
    """
    ones = np.where(first, weights, 0.0)
    twos = weights - ones
    return np.asarray(ones / ones.sum() - twos / twos.sum())


@dataclass(frozen=True, slots=True)
class Density:
    """A density at evenly spaced points.

    Attributes
    ----------
    at
        Points, shape (512,).
    height
        Density there, shape (512,).
    """

    at: FloatArray
    height: FloatArray


def bandwidth(x: FloatArray) -> float:
    r"""Return the normal-reference bandwidth :math:`1.06 \min(s, \mathrm{IQR}/1.34)\, n^{-1/5}`.

    The standard deviation alone is used where half of the values are the same. NaN for a constant.

    References
    ----------
    Scott, D. (1992). Multivariate Density Estimation, section 6.1. Wiley. doi:10.1002/9780470316849

    Examples
    --------
    >>> round(bandwidth(np.arange(32.0)), 4)
    4.9718
    """
    if x.size < 2:
        return float("nan")
    spread = float(x.std(ddof=1))
    low, high = np.quantile(x, [0.25, 0.75])
    quarter = float(high - low) / 1.34
    size = min(spread, quarter) if quarter > 0 else spread
    return 1.06 * size * x.size**-0.2 if size > 0 else float("nan")


def gaussian_density(x: FloatArray, weights: FloatArray, width: float) -> Density:
    """Return a kernel density estimate with a Gaussian kernel, by linear binning and a fast Fourier transform.

    Points run from three bandwidths below the smallest value to three above the largest. Grid and binning are those of
    ``density`` in R before 4.4, so that numbers agree with software that rests on it.

    Parameters
    ----------
    x
        Values, shape (n,).
    weights
        Non-negative weights, shape (n,); they are scaled to sum to one.
    width
        Standard deviation of the kernel, in units of ``x``.

    Returns
    -------
    Density

    References
    ----------
    Silverman, B. (1982). Kernel density estimation using the fast Fourier transform. Applied Statistics 31.
    doi:10.2307/2347084

    Examples
    --------
    >>> d = gaussian_density(np.array([0.0]), np.ones(1), 1.0)
    >>> round(float(d.height.max()), 3)
    0.399
    """
    low, high = _ends(x, width)
    held = np.ones(x.size, dtype=np.bool_)
    from evaltoolkit.kernels.compiled.columns import shared_bins

    ends = np.array([low, low]), np.array([high, high])
    mass = shared_bins(x, held, weights[None, :] / weights.sum(), *ends, _POINTS)[0, 0]
    return _smoothed(mass, (low, high), width)


def _ends(x: FloatArray, width: float) -> tuple[float, float]:
    """Return the ends of the grid on which values are binned: seven bandwidths beyond the values."""
    return float(x.min()) - 7 * width, float(x.max()) + 7 * width


def _smoothed(mass: FloatArray, ends: tuple[float, float], width: float) -> Density:
    """Return the density of binned weights on the inner part of the grid, within three bandwidths of the values."""
    (low, high), n = ends, _POINTS
    apart = np.linspace(0.0, 2 * (high - low), 2 * n)
    apart[n + 1 :] = -apart[n - 1 : 0 : -1]
    kernel = np.exp(-0.5 * (apart / width) ** 2) / (width * np.sqrt(2 * np.pi))
    smooth = np.asarray(fft.irfft(fft.rfft(mass) * np.conj(fft.rfft(kernel)), 2 * n))[:n]
    at = np.linspace(low + 4 * width, high - 4 * width, n)
    return Density(at, np.interp(at, np.linspace(low, high, n), np.maximum(smooth, 0.0)))


def overlap_coefficients(x: FloatArray, first: Mask, weightings: FloatArray) -> FloatArray:
    r"""Return the overlap :math:`\int \min(f_1, f_2)` of the densities of two groups, for m weightings.

    1 means the same density, 0 that nothing is shared. Densities are ``gaussian_density`` with the normal-reference
    bandwidth of the smaller group, before weighting; for 0/1 columns it is 1 less the difference in proportions.

    Parameters
    ----------
    x
        Column, shape (n,).
    first
        True for the first group, shape (n,).
    weightings
        Non-negative weights, shape (m, n).

    Returns
    -------
    ndarray
        Shape (m,); NaN where the smaller group is constant.

    References
    ----------
    Franklin, J., Rassen, J., Ackermann, D., Bartels, D. and Schneeweiss, S. (2014). Metrics for covariate balance in
    cohort studies of causal effects. Statistics in Medicine 33. doi:10.1002/sim.6058

    Examples
    --------
    >>> x, first = np.array([0.0, 1.0, 0.0, 1.0, 1.0, 1.0]), np.array([True, True, False, False, False, False])
    >>> overlap_coefficients(x, first, np.ones((1, 6))).tolist()
    [0.75]
    """
    from evaltoolkit.kernels.compiled.columns import shared_bins

    if bool(((x == 0) | (x == 1)).all()):
        steps = np.array([signed_steps(first, w) for w in weightings])
        return np.asarray(1 - np.abs(steps @ x))
    one, two = x[first], x[~first]
    if one.min() > two.max() or two.min() > one.max():
        return np.zeros(len(weightings))
    spread = float(x.std(ddof=1))
    if not spread > 0:
        return np.full(len(weightings), np.nan)
    smaller = one if one.size < two.size or (one.size == two.size and first[0]) else two
    width = bandwidth(smaller) / spread
    if not width > 0:
        return np.full(len(weightings), np.nan)
    inside = [_ends((part - x.mean()) / spread, width) for part in (one, two)]
    lows, highs = (np.array(ends) for ends in zip(*inside, strict=True))
    mass = shared_bins((x - x.mean()) / spread, first, weightings, lows, highs, _POINTS)
    # Four bandwidths beyond the values of both groups; each group's grid reaches three beyond its seven.
    edges = np.linspace(lows.min() + 3 * width, highs.max() - 3 * width, _SLICES + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    shared = np.empty(len(weightings))
    for i, groups in enumerate(mass):
        densities = [_smoothed(m / m.sum(), ends, width) for m, ends in zip(groups, inside, strict=True)]
        heights = [np.interp(middles, d.at, d.height, left=0.0, right=0.0) for d in densities]
        shared[i] = np.minimum(*heights).sum() * (edges[1] - edges[0])
    return np.clip(shared, 0.0, 1.0)
