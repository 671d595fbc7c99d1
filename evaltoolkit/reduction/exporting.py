"""Whether sums may be written to a file, and if not, what would let them."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.errors import DisclosureError, OptionError
from evaltoolkit.kernels.cohort_moments import CohortMoments
from evaltoolkit.kernels.moment_clusters import ClusterMoments
from evaltoolkit.reduction.moments import Account, PanelMoments, observed
from evaltoolkit.reduction.release import Finding, ReleaseReport, kept_in, release_report, without

FloatArray = NDArray[np.float64]

FAR: Final = 300.0
"""Standard deviations that the mean may be from zero without a stated shift; sums of squares lose digits beyond."""


def exportable(moments: PanelMoments, *, where: str = "--export-moments") -> tuple[PanelMoments, ReleaseReport]:
    """Return the sums that may leave, and what was checked.

    Units that lack a period are left out where too few others lack the same.

    Parameters
    ----------
    moments
        Before any are added.
    where
        Where the export was asked for, for messages.

    Raises
    ------
    DisclosureError
        A count of 1 to 10 people is among the sums, or follows from them; the message names what to make coarser.
    OptionError
        Levels are so large that the shift has to be stated beforehand.
    """
    _check_shift(moments)
    moments = _enough_alike(moments)
    report = release_report(moments)
    if report.findings:
        expected = f"{'0 or ' if report.show_zero else ''}{report.threshold} or more people behind every number"
        raise DisclosureError(
            "the sums may not leave: " + "; ".join(_said(f) for f in report.findings), expected=expected,
            todo=_coarser(moments, report), where=where,
        )  # fmt: skip
    return moments, report


def _enough_alike(moments: PanelMoments) -> PanelMoments:
    """Return the sums without cells of units that lack a period, where such a cell may not leave."""
    whole = observed(moments.table).all(axis=1)
    if whole.all() or not whole.any():
        return moments
    few, table = kept_in(moments), moments.table
    if isinstance(table, ClusterMoments):
        few = np.bincount(table.cell, weights=few, minlength=whole.size) > 0
    kept = whole | ~few
    if kept.all():
        return moments
    lost = int(_units_of_cells(moments)[~kept].sum())
    account = dataclasses.replace(moments.account, n_kept=moments.account.n_kept - lost)
    return dataclasses.replace(
        moments, table=_cells_kept(table, kept), account=account,
        counts=None if moments.counts is None else moments.counts[kept],
        dominance=None if moments.dominance is None else moments.dominance[kept],
    )  # fmt: skip


def _cells_kept(table: CohortMoments | ClusterMoments, kept: NDArray[np.bool_]) -> CohortMoments | ClusterMoments:
    there = observed(table)[kept]
    starts, cohort = np.unique(table.starts[table.cohort][kept], return_inverse=True)
    shared: dict[str, Any] = {
        "starts": starts, "cohort": cohort.astype(np.int64), "design": table.design[kept],
        "there": None if there.all() else there,
    }  # fmt: skip
    if isinstance(table, CohortMoments):
        parts = {name: getattr(table, name)[kept] for name in ("units", "n", "m", "N2", "M2", "Q")}
        return dataclasses.replace(table, **shared, **parts)
    pairs = kept[table.cell]
    parts = {name: getattr(table, name)[pairs] for name in ("cluster", "units", "n", "m")}
    return dataclasses.replace(table, **shared, **parts, cell=(np.cumsum(kept) - 1)[table.cell[pairs]])


def shareable_account(moments: PanelMoments) -> tuple[Account, bool]:
    """Return the account that may leave, and whether it tells less than the whole.

    Where few people were left out, only those in the sums are told of: their rows and units, and nobody left out.
    """
    plan, account = moments.plan, moments.account
    left_out = np.array([account.n_left, account.n_always, account.n_read - account.n_rows], dtype=np.float64)
    if not plan.counts_people or not ((left_out > 0) & (left_out < plan.threshold)).any():
        return account, False
    units, there = _units_of_cells(moments), observed(moments.table)
    rows, lacking = int(units @ there.sum(axis=1)), int(units[~there.all(axis=1)].sum())
    return Account(rows, rows, int(units.sum()), lacking, 0, lacking), True


def _units_of_cells(moments: PanelMoments) -> NDArray[np.int64]:
    table = moments.table
    if isinstance(table, CohortMoments):
        return table.units
    return np.bincount(table.cell, weights=table.units, minlength=table.cohort.size).astype(np.int64)


def _said(finding: Finding) -> str:
    cells = "1 cell" if finding.cells == 1 else f"{finding.cells:,} cells"
    if finding.what == "unchecked":
        return f"{finding.words} cannot be checked"
    verb = ("has" if finding.cells == 1 else "have") if finding.what != "two-places" else "give"
    return f"{cells} {verb if finding.cells != 1 else verb.replace('give', 'gives')} {finding.words}"


def _coarser(moments: PanelMoments, report: ReleaseReport) -> str:
    """Return which covariate is to be made coarser: the one without which the fewest findings are left."""
    if any(f.what == "unchecked" for f in report.findings):
        if moments.plan.weights is not None or not isinstance(moments.table, CohortMoments):
            return "evaluate without weights and with clusters that are the units, or give out the result only"
        return "reduce the data anew; the largest values were not looked at"
    names = moments.plan.covariates
    if isinstance(moments.table, ClusterMoments):
        return "evaluate with clusters of more units, or with the units as clusters"
    wider = (
        "use wider periods (years in place of quarters), starts that more units share, or fewer agencies with more "
        "units each"
    )
    if not names:
        return wider
    left = {name: release_report(without(moments, name)).bad_cells for name in names}
    worst = min(names, key=lambda name: left[name])
    after = "no such cell is" if left[worst] == 0 else f"{left[worst]:,} such cells are"
    found = f"make '{worst}' coarser ({_how(moments, worst)}) or leave it out: without it {after} left"
    return found if left[worst] == 0 else f"{found}; then {wider}"


def _how(moments: PanelMoments, name: str) -> str:
    i = moments.plan.covariates.index(name)
    if name in dict(moments.plan.grid):
        return f"fewer cut points under [moments] grid.{name}"
    if any(isinstance(row[i], str) for row in moments.values):
        return "merge its categories in the data of every agency"
    values = sorted({float(row[i]) for row in moments.values})
    middle = (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
    return f"[moments] grid = {{ {name} = [{middle:.3g}] }}"


def _check_shift(moments: PanelMoments) -> None:
    table = moments.table
    if moments.plan.shift is not None or not isinstance(table, CohortMoments):
        return
    seen = observed(table)
    n, N2 = np.maximum(table.n @ seen, 1e-300), np.maximum(table.N2 @ seen, 1e-300)
    mean = table.shift + table.m.sum(axis=0) / n
    square = np.diagonal(table.Q.sum(axis=0)) / N2
    spread = np.sqrt(np.maximum(square - (table.M2.sum(axis=0) / N2) ** 2, 0.0))
    far = (spread > 0) & (np.abs(mean) > FAR * spread)
    if far.any():
        raise OptionError(
            f"the outcome lies more than {FAR:g} standard deviations from zero, and no shift is stated",
            expected="one shift for all agencies, so that their sums add up without losing digits",
            todo=f"write  {_sentence(mean, spread)}  under [moments] in the design file of every agency",
            where="moments.shift",
        )  # fmt: skip


def _sentence(mean: FloatArray, spread: FloatArray) -> str:
    """Return the line for the design file: one number where it serves all periods."""
    digits = int(np.floor(np.log10(spread[spread > 0].max())))
    level = round(float(mean.mean()), -digits)
    if (np.abs(mean - level) <= FAR * np.where(spread > 0, spread, np.inf)).all():
        return f"shift = {_short(level)}"
    return f"shift = [{', '.join(_short(round(float(m), -digits)) for m in mean)}]"


def _short(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
