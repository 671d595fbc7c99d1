"""Whether the answer hangs on tiny differences in the score, or on a few people with large weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.matching.facts import Facts
from evaltoolkit.designs.matching.fitted import Fitted
from evaltoolkit.designs.matching.matched import Matched
from evaltoolkit.designs.matching.matching import match
from evaltoolkit.designs.matching.weighting_rules import FROM_SCORE
from evaltoolkit.errors import EvaluationError
from evaltoolkit.kernels.arm_models import fit_arm, standardize
from evaltoolkit.kernels.augmented import Nuisance, augmented_means, predictions
from evaltoolkit.kernels.standardized import Standardized
from evaltoolkit.results import Diagnostic, number

FloatArray = NDArray[np.float64]

_NOISE = 1e-4
_DRAWS, _MANY, _DRAWS_OF_MANY = 10, 20_000, 3
_STABLE = 0.5


def uses_score(fitted: Fitted) -> bool:
    """Whether who is compared with whom follows from one number for each person."""
    way = fitted.options.weights_from
    return way in FROM_SCORE if way is not None else fitted.matched.line is not None


def stability(fitted: Facts) -> Diagnostic:
    """Return how far the effect ranges when a little noise is added to the score."""
    question = "Does the answer hang on tiny differences in the score?"
    if not isinstance(fitted, Fitted):
        text = "The score of each person stays in the engine, so it was not shaken."
        return Diagnostic(name="score-stability", question=question, verdict="not-applicable", text=text)
    if not uses_score(fitted):
        text = "Nobody was compared by a single score, so there is none to shake."
        return Diagnostic(name="score-stability", question=question, verdict="not-applicable", text=text)
    draws = jittered(fitted)
    spread = float(np.ptp(draws)) if draws.size > 1 else 0.0
    relative = spread / fitted.main.std_error if fitted.main.std_error > 0 else 0.0
    meaning = (
        "The weights follow the score smoothly; a wide range would mean that scores near 0 or 1 decide the answer."
        if fitted.weighted
        else "Who is paired with whom is partly arbitrary; this shows how much that matters."
    )
    text = (
        f"When noise of 0.0001 was added to the score {draws.size} times, the effect ranged over {number(spread)}, "
        f"which is {number(relative, 2)} of its standard error. {meaning}"
    )
    return Diagnostic(
        name="score-stability", question=question, statistic="range of the effect over its standard error",
        value=relative, threshold=_STABLE, verdict="pass" if relative <= _STABLE else "caution", text=text,
    )  # fmt: skip


def jittered(fitted: Fitted) -> FloatArray:
    """Return the effects when a little noise is added to what people are compared by.

    The noise has standard deviation 1e-4 on the scale of a probability (of its logit, or of a column: as many times its
    own range). Ten draws, three for more than 20,000 people; draws that allow no estimate are left out.
    """
    people, score, options = fitted.people, fitted.score, fitted.options
    rng = np.random.default_rng(fitted.study.inference.seed)
    on_logit = fitted.matched.line is not score.probability
    line = score.line(on_logit=on_logit)
    scale = _NOISE * (1.0 if not on_logit and people.distance is None else float(np.ptp(line)))
    rows = _rows(fitted)
    found = []
    for _ in range(_DRAWS if line.size <= _MANY else _DRAWS_OF_MANY):
        noise = scale * rng.standard_normal(line.size)
        if fitted.weighted:
            noise = np.clip(noise, -line / 2, (1 - line) / 2)
        moved = score.moved(noise, on_logit=on_logit)
        try:
            again = match(people, moved, options, fitted.study.inference.seed)
        except EvaluationError:
            continue
        found.append(point(fitted, again, moved.probability, rows))
    return np.array([value for value in found if np.isfinite(value)])


def _rows(fitted: Fitted) -> Standardized | None:
    if fitted.options.effect == "difference":
        return None
    given = fitted.matched.estimated
    return given.rows if given is not None and given.rows is not None else Standardized.of(fitted.people.covariates.X)


def point(fitted: Fitted, matched: Matched, probability: FloatArray, rows: Standardized | None) -> float:
    """Return the effect under other weights, without its error."""
    y, t, w = fitted.people.outcome, fitted.people.treated, matched.weights
    if rows is None:
        return float(np.average(y[t], weights=w[t]) - np.average(y[~t], weights=w[~t]))
    if fitted.options.effect == "aipw":
        estimand = fitted.options.estimand
        assert estimand in ("ATT", "ATC", "ATE")
        nuisance: Nuisance = predictions(rows, y, t, probability, fitted.family)
        return augmented_means(y, t, nuisance, estimand).difference
    share = matched.estimated.share if matched.estimated is not None else np.where(matched.focal, w, 0.0)
    family = fitted.family if fitted.options.effect == "g-computation" else "gaussian"
    models = [fit_arm(rows, y, np.where(arm, w, 0.0), family) for arm in (~t, t)]
    without, with_program = (standardize(rows, model, share).mean for model in models)
    return with_program - without
