"""Errors for few treated clusters, and the rule that chooses among methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evaltoolkit.kernels.cluster_means import (
    FewTreatedError,
    GroupMeans,
    Means,
    contrasts,
    group_means,
    moments,
    quadratic,
)
from evaltoolkit.kernels.randomization import Inverted, Rows

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

FEW = 8
"""Clusters in the smallest cohort below which a cohort's own spread says too little."""
MANY = 30
"""Clusters in every cohort from which analytic errors hold."""
DOUBT = 0.10
"""P-value of equal variability below which exchangeability is given up."""
UNEQUAL = 2.0
"""Largest over smallest cluster above which clusters do not count as exchangeable."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Estimates with standard errors and degrees of freedom, shape (m,) each; no error (NaN) for a reference cell."""

    values: FloatArray
    std_error: FloatArray
    df: FloatArray

    def bounds(self, level: float) -> Inverted:
        """Return intervals and p-values of the t distribution."""
        reach = -special.stdtrit(self.df, (1 - level) / 2) * self.std_error
        with np.errstate(invalid="ignore", divide="ignore"):
            p = 2 * special.stdtr(self.df, -np.abs(self.values) / self.std_error)
        return Inverted(self.values - reach, self.values + reach, p)


def welch(means: Means | GroupMeans, kind: Rows, among: Mask | None = None) -> Spread:
    r"""Return errors from the spread within each cohort: :math:`V = \sum_j c_j' S_j c_j / n_j`.

    Degrees of freedom are Satterthwaite's, :math:`V^2 / \sum_j (c_j' S_j c_j / n_j)^2 / (n_j - 1)`. Without covariates
    the variance is that of CR2; the degrees of freedom are Welch's, from the variances found. No cohort need be as
    variable as another. With clusters of unequal size :math:`S_j / n_j` is the covariance of ``moments``.

    Parameters
    ----------
    means
        The data, by cluster or summed by start.
    kind
        Which aggregation, or ``cells``.
    among
        Cells that are averaged, shape (K,); None for all.

    Raises
    ------
    FewTreatedError
        A cohort has a single cluster, or the panel has holes.

    References
    ----------
    Welch, B. (1947). The generalization of Student's problem when several different population variances are involved.
    Biometrika 34. doi:10.1093/biomet/34.1-2.28
    Bell, R. and McCaffrey, D. (2002). Bias reduction in standard errors for linear regression with multi-stage samples.
    Survey Methodology 28.

    Examples
    --------
    >>> from evaltoolkit.kernels.cluster_means import cluster_means
    >>> from evaltoolkit.kernels.cohorts import Rule
    >>> from evaltoolkit.kernels.placebo_cells import Sample
    >>> y = np.array([[0, 3.0], [0, 5], [0, 0], [0, 1], [0, 2], [0, 3], [0, 4]])
    >>> start = np.array([2, 2, 9, 9, 9, 9, 9])
    >>> found = welch(cluster_means(Sample.of(y, start, np.array([1, 2]), Rule())), "simple")
    >>> found.values.round(9).tolist(), found.std_error.round(6).tolist(), found.df.round(3).tolist()
    ([2.0], [1.224745], [2.118])
    """
    groups = means if isinstance(means, GroupMeans) else group_means(means)
    c = contrasts(groups, kind, among)
    if (groups.clusters < 2).any():
        raise FewTreatedError("single-cluster")
    J = groups.starts.size
    values = np.einsum("rjt,jt->r", c.weights, groups.mean)
    part = np.array([quadratic(c.weights[:, j], groups.covariance[j]) for j in range(J)])
    df = np.maximum(groups.clusters - 1 - np.where(groups.never, groups.lost, 0), 1).astype(np.float64)
    total = part.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        nu = total**2 / (part**2 / df[:, None]).sum(axis=0)
    return Spread(values, np.where(total > 0, np.sqrt(total), np.nan), nu)


@dataclass(frozen=True, slots=True)
class Variability:
    """How variable treated clusters are beside never-treated ones, where effects play no part.

    Attributes
    ----------
    ratio
        Of variances: treated over never treated.
    df, df_never
        Degrees of freedom of the two.
    p_value
        That the ratio is as large or larger, were both equally variable (F distribution).
    """

    ratio: float
    df: float
    df_never: float
    p_value: float


