"""Aggregations of group-time effects, with the share of each cohort estimated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Kind = Literal["simple", "dynamic", "group", "calendar"]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many units each of J cohorts has.

    Attributes
    ----------
    cohorts
        Starts, ascending, shape (J,).
    counts
        Units, or their weight, shape (J,).
    by_cluster
        Units by cluster, shape (C, J).
    """

    cohorts: IntArray
    counts: FloatArray
    by_cluster: FloatArray


@dataclass(frozen=True, slots=True)
class Aggregation:
    """An aggregation: m rows and their overall average.

    Attributes
    ----------
    labels
        Event times, cohorts or periods, shape (m,); none for ``simple``.
    rows, row_scores
        Effects, shape (m,), and their scores by cluster, shape (C, m).
    overall, overall_scores
        The average and its scores, shape (C,).
    """

    labels: IntArray
    rows: FloatArray
    row_scores: FloatArray
    overall: float
    overall_scores: FloatArray


def row_labels(kind: Kind, cohort: IntArray, period: IntArray) -> IntArray:
    """Return what the rows of an aggregation stand for.

    >>> row_labels("dynamic", np.array([3, 3, 4]), np.array([2, 3, 4])).tolist()
    [-1, 0]
    """
    after = period >= cohort
    if kind == "dynamic":
        return np.unique(period - cohort)
    if kind == "group":
        return np.unique(cohort[after])
    if kind == "calendar":
        return np.unique(period[after])
    return np.zeros(0, dtype=np.int64)


def membership(kind: Kind, cohort: IntArray, period: IntArray) -> FloatArray:
    """Return which cells (K) stand in which row (m) as zeros and ones, shape (m, K); one row for ``simple``."""
    after = period >= cohort
    if kind == "simple":
        return after[None, :].astype(np.float64)
    value = {"dynamic": period - cohort, "group": cohort, "calendar": period}[kind]
    inside = row_labels(kind, cohort, period)[:, None] == value[None, :]
    found: FloatArray = (inside if kind == "dynamic" else inside & after).astype(np.float64)
    return found


def aggregate(
    kind: Kind,
    cohort: IntArray,
    period: IntArray,
    values: FloatArray,
    scores: FloatArray,
    sizes: Sizes,
    weights: FloatArray | None = None,
) -> Aggregation:
    r"""Aggregate cells: rows average over cohorts by size, the overall value averages over rows.

    A row is :math:`\theta_r = \sum_k p_{g(k)} v_k / \sum_k p_{g(k)}` over its cells k. ``simple`` is one row of all
    cells after the start. ``dynamic`` and ``calendar`` average their rows (from event time 0) with equal weights;
    ``group`` averages cohorts by size. Scores add :math:`(v_k - \theta_r) 1\{G_i = g(k)\} / (n \sum_k p_{g(k)})`,
    because cohort shares are estimated.

    Parameters
    ----------
    kind
        Which aggregation.
    cohort, period, values
        The cells, shape (K,).
    scores
        Scores of the cells by cluster, shape (C, K).
    sizes
        Units of each cohort.
    weights
        Known weights of the cells in place of cohort sizes, shape (K,); then nothing is added to the scores.

    Returns
    -------
    Aggregation

    References
    ----------
    Callaway, B. and Sant'Anna, P. (2021). Difference-in-differences with multiple time periods. Journal of
    Econometrics 225, section 3. doi:10.1016/j.jeconom.2020.12.001

    Examples
    --------
    >>> sizes = Sizes(np.array([3, 4]), np.array([1, 3]), np.array([[1, 3]]))
    >>> cohort, period = np.array([3, 3, 4]), np.array([3, 4, 4])
    >>> found = aggregate("group", cohort, period, np.array([1.0, 3, 6]), np.zeros((1, 3)), sizes)
    >>> found.rows.tolist(), found.overall
    ([2.0, 6.0], 5.0)
    """
    inside = membership(kind, cohort, period)
    if weights is not None:
        return _weighted(kind, (cohort, period), inside * weights, values, scores)
    rows, overall = point(kind, cohort, period, values, sizes.counts[None, :].astype(np.float64), sizes.cohorts)
    place = np.searchsorted(sizes.cohorts, cohort)
    p = sizes.counts[place].astype(np.float64)
    theta = np.array([overall[0]]) if kind == "simple" else rows[0]
    weight = inside * p
    total = weight.sum(axis=1)
    row_scores = scores @ (weight / total[:, None]).T
    one_hot = (place[:, None] == np.arange(sizes.cohorts.size)[None, :]).astype(np.float64)
    drift = ((inside * (values[None, :] - theta[:, None])) @ one_hot) / total[:, None]
    row_scores = row_scores + sizes.by_cluster @ drift.T
    labels = row_labels(kind, cohort, period)
    if kind == "simple":
        return Aggregation(labels, np.zeros(0), np.zeros((scores.shape[0], 0)), float(overall[0]), row_scores[:, 0])
    chosen = labels >= 0 if kind == "dynamic" else np.ones(labels.size, dtype=np.bool_)
    if kind == "group":
        share = sizes.counts[np.searchsorted(sizes.cohorts, labels)].astype(np.float64)
        overall_scores = row_scores @ (share / share.sum())
        apart = np.zeros(sizes.cohorts.size)
        apart[np.searchsorted(sizes.cohorts, labels)] = (rows[0] - overall[0]) / share.sum()
        overall_scores = overall_scores + sizes.by_cluster @ apart
    else:
        overall_scores = row_scores[:, chosen].mean(axis=1)
    return Aggregation(labels, rows[0], row_scores, float(overall[0]), overall_scores)


