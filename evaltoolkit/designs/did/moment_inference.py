"""How uncertainty is measured on a moment table, and why."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.cell_study import Law
from evaltoolkit.designs.did.inference import (
    FEW,
    MANY,
    Choice,
    Compared,
    Counted,
    Known,
    bootstrapped,
    chosen,
    known_of,
    refused,
)
from evaltoolkit.designs.did.laws import MANY_CLUSTERS, Errors
from evaltoolkit.designs.did.moment_deleted import leaves_units_out
from evaltoolkit.designs.did.moment_estimators import Moments
from evaltoolkit.errors import OptionError
from evaltoolkit.kernels.cluster_means import FewTreatedError, GroupMeans, Means
from evaltoolkit.kernels.cohort_moments import CohortMoments
from evaltoolkit.kernels.cohorts import Rule
from evaltoolkit.kernels.moment_cells import MomentsError
from evaltoolkit.kernels.moment_clusters import ClusterMoments
from evaltoolkit.kernels.moment_means import moment_group_means
from evaltoolkit.kernels.placebo_cells import Sample
from evaltoolkit.study import Study

IntArray = NDArray[np.int64]

BY_ROWS: Final = frozenset({"cr1", "cr2", "cr3", "wild-cluster", "placebo"})
"""Methods that need the rows of a regression, or of units."""


def choice_of(
    moments: Moments, rule: Rule | None, study: Study, counted: Counted, kind: Compared = ""
) -> tuple[Choice, Law | None]:
    """Choose the method, and build what it needs: ``inference.choose`` without rows.

    With ``ClusterMoments`` means by cluster are known, and so the choice is that of the rows. Where units are the
    clusters, sums tell the spread within a start but no unit: ``auto`` is analytic from ``MANY`` in each group, below
    that the jackknife (for cells from changes of the same units Welch's errors) where weights and covariates allow it,
    otherwise analytic with a caution.

    Parameters
    ----------
    moments
        The table.
    rule
        How cells are estimated; None for a regression.
    study
        What was asked for.
    counted
        Clusters in the smallest cohort, in all cohorts together, in the comparison group, and in all.
    kind
        As in ``choose``.

    Raises
    ------
    OptionError
        The method asked for does not fit the data, or needs rows.
    """
    asked = study.inference.method
    if kind == "last-compared" and counted[2] == 0:
        counted = (*counted[:2], _in_last(moments), counted[3])
    if asked in BY_ROWS:
        raise _needs_rows(f"inference '{asked}'", study)
    if isinstance(moments, ClusterMoments):
        return chosen(None if rule is None else known(moments, rule), counted, study)
    return _of_units(moments, rule, study, counted)


def _in_last(moments: Moments) -> int:
    """Return the number of clusters with a unit of the last start."""
    last = moments.starts[moments.cohort] == moments.starts.max()
    if isinstance(moments, ClusterMoments):
        return int(np.unique(moments.cluster[last[moments.cell] & (moments.units > 0)]).size)
    return int(moments.units[last].sum())


def sample_of(moments: ClusterMoments, rule: Rule) -> tuple[Sample, IntArray]:
    """Return the means of each pair of a cluster and a cell as a sample, and the units behind each, shape (P,)."""
    there = moments.units > 0
    cell = moments.cell[there]
    outcome = moments.m[there] / moments.n[there][:, None] + moments.shift
    if moments.there is not None:
        outcome[~moments.there[cell]] = np.nan
    sample = Sample(
        outcome, moments.starts[moments.cohort[cell]],
        moments.periods, moments.design[cell][:, None], rule,
        np.unique(moments.cluster[there], return_inverse=True)[1].astype(np.int64), moments.n[there],
    )  # fmt: skip
    return sample, moments.units[there]


def known(moments: ClusterMoments, rule: Rule) -> Known:
    """Find out what a table by cluster tells of its clusters: what the rows tell."""
    return known_of(*sample_of(moments, rule))


def means_of(moments: Moments, rule: Rule) -> Means | GroupMeans | None:
    """Return means by cluster, or where units are the clusters by start; None where there are none.

    Raises
    ------
    FewTreatedError
        Too few units never start.
    MomentsError
        ``weights``: units of a start have different weights.
    """
    if isinstance(moments, ClusterMoments):
        return known(moments, rule).means
    return moment_group_means(moments, rule)


def _of_units(moments: CohortMoments, rule: Rule | None, study: Study, counted: Counted) -> tuple[Choice, Law | None]:
    asked = study.inference.method
    if asked == "auto":
        return _chosen_for_units(moments, rule, study, counted)
    law: Law | None = None
    if asked == "bootstrap" and counted[3] > MANY_CLUSTERS:
        # Multipliers are normal then, and draws have the covariance of the scores, whatever their rows.
        law = bootstrapped(study, counted)
    elif asked == "welch" and rule is not None:
        law = _welch(moments, rule, study)
    elif asked != "analytic" and not (asked == "jackknife" and leaves_units_out(moments)):
        raise _needs_rows(f"inference '{asked}'", study)
    return Choice(asked, asked, "asked", *counted), law  # type: ignore[arg-type]


def _chosen_for_units(
    moments: CohortMoments, rule: Rule | None, study: Study, counted: Counted
) -> tuple[Choice, Law | None]:
    fewest, deletes = min(counted[0], counted[2]), leaves_units_out(moments)
    if fewest >= MANY:
        return Choice("analytic", "auto", "many", *counted), None
    if rule is None and deletes:
        return Choice("jackknife", "auto", "estimator", *counted), None
    if rule is not None and moments.design.shape[1] == 1:
        try:
            law = _welch(moments, rule, study)
        except OptionError:
            pass
        else:
            return Choice("welch", "auto", "enough" if fewest >= FEW else "rows-stay", *counted), law
    return Choice("jackknife" if deletes else "analytic", "auto", "rows-stay", *counted), None


def _welch(moments: CohortMoments, rule: Rule, study: Study) -> Law:
    try:
        law = Errors(moment_group_means(moments, rule), "welch")
        law.checked()
    except FewTreatedError as error:
        raise refused("welch", error, study) from None
    except MomentsError:
        raise _needs_rows("inference 'welch' with weights that differ between units", study) from None
    return law


def _needs_rows(what: str, study: Study) -> OptionError:
    return OptionError(
        f"{what} needs the rows, and release = 'moments' keeps them where they are",
        expected="'auto' or 'analytic'; with cluster, a column of clusters above the unit, other methods too",
        todo="use method = 'auto', or let the rows come with release = \"open\"",
        where=study.place("inference", "method"),
    )
