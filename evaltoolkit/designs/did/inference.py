"""How uncertainty is measured, and why."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.cell_study import Law
from evaltoolkit.designs.did.groups import clusters_by_cohort, comparison_clusters, treated_clusters
from evaltoolkit.designs.did.laws import Bootstrapped, Donors, Errors, Reassigned
from evaltoolkit.errors import OptionError
from evaltoolkit.kernels.assignments import AssignmentError, assignments
from evaltoolkit.kernels.cluster_means import FewTreatedError, Means, cluster_means, inequality
from evaltoolkit.kernels.cohorts import Rule, cells
from evaltoolkit.kernels.few_treated import FEW, MANY, Reason, Situation, Variability, recommended, variability
from evaltoolkit.kernels.placebo_cells import Sample
from evaltoolkit.kernels.randomization import placebos
from evaltoolkit.reduction import Panel
from evaltoolkit.study import Study

__all__ = ["FEW", "MANY", "Choice", "Way", "choose"]

Way = Literal[
    "analytic", "jackknife", "welch", "scaled", "randomization", "conley-taber", "ferman-pinto", "placebo", "bootstrap",
    "cr1", "cr2", "cr3", "wild-cluster", "none",
]  # fmt: skip
IntArray = NDArray[np.int64]
Compared = Literal["", "last-compared", "synthetic"]
Why = Reason | Literal["asked", "estimator", "many-cohorts", "not-possible", "rows-stay", "synthetic"]

REASSIGNED: Final = 1999
"""Reassignments of starts that are drawn, where there are more than can be listed."""
REASSIGNED_ADJUSTED: Final = 499
"""The same where covariates mean that each is fitted anew, and at least, where there are many cohorts and periods."""
_WORK: Final = 8_000_000
"""Reassignments times effects times cohorts that are worked out, where that leaves enough reassignments."""
_MOST: Final = 20_000
"""Effects times cohorts beyond which ``auto`` takes the jackknife in place of reassignments."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The way uncertainty is measured.

    Attributes
    ----------
    way
        The method.
    asked
        What the study asked for.
    why
        Why ``auto`` took it; ``asked`` where it was asked for.
    smallest_cohort, n_treated, n_comparison, n_clusters
        Clusters in the smallest cohort, in all cohorts together, in the comparison group, and in all.
    reassigned
        Reassignments of starts that randomization inference rests on, the one observed included; 0 where none.
    """

    way: Way
    asked: str
    why: Why
    smallest_cohort: int
    n_treated: int
    n_comparison: int
    n_clusters: int
    reassigned: int = 0

    @property
    def few(self) -> bool:
        """Whether a cohort or the comparison group has fewer clusters than analytic errors need."""
        return min(self.smallest_cohort, self.n_comparison) < MANY

    @property
    def none_possible(self) -> bool:
        """Whether no interval can be given: too few treated or comparison clusters for the method."""
        alone = self.way in {"analytic", "jackknife"} and min(self.n_treated, self.n_comparison) < 2
        return self.way == "none" or alone


Counted = tuple[int, int, int, int]
"""Clusters in the smallest cohort, in all cohorts together, in the comparison group, and in all."""


@dataclass(frozen=True, slots=True)
class Known:
    """A sample for the kernels, with what is known of its clusters; None where it cannot be had."""

    sample: Sample
    means: Means | None
    spread: Variability | None
    possible: int


def choose(panel: Panel, rule: Rule | None, study: Study, kind: Compared = "") -> tuple[Choice, Law | None]:
    """Choose the method, and build what it needs.

    Parameters
    ----------
    panel
        The panel.
    rule
        How cells are estimated; None for a regression, for which ``auto`` knows analytic errors and the jackknife.
    study
        What was asked for.
    kind
        ``last-compared``: with no never-treated units the last cohort counts as the comparison group; ``synthetic``:
        placebos among never-treated units are the default.

    Raises
    ------
    OptionError
        The method asked for does not fit the data.
    """
    by_cohort = clusters_by_cohort(panel)
    compared = comparison_clusters(panel)
    if compared == 0 and kind == "last-compared":
        compared = by_cohort[-1]
    counted = (min(by_cohort), treated_clusters(panel), compared, panel.n_clusters)
    known = None
    if rule is not None:
        weights = np.ones(panel.start.size) if panel.weights is None else panel.weights
        known = known_of(Sample(panel.outcome, panel.start, panel.periods, panel.design, rule, panel.clusters, weights))
    return chosen(known, counted, study, kind)


def chosen(known: Known | None, counted: Counted, study: Study, kind: Compared = "") -> tuple[Choice, Law | None]:
    """Choose the method, and build what it needs, from what is known of the clusters.

    Parameters
    ----------
    known
        The sample; None for a regression.
    counted
        How many clusters there are.
    study, kind
        As in ``choose``.

    Raises
    ------
    OptionError
        The method asked for does not fit the data.
    """
    asked = study.inference.method
    if known is None:
        way, why = (_for_synthetic if kind == "synthetic" else _for_regression)(asked, counted)
        return Choice(way, asked, why, *counted), bootstrapped(study, counted) if way == "bootstrap" else None
    if asked == "auto":
        way, why = _recommended(known, counted, study.inference.level)
        if way == "randomization" and _size(known.sample) > _MOST:
            way, why = "jackknife", "many-cohorts"
    else:
        way, why = asked, "asked"  # type: ignore[assignment]
    try:
        law = _law(way, known, study)
    except (FewTreatedError, AssignmentError) as error:
        if asked != "auto":
            raise refused(asked, error, study) from None
        way, why, law = "jackknife", "not-possible", None
    size = law.placebos.counts.shape[0] if isinstance(law, Reassigned) else 0
    return Choice(way, asked, why, *counted, reassigned=size), law


def bootstrapped(study: Study, counted: Counted) -> Bootstrapped:
    """Return the multiplier bootstrap."""
    inference = study.inference
    return Bootstrapped(inference.level, min(inference.draws, 9999), inference.seed, counted[3])


def _for_regression(asked: str, counted: Counted) -> tuple[Way, Why]:
    if asked != "auto":
        return asked, "asked"  # type: ignore[return-value]
    return ("analytic", "many") if min(counted[0], counted[2]) >= MANY else ("jackknife", "estimator")


def _for_synthetic(asked: str, counted: Counted) -> tuple[Way, Why]:
    if asked != "auto":
        return asked, "asked"  # type: ignore[return-value]
    _, treated, compared, _ = counted
    if compared > treated:
        return "placebo", "synthetic"
    return ("jackknife", "synthetic") if counted[0] > 1 else ("none", "synthetic")


def known_of(sample: Sample, units: IntArray | None = None) -> Known:
    """Find out what is known of the clusters of a sample.

    Parameters
    ----------
    sample
        Units, or groups of units alike.
    units
        Units behind each row of the sample, shape (n,); None for one.
    """
    try:
        possible = assignments(sample.start, sample.clusters, 0, 0).possible
    except AssignmentError:
        return Known(sample, None, None, 0)
    means, spread = None, None
    try:
        means = cluster_means(sample)
        if units is not None:
            whole = np.isfinite(sample.outcome).all(axis=1)
            counts = np.bincount(sample.clusters[whole], weights=units[whole])
            means = dataclasses.replace(means, units=counts[counts > 0].astype(np.int64))
        spread = variability(means)
    except FewTreatedError:
        pass
    return Known(sample, means, spread, possible)


def _recommended(known: Known, counted: Counted, level: float) -> tuple[Way, Why]:
    holes = known.means is None or not known.means.whole
    return recommended(
        Situation(
            smallest_cohort=counted[0], treated=counted[1], comparison=counted[2], assignments=known.possible,
            inequality=1.0 if known.means is None else inequality(known.means), variability=known.spread,
            adjusted=known.sample.adjusted or holes,
        ), level,
    )  # fmt: skip


def _size(sample: Sample) -> int:
    """Return the number of effects times the number of starts: what one reassignment costs."""
    starts = int(np.unique(sample.start).size)
    return len(cells(sample.start, sample.periods, sample.rule)) * starts


def _law(way: Way, known: Known, study: Study) -> Law | None:
    inference, clusters = study.inference, int(known.sample.clusters.max()) + 1
    if way == "randomization" or (way == "none" and known.possible):
        least = REASSIGNED_ADJUSTED
        most = min(inference.draws, least if known.sample.adjusted else REASSIGNED)
        most = min(most, max(least, _WORK // _size(known.sample)))
        table = assignments(known.sample.start, known.sample.clusters, most, inference.seed)
        once = table.cohorts[np.bincount(table.codes[0], minlength=table.cohorts.size) == 1]
        alone = frozenset(once.tolist()) if clusters * (1 - inference.level) < 1 - 1e-9 else frozenset()
        return Reassigned(placebos(known.sample, table), inference.level, alone)
    if way == "bootstrap":
        return Bootstrapped(inference.level, min(inference.draws, 9999), inference.seed, clusters)
    if way in {"welch", "scaled", "conley-taber", "ferman-pinto"}:
        if not known.possible:
            raise AssignmentError("cohort-varies")
        means = cluster_means(known.sample) if known.means is None else known.means
        if not means.whole:
            raise FewTreatedError("holes")
        if way == "welch" or way == "scaled":
            law = Errors(means, way)
            law.checked()
            return law
        return Donors(means, inference.level, min(inference.draws, 9999), inference.seed, sized=way == "ferman-pinto")
    return None


_FEW_TREATED = {
    "holes": "units are missing in some periods",
    "no-never-treated": "fewer than five clusters (less one for each covariate) never start the program",
    "single-cluster": "a cohort has a single cluster, so its spread is not known",
    "no-contrast": "no change of treated clusters without an effect shows how much they vary",
    "cohort-varies": "units of the same cluster start in different periods",
    "single-start": "all clusters start together",
}


def refused(asked: str, error: FewTreatedError | AssignmentError, study: Study) -> OptionError:
    """Return the message for a method that does not fit the data."""
    return OptionError(
        f"inference '{asked}' does not fit these data: {_FEW_TREATED[error.why]}",
        expected="a method that the data allow", todo="use method = 'auto', which says what it chose and why",
        where=study.place("inference", "method"),
    )  # fmt: skip
