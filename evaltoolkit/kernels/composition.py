"""Whether the people behind treated and comparison means stay the same over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.balance import standard_deviations
from evaltoolkit.kernels.bands import WaldTest, wald

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


class CompositionError(ValueError):
    """One of the two groups (0 treated, 1 comparison) has nobody in the base period."""

    def __init__(self, group: int) -> None:
        self.group = group
        super().__init__(f"group {group} is empty in the base period")


@dataclass(frozen=True, slots=True)
class Composition:
    """Means of p covariates in T periods among who was observed; first axis: treated, comparison.

    Attributes
    ----------
    n
        Units observed, shape (2, T).
    share
        Share of the treated in the weight observed, shape (T,).
    mean
        Weighted means, shape (2, T, p); NaN where nobody was observed.
    smd
        Mean less that of the base period, over ``denominator``, shape (2, T, p).
    drift, std_error
        Change among the treated less change in the comparison, in the same units, and its standard error, shape (T, p).
    denominator
        Root of the average of the two groups' variances in the base period, shape (p,).
    df
        Clusters less one.
    test
        Joint test that no drift differs from zero; None where there are more numbers than clusters, or no variance.
    """

    n: IntArray
    share: FloatArray
    mean: FloatArray
    smd: FloatArray
    drift: FloatArray
    std_error: FloatArray
    denominator: FloatArray
    df: int
    test: WaldTest | None


@dataclass(frozen=True, slots=True)
class Attrition:
    """Who of those observed in the base period is not observed later (or earlier); first axis: treated, comparison.

    Attributes
    ----------
    n
        Units observed in the base period, shape (2,).
    rate
        Weighted share not observed, shape (2, T).
    difference, std_error
        Treated less comparison, shape (T,).
    df
        Clusters less one.
    test
        Joint test that no rate differs between groups; None where nothing varies or clusters are too few.
    """

    n: IntArray
    rate: FloatArray
    difference: FloatArray
    std_error: FloatArray
    df: int
    test: WaldTest | None


def composition(
    observed: Mask,
    covariates: FloatArray,
    treated: Mask,
    base: int,
    clusters: IntArray | None = None,
    weights: FloatArray | None = None,
) -> Composition:
    r"""Compare the covariates of who was observed in each period with the base period, in two groups.

    With :math:`\bar x_{gt}` the mean in group g and period t and s the denominator, the drift is
    :math:`[(\bar x_{1t} - \bar x_{1b}) - (\bar x_{0t} - \bar x_{0b})] / s`: the difference-in-differences of the
    covariate. In a panel with covariates that do not change it is due to who was observed alone; in repeated
    cross-sections, to who was sampled. Standard errors are clustered, with factor :math:`C / (C - 1)` for C clusters,
    and take s as known.

    Parameters
    ----------
    observed
        Shape (n, T). In repeated cross-sections every row is observed once.
    covariates
        Shape (n, T, p), or (n, 1, p) where they do not change. A value that is missing is left out of its mean.
    treated
        Shape (n,); the others are the comparison.
    base
        Column of the base period.
    clusters
        Codes 0 .. C - 1, shape (n,); None where rows are the clusters.
    weights
        Above zero, shape (n,); None for ones.

    Returns
    -------
    Composition

    Raises
    ------
    CompositionError
        Nobody of a group was observed in the base period.

    References
    ----------
    Hong, S.-H. (2013). Measuring the effect of Napster on recorded music sales: difference-in-differences estimates
    under compositional changes. Journal of Applied Econometrics 28. doi:10.1002/jae.1269
    Austin, P. (2009). doi:10.1002/sim.3697

    Examples
    --------
    >>> seen = np.array([[True, True], [True, False], [True, True], [True, True]])
    >>> x = np.array([[[1.0]], [[3.0]], [[1.0]], [[3.0]]])
    >>> found = composition(seen, x, np.array([True, True, False, False]), 0)
    >>> found.smd[:, 1, 0].round(3).tolist(), found.share.round(3).tolist()
    ([-0.707, 0.0], [0.5, 0.333])
    """
    w = np.ones(treated.size) if weights is None else weights
    sides = (treated, ~treated)
    empty = [g for g, side in enumerate(sides) if not (side & observed[:, base]).any()]
    if empty:
        raise CompositionError(empty[0])
    T, p = observed.shape[1], covariates.shape[2]
    x = np.broadcast_to(covariates, (treated.size, T, p))
    there = observed[:, :, None] & np.isfinite(x)
    x = np.where(there, x, 0.0)
    scale = _denominator(x[:, base], there[:, base], sides, w)
    mean = np.full((2, T, p), np.nan)
    psi = np.zeros((treated.size, T, p))
    for g, side in enumerate(sides):
        mass = there[side] * w[side, None, None]
        total = np.where(mass.sum(axis=0) > 0, mass.sum(axis=0), np.nan)
        mean[g] = (mass * x[side]).sum(axis=0) / total
        part = np.nan_to_num(mass * (x[side] - mean[g]) / total)
        psi[side] = (part - part[:, [base]]) * (1 - 2 * g)
    smd = (mean - mean[:, [base]]) / scale
    sums = _by_cluster((psi / scale).reshape(treated.size, T * p), clusters)
    drift = smd[0] - smd[1]
    variance, df, test = _tested(drift.ravel(), sums)
    weight = np.array([w[s] @ observed[s] for s in sides])
    everybody = weight.sum(axis=0)
    std_error = np.sqrt(np.where(np.isfinite(drift), variance.reshape(T, p), np.nan))
    n = np.array([observed[s].sum(axis=0) for s in sides])
    share = weight[0] / np.where(everybody > 0, everybody, np.nan)
    return Composition(n, share, mean, smd, drift, std_error, scale, df, test)


def attrition(
    observed: Mask,
    treated: Mask,
    base: int,
    clusters: IntArray | None = None,
    weights: FloatArray | None = None,
) -> Attrition:
    r"""Compare between two groups who of those observed in the base period is missing in each other period.

    Standard errors are clustered, with factor :math:`C / (C - 1)` for C clusters. The joint test is Hotelling's, see
    ``bands.wald``.

    Parameters
    ----------
    observed
        Shape (n, T).
    treated, base, clusters, weights
        As in ``composition``.

    Returns
    -------
    Attrition

    Raises
    ------
    CompositionError
        Nobody of a group was observed in the base period.

    References
    ----------
    What Works Clearinghouse (2022). Procedures and Standards Handbook, Version 5.0, chapter II (overall and
    differential attrition).

    Examples
    --------
    >>> seen = np.array([[True, True], [True, False], [True, True], [True, True]])
    >>> found = attrition(seen, np.array([True, True, False, False]), 0)
    >>> found.rate.tolist(), found.difference.tolist()
    ([[0.0, 0.5], [0.0, 0.0]], [0.0, 0.5])
    """
    w = (np.ones(treated.size) if weights is None else weights) * observed[:, base]
    gone = (~observed).astype(np.float64)
    rate = np.zeros((2, observed.shape[1]))
    psi = np.zeros(observed.shape)
    for g, side in enumerate((treated, ~treated)):
        total = float(w[side].sum())
        if total <= 0:
            raise CompositionError(g)
        rate[g] = w[side] @ gone[side] / total
        psi[side] = (1 - 2 * g) * w[side, None] * (gone[side] - rate[g]) / total
    used = observed[:, base]
    sums = _by_cluster(psi[used], None if clusters is None else clusters[used])
    variance, df, test = _tested(rate[0] - rate[1], sums)
    n = np.array([(used & side).sum() for side in (treated, ~treated)])
    return Attrition(n, rate, rate[0] - rate[1], np.sqrt(variance), df, test)


def _denominator(x: FloatArray, there: Mask, sides: tuple[Mask, Mask], w: FloatArray) -> FloatArray:
    found = np.full(x.shape[1], np.nan)
    for j in range(x.shape[1]):
        rows = [s & there[:, j] for s in sides]
        if all(r.any() for r in rows):
            spread = [standard_deviations(x[r, j : j + 1], w[r])[0] for r in rows]
            found[j] = np.sqrt((spread[0] ** 2 + spread[1] ** 2) / 2)
    return np.where(found > 0, found, np.nan)


def _by_cluster(psi: FloatArray, clusters: IntArray | None) -> FloatArray:
    if clusters is None:
        return psi
    _, code = np.unique(clusters, return_inverse=True)
    size = int(code.max()) + 1
    return np.stack([np.bincount(code, weights=v, minlength=size) for v in psi.T], axis=1)


def _tested(values: FloatArray, sums: FloatArray) -> tuple[FloatArray, int, WaldTest | None]:
    """Return variances, degrees of freedom, and the joint test of the values that vary."""
    size = sums.shape[0]
    covariance = sums.T @ sums * size / max(size - 1, 1)
    variance = np.diag(covariance).copy()
    kept = np.flatnonzero(np.isfinite(values) & np.isfinite(variance) & (variance > 1e-20))
    test = wald(values[kept], covariance[np.ix_(kept, kept)], size - 1) if kept.size else None
    return variance, size - 1, test
