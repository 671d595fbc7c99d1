"""Lags of Newey-West: a number, a rule of the length, or what the series itself suggests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.its.dependence import ERROR_WORDS, Lags
from evaltoolkit.designs.its.model import Model
from evaltoolkit.designs.its.options import Options
from evaltoolkit.kernels.newey_west import AutomaticRule, automatic_bandwidth, lag_by_rule

FloatArray = NDArray[np.float64]


def lags_of(options: Options, n: int, cycle: int | None) -> int | Lags:
    """Return the lags of Newey-West for n periods, or the rule that needs the residuals."""
    if isinstance(options.lags, int):
        return min(options.lags, n - 1)
    if options.lags == "seasonal":
        return min(cycle or lag_by_rule(n), n - 1)
    if options.lags in {"newey-west-automatic", "andrews"}:
        return options.lags
    return lag_by_rule(n, "stock-watson" if options.lags == "stock-watson" else "newey-west")


def chosen_lags(lags: int | Lags, scores: FloatArray, model: Model) -> tuple[int, str]:
    """Return the number of lags, and words on a bandwidth that the series suggested."""
    if isinstance(lags, int):
        return lags, ""
    weights = np.array([0.0 if name == "intercept" else 1.0 for name in model.names])
    rule: AutomaticRule = "andrews" if lags == "andrews" else "newey-west-automatic"
    width = automatic_bandwidth(scores, weights, rule)
    most = scores.shape[0] - 1
    used = int(min(width, most)) if np.isfinite(width) else most
    return used, f" (automatic bandwidth {width:.2f} by {'Andrews' if rule == 'andrews' else 'Newey and West'})"


def lags_words(lags: int, words: str) -> str:
    """Return lags for any reader.

    >>> lags_words(3, "")
    'Newey-West with 3 lags'
    """
    return f"{ERROR_WORDS['newey-west']} with {lags} lags{words}"
