"""Figures of distributions before and after matching: smooth densities and distribution functions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.matching.fitted import Fitted
from evaltoolkit.designs.matching.safe_cells import SafeCells, cumulated, safe_cells, smoothed
from evaltoolkit.kernels.balance import is_binary
from evaltoolkit.results import Cell, Column, FigureData, number

FloatArray = NDArray[np.float64]

_COVARIATES = 2


def distribution_figures(fitted: Fitted) -> tuple[FigureData, ...]:
    """Return the densities and the distribution functions; nothing where no value can be shown."""
    shown = [(name, values, cells) for name, values in _values(fitted) if (cells := safe_cells(fitted, values))]
    return (_density(fitted, shown), _ecdf(fitted, shown)) if shown else ()


def _values(fitted: Fitted) -> Iterator[tuple[str, FloatArray]]:
    """Yield the score and the continuous covariates whose distributions differ most after matching."""
    name = "Propensity score" if fitted.people.distance is None else fitted.options.distance
    yield name, fitted.score.probability
    people = fitted.people.covariates
    several = [j for j in range(len(people.shown_names)) if not is_binary(people.shown[:, j])]
    gaps = fitted.after.ecdf_max[1:]
    for j in sorted(several, key=lambda j: (-float(np.nan_to_num(gaps[j])), j))[:_COVARIATES]:
        yield people.shown_names[j], people.shown[:, j]


Shown = list[tuple[str, FloatArray, SafeCells]]


def _density(fitted: Fitted, shown: Shown) -> FigureData:
    curves = [(name, *smoothed(cells, values)) for name, values, cells in shown]
    overlap = fitted.before.overlap[0], fitted.after.overlap[0]
    said = ""
    if np.isfinite(overlap).all():
        said = (
            f" The densities of the score share {number(100 * float(overlap[0]), 0)}% of their area before "
            f"{fitted.doing} and {number(100 * float(overlap[1]), 0)}% after."
        )
    return _figure(
        fitted, curves, "density", "densities", f"How the groups are distributed, before and after {fitted.doing}",
        f"Smoothed densities of {_names(shown)}",
        f"Densities of {_names(shown)} in the treated and the comparison group, before and after {fitted.doing}.{said}",
    )  # fmt: skip


def _ecdf(fitted: Fitted, shown: Shown) -> FigureData:
    curves = [(name, *cumulated(cells)) for name, _, cells in shown]
    gap = fitted.before.ecdf_max[0], fitted.after.ecdf_max[0]
    return _figure(
        fitted, curves, "ecdf", "distribution_functions", "Where the distributions of the groups are apart",
        f"Share of each group at or below each value of {_names(shown)}",
        f"Distribution functions of {_names(shown)} in the treated and the comparison group. The largest distance "
        f"for the score is {number(float(gap[0]), 2)} before {fitted.doing} and {number(float(gap[1]), 2)} after.",
    )  # fmt: skip


def _names(shown: Shown) -> str:
    first, *rest = [name for name, _, _ in shown]
    first = first[:1].lower() + first[1:] if first == "Propensity score" else first
    return ", ".join([f"the {first}" if first == "propensity score" else first, *rest])


def _figure(
    fitted: Fitted, curves: list[tuple[str, FloatArray, FloatArray]], kind: str, key: str, headline: str,
    subtitle: str, alt: str,
) -> FigureData:  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for name, at, heights in curves:
        for k, moment in enumerate(fitted.moments):
            for i in range(at.size):
                rows.append((name, moment, float(at[i]), _cell(heights[k, 0, i]), _cell(heights[k, 1, i])))
    note = ""
    if fitted.study.counts_people:
        note = f"Made from cells that hold no one or at least {fitted.cells.threshold} people of each group."
        gone = [word for word, k in (("treated", 3), ("comparison", 4)) if any(row[k] is None for row in rows)]
        if gone:
            note += (
                f" Not drawn before matching where it would show how few of a group were left out: {', '.join(gone)}."
            )
    return FigureData(
        key=key, kind="density" if kind == "density" else "ecdf", section="checks", headline=headline,
        subtitle=subtitle, alt=alt,
        columns=(
            Column(key="panel", kind="text"), Column(key="moment", kind="text"), Column(key="x"),
            Column(key="program"), Column(key="comparison"),
        ),
        rows=tuple(rows), note=note,
        marks={"program_text": "treated", "comparison_text": "comparison"},
    )  # fmt: skip


def _cell(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
