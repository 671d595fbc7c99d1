"""Evaluate together without sharing rows: sums that agencies hand on, and what would leave, told beforehand."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from evaltoolkit.contract import on_moments, telling
from evaltoolkit.data import Source, held_still, open_source
from evaltoolkit.errors import DisclosureError
from evaltoolkit.pipeline import design_of
from evaltoolkit.reduction.explanation import Explanation, Leaving
from evaltoolkit.reduction.exporting import exportable
from evaltoolkit.reduction.fingerprints import overlap_key
from evaltoolkit.reduction.moment_source import MomentsSource, added_files
from evaltoolkit.reduction.moments_json import Exported, written
from evaltoolkit.reduction.plan import PanelPlan
from evaltoolkit.study import Study

_NAMED_ANEW: Final = re.compile(r"ibis_read_\w+")
"""Files read by an engine have another name in its queries each time."""


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
    _may_leave(study, plan)
    chosen = open_source(study) if source is None else source
    with held_still(chosen, study):
        moments = design.reduced(study, options, chosen)
    moments, report = exportable(moments)
    if plan.unit in study.disclosure.secret_columns and moments.fingerprints and not moments.fingerprints.key:
        # Names that identify people can be guessed from hashes without a key.
        moments = dataclasses.replace(moments, fingerprints=None)
    explained = design.explanation(study, options, chosen)
    sql = _NAMED_ANEW.sub("the_files", "\n".join(step.sql for step in explained.steps if step.sql))
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


def explain(study: Study, source: Source | None = None, *, export: bool = False) -> Explanation:
    """Return what a study would ask of its source and what would leave it; no query is run.

    Parameters
    ----------
    study
        The study.
    source
        Rows to use in place of the data that the design file names.
    export
        Whether the sums are to be written to a file, whose content is then told too.

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
        each.append(telling(design_of(study), one).explanation(one, options, chosen))
    if export:
        plan = on_moments(design_of(study), study).plan(study, options)
        each[0] = dataclasses.replace(each[0], leaves=(*each[0].leaves, *_in_the_file(study, plan)))
    if len(each) == 1:
        return each[0]
    named = list(zip((o.column for o in (study.outcome, *study.secondary)), each, strict=True))
    steps = [dataclasses.replace(s, words=f"{name}: {s.words}") for name, one in named for s in one.steps]
    leaves = [dataclasses.replace(x, what=f"{name}: {x.what}") for name, one in named for x in one.leaves]
    return dataclasses.replace(each[0], steps=tuple(steps), leaves=tuple(leaves))


def _in_the_file(study: Study, plan: PanelPlan) -> tuple[Leaving, ...]:
    by = " and values of " + ", ".join(plan.covariates) if plan.covariates else ""
    each = ["start", *plan.covariates, *(["observed (T), where some are not"] if plan.incomplete == "keep" else [])]
    if plan.cluster is not None:
        cells = [*each, *(["counts (T)"] if plan.outcome_counts else [])]
        sums = ("cluster", "cell", "units", "weight", "sums (T)")
        found = [
            Leaving("the file: cells", tuple(cells), f"one line for each start{by}"),
            Leaving("the file: sums", sums, f"one line for each {plan.cluster} and cell"),
        ]
    else:
        weighted = ["weight", "squared_weight", "squared_weight_sums (T)"] if plan.weights is not None else []
        counts = ["counts (T)"] if plan.outcome_counts else []
        numbers = (*each, "units", "sums (T)", "products (T (T + 1) / 2)", *weighted, *counts)
        found = [Leaving("the file: cells", numbers, f"one line for each start{by}; T periods")]
    told = ("rows read", "rows kept", "units", "incomplete units", "incomplete units used", "units always treated")
    found.append(Leaving("the file: account", told, "one number each; those left out only where they are not few"))
    if not plan.counts_people and plan.unit not in study.disclosure.secret_columns:
        words = "16 digits for each unit, a hash of its name, so that none is added twice"
    elif plan.counts_people and overlap_key() is not None:
        words = "16 digits for a sample of people, a hash under the key of the agencies, so that none is added twice"
    else:
        words = "none: names of people can be guessed, and there is no key for them"
    return (*found, Leaving("the file: fingerprints", (), words))


def _may_leave(study: Study, plan: PanelPlan) -> None:
    """Refuse a study that keeps sums by cell in, or whose cells, clusters or filters are of a column of identifiers."""
    if study.data.release == "strict":
        raise DisclosureError(
            'the study says release = "strict", so sums by cell stay where they are', expected='release = "moments"',
            todo="state it under [data], if the agreement for these data allows it",
            where=study.place("data", "release"),
        )  # fmt: skip
    secret = study.disclosure.secret_columns
    columns = (*plan.covariates, plan.cluster, *(column for column, _, _ in plan.keep))
    for column in columns:
        if column in secret:
            raise DisclosureError(
                f"values of '{column}', which identifies people, would be in the file",
                expected="cells, clusters and filters of columns that identify nobody",
                todo="leave the column out of covariates, cluster and data.keep", where="--export-moments",
            )  # fmt: skip
