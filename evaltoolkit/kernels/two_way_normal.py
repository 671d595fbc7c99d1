"""Least squares with unit and period effects, solved exactly: unit effects by hand, period effects densely."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.two_way_moments import Moments
from evaltoolkit.kernels.two_way_panel import Panel, Rows, blocks

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

TOLERANCE = 1e-10
"""Share of what effects leave of a column's sum of squares below which, once the columns before it are out, it counts
as collinear."""

ABSORBED = 1e-16
"""Share of a column's sum of squares below which effects explain all of it."""


@dataclass(frozen=True, slots=True)
class Design:
    """Regressors beside unit and period effects, K + L of them.

    Attributes
    ----------
    table
        Those that vary by cohort and period only, shape (J, T, K).
    among
        Which observations are used, shape (J, T).
    moving
        Those that are products with the p covariates, shape (J, T, p, L): column l is ``x[i, t] @ moving[j, t, :, l]``.
    nuisance
        Which may be dropped where they are collinear with those before them, shape (K + L,).
    """

    table: FloatArray
    among: Mask
    moving: FloatArray
    nuisance: Mask

    @property
    def size(self) -> int:
        """Number of regressors."""
        return int(self.nuisance.size)

    def weight(self, rows: Rows) -> FloatArray:
        """Return the weights of a block, zero for observations that are not used, shape (B, T)."""
        found: FloatArray = rows.weight * self.among[rows.cohort]
        return found

    def columns(self, rows: Rows) -> FloatArray:
        """Return the regressors and, last, the outcome, shape (B, T, K + L + 1)."""
        B, T = rows.outcome.shape
        K = self.table.shape[2]
        found = np.empty((B, T, self.size + 1))
        found[:, :, :K] = self.table[rows.cohort]
        if self.size > K:
            found[:, :, K:-1] = np.einsum("btp,tpl->btl", rows.covariates, self.moving[rows.cohort], optimize=True)
        found[:, :, -1] = rows.outcome
        return found


@dataclass(frozen=True, slots=True)
class Counts:
    """How much of a panel a regression uses: observations with a weight above zero.

    Attributes
    ----------
    observations, units, clusters, dates
        Observations, and different units, clusters and periods among them.
    effects
        Different period effects: periods of each group with an observation.
    nested
        Whether no group has more than one cluster (then its period effects are nested in clusters).
    """

    observations: int
    units: int
    clusters: int
    dates: int
    effects: int
    nested: bool


@dataclass(frozen=True, slots=True)
class Absorbed:
    """A least-squares fit on regressors less unit and period effects.

    Attributes
    ----------
    coefficients
        Shape (K + L,); zero for dropped nuisance columns.
    kept
        Columns with a coefficient, shape (r,).
    bread
        Inverse of the Gram of regressors less effects, zero for dropped columns, shape (K + L, K + L).
    effects
        Period effects of each regressor and, last, the outcome, shape (R, T, K + L + 1).
    normal, inverse
        Normal equations of the period effects once unit effects are out, and their pseudo-inverse, shape (R, T, T).
    counts
        How much of the panel is used.
    """

    coefficients: FloatArray
    kept: IntArray
    bread: FloatArray
    effects: FloatArray
    normal: FloatArray
    inverse: FloatArray
    counts: Counts

    def residuals(self, design: Design, rows: Rows) -> tuple[FloatArray, FloatArray]:
        """Return regressors less effects, shape (B, T, K + L), and residuals, shape (B, T)."""
        left = demeaned(design.columns(rows), design.weight(rows), self.effects[rows.group])
        return left[:, :, :-1], left[:, :, -1] - left[:, :, :-1] @ self.coefficients


def plain(table: FloatArray, among: Mask, p: int = 0) -> Design:
    """Return a design with a table and the p covariates as they are.

    >>> plain(np.zeros((2, 3, 1)), np.ones((2, 3), dtype=bool), p=2).size
    3
    """
    J, T, K = table.shape
    moving = np.broadcast_to(np.eye(p), (J, T, p, p))
    return Design(table, among, moving, np.zeros(K + p, dtype=np.bool_))


def demeaned(values: FloatArray, weight: FloatArray, effects: FloatArray | None = None) -> FloatArray:
    """Take period effects, shape (T, q), and weighted means of the unit out of values, shape (B, T, q).

    >>> demeaned(np.array([[[1.0], [4]]]), np.array([[1.0, 2]])).ravel().tolist()
    [-2.0, 1.0]
    """
    left = values if effects is None else values - effects
    total = weight.sum(axis=1)
    share = weight / np.where(total > 0, total, 1.0)[:, None]
    found: FloatArray = left - np.einsum("bt,btq->bq", share, left, optimize=True)[:, None, :]
    return found


class Source:
    """Where blocks of rows come from: the rows of a panel, or its cohorts as rows."""

    def __init__(self, panel: Panel, found: Moments | None) -> None:
        self.panel = panel
        self.moments = found

    def rows(self, width: int) -> Iterator[Rows]:
        """Yield blocks for a design of so many columns."""
        return blocks(self.panel, width) if self.moments is None else iter(self.moments.rows())


