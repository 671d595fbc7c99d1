"""Nearest-neighbour matching: pairs made one after another."""

from __future__ import annotations

import numpy as np

from evaltoolkit.designs.matching.matched import FloatArray, Mask, Matched, sets_of
from evaltoolkit.designs.matching.measures import (
    caliper_width,
    constraints_of,
    edges_of,
    focal_of,
    length_along,
    line_of,
    points_of,
)
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.people import People
from evaltoolkit.designs.matching.score import Score
from evaltoolkit.kernels.distances import pair_nearest_points
from evaltoolkit.kernels.listed import pair_nearest_listed
from evaltoolkit.kernels.pairing import Constraints, Pairs, Rule, matching_weights, pair_nearest


def match(people: People, score: Score, options: Options, seed: int) -> Matched:
    """Pair each focal person with the nearest of the other group; for ATE everybody with the nearest of the other."""
    focal = focal_of(people, options)
    if options.estimand == "ATE":
        one = _matched(people, score, options, people.treated, seed)
        return _both_ways(one, _matched(people, score, options, ~people.treated, seed), people.treated)
    return _matched(people, score, options, focal, seed)


def _matched(people: People, score: Score, options: Options, focal: Mask, seed: int) -> Matched:
    line = line_of(score, options)
    width = caliper_width(line, options)
    limits = constraints_of(people, options)
    rule = Rule(
        ratio=options.ratio, caliper=width, replace=options.replace, limit=options.reuse, order=options.choosing,
        ties="average" if options.averages_ties else "one", seed=seed,
    )  # fmt: skip
    if options.metric == "matrix":
        edges = edges_of(people, score, options, focal)
        pairs = pair_nearest_listed(edges, focal, rule, line)
        far = np.array([length_along(edges, pairs.focal, pairs.match)])
    elif options.metric is None:
        pairs = pair_nearest(line, focal, rule, people.strata, limits)
        far = np.abs(line[pairs.focal] - line[pairs.match])
    else:
        points = points_of(people, options)
        pairs = pair_nearest_points(
            points, focal, _on_points(rule), line, people.strata, with_line(limits, line, width)
        )
        far = np.sqrt(((points[pairs.focal] - points[pairs.match]) ** 2).sum(axis=1))
    return Matched(
        weights=matching_weights(pairs, focal),
        focal=focal,
        sets=None if options.replace else sets_of(pairs, focal.size),
        pairs=pairs,
        line=line if options.metric is None else None,
        width=width,
        total=float(far.sum()),
    )


def _on_points(rule: Rule) -> Rule:
    return Rule(rule.ratio, None, rule.replace, rule.order, rule.ties, rule.limit, rule.seed)


def with_line(limits: Constraints, line: FloatArray, width: float | None) -> Constraints:
    """Return limits on columns with the caliper on the score as one more."""
    if width is None:
        return limits
    columns = line[:, None] if not limits.widths.size else np.column_stack([limits.columns, line])
    return Constraints(columns, np.append(limits.widths, width), limits.apart)


def _both_ways(one: Matched, two: Matched, treated: Mask) -> Matched:
    """Return matches of the treated and of the others together: everybody weighs 1 and what they weigh as a match."""
    assert one.pairs is not None
    assert two.pairs is not None
    both = [np.concatenate([getattr(p, part) for p in (one.pairs, two.pairs)]) for part in ("focal", "match", "weight")]
    by_focal = np.argsort(both[0], kind="stable")
    pairs = Pairs(both[0][by_focal], both[1][by_focal], both[2][by_focal])
    weights = np.bincount(pairs.match, weights=pairs.weight, minlength=treated.size).astype(np.float64)
    weights[np.unique(pairs.focal)] += 1
    for group in (treated, ~treated):
        used = group & (weights > 0)
        weights[used] *= used.sum() / weights[used].sum()
    everybody = np.ones(treated.size, dtype=np.bool_)
    total = None if one.total is None or two.total is None else one.total + two.total
    return Matched(weights, everybody, pairs=pairs, line=one.line, width=one.width, total=total)
