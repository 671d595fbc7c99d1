"""Group-time effects and their aggregations, with what their covariance is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evaltoolkit.errors import CollinearityError, EvaluationError, NoComparisonError, SeparationError
from evaltoolkit.kernels.aggregate import Kind, Sizes, aggregate, membership, point, row_labels
from evaltoolkit.kernels.group_time import CellError, GroupTime, Rule, group_time
from evaltoolkit.kernels.jackknife import delete_one_group_time, deleted_means
from evaltoolkit.reduction import Panel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Way = Literal["analytic", "jackknife"]


@dataclass(frozen=True, slots=True)
class Family:
    """m estimates that belong together.

    Attributes
    ----------
    labels
        What each stands for: event times, cohorts, periods; shape (m,).
    values
        Shape (m,).
    spread
        Shape (C, m): the covariance is ``spread.T @ spread``. Missing where no standard error exists.
    df
        Degrees of freedom of the t reference, shape (m,); infinite for normal.
    """

    labels: IntArray
    values: FloatArray
    spread: FloatArray
    df: FloatArray

    @property
    def covariance(self) -> FloatArray:
        """Covariance matrix, shape (m, m)."""
        found: FloatArray = self.spread.T @ self.spread
        return found

    def one(self, i: int, level: float) -> Measured:
        """Return one estimate with its interval."""
        return measured(float(self.values[i]), float(np.linalg.norm(self.spread[:, i])), float(self.df[i]), level)


@dataclass(frozen=True, slots=True)
class Measured:
    """An estimate with its interval; what does not exist is None. ``df`` is None for a normal reference."""

    estimate: float
    std_error: float | None
    low: float | None
    high: float | None
    p_value: float | None
    df: float | None


def measured(estimate: float, std_error: float, df: float, level: float) -> Measured:
    """Return an estimate with its interval; without a positive standard error or a degree of freedom, without one."""
    if not np.isfinite(std_error) or std_error <= 0 or df < 1:
        return Measured(estimate, None, None, None, None, None)
    # scipy.special and not scipy.stats, which takes half a second to import
    known = np.isfinite(df)
    tail, z = (1 - level) / 2, -abs(estimate) / std_error
    reach = -float(special.stdtrit(df, tail) if known else special.ndtri(tail)) * std_error
    p = 2 * float(special.stdtr(df, z) if known else special.ndtr(z))
    return Measured(estimate, std_error, estimate - reach, estimate + reach, p, df if np.isfinite(df) else None)


@dataclass(frozen=True, slots=True)
class CellStudy:
    """Group-time effects with mean outcomes of the treated, ready to be aggregated.

    Attributes
    ----------
    cells
        The cells.
    way
        How uncertainty is measured.
    sizes
        Units of each cohort.
    levels, level_scores
        Mean outcome of the cohort in the cell's period, shape (K,), and its scores, shape (C, K).
    deleted, deleted_levels, deleted_counts
        Effects, levels and cohort sizes without each cluster, shapes (C, K), (C, K) and (C, J); None if analytic.
    clusters_of
        Treated clusters in each cohort, as a mask of shape (C, J).
    n_comparison_clusters
        Clusters with a unit that is never treated in the periods used, or the largest not-yet-treated group.
    """

    cells: GroupTime
    way: Way
    sizes: Sizes
    levels: FloatArray
    level_scores: FloatArray
    deleted: FloatArray | None
    deleted_levels: FloatArray | None
    deleted_counts: FloatArray | None
    n_comparison_clusters: int

    def family(self, kind: Kind | Literal["cells"]) -> Family:
        """Return the rows of an aggregation, or the cells themselves."""
        return self._families(kind, self.cells.att, self.cells.scores, self.deleted)[0]

    def overall(self, kind: Kind) -> Family:
        """Return the overall value of an aggregation."""
        return self._families(kind, self.cells.att, self.cells.scores, self.deleted)[1]

    def log_ratio(self, kind: Kind) -> Family | None:
        """Return the log of the treated mean over its counterfactual, where both lie above zero."""
        effect = self.overall(kind)
        with_program = self._families(kind, self.levels, self.level_scores, self.deleted_levels)[1]
        mean, without = float(with_program.values[0]), float(with_program.values[0] - effect.values[0])
        if mean <= 0 or without <= 0:
            return None
        value = np.log(mean / without)
        if self.way == "analytic":
            spread = with_program.spread / mean - (with_program.spread - effect.spread) / without
            return Family(effect.labels, np.array([value]), spread, effect.df)
        scale = _scale(self.cells.scores.shape[0])
        means = mean + with_program.spread / scale
        withouts = without + (with_program.spread - effect.spread) / scale
        with np.errstate(invalid="ignore", divide="ignore"):
            logs = np.where((means > 0) & (withouts > 0), np.log(means / withouts), np.nan)
        return Family(effect.labels, np.array([value]), scale * (logs - value), effect.df)

    def _families(
        self, kind: Kind | Literal["cells"], values: FloatArray, scores: FloatArray, deleted: FloatArray | None
    ) -> tuple[Family, Family]:
        c, sizes = self.cells, self.sizes
        inside = np.eye(c.att.size) if kind == "cells" else membership(kind, c.cohort, c.period)
        df = self._df(inside)
        whole = self._df(membership("simple", c.cohort, c.period))
        none = Family(np.zeros(1, dtype=np.int64), np.zeros(1), np.zeros((scores.shape[0], 1)), whole)
        if kind == "cells":
            spread = scores if deleted is None else _scale(scores.shape[0]) * (deleted - values)
            return Family(np.arange(c.att.size), values, spread, df), none
        found = aggregate(kind, c.cohort, c.period, values, scores, sizes)
        rows, whole_spread = found.row_scores, found.overall_scores[:, None]
        if deleted is not None and self.deleted_counts is not None:
            part, all_of = point(kind, c.cohort, c.period, deleted, self.deleted_counts, sizes.cohorts)
            scale = _scale(scores.shape[0])
            rows, whole_spread = scale * (part - found.rows), scale * (all_of - found.overall)[:, None]
        labels = row_labels(kind, c.cohort, c.period)
        return (
            Family(labels, found.rows, rows, df if labels.size else df[:0]),
            Family(np.zeros(1, dtype=np.int64), np.array([found.overall]), whole_spread, whole),
        )

    def _df(self, inside: FloatArray) -> FloatArray:
        """Return the clusters behind each row less one, at most the comparison clusters; infinite if analytic."""
        if self.way == "analytic":
            return np.full(inside.shape[0], np.inf)
        cohort = np.searchsorted(self.sizes.cohorts, self.cells.cohort)
        present = self.sizes.by_cluster > 0
        clusters = [int(present[:, np.unique(cohort[row > 0])].any(axis=1).sum()) for row in inside]
        return np.array([min(n, self.n_comparison_clusters) - 1.0 for n in clusters])


def _scale(size: int) -> float:
    return float(np.sqrt((size - 1) / size))


def cohorts_of(panel: Panel) -> IntArray:
    """Return the starts of the treated cohorts, ascending."""
    return np.unique(panel.start[panel.start <= panel.periods[-1]])


def sizes_of(panel: Panel) -> Sizes:
    """Return units by cohort, and by cluster and cohort."""
    cohorts = cohorts_of(panel)
    one_hot = (panel.start[:, None] == cohorts[None, :]).astype(np.int64)
    by_cluster = np.zeros((panel.n_clusters, cohorts.size), dtype=np.int64)
    np.add.at(by_cluster, panel.clusters, one_hot)
    return Sizes(cohorts, one_hot.sum(axis=0), by_cluster)


def cell_study(panel: Panel, rule: Rule, way: Way) -> CellStudy:
    """Estimate group-time effects of a panel.

    Raises
    ------
    CellError
        A cell cannot be estimated.
    """
    design = panel.design
    cells = group_time(panel.outcome, panel.start, panel.periods, design, rule, panel.clusters)
    levels, level_scores = _levels(panel, cells)
    deleted = deleted_levels = counts = None
    sizes = sizes_of(panel)
    if way == "jackknife":
        deleted = delete_one_group_time(panel.outcome, panel.start, panel.periods, design, rule, panel.clusters)
        means, left, starts = deleted_means(panel.outcome, panel.start, panel.clusters)
        mine = np.searchsorted(starts, cells.cohort)
        deleted_levels = means[:, mine, np.searchsorted(panel.periods, cells.period)]
        counts = left[:, np.searchsorted(starts, sizes.cohorts)]
    return CellStudy(
        cells, way, sizes, levels, level_scores, deleted, deleted_levels, counts, comparison_clusters(panel)
    )


def comparison_clusters(panel: Panel) -> int:
    """Return the number of clusters with a unit that no period used finds treated."""
    return int(np.unique(panel.clusters[panel.start > panel.periods[-1]]).size)


def _levels(panel: Panel, cells: GroupTime) -> tuple[FloatArray, FloatArray]:
    levels = np.zeros(cells.att.size)
    scores = np.zeros((panel.n_clusters, cells.att.size))
    at = np.searchsorted(panel.periods, cells.period)
    for k, g in enumerate(cells.cohort):
        mine = panel.start == g
        y = panel.outcome[mine, at[k]]
        levels[k] = y.mean()
        scores[:, k] = np.bincount(panel.clusters[mine], weights=(y - y.mean()) / y.size, minlength=panel.n_clusters)
    return levels, scores


def explained(error: CellError, label: str, names: tuple[str, ...], places: tuple[str, ...]) -> EvaluationError:
    """Return the message for a cell that cannot be estimated; ``label`` is the cohort in words."""
    named = f"the covariate '{names[error.column - 1]}'" if error.column else "the covariates together"
    where = places[error.column - 1] if error.column else (places[0] if places else "")
    if error.why == "empty":
        return NoComparisonError(
            f"no unit is left to compare the cohort of {label} with", expected="units that start later, or never",
            todo="use comparison = 'not-yet-treated', lower anticipation, or add units without the program",
        )  # fmt: skip
    if error.why == "collinear":
        return CollinearityError(
            f"{named} is a combination of the other covariates among the units that the cohort of {label} is "
            "compared with",
            expected="covariates none of which follows from the others, and more comparison units than covariates",
            todo="remove it from covariates", where=where,
        )  # fmt: skip
    verb = "tells" if error.column else "tell"
    return SeparationError(
        f"{named} {verb} the cohort of {label} and its comparison units apart perfectly",
        expected="treated and comparison units at the same values of every covariate",
        todo="remove the covariate, or use adjust = 'regression'", where=where,
    )  # fmt: skip