def _weighted(
    kind: Kind, cells: tuple[IntArray, IntArray], weight: FloatArray, values: FloatArray, scores: FloatArray
) -> Aggregation:
    """Aggregate with known weights, shape (m, K)."""
    labels = row_labels(kind, *cells)
    total = weight.sum(axis=1)
    share = weight / np.where(total > 0, total, 1.0)[:, None]
    rows, row_scores = share @ values, scores @ share.T
    if kind == "simple":
        return Aggregation(labels, np.zeros(0), np.zeros((scores.shape[0], 0)), float(rows[0]), row_scores[:, 0])
    each = total if kind == "group" else (labels >= 0 if kind == "dynamic" else np.ones(labels.size)) * (total > 0)
    each = each / each.sum()
    return Aggregation(labels, rows, row_scores, float(each @ rows), row_scores @ each)


def point(
    kind: Kind, cohort: IntArray, period: IntArray, values: FloatArray, counts: FloatArray, cohorts: IntArray | None
) -> tuple[FloatArray, FloatArray]:
    """Aggregate B sets of cells at once, without scores.

    Parameters
    ----------
    kind, cohort, period
        As in ``aggregate``.
    values
        Shape (K,) or (B, K); missing where a cell is lost, and then left out.
    counts
        Units of each cohort in each set, shape (B, J); without ``cohorts`` the known weights of cells, shape (B, K).
    cohorts
        Starts, shape (J,).

    Returns
    -------
    tuple
        Rows, shape (B, m), and overall values, shape (B,); NaN where nothing is left.
    """
    inside = membership(kind, cohort, period)
    v = np.atleast_2d(values)
    weight = (counts if cohorts is None else counts[:, np.searchsorted(cohorts, cohort)]) * np.isfinite(v)
    rows = _mean(np.where(np.isfinite(v), v, 0.0)[:, None, :], weight[:, None, :] * inside[None, :, :])
    labels = row_labels(kind, cohort, period)
    if kind == "simple":
        return rows[:, :0], rows[:, 0]
    if kind == "group" and cohorts is not None:
        each = counts[:, np.searchsorted(cohorts, labels)]
    elif kind == "group":
        each = weight @ inside.T
    else:
        each = np.broadcast_to((labels >= 0) if kind == "dynamic" else np.ones(labels.size), rows.shape)
    return rows, _mean(np.where(np.isfinite(rows), rows, 0.0), each * np.isfinite(rows))


def _mean(values: FloatArray, weights: FloatArray) -> FloatArray:
    total = weights.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: FloatArray = np.where(total > 0, (values * weights).sum(axis=-1) / total, np.nan)
    return found
