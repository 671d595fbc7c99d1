"""How uncertainty is measured, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaltoolkit.designs.did.estimators import Way, cohorts_of, comparison_clusters
from evaltoolkit.reduction import Panel
from evaltoolkit.results import SmallCells

ENOUGH = 10
"""Clusters that each cohort and the comparison group need for analytic errors."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The way uncertainty is measured.

    Attributes
    ----------
    way
        ``analytic`` or ``jackknife``.
    asked
        What the study asked for.
    smallest_cohort, n_treated, n_comparison, n_clusters
        Clusters in the smallest cohort, in all cohorts together, in the comparison group, and in all.
    """

    way: Way
    asked: str
    smallest_cohort: int
    n_treated: int
    n_comparison: int
    n_clusters: int

    @property
    def few(self) -> bool:
        """Whether a cohort or the comparison group has fewer clusters than analytic errors need."""
        return min(self.smallest_cohort, self.n_comparison) < ENOUGH

    @property
    def none_possible(self) -> bool:
        """Whether no method here can give an interval: a single treated or comparison cluster."""
        return min(self.n_treated, self.n_comparison) < 2


def choose(panel: Panel, asked: str, *, staggered_twfe: bool = False) -> Choice:
    """Choose the method: analytic where each cohort and the comparison group have enough clusters, else jackknife.

    With ``staggered_twfe`` and no never-treated units, the last cohort counts as the comparison group.
    """
    cohorts = cohorts_of(panel)
    by_cohort = [int(np.unique(panel.clusters[panel.start == g]).size) for g in cohorts]
    compared = comparison_clusters(panel)
    if compared == 0 and staggered_twfe:
        compared = by_cohort[-1]
    treated = int(np.unique(panel.clusters[panel.start <= panel.periods[-1]]).size)
    enough = min(min(by_cohort), compared) >= ENOUGH
    way: Way = "jackknife" if asked == "jackknife" or (asked == "auto" and not enough) else "analytic"
    return Choice(way, asked, min(by_cohort), treated, compared, panel.n_clusters)


def words(choice: Choice, *, regression: bool, small: SmallCells | None = None) -> str:
    """Return the method and the reason for it in a sentence or two.

    ``small`` is the small-cell rule where clusters are people, so that their numbers fall under it.
    """
    if choice.none_possible:
        who = "treated" if choice.n_treated < 2 else "comparison"
        return (
            f"There is a single {who} cluster, so no standard error from these data can be trusted, and none is given. "
            "The estimate says by how much that cluster moved apart from the others, not how far it would have moved "
            "by chance."
        )
    cohort, compared = (
        f"{n:,}" if small is None else small.people(n) for n in (choice.smallest_cohort, choice.n_comparison)
    )
    counted = (
        f"analytic errors need at least {ENOUGH} clusters in each cohort and in the comparison group; the smallest "
        f"cohort has {cohort} and the comparison group {compared}."
    )
    if choice.way == "jackknife":
        why = f" It was chosen because {counted}" if choice.asked == "auto" else " It was asked for."
        return (
            "Standard errors are by the jackknife: every cluster is left out in turn and everything is estimated "
            "again. Intervals use the t distribution with the smaller of treated and comparison clusters less one as "
            f"degrees of freedom.{why}"
        )
    why = f" They were chosen because {counted}" if choice.asked == "auto" else " They were asked for."
    if choice.few:
        why += f" With fewer than {ENOUGH} clusters in a cohort or in the comparison group they tend to be too small."
    if regression:
        return (
            "Standard errors are clustered (CR1) with the factor G/(G−1) · (N−1)/(N−K), where K does not count unit "
            "effects that lie within clusters (the convention of R fixest; PanelOLS counts them, and was rescaled). "
            f"Intervals use the t distribution with G−1 degrees of freedom.{why}"
        )
    return (
        "Standard errors are analytic, from influence functions summed within clusters, without a small-sample factor "
        f"(the convention of R did). Intervals use the normal distribution.{why}"
    )
