"""The one effect step: from a matched sample to an effect with a named standard error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.matching.effects import Asked, Effect
from evaltoolkit.designs.matching.matched import Matched
from evaltoolkit.designs.matching.matched_differences import matched_difference
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.outcome_fit import fit_outcome
from evaltoolkit.designs.matching.people import People
from evaltoolkit.designs.matching.resampling import Rematch, bootstrapped
from evaltoolkit.designs.matching.score import Score
from evaltoolkit.designs.matching.standard_errors import with_errors
from evaltoolkit.designs.matching.weighted_effects import weighted_effect
from evaltoolkit.errors import OptionError

FloatArray = NDArray[np.float64]


def effect_of(
    people: People, score: Score, matched: Matched, options: Options, asked: Asked, rematch: Rematch
) -> Effect:
    """Estimate the effect on the matched sample.

    ``auto`` groups errors by pair or matched set, by pair and person where matches are reused, and by person for strata
    of the score and for weights; every effect says which and why.

    Parameters
    ----------
    people, score, matched, options
        The people, what they were matched on, how they were made comparable, and by what rules.
    asked
        How to estimate, and the inference asked for.
    rematch
        Scores and matches other people in the same way, for the bootstrap.

    Raises
    ------
    TooFewClustersError
        There are not more pairs than coefficients.
    OptionError
        The inference asked for is not valid for this way of matching.
    SeparationError
        The outcome model of g-computation has no estimate.
    """
    if matched.estimated is not None:
        return weighted_effect(people, score, matched, options, asked, rematch)
    if asked.method == "m-estimation":
        raise OptionError(
            "inference 'm-estimation' is for weighting, and people are matched here", expected="auto or another method",
            todo="choose one, or method = 'weighting'", where=asked.places[1],
        )  # fmt: skip
    if asked.method == "abadie-imbens":
        return matched_difference(people, score, matched, options, asked)
    fit = fit_outcome(people, matched, asked.way, asked.kind, where=asked.places[0])
    if asked.method == "bootstrap":
        return bootstrapped(people, fit, matched, options, asked, rematch)
    return with_errors(fit, matched, options, asked)
