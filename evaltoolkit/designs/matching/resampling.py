"""Bootstrap errors: of pairs or sets once matched, or of people with everything done again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.matching.effects import Asked, Effect
from evaltoolkit.designs.matching.matched import Matched
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.outcome_fit import OutcomeFit, fit_outcome
from evaltoolkit.designs.matching.people import People
from evaltoolkit.errors import EvaluationError, OptionError
from evaltoolkit.kernels.g_computation import outcome_model, standardize

FloatArray = NDArray[np.float64]
Rematch = Callable[[People], Matched]

SETS: Final[frozenset[str]] = frozenset({"full"})
"""Methods whose matched sets are drawn as they are, beside those that make pairs."""
MOST_FAILED: Final = 0.1
"""Share of draws without an estimate above which a bootstrap error is refused."""


def bootstrapped(
    people: People, fit: OutcomeFit, matched: Matched, options: Options, asked: Asked, rematch: Rematch
) -> Effect:
    """Return the effect with a bootstrap error.

    Pairs and matched sets made without replacement are drawn as they are (Abadie and Spiess 2022); for strata, kernels
    and weights, people are drawn and scored and made comparable anew. For nearest neighbours with replacement neither
    is valid (Abadie and Imbens 2008), and it is refused.

    Raises
    ------
    OptionError
        Matches are reused, or too many draws have no estimate.
    """
    if matched.sets is None and matched.pairs is not None:
        raise OptionError(
            "the bootstrap is not valid for nearest neighbours with replacement (Abadie and Imbens 2008,"
            " doi:10.3982/ECTA6474)", expected="inference = 'auto' (two-way by pair and person) or 'abadie-imbens'",
            todo="choose one of these, or match without replacement", where=asked.places[1],
        )  # fmt: skip
    if matched.pairs is not None or options.method in SETS:
        draws, what = _of_sets(people, fit, matched, asked), "matched sets"
        why = "it was asked for; matched sets are drawn as they are, since nobody stands in two"
        n = matched.n_sets
    else:
        draws, what = _of_people(people, asked, rematch), "people"
        why = "it was asked for; everything is done again in each draw, the score included"
        n = int(people.treated.size)
    kept = draws[np.isfinite(draws).all(axis=1)]
    if kept.shape[0] < (1 - MOST_FAILED) * draws.shape[0]:
        raise OptionError(
            f"{draws.shape[0] - kept.shape[0]:,} of {draws.shape[0]:,} bootstrap draws have no estimate",
            expected=f"no more than {100 * MOST_FAILED:.0f}%",
            todo="use inference = 'auto', fewer covariates, or a simpler effect", where=asked.places[1],
        )  # fmt: skip
    covariance = np.cov(kept.T)
    return Effect(
        way=asked.way,
        estimate=float(fit.means[1] - fit.means[0]),
        std_error=float(np.sqrt(np.array([-1, 1]) @ covariance @ np.array([-1, 1]))),
        df=float("inf"),
        means=fit.means,
        covariance=covariance,
        n_people=fit.stack.n_people,
        n_clusters=(n,),
        inference=f"bootstrap of {what} ({kept.shape[0]:,} draws)",
        why=why,
        aliased=fit.aliased,
        separated=fit.separated,
    )


def _of_sets(people: People, fit: OutcomeFit, matched: Matched, asked: Asked) -> FloatArray:
    rng = np.random.default_rng(asked.seed)
    _, code = np.unique(fit.stack.group, return_inverse=True)
    g = int(code.max()) + 1
    y, stack = people.outcome[fit.stack.person], fit.stack
    focal = matched.focal[stack.person]
    without, treated = fit.design.copy(), fit.design.copy()
    k = (fit.design.shape[1] - 2) // 2
    terms = fit.design[:, 2 : 2 + k]
    without[:, 1], without[:, 2 + k :] = 0.0, 0.0
    treated[:, 1], treated[:, 2 + k :] = 1.0, terms
    found = np.full((asked.draws, 2), np.nan)
    for b in range(asked.draws):
        weight = stack.weight * np.bincount(rng.integers(0, g, g), minlength=g)[code]
        try:
            model = outcome_model(fit.design, y, weight, fit.model.family)
        except ValueError:
            continue
        found[b] = standardize(model, without[focal], treated[focal], weight[focal]).means
    return found


def _of_people(people: People, asked: Asked, rematch: Rematch) -> FloatArray:
    rng = np.random.default_rng(asked.seed)
    n = people.treated.size
    found = np.full((asked.draws, 2), np.nan)
    for b in range(asked.draws):
        drawn = people.take(rng.integers(0, n, n))
        if not 0 < drawn.treated.sum() < n:
            continue
        try:
            found[b] = fit_outcome(drawn, rematch(drawn), asked.way, asked.kind).means
        except EvaluationError:
            continue
    return found
