"""Models of cells from sums that an engine takes, and influence functions as expressions that stay in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.data import EngineSource
from evaltoolkit.kernels.cell_models import Cell, alike
from evaltoolkit.kernels.cell_scores import Columns
from evaltoolkit.kernels.cell_terms import Fitted, Model, OddsSums, begun, unweighted, weighted
from evaltoolkit.kernels.cohorts import NEVER, CellError, Rule
from evaltoolkit.reduction.engine_logit import Key, Logit, logits, odds
from evaltoolkit.reduction.engine_rows import EngineRows, InfluenceSpec
from evaltoolkit.reduction.engine_sums import Part, linear, real, summed, triangle

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def engine_models(
    source: EngineSource, table: Any, rows: EngineRows, spec: InfluenceSpec, every: list[Cell]
) -> list[Model]:
    """Fit every cohort and comparison group that the cells need, as ``cell_models.models`` does from rows.

    Raises
    ------
    CellError
        A cell has no comparison units, its covariates are collinear among them, or they tell the cohort apart.
    """
    rule, k = spec.rule, rows.turn.shape[0]
    members = alike(rows.starts, spec.periods, every, rule)
    fitted: dict[tuple[int, ...], Fitted] = {}
    for j, compared in members:
        if compared not in fitted:
            fitted[compared] = rows.fitted(compared, rule, int(rows.starts[j]))
    scored = k > 1 and rule.adjust != "regression"
    found = logits(source, table, rows, spec, list(members)) if scored else {}
    blanks = {}
    for key, which in members.items():
        score = found[key].score if scored else None
        blanks[key] = begun((*key, which), fitted[key[1]], rows.cohort(key[0]), score)
    if rule.adjust == "regression" and k > 1:
        return [unweighted(blank, fitted[key[1]], rows.cohort(key[0])) for key, blank in blanks.items()]
    sums = _odds_sums(source, rows, blanks) if scored else {key: _plain_sums(rows, key) for key in blanks}
    return [_ended(rows, rule, blank, fitted[key[1]], (sums[key], found.get(key))) for key, blank in blanks.items()]


def _ended(rows: EngineRows, rule: Rule, blank: Model, fitted: Fitted, more: tuple[OddsSums, Logit | None]) -> Model:
    sums, logit = more
    if sums.total <= 0:
        raise CellError("separation", int(rows.starts[blank.cohort]))
    information = np.zeros_like(fitted[0]) if logit is None else logit.information
    return weighted(blank, rule, fitted, (rows.cohort(blank.cohort), sums, information))


def _plain_sums(rows: EngineRows, key: Key) -> OddsSums:
    """Return sums over a comparison group whose units count alike, from those by start."""
    some = list(key[1])
    gram, cross = rows.gram[some].sum(axis=0), rows.cross[some].sum(axis=0)
    return OddsSums(float(gram[0, 0]), gram[0], gram, cross[0], cross)


def _odds_sums(source: EngineSource, rows: EngineRows, blanks: Mapping[Key, Model]) -> dict[Key, OddsSums]:
    names = {key: str(m) for m, key in enumerate(blanks)}
    scores = {key: blank.score for key, blank in blanks.items() if blank.score is not None}
    k, T = rows.turn.shape[0], rows.centre.size
    ys = [f"y{t}" for t in _periods(list(blanks.values()))]
    table = odds(rows.among({j for key in blanks for j in key[1]}), ["start", "w", *rows.x, *ys], names, scores)
    inside = {f"e{n}": _inside(table, rows, key[1], table[f"e{n}"] * table["w"]) for key, n in names.items()}
    table = table.select(*rows.x, *ys, **inside)
    terms: dict[str, Any] = {}
    for key, name in names.items():
        e = table[f"e{name}"]
        times = [e, *(e * table[x] for x in rows.x)]
        terms |= {f"s{name}_{i}_{j}": times[i] * table[f"x{j}"] if j else e for i, j in triangle(k)}
        for t in _periods([blanks[key]]):
            terms |= {f"t{name}_{i}_{t}": times[i] * table[f"y{t}"] for i in range(k)}
    sums = summed(source, table, terms, "means of comparison groups")
    found = {}
    for key, name in names.items():
        second, outcome_x = np.zeros((k, k)), np.zeros((k, T))
        for i, j in triangle(k):
            second[i, j] = second[j, i] = sums[f"s{name}_{i}_{j}"]
        for t in _periods([blanks[key]]):
            outcome_x[:, t] = [sums[f"t{name}_{i}_{t}"] for i in range(k)]
        found[key] = OddsSums(float(second[0, 0]), second[0], second, outcome_x[0], outcome_x)
    return found


def _inside(table: Any, rows: EngineRows, places: Sequence[int], value: Any) -> Any:
    if len(places) == rows.starts.size:
        return value
    return table["start"].isin([int(rows.starts[j]) for j in places]).ifelse(value, real(0.0))


def _periods(models: Sequence[Model]) -> list[int]:
    return sorted({int(t) for m in models for t in (*m.to, *m.since)})


def influence_parts(
    rows: EngineRows, found: Sequence[Model], every: list[Cell], periods: IntArray
) -> tuple[list[Part], int]:
    """Return influence functions of effects, mean outcomes and sizes as expressions, one part for each start.

    Their order is that of ``cell_scores.Columns``; the second value is their number.
    """
    cohorts = rows.starts[rows.starts <= periods[-1]]
    columns = Columns(len(every), cohorts)
    parts: list[Part] = []
    for j, g in enumerate(rows.starts.tolist()):
        used = [m for m in found if j == m.cohort or j in m.compared]
        mine = [k for k, cell in enumerate(every) if cell[0] == g]
        if not used and not mine and g not in cohorts:
            continue
        table, psi = _effects(rows, j, used)
        mass, w = float(rows.mass[j]), table["w"]
        for k in mine:
            t = int(np.searchsorted(periods, every[k][1]))
            level = float(rows.cross[j, 0, t]) / mass
            psi[columns.effects + k] = (table[f"y{t}"] - level) * w * (1 / mass)
        if g != NEVER and g in cohorts:
            psi[2 * columns.effects + int(np.searchsorted(cohorts, g))] = w
        parts.append((table, psi))
    return parts, columns.width


def _effects(rows: EngineRows, j: int, used: Sequence[Model]) -> tuple[Any, dict[int, Any]]:
    """Return a table of the rows of start j with expressions of the effects' influence functions by column.

    The same as ``cell_scores.loadings``, with residuals of each regression and products with weights as columns.
    """
    names = {(m.cohort, m.compared): str(i) for i, m in enumerate(used)}
    scores = {(m.cohort, m.compared): m.score for m in used if m.score is not None}
    table = rows.of(j)
    kept = list(table.columns)
    table = odds(table, kept, {key: names[key] for key in scores}, scores)
    x = [table[name] for name in rows.x]
    more: dict[str, Any] = {}
    regressions: dict[tuple[int, ...], str] = {}
    for m in used:
        if m.compared not in regressions:
            name = regressions[m.compared] = f"u{len(regressions)}"
            periods = _periods([one for one in used if one.compared == m.compared])
            more |= {f"{name}_{t}": table[f"y{t}"] - linear(x, m.slope[1:, t], float(m.slope[0, t])) for t in periods}
        more |= _weights(table, m, j, names[m.cohort, m.compared])
    table = table.select(*kept, **more)
    psi = {}
    for m in used:
        name, left = names[m.cohort, m.compared], regressions[m.compared]
        level = -m.treated / m.n_treated if j == m.cohort else m.theirs
        for c, k in enumerate(m.cells.tolist()):
            found = table[f"a{name}"] * (table[f"{left}_{m.to[c]}"] - table[f"{left}_{m.since[c]}"])
            if f"s{name}" in more and level[c] != 0:
                found = found + table[f"s{name}"] * float(level[c])
            if f"v{name}" in more:
                found = found + table[f"v{name}"] * linear(
                    [table[n] for n in rows.x], m.follow[1:, c], float(m.follow[0, c])
                )
            psi[k] = found
    return table, psi


def _weights(table: Any, m: Model, j: int, name: str) -> dict[str, Any]:
    """Return what multiplies changes (a), levels (s) and what follows from the score (v)."""
    w, x = table["w"], [table[f"x{i}"] for i in range(1, m.slope.shape[0])]
    scored = m.score is not None
    if j == m.cohort:
        found = {f"a{name}": w * (1 / m.n_treated), f"s{name}": w}
        return found | ({f"v{name}": w * (table[f"p{name}"] - 1.0)} if scored else {})
    moved = linear(x, m.moved[1:], float(m.moved[0]))
    if m.odds_total <= 0:
        return {f"a{name}": w * moved}
    share = (table[f"e{name}"] if scored else real(1.0)) * w * (1 / m.odds_total)
    found = {f"a{name}": w * moved - share, f"s{name}": share}
    return found | ({f"v{name}": w * table[f"p{name}"]} if scored else {})
