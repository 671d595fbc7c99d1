"""Strata of people who are alike: exact, coarsened, and by ranges of the score."""

from __future__ import annotations

import numpy as np

from evaltoolkit.designs.matching.matched import Fact, IntArray, Matched
from evaltoolkit.designs.matching.measures import columns_by_covariate, focal_of, line_of
from evaltoolkit.designs.matching.options import Options, words_of
from evaltoolkit.designs.matching.people import People
from evaltoolkit.designs.matching.score import Score
from evaltoolkit.errors import NoComparisonError
from evaltoolkit.kernels.grouping import coarsened, same_values, set_weights, subclasses


def match_exact(people: People, _score: Score, options: Options, _seed: int) -> Matched:
    """Compare people who agree on every covariate, or on the columns of ``exact``."""
    if people.strata is not None:
        return _in_strata(same_values([people.strata], people.treated), people, options)
    columns = [column for _, parts, _ in columns_by_covariate(people, options) for column in parts.T]
    return _in_strata(same_values(columns, people.treated), people, options)


def match_coarsened(people: People, _score: Score, options: Options, _seed: int) -> Matched:
    """Compare people who agree on every covariate once numbers are put into bins."""
    columns = []
    for covariate, parts, category in columns_by_covariate(people, options):
        bins = options.bins_of(words_of(covariate))
        columns += list(parts.T) if category else [coarsened(parts[:, 0], bins)]
    return _in_strata(same_values(columns, people.treated), people, options)


def match_subclass(people: People, score: Score, options: Options, _seed: int) -> Matched:
    """Compare people in ranges of the score."""
    line = line_of(score, options)
    try:
        sets, cuts = subclasses(line, people.treated, options.subclasses, options.of_sets)
    except ValueError as found:
        raise NoComparisonError(
            f"there are fewer people in a group than the {options.subclasses} subclasses",
            expected="at least one treated and one comparison person for each subclass",
            todo="ask for fewer subclasses",
        ) from found  # fmt: skip
    inner = tuple(Fact(f"Cutpoint {k}", float(cut)) for k, cut in enumerate(cuts[1:-1], start=1))
    return Matched(
        weights=set_weights(sets, people.treated, options.of_sets), focal=focal_of(people, options), sets=sets,
        line=line, facts=inner,
    )  # fmt: skip


def _in_strata(sets: IntArray, people: People, options: Options) -> Matched:
    weights = set_weights(sets, people.treated, options.of_sets)
    count = Fact("Strata with both groups", float(np.unique(sets[sets >= 0]).size))
    return Matched(weights=weights, focal=focal_of(people, options), sets=sets, facts=(count,))
