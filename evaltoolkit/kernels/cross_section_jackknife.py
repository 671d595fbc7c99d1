"""Repeated cross-sections without one cluster at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cohorts import CellError, Rule
from evaltoolkit.kernels.cross_section import CrossSections, n_clusters, row_codes, sorted_blocks
from evaltoolkit.kernels.cross_section_cells import Blocks, Place, section_cells, section_models

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def delete_one_cross_section(data: CrossSections, rule: Rule) -> FloatArray:
    """Return group-time effects without each cluster, shape (C, K), in the order of ``cross_section_study``.

    Clusters are units where there are none, and rows where there are no units. A cell that cannot be estimated without
    a cluster is missing; a cell in which the cluster has no rows is taken as it is, the others are fitted anew from
    where the full fit ended.

    Parameters
    ----------
    data, rule
        As in ``cross_section_study``.

    Raises
    ------
    CellError
        A cell cannot be estimated from all rows.

    Examples
    --------
    >>> period, start = np.array([1, 1, 1, 2, 2, 2]), np.array([2, 9, 9, 2, 2, 9])
    >>> rows = CrossSections(np.array([1.0, 2, 4, 6, 8, 4]), period, start, np.ones((6, 1)))
    >>> delete_one_cross_section(rows, Rule())[:, 0].tolist()
    [nan, 6.0, 4.0, 6.0, 4.0, nan]
    """
    rows, _ = sorted_blocks(data)
    places = section_cells(rows, rule)
    scores: list[FloatArray | None] = [None] * len(places)
    att = np.zeros(len(places))
    for m in section_models(rows, places, rule):
        att[m.at], scores[m.at] = m.att, m.score
    found = np.tile(att, (n_clusters(data), 1))
    for c, gone in _members(row_codes(data)[rows.order]):
        part = rows.without(gone)
        touched = part.number != rows.number
        for k, place in enumerate(places):
            _, j, compared, sides = place
            if touched[np.ix_([j, *compared], list(sides))].any():
                found[c, k] = _anew(part, place, rule, scores[k])
    return found


def _members(codes: IntArray) -> Iterator[tuple[int, IntArray]]:
    """Yield each code with the places where it stands."""
    order = np.argsort(codes, kind="stable")
    present, first = np.unique(codes[order], return_index=True)
    yield from zip(present.tolist(), np.split(order, first[1:]), strict=True)


def _anew(rows: Blocks, place: Place, rule: Rule, guess: FloatArray | None) -> float:
    _, j, compared, sides = place
    if min(rows.count(group, p) for group in ((j,), compared) for p in sides) == 0:
        return float("nan")
    try:
        return next((m.att for m in section_models(rows, [place], rule, guess)), 0.0)
    except (CellError, np.linalg.LinAlgError):
        return float("nan")
