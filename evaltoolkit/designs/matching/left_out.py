"""Who was left out: the people whose effect was asked for and who are not in the matched sample."""

from __future__ import annotations

import numpy as np

from evaltoolkit.designs.matching.fitted import Fitted, Mask, complemented
from evaltoolkit.designs.matching.histogram import basis_of
from evaltoolkit.kernels.balance import is_binary
from evaltoolkit.results import Column, TableData
from evaltoolkit.results.types import Cell


def left_out_table(fitted: Fitted) -> TableData | None:
    """Compare those left out with those matched on every covariate; None where nobody, or too few, are left out."""
    focal, used = fitted.matched.focal, fitted.used
    out, kept = focal & ~used, focal & used
    people = fitted.study.counts_people
    n_out, n_kept = int(out.sum()), int(kept.sum())
    if n_out == 0 or (people and (fitted.cells.hides(n_out) or fitted.cells.hides(n_kept))):
        return None
    rows: list[tuple[Cell, ...]] = []
    spread, shown = fitted.before.denominator[1:], fitted.people.covariates
    bases = _bases(fitted, out, kept) if people else (None,) * len(shown.shown_names)
    for name, column, over, basis in zip(shown.shown_names, shown.shown.T, spread, bases, strict=True):
        mine, theirs = float(column[out].mean()), float(column[kept].mean())
        rows.append((name, mine, theirs, (mine - theirs) / float(over) if over > 0 else None, basis))
    who = fitted.focal_words
    return TableData(
        key="left_out", title="Who was left out", section="checks",
        subtitle=f"{who[:1].upper()}{who[1:]} who are not in the matched sample, beside those who are",
        columns=(
            Column(key="covariate", label="Characteristic", kind="text"),
            Column(key="left_out", label="Left out: mean or share"),
            Column(key="matched", label="Matched: mean or share"),
            Column(key="difference", label="Standardized difference", digits=2, signed=True),
            Column(key="basis", kind="basis", governs=("left_out", "matched", "difference")),
        ),
        rows=tuple(rows),
        note="The effect is about those who are matched. Differences over 0.25 say that it may not hold for those left "
        f"out. Divided by {fitted.spread_words}.",
    )  # fmt: skip


def _bases(fitted: Fitted, out: Mask, kept: Mask) -> tuple[int, ...]:
    found = []
    for basis, column in zip(fitted.bases, fitted.people.covariates.shown.T, strict=True):
        counts = [int(out.sum()), int(kept.sum())]
        if is_binary(column):
            counts += [int((part & group).sum()) for part in (column == 1, column == 0) for group in (out, kept)]
        found.append(min(basis_of(counts, fitted.cells), basis))
    return complemented(found, fitted.people.covariates, fitted.cells)


def describes(fitted: Fitted) -> str:
    """Return in one sentence how those left out differ most; empty where that cannot be shown."""
    table = left_out_table(fitted)
    if table is None:
        return ""
    known = [
        (abs(row[3]), row) for row in table.rows
        if isinstance(row[3], float) and not (fitted.study.counts_people and fitted.cells.hides(row[4]))
    ]  # fmt: skip
    if not known:
        return ""
    size, row = max(known, key=lambda pair: pair[0])
    if not np.isfinite(size) or size < 0.1:
        return "Those left out are like those matched on what was measured."
    direction = "higher" if row[3] > 0 else "lower"  # type: ignore[operator]
    return f"Those left out differ most in {row[0]}, which is {direction} by {size:.2f} standard deviations on average."
