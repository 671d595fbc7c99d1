"""Kernel, radius and cardinality matching: no pairs are made."""

from __future__ import annotations

import numpy as np

from evaltoolkit.designs.matching.matched import Fact, FloatArray, Matched
from evaltoolkit.designs.matching.measures import caliper_width, focal_of, line_of
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.people import People
from evaltoolkit.designs.matching.score import Score
from evaltoolkit.errors import NoComparisonError, OptionError
from evaltoolkit.kernels.balance import standard_deviations
from evaltoolkit.kernels.cardinality import largest_balanced
from evaltoolkit.kernels.smoothing import Kernel, smoothed_weights

_MOST_PEOPLE = 20_000


def match_kernel(people: People, score: Score, options: Options, _seed: int) -> Matched:
    """Compare everybody with a weighted mean of those nearby."""
    line = line_of(score, options)
    width = options.bandwidth if options.caliper_scale == "raw" else options.bandwidth * float(line.std(ddof=1))
    return _smoothed(people, line, options, width, options.kernel)


def match_radius(people: People, score: Score, options: Options, _seed: int) -> Matched:
    """Compare everybody with the mean of all within the caliper."""
    line = line_of(score, options)
    width = caliper_width(line, options)
    assert width is not None
    return _smoothed(people, line, options, width, "uniform")


def _smoothed(people: People, line: FloatArray, options: Options, width: float, kernel: Kernel) -> Matched:
    t = people.treated
    if options.estimand == "ATE":
        parts = [smoothed_weights(line, group, width, kernel, people.strata, scaled=False) for group in (t, ~t)]
        weights = _mean_one(parts[0] + parts[1], t)
    else:
        weights = smoothed_weights(line, focal_of(people, options), width, kernel, people.strata)
    reach = None if kernel == "gaussian" else width
    return Matched(
        weights=weights, focal=focal_of(people, options), line=line, width=reach, facts=(Fact("Bandwidth", width),)
    )


def _mean_one(weights: FloatArray, treated: np.ndarray) -> FloatArray:
    for group in (treated, ~treated):
        used = group & (weights > 0)
        weights[used] *= used.sum() / max(weights[used].sum(), 1e-300)
    return weights


def match_cardinality(people: People, _score: Score, options: Options, _seed: int) -> Matched:
    """Keep as many people as possible such that the means of all covariates agree."""
    focal, X = focal_of(people, options), people.covariates.X
    if focal.size > _MOST_PEOPLE:
        raise OptionError(
            f"cardinality matching is for at most {_MOST_PEOPLE:,} people", expected="fewer people",
            todo="use method = 'full' or weighting = 'entropy', which balance many people",
        )  # fmt: skip
    spread = standard_deviations(X[focal])
    found = largest_balanced(X, focal, options.balance_tolerance * spread, options.ratio)
    if not found.chosen.any():
        raise NoComparisonError(
            "no two groups balance within the tolerance", expected="at least one focal person in balance",
            todo="raise balance_tolerance, or use fewer covariates",
        )  # fmt: skip
    size = int((found.chosen & focal).sum())
    gap = Fact("Share of the largest possible sample", size / found.bound if found.bound else 1.0)
    return Matched(weights=found.chosen.astype(np.float64), focal=focal, facts=(gap,))
