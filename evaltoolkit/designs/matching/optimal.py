"""Optimal pairs and full matching: the least total distance."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from evaltoolkit.designs.matching.matched import Fact, Matched, sets_of
from evaltoolkit.designs.matching.measures import caliper_width, constraints_of, focal_of, line_of, points_of
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.people import People
from evaltoolkit.designs.matching.score import Score
from evaltoolkit.errors import OptionError
from evaltoolkit.kernels.edges import TooManyEdgesError, allowed_edges
from evaltoolkit.kernels.grouping import set_weights
from evaltoolkit.kernels.optimal import (
    Edges,
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
        edges = _edges(people, score, options)
        pairs = pair_optimal_sparse(edges, options.ratio)
        total = _length(edges, pairs.focal, pairs.match)
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
        found = full_match_sparse(_edges(people, score, options), line.size)
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


def _edges(people: People, score: Score, options: Options) -> Edges:
    line = line_of(score, options)
    points = None if options.metric is None else points_of(people, options)
    treated = focal_of(people, options) if options.method == "optimal" else people.treated
    try:
        return allowed_edges(
            line, treated, caliper_width(line, options), people.strata, constraints_of(people, options), points
        )
    except TooManyEdgesError:
        _refuse(options)


def _refuse(options: Options) -> NoReturn:
    raise OptionError(
        f"method = '{options.method}' would have to weigh more than 20 million possible pairs here",
        expected="a propensity score without calipers or antiexact (any size), or fewer possible pairs",
        todo="set a tighter caliper or exact columns, leave calipers out, or use method = 'nearest'",
    )


def _length(edges: Edges, one: np.ndarray, two: np.ndarray) -> float:
    n = int(max(edges.focal.max(initial=0), edges.other.max(initial=0))) + 1
    key = edges.focal * n + edges.other
    by_key = np.argsort(key)
    return float(edges.distance[by_key[np.searchsorted(key[by_key], one * n + two)]].sum())
