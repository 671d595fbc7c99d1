"""The design: from a study to a sealed result."""

from __future__ import annotations

from typing import Any, ClassVar

from evaltoolkit.contract import Alternative, Power, sealed, sealed_headline, study_record
from evaltoolkit.data import Source
from evaltoolkit.designs.its import alternatives as _alternatives
from evaltoolkit.designs.its import in_engine
from evaltoolkit.designs.its import options as _options
from evaltoolkit.designs.its import power as _power
from evaltoolkit.designs.its import prepare as _prepare
from evaltoolkit.designs.its.controls import control_columns
from evaltoolkit.designs.its.dated import look_at_dates
from evaltoolkit.designs.its.diagnostics import checks, sensitivity
from evaltoolkit.designs.its.figures import figures
from evaltoolkit.designs.its.fitted import Fitted, fit
from evaltoolkit.designs.its.options import Options
from evaltoolkit.designs.its.predicted import predicted
from evaltoolkit.designs.its.residuals import look
from evaltoolkit.designs.its.rows import estimates, headline
from evaltoolkit.designs.its.site_results import draft_of_sites
from evaltoolkit.designs.its.tables import tables
from evaltoolkit.designs.its.wording import estimand, statements
from evaltoolkit.errors import OptionError
from evaltoolkit.reduction import AnalysisSample
from evaltoolkit.reduction.explanation import Explanation
from evaltoolkit.results import Draft, Estimate, Result
from evaltoolkit.study import Study


class InterruptedTimeSeries:
    """Interrupted time series: compare a series after an interruption with what its past leads one to expect."""

    kind: ClassVar[str] = "interrupted-time-series"
    options: ClassVar[type[Options]] = Options

    def parse(self, study: Study) -> Options:
        """Turn the study's own keys into this design's options."""
        return _options.parse(study)

    def prepare(self, study: Study, options: Options, source: Source) -> AnalysisSample[Any]:
        """Read and check the data, and return the series with the flow to it."""
        return _prepare.prepare(study, options, source)

    def explanation(self, study: Study, options: Options, source: Source) -> Explanation:
        """Return what would be asked of a source and what would leave it; no query is run."""
        return in_engine.explanation(study, options, source, options.unit, control_columns(options))

    def estimate(self, study: Study, options: Options, sample: AnalysisSample[Any]) -> Result:
        """Estimate, check, describe, and seal."""
        if options.many_sites:
            draft = draft_of_sites(study, options, sample, self.kind)
            return sealed(draft, study, sample, estimates_count_people=False)
        fitted = fit(study, options, sample.content)
        residuals, dated = look(fitted.main), look_at_dates(fitted)
        sample.products.update(_products(fitted))
        outcomes = predicted(fitted)
        rows = estimates(fitted, outcomes)
        found = checks(fitted, residuals, dated)
        draft = Draft(
            study=study_record(study),
            design=self.kind,
            estimand=estimand(fitted),
            headline=rows[0],
            estimates=rows,
            diagnostics=found,
            sensitivity=sensitivity(fitted, dated),
            figures=figures(fitted, residuals, dated),
            tables=tables(fitted, rows, residuals, dated),
            statements=statements(fitted, found, outcomes),
            flow=sample.flow,
        )
        return sealed(draft, study, sample, estimates_count_people=False)

    def headline(self, study: Study, options: Options, sample: AnalysisSample[Any]) -> Estimate:
        """Return the sealed headline alone, the same as that of ``estimate``."""
        if options.many_sites:
            return self.estimate(study, options, sample).headline
        fitted = fit(study, options, sample.content, around=False)
        return sealed_headline(headline(fitted), study, sample, estimates_count_people=False)

    def alternatives(self, study: Study, options: Options, sample: AnalysisSample[Any]) -> tuple[Alternative, ...]:
        """Return the study's own way to estimate the effect, and every error model, season, shape and phase-in."""
        series = sample.content.series[0] if options.many_sites else sample.content
        return _alternatives.alternatives(study, options, series)

    def power(self, study: Study, options: Options, sample: AnalysisSample[Any]) -> Power:
        """Return what a series like this one could show, from the periods before the start."""
        if options.many_sites:
            raise OptionError(
                "a study of many sites has no power of its own here", expected="one series",
                todo="plan one site: keep its rows with data.keep and leave unit out", where=study.place("unit"),
            )  # fmt: skip
        return _power.power(study, options, sample.content)


def _products(fitted: Fitted) -> dict[str, Any]:
    """Return the series, the design matrix and the fit for the researcher, in memory only."""
    main = fitted.main
    return {
        "steps": fitted.model.steps,
        "design": fitted.model.observed,
        "terms": fitted.model.names,
        "coefficients": main.errors.coefficients,
        "maximum_likelihood": main.likelihood,
        "residuals": main.residuals,
        "error_parameters": main.how.parameters,
        "fitted": fitted.with_it,
        "expected": fitted.without,
    }


INTERRUPTED_TIME_SERIES = InterruptedTimeSeries()
