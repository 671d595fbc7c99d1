"""The score in both groups, as shares in bins; a bin shows nothing where few people fall into it."""

from __future__ import annotations

import numpy as np

from evaltoolkit.designs.matching.facts import FEWEST_BINS, MOST_BINS, FloatArray, Histogram
from evaltoolkit.designs.matching.matched import Matched
from evaltoolkit.designs.matching.people import People
from evaltoolkit.designs.matching.score import Score
from evaltoolkit.results import SmallCells

_Bases = tuple[tuple[int | None, ...], tuple[int | None, ...]]


def basis_of(counts: list[int], cells: SmallCells) -> int:
    """Return the smallest count that must be hidden, or the largest count where none must be.

    >>> basis_of([40, 3, 200], SmallCells()), basis_of([40, 0, 200], SmallCells())
    (3, 200)
    """
    hidden = [count for count in counts if cells.hides(count)]
    return min(hidden) if hidden else max(counts)


def histogram(people: People, score: Score, matched: Matched, cells: SmallCells, *, people_rows: bool) -> Histogram:
    """Return shares of both groups in bins of the score, before and after matching."""
    t, values = people.treated, score.probability
    n_bins = bins_for(int(t.sum()), int((~t).sum()))
    ends = (0.0, 1.0) if people.distance is None else (float(values.min()), float(values.max()))
    edges = np.linspace(*ends, n_bins + 1)
    return Histogram(
        low=edges[:-1], high=edges[1:], before=_shares(values, t, np.ones(t.size), edges),
        after=_shares(values, t, matched.weights, edges),
        bases=_bases(people, score, matched, edges, cells) if people_rows else ((None,) * n_bins, (None,) * n_bins),
    )  # fmt: skip


def bins_for(n_treated: int, n_comparison: int) -> int:
    """Return how many bins: fewer where there are few people, none finer than a twentieth of the range.

    >>> bins_for(1_000, 90), bins_for(10, 10)
    (6, 4)
    """
    return int(np.clip(min(n_treated, n_comparison) // 15, FEWEST_BINS, MOST_BINS))


def _shares(values: FloatArray, treated: np.ndarray, weights: FloatArray, edges: FloatArray) -> FloatArray:
    found = [np.histogram(values[g], edges, weights=weights[g])[0] for g in (treated, ~treated)]
    return np.array([c / max(c.sum(), 1e-300) for c in found])


def _bases(people: People, score: Score, matched: Matched, edges: FloatArray, cells: SmallCells) -> _Bases:
    """Return for each group and bin the count that governs both panels: people in it, matched or left out."""
    bins = edges.size - 1
    found: list[tuple[int | None, ...]] = []
    for group in (people.treated, ~people.treated):
        parts = [
            np.histogram(score.probability[part], edges)[0]
            for part in (group, group & matched.used, group & ~matched.used)
        ]
        bases = [basis_of([int(p[k]) for p in parts], cells) for k in range(bins)]
        secret = [k for k in range(bins) if cells.hides(bases[k])]
        if len(secret) == 1 and bins > 1:
            second = min(
                (k for k in range(bins) if k not in secret and bases[k] > 0), key=lambda k: bases[k], default=None
            )
            if second is not None:
                bases[second] = bases[secret[0]]
        found.append(tuple(bases))
    return found[0], found[1]
