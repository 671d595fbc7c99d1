"""Optimal pairs and full matching: the least total distance."""

from __future__ import annotations

import numpy as np

from evaltoolkit.designs.matching.matched import Fact, Matched, sets_of
from evaltoolkit.designs.matching.measures import caliper_width, edges_of, focal_of, length_along, line_of
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.people import People
from evaltoolkit.designs.matching.score import Score
from evaltoolkit.kernels.grouping import set_weights
from evaltoolkit.kernels.optimal import (
    Sets,
    full_match,
    full_match_sparse,
    pair_optimal,
    pair_optimal_sparse,
)
from evaltoolkit.kernels.pairing import matching_weights


def match_pairs(people: People, score: Score, options: Options, _seed: int) -> Matched:
    """Pair so that the sum of all distances is the least possible."""
    focal, line = focal_of(people, options), line_of(score, options)
    width = caliper_width(line, options)
    if _on_the_line(options):
        pairs = pair_optimal(line, focal, options.ratio, people.strata)
        total = float(np.abs(line[pairs.focal] - line[pairs.match]).sum())
    else:
        edges = edges_of(people, score, options, focal)
        pairs = pair_optimal_sparse(edges, options.ratio)
        total = length_along(edges, pairs.focal, pairs.match)
    return Matched(
        weights=matching_weights(pairs, focal),
        focal=focal,
        sets=sets_of(pairs, focal.size),
        pairs=pairs,
        line=line if options.metric is None else None,
        width=width,
        total=total,
        facts=(Fact("Total distance within pairs", total),),
    )


def match_sets(people: People, score: Score, options: Options, _seed: int) -> Matched:
    """Put everybody into matched sets with the least total distance."""
    line = line_of(score, options)
    if _on_the_line(options):
        found = full_match(line, people.treated, people.strata)
    else:
        found = full_match_sparse(edges_of(people, score, options, people.treated), line.size)
    estimand = options.of_sets
    weights = set_weights(found.code, people.treated, estimand)
    return Matched(
        weights=weights,
        focal=focal_of(people, options),
        sets=np.where(weights > 0, found.code, -1),
        line=line if options.metric is None else None,
        width=caliper_width(line, options),
        total=found.total,
        facts=_facts(found),
    )


def _facts(found: Sets) -> tuple[Fact, ...]:
    return (
        Fact("Total distance within sets", found.total),
        Fact("Matched sets", float(np.unique(found.code[found.code >= 0]).size)),
    )


def _on_the_line(options: Options) -> bool:
    limited = options.caliper is not None or options.calipers or options.antiexact
    return options.metric is None and not limited
