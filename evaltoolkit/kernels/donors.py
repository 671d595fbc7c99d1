"""What never-treated clusters do in place of treated ones: Conley and Taber, Ferman and Pinto."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cluster_means import Means, contrasts, moments, quadratic
from evaltoolkit.kernels.randomization import Inverted, Rows

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]


def donors(
    means: Means, kind: Rows, level: float, draws: int, seed: int, *, sized: bool = False, among: Mask | None = None
) -> Inverted:
    r"""Bound effects by what never-treated clusters do (Conley and Taber; with ``sized``, Ferman and Pinto).

    Every treated cluster is replaced by the residual of a never-treated one, drawn at random (all in turn where one
    cluster is treated): :math:`T_b = \sum_i m_i c_{g(i)}' \tilde e_{d(i)}` with its share :math:`m_i` of its cohort.
    The interval is the estimate plus and minus the quantile of :math:`|T_b|`. Residuals are scaled up by
    :math:`\sqrt{n_0/(n_0-1)}`, and :math:`T_b` for the noise of the comparison mean, which the papers let vanish.
    ``sized`` rescales residuals by :math:`\sqrt{h(M_i)/h(M_d)}`, with :math:`h(M) = a + b/M` fitted to squared
    never-treated residuals of the row, a and b not below zero, and M the number of units.

    Parameters
    ----------
    means
        The data.
    kind
        Which aggregation, or ``cells``.
    level
        Of the intervals.
    draws, seed
        Random replacements, and their seed.
    sized
        Whether variances follow the sizes of clusters.
    among
        Cells that are averaged, shape (K,); None for all.

    References
    ----------
    Conley, T. and Taber, C. (2011). Inference with difference in differences with a small number of policy changes.
    Review of Economics and Statistics 93. doi:10.1162/REST_a_00049
    Ferman, B. and Pinto, C. (2019). Inference in differences-in-differences with few treated groups and
    heteroskedasticity. Review of Economics and Statistics 101. doi:10.1162/rest_a_00759

    Examples
    --------
    >>> from evaltoolkit.kernels.cluster_means import cluster_means
    >>> from evaltoolkit.kernels.cohorts import Rule
    >>> from evaltoolkit.kernels.placebo_cells import Sample
    >>> y = np.array([[0.0, 9], *([0, v] for v in range(20))])
    >>> found = donors(cluster_means(Sample.of(y, np.array([2] + [9] * 20), np.array([1, 2]), Rule())), "simple",
    ...     0.9, 99, 1)
    >>> found.low.round(3).tolist(), found.high.round(3).tolist(), found.p_value.round(3).tolist()
    ([-10.487], [9.487], [1.0])
    """
    c = contrasts(means, kind, among)
    place = np.searchsorted(c.starts, means.start)
    treated = np.flatnonzero(~means.never)
    share = (means.size / np.bincount(place, weights=means.size)[place])[treated]
    middle, covariance = moments(means, means.never)
    free = means.means[means.never] - middle
    n0 = free.shape[0]
    left = 1 - (1 + means.lost) / n0
    # contribution of donor d in place of treated cluster i to each row
    e = np.einsum("rit,dt->rid", c.weights[:, place[treated]], free) * share[None, :, None] / math.sqrt(left)
    if sized:
        e = e * _rescaled(e, 1 / means.units[treated], 1 / means.units[means.never])
    pick = np.arange(free.shape[0])[:, None]
    if treated.size > 1:
        pick = np.random.default_rng(seed).integers(0, free.shape[0], (draws, treated.size))
    T = e[:, np.arange(treated.size), pick].sum(axis=2)
    values, theirs = np.zeros(T.shape[0]), np.zeros(T.shape[0])
    for j, g in enumerate(c.starts):
        values += c.weights[:, j] @ moments(means, means.start == g)[0]
        if means.never[means.start == g].all():
            theirs += quadratic(c.weights[:, j], covariance) * (n0 - 1) / (n0 - 1 - means.lost)
    mine = (e**2).mean(axis=2).sum(axis=1)
    T = np.abs(T) * np.sqrt(1 + theirs / np.where(mine > 0, mine, 1.0))[:, None]
    p = (1 + (np.abs(values)[:, None] * (1 - 1e-9) <= T).sum(axis=1)) / (T.shape[1] + 1)
    most = math.floor((1 - level) * (T.shape[1] + 1) + 1e-9)
    reach = np.full(values.shape, np.inf) if most < 1 else -np.partition(-T, most - 1, axis=1)[:, most - 1]
    return Inverted(values - reach, values + reach, p)


def _rescaled(e: FloatArray, treated: FloatArray, free: FloatArray) -> FloatArray:
    """Return the factors of residuals, shape (m, treated, never), from inverse sizes."""
    from scipy.optimize import nnls

    X = np.column_stack([np.ones(free.size), free])
    factors = np.ones(e.shape)
    for r, i in np.ndindex(e.shape[:2]):
        a = nnls(X, e[r, i] ** 2)[0]
        mine, theirs = a[0] + a[1] * treated[i], X @ a
        fine = theirs > 0
        factors[r, i, fine] = np.sqrt(mine / theirs[fine])
    return factors
