"""Values of the cells of a cohort and period model, and their influence by cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.nonlinear_likelihood import Family, Fit, NonlinearError, Rows, curve, fit, structure
from evaltoolkit.kernels.nonlinear_panel import Panel, masked

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

MANY = 20_000
"""Units beyond which, where they are the clusters, cross-products stand in for a row of scores for each."""

Status = Literal["estimated", "no-events", "all-events", "no-comparison", "separation", "empty"]

_UNTOLD = 1e-8


@dataclass(frozen=True, slots=True)
class CellValues:
    """K cells: see ``NonlinearGroupTime``; ``slope`` is the derivative of the counterfactual, shape (K, k)."""

    status: tuple[Status, ...]
    levels: FloatArray
    counterfactual: FloatArray
    slope: FloatArray
    n_treated: IntArray
    weight: FloatArray
    exposure: FloatArray


@dataclass(frozen=True, slots=True)
class OwnFits:
    """Weighted residuals of treated observations from the fit of their own cell, shape (m, T).

    ``used`` says which observations have one, shape (m, T); ``n_parameters`` counts coefficients.
    """

    residuals: FloatArray
    used: Mask
    n_parameters: int


def separated_cells(panel: Panel, table: Rows, base: Fit) -> IntArray:
    """Return cohort and period of untreated observations left out of a fit, shape (s, 2).

    >>> import evaltoolkit.kernels.nonlinear as nl
    >>> y, start = np.array([[0.0, 8], [0, 10], [1, 2], [2, 4]]), np.array([2, 2, nl.NEVER, nl.NEVER])
    >>> found = nl.nonlinear_group_time(nl.Observed(y, start, np.array([1, 2])), "poisson")
    >>> found.separated.tolist(), found.status
    ([[2, 1]], ('separation',))
    """
    found = np.zeros(panel.untreated.shape, dtype=np.bool_)
    for j, which in table.blocks():
        found[j] = base.separated[which].any(axis=0)
    at = np.argwhere(found)
    return np.stack([panel.starts[at[:, 0]], panel.periods[at[:, 1]]], axis=1)


def cell_values(panel: Panel, table: Rows, family: Family, base: Fit) -> CellValues:
    """Average fitted and observed outcomes over the treated observations of each cell; see ``nonlinear_group_time``."""
    n_cells, (_, periods) = panel.cell_cohort.size, panel.untreated.shape
    q, k = table.z.shape[1], base.theta.size
    sums, n_treated = np.zeros((4, n_cells)), np.zeros(n_cells, dtype=np.int64)
    slope = np.zeros((n_cells, k // q, q))
    own: list[FloatArray] = [np.zeros((q, q))] * n_cells
    people = dict(panel.rows.blocks())
    for j, which in table.blocks():
        for t in np.flatnonzero(panel.cell[j] >= 0).tolist():
            c = panel.cell[j, t]
            seen = panel.seen[people[j], t]
            n_treated[c] = seen.sum()
            size, z = table.size[which, t], table.z[which]
            mean, change, _ = curve(family, table.line(base.theta, j, which)[:, t])
            sums[:, c] = table.total[which, t].sum(), size @ mean, panel.weights[people[j]] @ seen, size.sum()
            slope[c, j] = slope[c, k // q - periods + t] = (size * change) @ z
            inside = z[size > 0]
            own[c] = inside.T @ inside
    status = _status(panel, table, family, base, (n_treated, sums, own))
    total, fitted, weight, exposure = sums
    good = np.array([s in {"estimated", "no-events", "all-events"} for s in status], dtype=np.bool_)
    divisor = np.where(good, weight, 1.0)
    levels, counterfactual = (np.where(good, v / divisor, np.nan) for v in (total, fitted))
    slope = np.where(good[:, None], slope.reshape(n_cells, k) / divisor[:, None], 0.0)
    return CellValues(status, levels, counterfactual, slope, n_treated, weight, exposure)


def _status(
    panel: Panel, table: Rows, family: Family, base: Fit, cells: tuple[IntArray, FloatArray, list[FloatArray]]
) -> tuple[Status, ...]:
    n_treated, sums, own = cells
    untold = _untold(panel, base.null, own)
    whole = untold
    if base.separated.any():
        inside = panel.untreated[table.cohort] & (table.size > 0)
        whole = _untold(panel, structure(table, inside)[1], own)
    found: list[Status] = []
    for c in range(n_treated.size):
        if n_treated[c] == 0:
            found.append("empty")
        elif untold[c]:
            found.append("no-comparison" if whole[c] else "separation")
        elif family != "linear" and sums[0, c] <= 0:
            found.append("no-events")
        elif family == "logit" and sums[0, c] >= sums[3, c] * (1 - 1e-12):
            found.append("all-events")
        else:
            found.append("estimated")
    return tuple(found)


def _untold(panel: Panel, null: FloatArray, own: list[FloatArray]) -> Mask:
    """Return the cells some of whose rows lie outside what untreated observations tell."""
    q = panel.rows.z.shape[1]
    parts = null.reshape(-1, q, null.shape[1])
    found = np.zeros(len(own), dtype=np.bool_)
    for c, gram in enumerate(own):
        j, t = np.argwhere(panel.cell == c)[0]
        apart = parts[j] + parts[panel.starts.size + t]
        found[c] = float(np.einsum("qd,qr,rd->", apart, gram, apart)) > _UNTOLD * max(float(np.trace(gram)), 1e-300)
    return found


def own_fits(panel: Panel, family: Family, status: tuple[Status, ...]) -> OwnFits:
    """Fit each treated cell on an intercept and the covariates, cells without a maximum left out."""
    rows = panel.rows
    good = np.array([*(s == "estimated" for s in status), False], dtype=np.bool_)
    used = good[panel.cell][rows.cohort] & panel.seen
    residuals, n_parameters = np.zeros(used.shape), 0
    for _, which in rows.blocks():
        inside = used[which]
        if not inside.any():
            continue
        z, total, size = rows.z[which], rows.total[which], np.where(inside, rows.size[which], 0.0)
        if z.shape[1] == 1:
            whole = size.sum(axis=0)
            mean = np.where(inside, total, 0.0).sum(axis=0) / np.where(whole > 0, whole, 1.0)
            n_parameters += int((whole > 0).sum())
            residuals[which] = np.where(inside, total - size * mean, 0.0)
            continue
        alone = masked(Rows(z, np.zeros(z.shape[0], dtype=np.int64), total, size), inside)
        found = fit(alone, family)
        n_parameters += found.kept.size
        inside = inside & ~found.separated
        used[which] = inside
        mean = curve(family, alone.line(found.theta, 0, slice(None)))[0]
        residuals[which] = np.where(inside, total - size * mean, 0.0)
    return OwnFits(residuals, used, n_parameters)


def scores(
    panel: Panel, family: Family, base: Fit, values: CellValues, own: OwnFits
) -> tuple[FloatArray, FloatArray, tuple[int, int, int, float]]:
    """Return scores of levels and counterfactuals by cluster, shape (R, K), and what the factor comes from.

    Raises
    ------
    NonlinearError
        ``few-clusters`` or ``no-degrees``.

    Examples
    --------
    >>> import evaltoolkit.kernels.nonlinear as nl
    >>> y, start = np.array([[2.0, 8], [4, 10], [1, 2], [2, 4]]), np.array([2, 2, nl.NEVER, nl.NEVER])
    >>> found = nl.nonlinear_group_time(nl.Observed(y, start, np.array([1, 2])), "poisson")
    >>> (found.level_scores[:, 0] / np.sqrt(found.factor)).round(6).tolist()
    [-0.5, 0.5, 0.0, 0.0]
    """
    rows, collapsed = panel.rows, base.separated.shape[0] != panel.rows.cohort.size
    n_cells, n_clusters = values.n_treated.size, int(panel.clusters.max()) + 1
    influence = np.zeros((base.theta.size, n_cells))
    influence[base.kept] = base.inverse @ values.slope[:, base.kept].T
    across = influence.reshape(base.theta.size // rows.z.shape[1], rows.z.shape[1], n_cells)
    rooted = n_clusters == rows.cohort.size and n_clusters > MANY
    parts: list[FloatArray] = []
    sums = np.zeros((2, 0 if rooted else n_clusters, n_cells))
    present, n_rows = np.zeros(n_clusters, dtype=np.bool_), 0
    for j, which in rows.blocks():
        inside = panel.seen[which] & panel.untreated[j] & ~base.separated[j if collapsed else which]
        used = inside | own.used[which]
        n_rows += int(used.sum())
        present[panel.clusters[which][used.any(axis=1)]] = True
        rest = _rest(rows, family, base, (j, which, inside))
        both, at = _block(panel, values, across, (j, rest, own.residuals[which]), None if rooted else which)
        if rooted:
            parts.append(both)
        else:
            sums[:, at] += both
    # fixest counts slopes of a covariate by cohort and by period in full, though one of each is redundant.
    n_parameters = base.kept.size + own.n_parameters + rows.z.shape[1] - 1
    factor = small_sample(n_rows, n_parameters, int(present.sum()))
    found = np.concatenate(parts, axis=1) if rooted else sums
    found *= np.where(np.isfinite(values.levels), np.sqrt(factor), np.nan)
    return found[0], found[1], (n_rows, n_parameters, int(present.sum()), factor)


def _block(
    panel: Panel,
    values: CellValues,
    across: FloatArray,
    cohort: tuple[int, FloatArray, FloatArray],
    which: slice | None,
) -> tuple[FloatArray, IntArray]:
    """Return what one cohort adds to the scores of levels and counterfactuals, shape (2, c, K), and to which clusters.

    Without ``which``, rows with the same cross-products stand in for the clusters.
    """
    j, rest, own = cohort
    z = panel.rows.z[panel.rows.cohort == j]
    n_cells = values.n_treated.size
    times, places = np.flatnonzero(panel.untreated[j]), np.flatnonzero(panel.cell[j] >= 0)
    spread = (rest[:, times][:, :, None] * z[:, None, :]).reshape(rest.shape[0], -1)
    features, at = _condensed(np.concatenate([own[:, places], spread], axis=1), panel, which)
    cells = panel.cell[j, places]
    up = np.zeros((places.size, n_cells))
    up[np.arange(places.size), cells] = 1 / np.where(values.weight[cells] > 0, values.weight[cells], 1.0)
    over = (across[j] + across[panel.starts.size + times]).reshape(spread.shape[1], n_cells)
    return np.stack([features[:, : places.size] @ up, features[:, places.size :] @ over]), at


def _rest(rows: Rows, family: Family, base: Fit, block: tuple[int, slice, Mask]) -> FloatArray:
    """Weighted residuals of untreated observations of one cohort, zero elsewhere."""
    j, which, inside = block
    mean = curve(family, rows.line(base.theta, j, which))[0]
    return np.where(inside, rows.total[which] - np.where(inside, rows.size[which] * mean, 0.0), 0.0)


def _condensed(features: FloatArray, panel: Panel, which: slice | None) -> tuple[FloatArray, IntArray]:
    """Sum rows by cluster; without ``which``, return rows with the same cross-products."""
    if which is None:
        values, vectors = np.linalg.eigh(features.T @ features)
        return np.sqrt(np.clip(values, 0, None))[:, None] * vectors.T, np.arange(values.size)
    clusters = panel.clusters[which]
    names, codes = np.unique(clusters, return_inverse=True)
    if names.size == clusters.size:
        return features, clusters
    sums = [np.bincount(codes, weights=column, minlength=names.size) for column in features.T]
    return np.stack(sums, axis=1), names


def small_sample(n_rows: int, n_parameters: int, n_clusters: int) -> float:
    r"""Return :math:`\frac{G}{G-1}\frac{N-1}{N-K}`.

    Raises
    ------
    NonlinearError
        ``few-clusters`` or ``no-degrees``.

    Examples
    --------
    >>> small_sample(7, 3, 3)
    2.25
    """
    if n_clusters < 2:
        raise NonlinearError("few-clusters")
    if n_rows <= n_parameters:
        raise NonlinearError("no-degrees")
    return n_clusters / (n_clusters - 1) * (n_rows - 1) / (n_rows - n_parameters)