def variability(means: Means) -> Variability:
    r"""Compare changes from one period to the next.

    Treated clusters count with changes before their start, as deviations from the never-treated mean, and with later
    changes as deviations from their own cohort's mean. Each is divided by the never-treated standard deviation of that
    period, so :math:`\hat\kappa^2` is the mean square. Its degrees of freedom are
    :math:`2 E(Q)^2 / Var(Q)` with the variance of never-treated clusters' own sums of squares, which allows for
    autocorrelation and heavy tails.

    Raises
    ------
    FewTreatedError
        No treated cluster has such a change.

    Examples
    --------
    >>> from evaltoolkit.kernels.cluster_means import cluster_means
    >>> from evaltoolkit.kernels.cohorts import Rule
    >>> from evaltoolkit.kernels.placebo_cells import Sample
    >>> rng = np.random.default_rng(1)
    >>> y, start = rng.normal(size=(24, 8)), np.array([7, 7, 7, 7, *[99] * 20])
    >>> y[:4] *= 3
    >>> found = variability(cluster_means(Sample.of(y, start, np.arange(8), Rule())))
    >>> found.ratio > 3, found.p_value < 0.01
    (True, True)
    """
    n0 = int(means.never.sum())
    change = np.diff(means.means, axis=1)
    free = change[means.never]
    spread = free.var(axis=0, ddof=1 + means.lost)
    live = spread > 1e-24 * max(float(np.abs(means.means).max()) ** 2, 1e-300)
    square = (free - free.mean(axis=0)) ** 2 / np.where(live, spread, 1.0) * n0 / (n0 - 1) * live
    total = count = noise = 0.0
    for g in np.unique(means.start[~means.never]):
        z = change[means.start == g]
        n = z.shape[0]
        early = (means.sample.periods[1:] + means.sample.rule.anticipation < g) & live
        late = ~early & live
        share = early + late * (n - 1) / n
        apart = (z - free.mean(axis=0)) ** 2 / (1 + 1 / n0) * early + (z - z.mean(axis=0)) ** 2 * late
        total += float((apart / np.where(live, spread, 1.0)).sum())
        count += n * float(share.sum())
        noise += n * float((square @ share).var(ddof=1))
    if count <= 0:
        raise FewTreatedError("no-contrast")
    df0 = float(n0 - 1 - means.lost)
    df = float(np.clip(2 * count**2 / noise if noise > 0 else count, 1.0, count)) if count >= 1 else count
    raw = total / count
    return Variability(raw * (df0 - 2) / df0, df, df0, float(special.fdtrc(df, df0, raw)))


def scaled(means: Means, kind: Rows, among: Mask | None = None) -> Spread:
    r"""Return errors from the never-treated covariance, scaled by how much more treated clusters vary.

    With the never-treated covariance S and the ratio :math:`\hat\kappa^2` of ``variability``,
    :math:`V = \hat\kappa^2 V_1 + V_0`, where :math:`V_1 = \sum_{j\ \mathrm{treated}} c_j' S c_j / n_j` and
    :math:`V_0 = c_0' S c_0 / n_0` (with unequal sizes :math:`1/n_j = \sum M^2 / (\sum M)^2`, and ``moments`` in
    :math:`V_0`). Degrees of freedom:
    :math:`V^2 / ((\hat\kappa^2 V_1)^2 / \nu_\kappa + V^2 / \nu_0)`. Treated clusters may be more or less variable than
    the others, by one factor in all periods and cohorts; a single one will do where it has a past.

    Parameters
    ----------
    means
        The data.
    kind
        Which aggregation, or ``cells``.
    among
        Cells that are averaged, shape (K,); None for all.

    Raises
    ------
    FewTreatedError
        As ``variability``.

    Notes
    -----
    The idea of rescaling what comparison clusters show to the variance of the treated is that of Ferman and Pinto
    (2019), doi:10.1162/rest_a_00759; they take the ratio from sizes, and this from the outcomes before the start.

    Examples
    --------
    >>> from evaltoolkit.kernels.cluster_means import cluster_means
    >>> from evaltoolkit.kernels.cohorts import Rule
    >>> from evaltoolkit.kernels.placebo_cells import Sample
    >>> y = np.random.default_rng(1).normal(size=(21, 6))
    >>> found = scaled(cluster_means(Sample.of(y, np.array([5] + [9] * 20), np.arange(6), Rule())), "simple")
    >>> bool(0.8 < found.std_error[0] < 2.5), bool(2 < found.df[0] < 6)
    (True, True)
    """
    v = variability(means)
    c = contrasts(means, kind, among)
    free = means.means[means.never]
    S = np.cov(free, rowvar=False) * ((free.shape[0] - 1) / v.df_never)
    values, mine, theirs = (np.zeros(c.weights.shape[0]) for _ in range(3))
    for j, g in enumerate(c.starts):
        group = means.start == g
        middle, covariance = moments(means, group)
        values += c.weights[:, j] @ middle
        if means.never[group].all():
            theirs += quadratic(c.weights[:, j], covariance) * (free.shape[0] - 1) / v.df_never
        else:
            size = means.size[group] / means.size[group].sum()
            mine += v.ratio * quadratic(c.weights[:, j], S) * float(size @ size)
    total = mine + theirs
    with np.errstate(invalid="ignore", divide="ignore"):
        nu = total**2 / (mine**2 / v.df + total**2 / v.df_never)
    return Spread(values, np.where(total > 0, np.sqrt(total), np.nan), nu)


