"""Evaluate together without sharing rows: sums that agencies hand on, and what would leave, told beforehand."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
from collections.abc import Sequence
from pathlib import Path

from evaltoolkit.contract import on_moments
from evaltoolkit.data import Source, held_still, open_source
from evaltoolkit.errors import DisclosureError
from evaltoolkit.pipeline import design_of
from evaltoolkit.reduction.explanation import Explanation
from evaltoolkit.reduction.exporting import exportable
from evaltoolkit.reduction.moment_source import MomentsSource, added_files
from evaltoolkit.reduction.moments_json import Exported, written
from evaltoolkit.reduction.plan import PanelPlan
from evaltoolkit.study import Study


def export_moments(study: Study, source: Source | None = None) -> str:
    """Return the sums that a study needs of its rows, as the text of a file that an agency may hand on.

    Parameters
    ----------
    study
        The study; the plan that follows from it has to be the same at every agency.
    source
        Rows to use in place of the file that the design file names.

    Raises
    ------
    DisclosureError
        A count of 1 to 10 people is among the sums or follows from them, or an identifier would leave.
    EvaluationError
        The design, the data or an option does not allow it.
    """
    design = on_moments(design_of(study), study)
    options = design_of(study).parse(study)
    plan = design.plan(study, options)
    _no_identifier(study, plan)
    chosen = open_source(study) if source is None else source
    with held_still(chosen, study):
        moments = design.reduced(study, options, chosen)
    report = exportable(moments)
    explained = design.explanation(study, options, chosen)
    sql = "\n".join(step.sql for step in explained.steps if step.sql)
    about = Exported(
        design=study.design, design_sha256=study.origin.sha256 if study.origin else "", engine=explained.engine,
        sql_sha256=hashlib.sha256(sql.encode()).hexdigest() if sql else "",
        version=importlib.metadata.version("evaltoolkit"), checked=report.checked,
    )  # fmt: skip
    return written(moments, about)


def from_moments(study: Study, paths: Sequence[str | Path], *, where: str = "--from-moments") -> MomentsSource:
    """Return the sums of several agencies as a source for a study.

    Raises
    ------
    MomentsFileError
        A file cannot be read, or the files do not go together or not with the study.
    """
    design = on_moments(design_of(study), study)
    source = added_files(paths, where=where)
    source.agree_with(design.plan(study, design_of(study).parse(study)), study.design, where=where)
    return source


def explain(study: Study, source: Source | None = None) -> Explanation:
    """Return what a study would ask of its source and what would leave it; no query is run.

    Raises
    ------
    EvaluationError
        The design, the source or an option does not allow it.
    """
    chosen = open_source(study) if source is None else source
    options = design_of(study).parse(study)
    each = []
    for outcome in (study.outcome, *study.secondary):
        one = study.model_copy(update={"outcome": outcome, "secondary": ()})
        each.append(on_moments(design_of(study), one).explanation(one, options, chosen))
    if len(each) == 1:
        return each[0]
    named = list(zip((o.column for o in (study.outcome, *study.secondary)), each, strict=True))
    steps = [dataclasses.replace(s, words=f"{name}: {s.words}") for name, one in named for s in one.steps]
    leaves = [dataclasses.replace(x, what=f"{name}: {x.what}") for name, one in named for x in one.leaves]
    return dataclasses.replace(each[0], steps=tuple(steps), leaves=tuple(leaves))


def _no_identifier(study: Study, plan: PanelPlan) -> None:
    """Refuse a plan whose cells, clusters or filters are values of a column that identifies people."""
    secret = study.disclosure.secret_columns
    columns = (*plan.covariates, plan.cluster, *(column for column, _, _ in plan.keep))
    for column in columns:
        if column in secret:
            raise DisclosureError(
                f"values of '{column}', which identifies people, would be in the file",
                expected="cells, clusters and filters of columns that identify nobody",
                todo="leave the column out of covariates, cluster and data.keep", where="--export-moments",
            )  # fmt: skip