def absorb(source: Source, design: Design) -> Absorbed:
    r"""Regress the outcome on a design with unit and period effects.

    With unit effects out (weighted means of each unit), period effects of group r solve
    :math:`L_r b = \sum_i w_i \circ (v_i - \bar v_i)`, where
    :math:`L_r = \mathrm{diag}(\sum_i w_i) - \sum_i w_i w_i' / w_{i\cdot}`: T numbers for each group, no iteration. The
    Gram is then summed from columns less both effects.

    Parameters
    ----------
    source
        The rows.
    design
        The regressors.

    Returns
    -------
    Absorbed

    Raises
    ------
    CollinearError
        A column that is no nuisance follows from effects and the columns before it.

    References
    ----------
    Wansbeek, T. and Kapteyn, A. (1989). Estimation of the error-components model with incomplete panels. Journal of
    Econometrics 41. doi:10.1016/0304-4076(89)90064-4

    Examples
    --------
    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> panel = two_way_panel(np.array([[1.0, 4], [0, 1]]), np.array([2, 9]), np.array([1, 2]))
    >>> every = np.ones((2, 2), dtype=np.bool_)
    >>> absorb(Source(panel, None), plain(panel.treated[:, :, None].astype(float), every)).coefficients.tolist()
    [2.0]
    """
    R, T, q = source.panel.n_groups, source.panel.periods.size, design.size + 1
    normal, right, lengths = np.zeros((R, T, T)), np.zeros((R, T, q)), np.zeros(q)
    for rows in source.rows(q):
        w = design.weight(rows)
        raw = design.columns(rows)
        v = demeaned(raw, w)
        total = w.sum(axis=1)
        normal[rows.group] += np.diag(w.sum(axis=0)) - (w / np.where(total > 0, total, 1.0)[:, None]).T @ w
        right[rows.group] += np.einsum("bt,btq->tq", w, v, optimize=True)
        lengths += np.einsum("bt,btq->q", w, raw**2, optimize=True)
    inverse = np.stack([_pseudo_inverse(m) for m in normal])
    effects = inverse @ right
    gram = np.zeros((q, q))
    for rows in source.rows(q):
        w = design.weight(rows)
        v = demeaned(design.columns(rows), w, effects[rows.group])
        gram += np.einsum("bt,btq->btq", w, v).reshape(-1, q).T @ v.reshape(-1, q)
    kept = _kept(gram[:-1, :-1], lengths[:-1], design.nuisance)
    bread = np.zeros((q - 1, q - 1))
    bread[np.ix_(kept, kept)] = np.linalg.inv(gram[np.ix_(kept, kept)])
    counts = _observed(source.panel, design.among)
    return Absorbed(bread @ gram[:-1, -1], kept, bread, effects, normal, inverse, counts)


class CollinearError(ValueError):
    """Column ``column`` follows from effects and the columns before it."""

    def __init__(self, column: int) -> None:
        self.column = column
        super().__init__(f"column {column}")


def _pseudo_inverse(matrix: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(matrix)
    good = values > TOLERANCE * max(float(values.max()), np.finfo(np.float64).tiny)
    found: FloatArray = (vectors[:, good] / values[good]) @ vectors[:, good].T
    return found


def _kept(gram: FloatArray, lengths: FloatArray, nuisance: Mask) -> IntArray:
    """Return the columns that add something to those before them."""
    left, kept = gram.copy(), []
    least = np.maximum(TOLERANCE * np.diag(gram), ABSORBED * lengths)
    for k in range(nuisance.size):
        if left[k, k] <= max(float(least[k]), np.finfo(np.float64).tiny):
            if not nuisance[k]:
                raise CollinearError(k)
            continue
        kept.append(k)
        left[k + 1 :, k + 1 :] -= np.outer(left[k + 1 :, k], left[k, k + 1 :]) / left[k, k]
    return np.array(kept, dtype=np.int64)


def _observed(panel: Panel, among: Mask) -> Counts:
    """Count what is used of a panel."""
    n, clusters = panel.outcome.shape[0], panel.clusters
    if panel.complete and panel.groups is None:
        size = np.bincount(panel.cohort, minlength=panel.starts.size)
        some = np.asarray(among.any(axis=1))
        units = int(size[some].sum())
        G = units if clusters is None else panel.n_clusters
        if clusters is not None and not some.all():
            G = int(np.unique(clusters[some[panel.cohort]]).size)
        dates = int(among.any(axis=0).sum())
        return Counts(int(size @ among.sum(axis=1)), units, G, dates, dates, nested=False)
    observations, used = 0, np.zeros(n, dtype=np.bool_)
    seen = np.zeros((panel.n_groups, panel.periods.size), dtype=np.bool_)
    for rows in blocks(panel):
        there = (rows.weight > 0) & among[rows.cohort]
        observations += int(there.sum())
        used[rows.index] = there.any(axis=1)
        seen[rows.group] |= there.any(axis=0)
    G = int(used.sum() if clusters is None else np.unique(clusters[used]).size)
    nested = panel.groups is not None and _one_cluster_each(panel)
    return Counts(observations, int(used.sum()), G, int(seen.any(axis=0).sum()), int(seen.sum()), nested=nested)


def _one_cluster_each(panel: Panel) -> bool:
    assert panel.groups is not None
    clusters = np.arange(panel.groups.size) if panel.clusters is None else panel.clusters
    highest, lowest = np.full(panel.n_groups, -1), np.full(panel.n_groups, panel.n_clusters)
    np.maximum.at(highest, panel.groups, clusters)
    np.minimum.at(lowest, panel.groups, clusters)
    return bool((highest <= lowest).all())