Method = Literal["analytic", "welch", "randomization", "scaled", "jackknife", "none"]
Reason = Literal[
    "many", "enough", "few", "few-unchecked", "unequal-sizes", "more-variable", "cannot-permute",
    "too-few-assignments", "one-treated",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Situation:
    """What the choice of a method rests on.

    Attributes
    ----------
    smallest_cohort, treated, comparison
        Clusters in the smallest cohort, in all cohorts, and to compare with.
    assignments
        Different ways to deal starts out to the clusters; 0 where starts differ within a cluster.
    inequality
        Units in the largest cluster over those in the smallest.
    variability
        The check of equal variability; None where there is none.
    adjusted
        Whether there are covariates, or holes in the panel.
    """

    smallest_cohort: int
    treated: int
    comparison: int
    assignments: int
    inequality: float
    variability: Variability | None
    adjusted: bool


def recommended(of: Situation, level: float = 0.95) -> tuple[Method, Reason]:
    """Return the method for intervals, and why.

    ``analytic`` from ``MANY`` clusters in each cohort; ``welch`` from ``FEW``, or the jackknife with covariates. Below
    that a cohort's own spread says too little, and clusters must lend each other theirs: randomization inference, exact
    if clusters are exchangeable. Where they are not, because treated clusters are more variable than the never treated
    (p below ``DOUBT``) or clusters are of unequal size (above ``UNEQUAL``): ``scaled``, or the jackknife with
    covariates. With fewer than 1 / (1 - level) assignments no interval follows from them: the jackknife gives one where
    there are two treated clusters, and ``none`` leaves the p-value.

    Examples
    --------
    >>> recommended(Situation(1, 2, 12, 182, 1.0, Variability(0.9, 6, 11, 0.5), adjusted=False))
    ('randomization', 'few')
    >>> recommended(Situation(1, 1, 12, 13, 1.0, None, adjusted=False))
    ('none', 'one-treated')
    """
    fewest = min(of.smallest_cohort, of.comparison)
    if fewest >= MANY:
        return "analytic", "many"
    if fewest >= FEW:
        return ("jackknife" if of.adjusted else "welch"), "enough"
    apart: Method = "jackknife" if of.treated > 1 and of.comparison > 1 else "none"
    if of.assignments == 0:
        return apart, "cannot-permute"
    # With many cohorts the number of assignments is no float any more.
    if min(of.assignments, 10**15) * (1 - level) < 1 - 1e-9:
        return apart, "too-few-assignments" if of.treated > 1 else "one-treated"
    if of.variability is None:
        return "randomization", "few-unchecked"
    other: Method = apart if of.adjusted else "scaled"
    if of.variability.p_value < DOUBT:
        return other, "more-variable"
    return (other, "unequal-sizes") if of.inequality > UNEQUAL else ("randomization", "few")
