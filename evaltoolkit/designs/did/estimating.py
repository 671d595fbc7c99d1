"""Effects with the way their uncertainty is measured, from rows or from the sums that stand in for them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from evaltoolkit.designs.did.catalogue import ESTIMATORS
from evaltoolkit.designs.did.cell_study import CellStudy, Law
from evaltoolkit.designs.did.estimators import Uncertainty, assembled, cell_estimator, cell_study, path_estimator
from evaltoolkit.designs.did.facts import Facts
from evaltoolkit.designs.did.inference import MANY, Choice, Compared, Counted, Why, choose
from evaltoolkit.designs.did.moment_estimators import Moments, cells_of
from evaltoolkit.designs.did.moment_inference import choice_of
from evaltoolkit.designs.did.moment_studies import analytic_path, deleted_of, path_study_of
from evaltoolkit.designs.did.options import Options
from evaltoolkit.designs.did.path_study import PathStudy, path_study
from evaltoolkit.designs.did.sample import PanelStudy
from evaltoolkit.designs.did.strict_estimators import cells_in, path_in
from evaltoolkit.designs.did.strict_sample import InEngine
from evaltoolkit.errors import OptionError
from evaltoolkit.kernels.cohorts import Rule
from evaltoolkit.study import Study


@dataclass(frozen=True, slots=True)
class Estimates:
    """Effects by cohort and period, or one effect and a path; the other is None."""

    choice: Choice
    cells: CellStudy | None
    path: PathStudy | None


def compared_in(options: Options) -> Compared:
    """Return who counts as compared with when a method of inference is chosen."""
    if options.estimator == "twfe":
        return "last-compared"
    return "synthetic" if options.estimator == "synthetic-did" else ""


def estimated(study: Study, options: Options, data: PanelStudy) -> Estimates:
    """Estimate by the study's own estimator.

    Raises
    ------
    ValueError
        As the estimator's kernel.
    OptionError
        The method of inference does not fit.
    """
    if data.sums is not None:
        return _on_sums(study, options, data.facts, data.sums.table)
    if data.engine is not None:
        return _in_engine(study, options, data.facts, data.engine)
    panel = data.panel
    choice, law = choose(panel, options.rule if options.permutable else None, study, compared_in(options))
    estimator = cell_estimator(study, options, choice)
    if estimator is None:
        return Estimates(choice, None, path_study(panel, path_estimator(options), choice, study))
    jackknife = choice.way == "jackknife"
    return Estimates(choice, cell_study(panel, estimator, options.shown, jackknife=jackknife, law=law), None)


@dataclass(frozen=True, slots=True)
class Otherwise:
    """Another way to estimate effects by cohort and period.

    Attributes
    ----------
    rule
        How cells are estimated.
    covariates
        Whether they are adjusted for.
    own
        Whether by the study's own estimator; else by Callaway and Sant'Anna's.
    """

    rule: Rule
    covariates: bool = True
    own: bool = True


def cells_by(study: Study, options: Options, data: PanelStudy, way: Otherwise) -> Estimates:
    """Estimate effects by cohort and period in another way.

    Raises
    ------
    ValueError, OptionError
        As ``estimated``.
    """
    if data.engine is not None:
        raise OptionError(
            "another way would look at all rows in the engine again", expected="the study's own way",
            todo='use release = "moments" or "open"', where=study.place("data", "release"),
        )  # fmt: skip
    by = options if way.own else options.model_copy(update={"estimator": "callaway-santanna"})
    if data.sums is not None:
        table = data.sums.table
        if not way.covariates:
            table = dataclasses.replace(table, design=table.design[:, :1])
        choice, law = choice_of(table, way.rule if options.permutable else None, study, _counted(data.facts))
        return Estimates(choice, _cells_on_sums(table, by, data.facts, way.rule, (choice, law)), None)
    panel = data.panel
    if not way.covariates:
        panel = dataclasses.replace(panel, covariates=panel.covariates[:, :, :0])
    choice, law = choose(panel, way.rule if options.permutable else None, study)
    estimator = cell_estimator(study, by, choice, way.rule)
    assert estimator is not None
    jackknife = choice.way == "jackknife"
    return Estimates(choice, cell_study(panel, estimator, options.shown, jackknife=jackknife, law=law), None)


def _in_engine(study: Study, options: Options, facts: Facts, engine: InEngine) -> Estimates:
    counted = _counted(facts)
    asked = study.inference.method
    why: Why = "asked" if asked == "analytic" else "many" if min(counted[0], counted[2]) >= MANY else "rows-stay"
    choice = Choice("analytic", asked, why, *counted)
    if not ESTIMATORS[options.estimator].cells:
        return Estimates(choice, None, analytic_path(path_in(engine, options)))
    found = cells_in(engine, options)
    cells = assembled(found, options.shown, facts.periods, facts.comparison_clusters, Uncertainty())
    return Estimates(choice, cells, None)


def _counted(facts: Facts) -> Counted:
    smallest = int(facts.clusters[facts.treated].min())
    return smallest, facts.treated_clusters, facts.comparison_clusters, facts.n_clusters


def _on_sums(study: Study, options: Options, facts: Facts, table: Moments) -> Estimates:
    by = options.rule if options.permutable else None
    choice, law = choice_of(table, by, study, _counted(facts), compared_in(options))
    if not ESTIMATORS[options.estimator].cells:
        return Estimates(choice, None, path_study_of(table, options, choice))
    return Estimates(choice, _cells_on_sums(table, options, facts, options.rule, (choice, law)), None)


def _cells_on_sums(
    table: Moments, options: Options, facts: Facts, rule: Rule, chosen: tuple[Choice, Law | None]
) -> CellStudy:
    found = cells_of(table, options, rule)
    jackknife = chosen[0].way == "jackknife"
    by = Uncertainty(deleted_of(table, options, found, rule) if jackknife else None, chosen[1])
    return assembled(found, options.shown, facts.periods, facts.comparison_clusters, by)
