"""What a panel adds up to, wherever its rows are."""

from __future__ import annotations

from evaltoolkit.data import EngineSource, Source
from evaltoolkit.data.asked import asked
from evaltoolkit.designs.did.moment_estimators import check_moments
from evaltoolkit.designs.did.moment_sample import fingerprinted, places, reduced
from evaltoolkit.designs.did.options import Options
from evaltoolkit.designs.did.sums_of_rows import sums_of_rows, unit_names
from evaltoolkit.reduction.long_form import Rows
from evaltoolkit.reduction.moment_source import MomentsSource
from evaltoolkit.reduction.moments import PanelMoments
from evaltoolkit.study import Study


def sums(study: Study, options: Options, source: Source) -> PanelMoments:
    """Return what rows add up to, or what agencies have added up.

    Raises
    ------
    EvaluationError
        The estimator needs rows, or the data have to change.
    """
    check_moments(options, study)
    if isinstance(source, MomentsSource):
        return source.moments
    if isinstance(source, EngineSource):
        return reduced(study, options, source)
    return sums_of_rows(study, options, source)


def exported(study: Study, options: Options, source: Source) -> PanelMoments:
    """Return sums with fingerprints of their units, for other agencies to add theirs.

    People in an engine get none: their names would have to leave it.

    Raises
    ------
    EvaluationError
        As ``sums``.
    """
    found = sums(study, options, source)
    if not isinstance(source, EngineSource):
        return fingerprinted(found, lambda: unit_names(study, options, source))
    if found.plan.counts_people:
        return found
    rows = Rows(source, asked(source, study), found.plan, study.place)
    return fingerprinted(found, lambda: source.executed(places(rows), "names of the places")["name"].astype(str))
