"""The design: from a study to a sealed result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from evaltoolkit.contract import Alternative, sealed, study_record
from evaltoolkit.data import EngineSource, Source
from evaltoolkit.designs.matching import alternatives as _alternatives
from evaltoolkit.designs.matching import in_engine as _in_engine
from evaltoolkit.designs.matching import in_engine_people as _held
from evaltoolkit.designs.matching import options as _options
from evaltoolkit.designs.matching import people as _people
from evaltoolkit.designs.matching.change import trajectories
from evaltoolkit.designs.matching.diagnostics import checks
from evaltoolkit.designs.matching.distributions import distribution_figures
from evaltoolkit.designs.matching.equivalence import equivalence_table
from evaltoolkit.designs.matching.estimand_words import estimand
from evaltoolkit.designs.matching.facts import Facts
from evaltoolkit.designs.matching.figures import figures
from evaltoolkit.designs.matching.fitted import Fitted
from evaltoolkit.designs.matching.imputed import fit_each
from evaltoolkit.designs.matching.left_out import left_out_table
from evaltoolkit.designs.matching.missing import imputations_table, missing_table
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.rows import estimates
from evaltoolkit.designs.matching.sensitivity import Sensitivity, sensitivity, sensitivity_of_facts
from evaltoolkit.designs.matching.tables import (
    balance_table,
    characteristics_table,
    effect_table,
    flow_after,
    ratio_table,
    score_table,
    sizes_table,
)
from evaltoolkit.designs.matching.wording import statements
from evaltoolkit.reduction import AnalysisSample
from evaltoolkit.results import Draft, FigureData, Result, TableData
from evaltoolkit.study import Study

if TYPE_CHECKING:
    import pandas as pd


class PropensityScoreMatching:
    """Propensity-score matching: compare served people with similar people who were not served."""

    kind: ClassVar[str] = "propensity-score-matching"
    options: ClassVar[type[Options]] = Options

    def parse(self, study: Study) -> Options:
        """Turn the study's own keys into this design's options."""
        return _options.parse(study)

    def prepare(self, study: Study, options: Options, source: Source) -> AnalysisSample[Any]:
        """Read and check the data, and return the people who are compared, with the flow to them.

        From an engine whose study does not say that rows may leave, they are an expression there.
        """
        if isinstance(source, EngineSource) and study.data.release != "open":
            return _held.prepare(study, options, source)
        return _people.prepare(study, options, source)

    def estimate(self, study: Study, options: Options, sample: AnalysisSample[Any]) -> Result:
        """Score, match, estimate, check, describe, and seal."""
        if isinstance(sample.content, _held.EnginePeople):
            facts = _in_engine.fit(study, options, sample.content)
            model = facts.score_model
            sample.products.update(coefficients=dict(zip(model.names, model.coefficients, strict=True)))
            return _result(facts, study, sample, sensitivity_of_facts(facts, facts.omitted, facts.before_moments))
        fitted = fit_each(study, options, sample.content)
        sample.products.update(_products(fitted))
        return _result(fitted, study, sample, sensitivity(fitted))

    def alternatives(self, study: Study, options: Options, sample: AnalysisSample[Any]) -> tuple[Alternative, ...]:
        """Return the study's own way and the other reasonable ways to estimate the same effect."""
        people = sample.content
        if isinstance(people, _held.EnginePeople):
            compared = _alternatives.Compared(people.n, backend=people.source.backend)
        else:
            gaps = people.completed is not None and bool(people.completed.gaps)
            compared = _alternatives.Compared(people.treated.size, gaps=gaps)
        return _alternatives.alternatives(study, options, compared)


def _result(fitted: Facts, study: Study, sample: AnalysisSample[Any], hidden: Sensitivity) -> Result:
    rows, found = estimates(fitted), checks(fitted)
    drawn, listed = _from_rows(fitted) if isinstance(fitted, Fitted) else ((), ())
    maybe = (ratio_table(fitted, rows), *listed, score_table(fitted))
    draft = Draft(
        study=study_record(study),
        design=PropensityScoreMatching.kind,
        estimand=estimand(fitted),
        headline=rows[0],
        estimates=rows,
        diagnostics=found,
        sensitivity=hidden.checks,
        figures=(*figures(fitted, rows), *drawn, *hidden.figures),
        tables=(
            effect_table(fitted, rows),
            characteristics_table(fitted),
            balance_table(fitted),
            equivalence_table(fitted),
            sizes_table(fitted),
            *(table for table in maybe if table),
        ),
        statements=statements(fitted, rows[0], found),
        flow=(*sample.flow, *flow_after(fitted, sample.flow[-1])),
    )
    return sealed(draft, study, sample)


def _from_rows(fitted: Fitted) -> tuple[tuple[FigureData, ...], tuple[TableData | None, ...]]:
    """Return the figures and tables that only rows can give."""
    return (
        (*trajectories(fitted), *distribution_figures(fitted)),
        (left_out_table(fitted), missing_table(fitted), imputations_table(fitted)),
    )


def _products(fitted: Fitted) -> dict[str, Any]:
    """Return the row-level things for the researcher, in memory only."""
    matched, people = fitted.matched, fitted.people
    added: dict[str, Any] = {"score": fitted.score.probability, "weight": matched.weights}
    if matched.sets is not None:
        added["matched_set"] = matched.sets
    data = people.frame.assign(**{_free(name, people.frame): values for name, values in added.items()})
    return {
        "matched_data": data.loc[fitted.used].reset_index(drop=True),
        "weights": matched.weights,
        "score": fitted.score.probability,
        "matched_set": matched.sets,
        "pairs": matched.pairs,
        "coefficients": dict(zip(fitted.score.names, fitted.score.coefficients, strict=True)),
        "vcov": fitted.main.covariance,
    }


def _free(name: str, frame: pd.DataFrame) -> str:
    """Return a name that no column of the data has, so that nothing of the researcher's is written over."""
    return name if name not in frame.columns else _free(f"{name}_", frame)


PROPENSITY_SCORE_MATCHING = PropensityScoreMatching()
