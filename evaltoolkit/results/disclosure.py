"""Sealing: hide small cells and refuse identifiers before a result leaves the design.

Rule (CMS cell-size suppression policy): no count of people from 1 to threshold - 1 is shown, nor anything that
rests on so few, nor a number from which one could be computed. Zero may be shown. Counts of sites, cohorts and
periods are facts about the design and are shown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from evaltoolkit.errors import DisclosureError
from evaltoolkit.results.identifiers import IdentifierGuard
from evaltoolkit.results.types import (
    Cell,
    Column,
    DisclosureLog,
    Draft,
    Estimate,
    FigureData,
    FlowStep,
    Hidden,
    Result,
    TableData,
)

Tidy = TypeVar("Tidy", TableData, FigureData)

_COUNTS = ("n", "excluded", "treated", "comparison")


@dataclass(frozen=True, slots=True)
class SmallCells:
    """The small-cell rule of one study. Designs use ``people`` to write a count of people into a sentence."""

    threshold: int = 11
    show_zero: bool = True
    agreement: str | None = None

    def hides(self, n: Cell) -> bool:
        """Return whether a count of people must not be shown.

        >>> SmallCells().hides(10), SmallCells().hides(11), SmallCells().hides(0), SmallCells(show_zero=False).hides(0)
        (True, False, False, True)
        """
        if n is None or isinstance(n, str):
            return False
        return 0 < n < self.threshold or (n == 0 and not self.show_zero)

    def people(self, n: int, unit: str = "") -> str:
        """Return a count of people as text that may be shown.

        >>> SmallCells().people(4, "young people"), SmallCells().people(1200)
        ('fewer than 11 young people', '1,200')
        """
        text = f"fewer than {self.threshold}" if self.hides(n) else f"{n:,}"
        return f"{text} {unit}".strip()

    @property
    def rule(self) -> str:
        """The rule in one sentence."""
        zero = "zeros are shown" if self.show_zero else "zeros are hidden too"
        return (
            f"Counts of 1 to {self.threshold - 1} people, and numbers that rest on or would reveal them, "
            f"are hidden; {zero}."
        )


def seal(
    draft: Draft, cells: SmallCells, *, rows_are_people: bool, identifiers: frozenset[str] = frozenset()
) -> Result:
    """Hide small cells, refuse identifiers, and return the result that may leave.

    Parameters
    ----------
    draft
        What the design wrote.
    cells
        The small-cell rule.
    rows_are_people
        Whether ``n_obs`` and ``n_units`` of the estimates count people.
    identifiers
        Values of the identifier columns, as text; none may stand in any output.

    Raises
    ------
    DisclosureError
        An identifier stands in a text, a label or a cell.
    """
    log: list[Hidden] = []
    flow, spent = _sealed_flow(draft.flow, cells, log)
    estimates = tuple(
        _sealed_estimate(e, cells, f"estimates/{i}", log, rows_are_people=rows_are_people, spent=spent)
        for i, e in enumerate(draft.estimates)
    )
    headline = _sealed_estimate(draft.headline, cells, "headline", log, rows_are_people=rows_are_people, spent=spent)
    tables = tuple(_sealed_tidy(t, cells, f"tables/{t.key}", log, spent) for t in draft.tables)
    figures = tuple(_sealed_tidy(f, cells, f"figures/{f.key}", log, spent) for f in draft.figures)
    fields = {f.name: getattr(draft, f.name) for f in dataclasses.fields(draft)}
    fields |= {"flow": flow, "estimates": estimates, "headline": headline, "tables": tables, "figures": figures}
    disclosure = DisclosureLog(
        threshold=cells.threshold, show_zero=cells.show_zero, rule=cells.rule, agreement=cells.agreement,
        hidden=tuple(log),
    )  # fmt: skip
    result = Result(**fields, disclosure=disclosure)
    leak = IdentifierGuard(identifiers).first_leak(result)
    if leak is not None:
        raise DisclosureError(
            f"an identifier would have been shown under '{leak}'",
            expected="no value of the identifier columns in any output",
            todo="remove identifiers from labels, covariates and texts of the design file",
        )
    return result


def _sealed_estimate(
    estimate: Estimate, cells: SmallCells, path: str, log: list[Hidden], *, rows_are_people: bool, spent: frozenset[int]
) -> Estimate:
    if not rows_are_people:
        return estimate
    if any(cells.hides(n) for n in (estimate.n_obs, estimate.n_units)):
        log.append(Hidden(path=path, why="primary"))
        names = ("estimate", "std_error", "conf_low", "conf_high", "p_value", "df", "n_obs", "n_units", "n_clusters")
        blank: dict[str, Any] = dict.fromkeys(names)
        return dataclasses.replace(estimate, **blank)
    linked: dict[str, Any] = {
        name: None for name in ("n_obs", "n_units", "n_clusters") if getattr(estimate, name) in spent
    }
    log.extend(Hidden(path=f"{path}/{name}", why="complementary") for name in linked)
    return dataclasses.replace(estimate, **linked) if linked else estimate


def _sealed_flow(
    steps: Sequence[FlowStep], cells: SmallCells, log: list[Hidden]
) -> tuple[tuple[FlowStep, ...], frozenset[int]]:
    """Hide small steps; where a small number could be got as a difference, hide the other side of the difference.

    Returns the steps and the totals that are now secret wherever else they stand.
    """
    last_small = max((i for i, s in enumerate(steps) if s.people and cells.hides(s.excluded)), default=-1)
    out: list[FlowStep] = []
    spent: set[int] = set()
    for i, step in enumerate(steps):
        small = [name for name in _COUNTS if cells.hides(getattr(step, name))] if step.people else []
        linked = [] if not step.people else list(_COUNTS) if i < last_small else []
        if {"treated", "comparison"} & set(small):
            linked = [*linked, "n", "treated", "comparison"]
        log.extend(Hidden(path=f"flow/{i}/{name}", why="primary") for name in small)
        also = [name for name in dict.fromkeys(linked) if name not in small and getattr(step, name) is not None]
        log.extend(Hidden(path=f"flow/{i}/{name}", why="complementary") for name in also)
        spent |= {getattr(step, name) for name in also}
        blank: dict[str, Any] = dict.fromkeys([*small, *also])
        out.append(dataclasses.replace(step, **blank))
    shown = {getattr(step, name) for step in out for name in _COUNTS}
    return tuple(out), frozenset(spent - shown)


def _sealed_tidy(table: Tidy, cells: SmallCells, path: str, log: list[Hidden], spent: frozenset[int]) -> Tidy:
    grid = [list(row) for row in table.rows]
    columns = table.columns
    hidden: dict[tuple[int, int], str] = {}
    for j, column in enumerate(columns):
        if column.kind == "people":
            _mark_small(grid, j, cells, hidden, spent)
        elif column.kind == "basis":
            _mark_governed(grid, j, columns, cells, hidden)
    totals: set[int] = set(table.total_rows) if isinstance(table, TableData) else set()
    _mark_complements(grid, columns, totals, hidden)
    for (i, j), why in sorted(hidden.items()):
        if grid[i][j] is not None:
            grid[i][j] = None
            log.append(
                Hidden(path=f"{path}/{i}/{columns[j].key}", why="primary" if why == "primary" else "complementary")
            )
    keep = [j for j, column in enumerate(columns) if column.kind != "basis"]
    return dataclasses.replace(
        table, columns=tuple(columns[j] for j in keep), rows=tuple(tuple(row[j] for j in keep) for row in grid)
    )


def _mark_small(
    grid: list[list[Cell]], j: int, cells: SmallCells, hidden: dict[tuple[int, int], str], spent: frozenset[int]
) -> None:
    for i, row in enumerate(grid):
        if cells.hides(row[j]):
            hidden[i, j] = "primary"
        elif row[j] in spent:
            hidden.setdefault((i, j), "linked")


def _mark_governed(
    grid: list[list[Cell]], j: int, columns: Sequence[Column], cells: SmallCells, hidden: dict[tuple[int, int], str]
) -> None:
    targets = [k for k, other in enumerate(columns) if other.key in columns[j].governs]
    for i, row in enumerate(grid):
        if cells.hides(row[j]):
            for k in targets:
                hidden[i, k] = "primary"


def _mark_complements(
    grid: list[list[Cell]], columns: Sequence[Column], totals: set[int], hidden: dict[tuple[int, int], str]
) -> None:
    """Hide a second cell wherever one hidden cell could be got from a total, until nothing changes."""
    people = [j for j, column in enumerate(columns) if column.kind == "people"]
    index = {column.key: j for j, column in enumerate(columns)}
    lines: list[list[tuple[int, int]]] = []
    if totals:
        lines += [[(i, j) for i in range(len(grid))] for j in people]
    for j in people:
        parts = [index[key] for key in columns[j].sum_of if key in index]
        if parts:
            lines += [[(i, k) for k in (*parts, j)] for i in range(len(grid))]
    changed = True
    while changed:
        changed = False
        for line in lines:
            secret = [place for place in line if place in hidden]
            shown = [place for place in line if place not in hidden and _size(grid, place) is not None]
            if len(secret) == 1 and shown:
                parts_first = [p for p in shown if p[0] not in totals and _size(grid, p)] or shown
                hidden[min(parts_first, key=lambda place: (_size(grid, place) or 0, place))] = "complementary"
                changed = True


def _size(grid: list[list[Cell]], place: tuple[int, int]) -> float | None:
    value = grid[place[0]][place[1]]
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
