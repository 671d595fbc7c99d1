"""What distances are taken on: a score, or several covariates at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from evaltoolkit.data import is_text
from evaltoolkit.designs.matching.matched import FloatArray, IntArray, Mask, Matched
from evaltoolkit.designs.matching.options import Covariate, Options, SdWidth, words_of
from evaltoolkit.designs.matching.people import People
from evaltoolkit.designs.matching.score import Score
from evaltoolkit.errors import OptionError
from evaltoolkit.kernels.distances import straightened
from evaltoolkit.kernels.edges import TooManyEdgesError, allowed_edges
from evaltoolkit.kernels.optimal import Edges
from evaltoolkit.kernels.pairing import Constraints, Pairs


def focal_of(people: People, options: Options) -> Mask:
    """Return whose effect is asked for: the treated, the others, or everybody."""
    if options.estimand == "ATT":
        return people.treated
    return ~people.treated if options.estimand == "ATC" else np.ones(people.treated.size, dtype=np.bool_)


def line_of(score: Score, options: Options) -> FloatArray:
    """Return what the caliper is on: the logit of the score where it counts in that, else the score."""
    return score.line(on_logit=options.caliper_scale == "sd-logit")


def caliper_width(line: FloatArray, options: Options) -> float | None:
    """Return the caliper in units of its line: standard deviations are taken over both groups (n - 1)."""
    if options.caliper is None:
        return None
    return options.caliper if options.caliper_scale == "raw" else options.caliper * float(line.std(ddof=1))


def constraints_of(people: People, options: Options) -> Constraints:
    """Return the limits on covariates and the columns that must differ."""
    if not options.calipers and not options.antiexact:
        return Constraints()
    widths = [
        width.sd * float(column.std(ddof=1)) if isinstance(width, SdWidth) else width
        for width, column in zip(options.calipers.values(), people.near.T, strict=True)
    ]
    return Constraints(people.near, np.array(widths, dtype=np.float64), people.apart)


def columns_by_covariate(people: People, options: Options) -> Iterator[tuple[Covariate, FloatArray, bool]]:
    """Yield each covariate with its columns (of a category, one for each level) and whether it is a category."""
    shown, owner = people.covariates.shown, np.array(people.covariates.shown_owner)
    for i, covariate in enumerate(options.covariates):
        columns = shown[:, owner == i]
        category = isinstance(covariate, str) and is_text(people.frame[covariate])
        if category and columns.shape[1] == 1:
            columns = np.column_stack([1 - columns, columns])
        yield covariate, columns, category


def points_of(people: People, options: Options) -> FloatArray:
    """Return covariates turned so that their Euclidean distance is the distance asked for."""
    assert options.metric is not None
    assert options.metric != "matrix"
    chosen = [
        columns / np.sqrt(2) if category else columns
        for covariate, columns, category in columns_by_covariate(people, options)
        if not options.match_on or words_of(covariate) in options.match_on
    ]
    return straightened(np.column_stack(chosen), people.treated, options.metric)


def edges_of(people: People, score: Score, options: Options, focal: Mask) -> Edges:
    """Return the pairs that calipers and columns allow, with their distances.

    Raises
    ------
    OptionError
        There are too many of them.
    """
    line = line_of(score, options)
    points = None if options.metric in (None, "matrix") else points_of(people, options)
    limits, width = constraints_of(people, options), caliper_width(line, options)
    try:
        edges = allowed_edges(line, focal, width, people.strata, limits, points)
    except TooManyEdgesError as found:
        raise OptionError(
            f"method = '{options.method}' would have to weigh more than 20 million possible pairs here",
            expected="a propensity score without calipers or antiexact (any size), or fewer possible pairs",
            todo="set a tighter caliper or exact columns, leave calipers out, or use method = 'nearest'",
        ) from found  # fmt: skip
    if people.given is None or people.place is None:
        return edges
    return people.given.along(edges, people.treated, people.place)


def supported(people: People, score: Score, options: Options) -> Mask:
    """Return who lies within the range of the score of the other group, for the groups that the rule is for."""
    line, t = score.probability, people.treated
    inside = np.ones(t.size, dtype=np.bool_)
    for group, name in ((t, "treated"), (~t, "comparison")):
        if options.common_support in (name, "both"):
            other = line[~group]
            inside &= ~group | ((line >= other.min()) & (line <= other.max()))
    return inside


def part_of(people: People, score: Score, kept: Mask) -> tuple[People, Score]:
    """Return some of the people with their scores."""
    linear = None if score.linear is None else score.linear[kept]
    return people.take(np.flatnonzero(kept)), replace(score, probability=score.probability[kept], linear=linear)


def spread_out(matched: Matched, people: People, score: Score, options: Options, kept: Mask) -> Matched:
    """Return what was found among some of the people in terms of all of them."""
    rows = np.flatnonzero(kept)
    weights = np.zeros(kept.size)
    weights[rows] = matched.weights
    sets = None
    if matched.sets is not None:
        sets = np.full(kept.size, -1, dtype=np.int64)
        sets[rows] = matched.sets
    pairs = matched.pairs
    if pairs is not None:
        pairs = Pairs(rows[pairs.focal], rows[pairs.match], pairs.weight)
    line = None if matched.line is None else line_of(score, options)
    focal = focal_of(people, options)
    return replace(matched, weights=weights, focal=focal, sets=sets, pairs=pairs, line=line, discarded=~kept)


def length_along(edges: Edges, one: IntArray, two: IntArray) -> float:
    """Return the sum of the distances of some of the listed pairs."""
    n = int(max(edges.focal.max(initial=0), edges.other.max(initial=0))) + 1
    key = edges.focal * n + edges.other
    by_key = np.argsort(key)
    return float(edges.distance[by_key[np.searchsorted(key[by_key], one * n + two)]].sum())
