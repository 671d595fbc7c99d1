"""One model, fitted; and any number asked of it, with its interval by the chosen errors."""

from __future__ import annotations

from evaltoolkit.designs.its.count_models import counts
from evaltoolkit.designs.its.dependence import ERROR_WORDS, Errors, Lags
from evaltoolkit.designs.its.estimated import Estimated
from evaltoolkit.designs.its.gaussian import gaussian
from evaltoolkit.designs.its.lags import lags_of
from evaltoolkit.designs.its.measures import Averaged, Measured, One, PlugIn
from evaltoolkit.designs.its.model import Model
from evaltoolkit.designs.its.options import Options

__all__ = ["ERROR_WORDS", "Averaged", "Estimated", "Measured", "One", "PlugIn", "estimate", "lags_of"]


def estimate(model: Model, options: Options, *, errors: Errors, lags: int | Lags, where: str) -> Estimated:
    """Fit a model.

    Details of the errors are those of the options where the errors are theirs too, and the defaults otherwise.

    Raises
    ------
    NoVariationError
        The outcome follows the model without error, or the counts allow no estimate.
    OptionError
        The error model cannot be estimated from this series.
    """
    details = options.error_model if errors == options.errors else None
    if model.log_link:
        return counts(model, options.family, errors, details, lags, where)
    return gaussian(model, errors, details, lags, where)
