"""Which options go with which ways of weighting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from evaltoolkit.designs.matching.options import Options

Weighting = Literal["inverse-probability", "overlap", "matching", "entropy", "cbps", "energy"]

ESTIMANDS: dict[Weighting, tuple[str, ...]] = {
    "inverse-probability": ("ATT", "ATC", "ATE", "ATO", "ATM"),
    "overlap": ("ATO",),
    "matching": ("ATM",),
    "entropy": ("ATT", "ATC", "ATE"),
    "cbps": ("ATT", "ATC", "ATE", "ATO"),
    "energy": ("ATT", "ATC", "ATE"),
}
FROM_SCORE = ("inverse-probability", "overlap", "matching")


def conflict(options: Options) -> str | None:
    """Return what contradicts what among the options of weighting, or None."""
    if options.weights_from is None:
        return "effect = 'aipw' needs method = 'weighting', which keeps everybody" if options.effect == "aipw" else None
    return _of_weights(options, options.weights_from) or _of_aipw(options)


def _of_weights(options: Options, way: Weighting) -> str | None:
    known = ESTIMANDS[way]
    if options.estimand not in known:
        return f"weighting = '{way}' estimates {' or '.join(known)}, not the {options.estimand}; set estimand to match"
    if way == "cbps" and options.distance != "logit":
        return "weighting = 'cbps' fits a logit of its own; leave distance at 'logit'"
    if way not in FROM_SCORE and (options.truncate is not None or options.stabilize):
        return f"truncate and stabilize are for weights from a score; weighting = '{way}' keeps its weights even itself"
    return None


def _of_aipw(options: Options) -> str | None:
    if options.effect != "aipw":
        crossed = options.folds > 1 or options.repeats > 1
        return "folds and repeats are for effect = 'aipw'" if crossed else None
    if options.weights_from != "inverse-probability" or options.estimand not in ("ATT", "ATC", "ATE"):
        return "effect = 'aipw' goes with weighting = 'inverse-probability' and estimand ATT, ATC or ATE"
    if options.truncate is not None or options.stabilize:
        return "truncate and stabilize are not for effect = 'aipw', which takes the score as it is"
    if options.folds > 1 and options.model is None:
        return "folds need a score that can be fitted again; set distance to a model such as 'logit'"
    if options.repeats > 1 and options.folds == 1:
        return "repeats needs folds of 2 or more"
    return None
