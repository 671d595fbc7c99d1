"""The design: from a study to a sealed result."""

from __future__ import annotations

from typing import Any, ClassVar

from evaltoolkit.contract import Alternative, Power, sealed, sealed_headline, study_record
from evaltoolkit.data import Source
from evaltoolkit.designs.did import alternatives as _alternatives
from evaltoolkit.designs.did import options as _options
from evaltoolkit.designs.did import power as _power
from evaltoolkit.designs.did import sample as _sample
from evaltoolkit.designs.did import sums as _sums
from evaltoolkit.designs.did.diagnostics import checks, sensitivity
from evaltoolkit.designs.did.figures import figures
from evaltoolkit.designs.did.fitted import Fitted, fit
from evaltoolkit.designs.did.moment_sample import plan_of
from evaltoolkit.designs.did.options import Options
from evaltoolkit.designs.did.path_estimators import two_way
from evaltoolkit.designs.did.rows import estimates, headline
from evaltoolkit.designs.did.sample import PanelStudy
from evaltoolkit.designs.did.sums_explained import explanation
from evaltoolkit.designs.did.tables import tables
from evaltoolkit.designs.did.trend_checks import Trends
from evaltoolkit.designs.did.wording import estimand, statements
from evaltoolkit.kernels.two_way import treated_cell_weights
from evaltoolkit.reduction import AnalysisSample
from evaltoolkit.reduction.explanation import Explanation
from evaltoolkit.reduction.moments import PanelMoments
from evaltoolkit.reduction.plan import PanelPlan
from evaltoolkit.results import Draft, Estimate, Result
from evaltoolkit.study import Study


class DifferenceInDifferences:
    """Difference-in-differences: compare the change where a program started with the change where it had not."""

    kind: ClassVar[str] = "difference-in-differences"
    options: ClassVar[type[Options]] = Options

    def parse(self, study: Study) -> Options:
        """Turn the study's own keys into this design's options."""
        return _options.parse(study)

    def plan(self, study: Study, options: Options) -> PanelPlan:
        """Return what rows are reduced by, before any is read."""
        return plan_of(study, options)

    def reduced(self, study: Study, options: Options, source: Source) -> PanelMoments:
        """Return the sums that the study needs, with fingerprints of its units."""
        return _sums.exported(study, options, source)

    def explanation(self, study: Study, options: Options, source: Source) -> Explanation:
        """Return what would be asked of a source and what would leave it; no query is run."""
        return explanation(study, options, source)

    def prepare(self, study: Study, options: Options, source: Source) -> AnalysisSample[PanelStudy]:
        """Read and check the data, and return the balanced panel with the flow to it."""
        return _sample.prepare(study, options, source)

    def estimate(self, study: Study, options: Options, sample: AnalysisSample[Any]) -> Result:
        """Estimate, check, describe, and seal."""
        fitted = fit(study, options, sample.content)
        sample.products.update(_products(fitted))
        rows = estimates(fitted)
        trends = Trends.of(fitted)
        if trends.path is not None:
            sample.products["path"] = trends.path
        found = checks(fitted, trends)
        draft = Draft(
            study=study_record(study),
            design=self.kind,
            estimand=estimand(fitted),
            headline=rows[0],
            estimates=rows,
            diagnostics=found,
            sensitivity=sensitivity(fitted, trends),
            figures=figures(fitted, trends),
            tables=tables(fitted, rows),
            statements=statements(fitted, found),
            flow=sample.flow,
        )
        return sealed(draft, study, sample)

    def headline(self, study: Study, options: Options, sample: AnalysisSample[Any]) -> Estimate:
        """Return the sealed headline alone, the same as that of ``estimate``."""
        fitted = fit(study, options, sample.content, around=False)
        return sealed_headline(headline(fitted), study, sample)

    def alternatives(self, study: Study, options: Options, sample: AnalysisSample[Any]) -> tuple[Alternative, ...]:
        """Return the study's own way to estimate the effect, and other reasonable ones."""
        return _alternatives.alternatives(study, options, sample.content)

    def power(self, study: Study, options: Options, sample: AnalysisSample[Any]) -> Power:
        """Return what a study like this one could find, from the periods before the first start."""
        return _power.power(study, options, sample.content)


def _products(fitted: Fitted) -> dict[str, Any]:
    """Return the row-level things for the researcher, in memory only."""
    found: dict[str, Any] = {
        "event_times": fitted.events.labels,
        "event_vcov": fitted.events.covariance,
        "critical_value": fitted.critical,
    }
    if fitted.data.sums is not None:
        found["moments"] = fitted.data.sums.moments
    elif fitted.data.rows is not None:
        found |= {"units": fitted.panel.units, "start": fitted.panel.start, "clusters": fitted.panel.clusters}
    if fitted.cells is not None:
        found |= {"group_time": fitted.cells.cells, "influence": fitted.cells.cells.scores}
        found["vcov"] = fitted.cells.family("cells").covariance
    if fitted.path is not None:
        found |= {"vcov": fitted.path.effect.covariance, "covariate_effects": fitted.path.covariate_effects}
    if fitted.options.estimator == "twfe" and fitted.options.family == "linear" and fitted.data.rows is not None:
        found["weights"] = treated_cell_weights(two_way(fitted.panel))
    return found


DIFFERENCE_IN_DIFFERENCES = DifferenceInDifferences()
