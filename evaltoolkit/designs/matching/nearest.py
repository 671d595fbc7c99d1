"""Nearest-neighbour matching: pairs made one after another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.matching.matched import FloatArray, Mask, Matched, sets_of
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.people import People
from evaltoolkit.designs.matching.score import Score
from evaltoolkit.kernels.pairing import Rule, matching_weights, pair_nearest


def match(people: People, score: Score, options: Options, seed: int) -> Matched:
    """Pair each focal person with the nearest of the other group."""
    focal = people.treated if options.estimand == "ATT" else ~people.treated
    line = line_of(score, options)
    return _matched(line, focal, caliper_width(line, options), options, people.strata, seed)


def line_of(score: Score, options: Options) -> FloatArray:
    """Return what is matched on: the logit of the score where the caliper counts in it, else the score."""
    return score.line(on_logit=options.caliper_scale == "sd-logit")


def caliper_width(line: FloatArray, options: Options) -> float | None:
    """Return the caliper in units of what is matched on: standard deviations are taken over both groups (n - 1)."""
    if options.caliper is None:
        return None
    return options.caliper if options.caliper_scale == "raw" else options.caliper * float(line.std(ddof=1))


def _matched(
    line: FloatArray, focal: Mask, width: float | None, options: Options, strata: NDArray[np.int64] | None, seed: int
) -> Matched:
    rule = Rule(
        ratio=options.ratio,
        caliper=width,
        replace=options.replace,
        order=options.choosing,
        ties="average" if options.averages_ties else "one",
        seed=seed,
    )
    pairs = pair_nearest(line, focal, rule, strata)
    return Matched(
        weights=matching_weights(pairs, focal),
        focal=focal,
        sets=None if options.replace else sets_of(pairs, focal.size),
        pairs=pairs,
        line=line,
        width=width,
        total=float(np.abs(line[pairs.focal] - line[pairs.match]).sum()),
    )
