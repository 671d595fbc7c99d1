"""Local-projection difference-in-differences with covariates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.local_projection import Block, Horizons, Projection, ProjectionError, sample, targets
from evaltoolkit.kernels.stacked_types import Types, correction, types

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


class CovariateError(ValueError):
    """A covariate, by its column, is a combination of period effects and covariates before it.

    The column is k, past the last, where covariates tell exactly who starts.
    """

    def __init__(self, column: int) -> None:
        self.column = column
        super().__init__(f"collinear, column {column}")


@dataclass(frozen=True, slots=True)
class _Rows:
    """N rows of a regression, sorted by block.

    ``mean`` holds weighted means of outcome and covariates by block and side (treated, compared), (B, 2, 1 + k).
    """

    unit: IntArray
    block: IntArray
    treated: FloatArray
    values: FloatArray
    weight: FloatArray
    size: FloatArray
    mean: FloatArray


def adjusted_projection(
    outcome: FloatArray,
    start: IntArray,
    periods: IntArray,
    covariates: FloatArray,
    horizons: Horizons,
    clusters: IntArray | None = None,
    weights: FloatArray | None = None,
) -> Projection:
    r"""Estimate as ``local_projection`` does, with covariates.

    With ``variance`` weights covariates enter the regression,
    :math:`y_{i,t+h} - y_{i,t-1} = \beta_h \Delta D_{it} + \gamma_h' x_{i,t-1} + \delta_t^h + e_{it}^h`: right where
    effects do not vary with x; otherwise weights of cohorts can be negative. With ``equal`` weights (regression
    adjustment, what the authors advise) :math:`\gamma_h` and :math:`\delta_t^h` are of comparison rows alone, in all
    periods, and :math:`\beta_h` is the mean of :math:`y_{i,t+h} - y_{i,t-1} - \hat\gamma_h' x_{i,t-1} -
    \hat\delta_t^h` of units that start. Scores of the latter account for the estimation of both.

    Parameters
    ----------
    covariates
        Shape (n, T, k), or (n, 1, k) where they do not change. A row uses the values in the last period before t (Stata
        lpdid those in t); a unit without them is not in it.
    outcome, start, periods, horizons, clusters, weights
        As in ``local_projection``.

    Returns
    -------
    Projection

    Raises
    ------
    ProjectionError
        No horizon can be estimated.
    CovariateError
        A covariate does not vary within periods, or follows from those before it.

    References
    ----------
    Dube, A., Girardi, D., Jorda, O. and Taylor, A. (2025). A local projections approach to difference-in-differences.
    Journal of Applied Econometrics 40, section 4.1. doi:10.1002/jae.70000

    Examples
    --------
    >>> x = np.array([0.0, 1, 2, 3, 5])
    >>> y = np.stack([x, 3 * x + [4, 4, 0, 0, 0]], axis=1)
    >>> start, periods = np.array([2, 2, 9, 9, 9]), np.array([1, 2])
    >>> adjusted_projection(y, start, periods, x[:, None, None], Horizons()).effects.round(9).tolist()
    [4.0]
    """
    table = types(outcome, start[:, None], weights)
    labels, goals = targets(horizons)
    groups = np.arange(start.size) if clusters is None else clusters
    C = int(groups.max()) + 1
    point, scores = np.full(len(goals), np.nan), np.full((C, len(goals)), np.nan)
    counts = np.zeros((len(goals), 3), dtype=np.int64)
    for r, goal in enumerate(goals):
        rows = _gather(table, periods, sample(table, periods, horizons, goal), covariates)
        if not _estimable(rows):
            continue
        fit = _direct if horizons.weighting == "variance" else _imputed
        point[r], influence, K = fit(rows)
        scores[:, r] = np.bincount(groups[rows.unit], weights=influence, minlength=C)
        n1, G = int(rows.treated.sum()), np.unique(groups[rows.unit]).size
        counts[r] = n1, rows.unit.size - n1, G
        scores[:, r] *= correction(G, rows.unit.size, K) if K else 1.0
    own = np.flatnonzero(np.isfinite(point[: labels.size]))
    if not own.size:
        raise ProjectionError
    last = slice(labels.size, None)
    return Projection(labels[own], point[own], scores[:, own], point[last], scores[:, last], *counts[own].T)


def adjusted_points(
    outcome: FloatArray,
    start: IntArray,
    periods: IntArray,
    covariates: FloatArray,
    horizons: Horizons,
    weights: FloatArray | None = None,
) -> FloatArray:
    """Return the estimates of ``adjusted_projection`` in the order of ``local_projection_points``.

    Raises
    ------
    CovariateError
        As ``adjusted_projection``.

    Examples
    --------
    >>> x = np.array([0.0, 1, 2, 3, 5])
    >>> y, start = np.stack([x, 3 * x + [4, 4, 0, 0, 0]], axis=1), np.array([2, 2, 9, 9, 9])
    >>> adjusted_points(y, start, np.array([1, 2]), x[:, None, None], Horizons()).round(9).tolist()
    [4.0, 4.0, nan]
    """
    table = types(outcome, start[:, None], weights)
    fit = _direct if horizons.weighting == "variance" else _imputed
    found = []
    for goal in targets(horizons)[1]:
        rows = _gather(table, periods, sample(table, periods, horizons, goal), covariates)
        found.append(fit(rows)[0] if _estimable(rows) else np.nan)
    return np.array(found)


def _gather(table: Types, periods: IntArray, blocks: list[Block], covariates: FloatArray) -> _Rows:
    k = covariates.shape[2]
    parts: list[tuple[IntArray, FloatArray, FloatArray]] = []
    for b in blocks:
        at = int(np.searchsorted(periods, b.time)) - 1 if covariates.shape[1] > 1 else 0
        x = covariates[:, at]
        unit = np.flatnonzero((b.treated | b.compared)[table.code] & np.isfinite(x).all(axis=1))
        code = table.code[unit]
        gain = (table.values[unit] * b.contrast[code]).sum(axis=1)
        parts.append((unit, b.treated[code].astype(np.float64), np.column_stack([gain, x[unit]])))
    parts = [p for p in parts if p[0].size]
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        return _Rows(none, none, np.zeros(0), np.zeros((0, 1 + k)), np.zeros(0), np.zeros((0, 2)), np.zeros((0, 2, 1)))
    unit, treated, values = (np.concatenate([p[i] for p in parts]) for i in range(3))
    block = np.repeat(np.arange(len(parts)), [p[0].size for p in parts])
    weight, size = table.weights[unit], np.zeros((len(parts), 2))
    mean = np.zeros((len(parts), 2, 1 + k))
    for s, side in enumerate((treated, 1 - treated)):
        size[:, s] = np.bincount(block, weights=weight * side, minlength=len(parts))
        for c in range(1 + k):
            mean[:, s, c] = np.bincount(block, weights=weight * side * values[:, c], minlength=len(parts))
        mean[:, s] /= np.where(size[:, s] > 0, size[:, s], 1.0)[:, None]
    return _Rows(unit, block, treated, values, weight, size, mean)


def _estimable(rows: _Rows) -> bool:
    return bool((rows.size > 0).all(axis=1).any())


def _direct(rows: _Rows) -> tuple[float, FloatArray, int]:
    """Return the coefficient of treatment, influence of rows, and parameters."""
    p = rows.size[:, 0] / rows.size.sum(axis=1)
    center = np.einsum("bs,bsc->bc", rows.size / rows.size.sum(axis=1)[:, None], rows.mean)
    left = rows.values - center[rows.block]
    Z = np.column_stack([left[:, 1:], rows.treated - p[rows.block]])
    inverse = _inverse(Z, rows.weight, rows.values[:, 1:])
    slope = inverse @ (Z.T @ (rows.weight * left[:, 0]))
    influence = rows.weight * (left[:, 0] - Z @ slope) * (Z @ inverse[:, -1])
    return float(slope[-1]), influence, 1 + p.size + Z.shape[1] - 1


def _imputed(rows: _Rows) -> tuple[float, FloatArray, int]:
    """Return the mean difference from what comparison rows predict, influence of rows, and no parameters."""
    both = np.asarray((rows.size > 0).all(axis=1))
    n1, N1 = np.where(both, rows.size[:, 0], 0.0), float(rows.size[both, 0].sum())
    free = rows.treated == 0
    left = rows.values - rows.mean[rows.block, 1]
    X = left[:, 1:]
    inverse = _inverse(X[free], rows.weight[free], rows.values[free, 1:])
    slope = inverse @ (X[free].T @ (rows.weight[free] * left[free, 0]))
    residual = left[:, 0] - X @ slope
    mine = (rows.treated == 1) & both[rows.block]
    point = float(rows.weight[mine] @ residual[mine] / N1)
    moved = inverse @ (n1 @ (rows.mean[:, 0, 1:] - rows.mean[:, 1, 1:])) / N1
    each = n1 / np.where(rows.size[:, 1] > 0, rows.size[:, 1], 1.0) / N1
    influence = np.where(free, -rows.weight * residual * (each[rows.block] + X @ moved), 0.0)
    influence[mine] = rows.weight[mine] * (residual[mine] - point) / N1
    return point, influence, 0


def _inverse(Z: FloatArray, weight: FloatArray, raw: FloatArray) -> FloatArray:
    """Return (Z'WZ)^-1, or name the first covariate of which earlier columns leave nothing."""
    normal = Z.T @ (Z * weight[:, None])
    length = np.sqrt(np.diag(normal))
    floor = 1e-9 * np.sqrt(weight @ raw**2)
    for m in range(length.size):
        if length[m] <= (floor[m] if m < floor.size else 0.0):
            raise CovariateError(m)
        part = normal[: m + 1, : m + 1] / np.outer(length[: m + 1], length[: m + 1])
        explained = part[m, :m] @ np.linalg.lstsq(part[:m, :m], part[:m, m], rcond=1e-10)[0] if m else 0.0
        if 1 - explained < 1e-9:
            raise CovariateError(m)
    scale = np.outer(length, length)
    found: FloatArray = np.linalg.inv(normal / scale) / scale if length.size else normal
    return found
