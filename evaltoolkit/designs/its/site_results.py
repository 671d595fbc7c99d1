"""From the series of many sites to a draft."""

from __future__ import annotations

from typing import Any

import numpy as np

from evaltoolkit.contract import study_record
from evaltoolkit.designs.its.options import Options
from evaltoolkit.designs.its.site_checks import checks, sensitivity
from evaltoolkit.designs.its.site_figures import figures
from evaltoolkit.designs.its.site_pooling import SitesFitted, fit
from evaltoolkit.designs.its.site_rows import estimates, tables
from evaltoolkit.designs.its.site_words import estimand, statements
from evaltoolkit.designs.its.sites import Sites
from evaltoolkit.reduction import AnalysisSample
from evaltoolkit.results import Draft
from evaltoolkit.study import Study


def draft_of_sites(study: Study, options: Options, sample: AnalysisSample[Any], kind: str) -> Draft:
    """Fit every site, pool, check and describe."""
    sites: Sites = sample.content
    fitted = fit(study, options, sites)
    sample.products.update(_products(fitted))
    rows, found = estimates(fitted), checks(fitted)
    return Draft(
        study=study_record(study), design=kind, estimand=estimand(fitted), headline=rows[0], estimates=rows,
        diagnostics=found, sensitivity=sensitivity(fitted), figures=figures(fitted), tables=tables(fitted),
        statements=statements(fitted), flow=sample.flow,
    )  # fmt: skip


def _products(fitted: SitesFitted) -> dict[str, Any]:
    """Return the numbers of every site for the researcher, in memory only."""
    fits = fitted.fits
    return {
        "sites": np.array(fitted.names), "estimate": fits.estimate, "std_error": fits.std_error, "conf_low": fits.low,
        "conf_high": fits.high, "p_value": fits.p_value, "terms": fits.names, "changes": fits.changes,
        "change_covariance": fits.errors, "autocorrelation": fits.autocorrelation, "tau2": fitted.pooled.tau2,
    }  # fmt: skip
