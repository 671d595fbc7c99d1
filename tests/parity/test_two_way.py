"""Regressions with unit and period effects against R fixest 0.12.2, etwfe 0.4.0 and clubSandwich 0.5.8."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evaltoolkit.kernels.aggregate import Sizes, aggregate
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.saturated import Extended, extended_two_way, interaction_weighted
from evaltoolkit.kernels.two_way import Regression, Window, event_study, static
from evaltoolkit.kernels.two_way_cells import CellEffects
from evaltoolkit.kernels.two_way_errors import covariance
from evaltoolkit.kernels.two_way_panel import Panel, two_way_panel

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "did_golden.json").exists(), reason="reference values are not here")

LARGE: dict[str, Any] = (
    {e["id"]: e for e in json.loads((FOLDER / "did_golden.json").read_text())["entries"]} if FOLDER.exists() else {}
)
SMALL: dict[str, Any] = json.loads((FOLDER / "did_mpdta_golden.json").read_text()) if FOLDER.exists() else {}
CASTLE = ("l_police", "unemployrt", "poverty", "l_income", "l_prisoner", "blackm_15_24", "whitem_15_24")


def wide(frame: pd.DataFrame, unit: str, time: str, name: str) -> np.ndarray:
    return frame.pivot(index=unit, columns=time, values=name).to_numpy(dtype=np.float64)


def panel_of(file: str, columns: tuple[str, str, str, str], **more: Any) -> Panel:
    """Return the panel of a file: columns are the outcome, unit, time and start; ``more`` names further columns."""
    frame = pd.read_csv(FOLDER / file)
    if file == "mpdta.csv":
        frame["state"] = frame["countyreal"] // 1000
    if file == "base_did.csv":
        frame["start"] = np.where(frame["treat"] == 1, 6, 0)
    outcome, unit, time, start = columns
    first = frame.sort_values(time).groupby(unit)
    begin = first[start].first().to_numpy()
    codes = {k: np.unique(first[more[k]].first(), return_inverse=True)[1] for k in ("clusters", "groups") if k in more}
    x = np.stack([wide(frame, unit, time, c) for c in more["covariates"]], axis=2) if "covariates" in more else None
    return two_way_panel(
        wide(frame, unit, time, outcome),
        np.where((begin == 0) | (begin > 9000), NEVER, begin).astype(np.int64),
        np.sort(frame[time].unique()).astype(np.int64),
        weights=first[more["weights"]].first().to_numpy(dtype=np.float64) if "weights" in more else None,
        covariates=x,
        **codes,
    )


def base_did(**more: Any) -> Panel:
    return panel_of("base_did.csv", ("y", "id", "period", "start"), **more)


def castle(**more: Any) -> Panel:
    return panel_of("castle.csv", ("l_homicide", "sid", "year", "effyear"), **more)


def mpdta(**more: Any) -> Panel:
    return panel_of("mpdta.csv", ("lemp", "countyreal", "year", "first_treat"), **more)


def errors(found: Regression) -> np.ndarray:
    return np.sqrt(np.diag(found.covariance))


def check(name: str, estimates: Any, std_errors: Any) -> None:
    """Compare with an entry, in its order of terms."""
    rows = LARGE[name]["values"]
    assert len(rows) == len(estimates)
    assert list(estimates) == pytest.approx([r["est"] for r in rows], rel=1e-9, abs=1e-10)
    assert list(std_errors) == pytest.approx([r["se"] for r in rows], rel=1e-8)


def test_static_with_covariate() -> None:
    found = static(base_did(covariates=["x1"]))
    check("twfe.base_did.cluster", found.coefficients, errors(found))


def test_event_study_with_covariate() -> None:
    found = event_study(base_did(covariates=["x1"]))
    order = np.r_[found.labels.size, : found.labels.size]
    check("event.base_did", found.coefficients[order], errors(found)[order])


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("twfe.castle", {}),
        ("twfe.castle.w", {"weights": "popwt"}),
        ("twfe.castle.wx", {"weights": "popwt", "covariates": CASTLE, "groups": "region"}),
    ],
)
def test_static_castle(name: str, more: dict[str, Any]) -> None:
    found = static(castle(**more))
    check(name, found.coefficients, errors(found))


def test_event_study_castle() -> None:
    found = event_study(castle(weights="popwt"))
    check("event.castle", found.coefficients, errors(found))
    assert found.labels.tolist() == [-9, -8, -7, -6, -5, -4, -3, -2, 0, 1, 2, 3, 4, 5]


def test_event_study_mpdta() -> None:
    found = event_study(mpdta())
    check("event.mpdta", found.coefficients, errors(found))


def test_static_mpdta_by_county() -> None:
    found, name = static(mpdta()), "fixest twfe static | county+year, cluster county"
    assert [found.coefficients[0], errors(found)[0]] == pytest.approx(SMALL["extended_R"][name]["D"], rel=1e-8)


def test_static_mpdta_by_state() -> None:
    found = static(mpdta(clusters="state"))
    check("twfe.mpdta.cr2_state", found.coefficients, errors(found))


KINDS: dict[str, tuple[Any, int | None]] = {
    "iid": ("iid", None), "hetero": ("hetero", None), "cluster": ("cluster", None), "twoway": ("two-way", None),
    "DK": ("driscoll-kraay", None), "NW2": ("newey-west", 2),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_other_errors(name: str) -> None:
    panel = base_did(covariates=["x1"])
    found = static(panel)
    covariance_of = covariance(panel, found, *KINDS[name])
    check(f"twfe.base_did.{name}", found.coefficients, np.sqrt(np.diag(covariance_of.matrix)))
    t = found.coefficients / np.sqrt(np.diag(covariance_of.matrix))
    p = 2 * stats.t.sf(np.abs(t), covariance_of.df)
    assert p.tolist() == pytest.approx([r["p"] for r in LARGE[f"twfe.base_did.{name}"]["values"]], rel=1e-6)


def test_event_study_heteroskedastic() -> None:
    panel = base_did()
    found = event_study(panel, Window(reference=(-5,)))
    check("event.base_did.hetero", found.coefficients, np.sqrt(np.diag(covariance(panel, found, "hetero").matrix)))


def test_dummies_with_clubsandwich_errors() -> None:
    panel, expected = castle(), LARGE["twfe.castle.cr2"]["values"]
    found = static(panel)
    assert found.coefficients[0] == pytest.approx(expected["est"], rel=1e-9)
    for kind in ("CR1", "CR1S"):
        assert covariance(panel, found, kind).matrix[0, 0] ** 0.5 == pytest.approx(expected[f"se_{kind}"], rel=1e-9)


def aggregated(found: CellEffects, kind: Any) -> Any:
    none = Sizes(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros((0, 0)))
    return aggregate(kind, found.cohort, found.period, found.att, found.scores, none, found.weight)


def close(values: Any, scores: np.ndarray, rows: list[dict[str, Any]], rel_est: float, rel_se: float) -> None:
    assert list(values) == pytest.approx([r["est"] for r in rows], rel=rel_est)
    assert np.sqrt((scores**2).sum(axis=0)).tolist() == pytest.approx([r["se"] for r in rows], rel=rel_se)


def test_interaction_weighted() -> None:
    found, expected = interaction_weighted(mpdta()), LARGE["sunab.mpdta"]["values"]
    events = aggregated(found, "dynamic")
    close(events.rows, events.row_scores, expected["event"], 1e-9, 1e-8)
    simple = aggregated(found, "simple")
    close([simple.overall], simple.overall_scores[:, None], expected["att"], 1e-9, 1e-8)
    group = aggregated(found, "group")
    close(group.rows, group.row_scores, expected["cohort"], 1e-9, 1e-8)
    order = np.lexsort((found.cohort, found.event_time))
    close(found.att[order], found.scores[:, order], expected["raw"], 1e-9, 1e-8)


@pytest.mark.parametrize("covariates", ["none", "lpop"])
@pytest.mark.parametrize("comparison", ["notyet", "never"])
def test_extended_two_way(covariates: str, comparison: str) -> None:
    entry = LARGE[f"etwfe.mpdta.{covariates}.{comparison}"]
    more = {} if covariates == "none" else {"covariates": ["lpop"]}
    found = extended_two_way(mpdta(**more), Extended("never" if comparison == "never" else "not-yet"))
    tol = entry["tol"]["rel_est"], entry["tol"]["rel_se"]
    for kind, name in (("dynamic", "event"), ("group", "group"), ("calendar", "calendar")):
        got = aggregated(found, kind)
        close(got.rows, got.row_scores, [r for r in entry["values"][name] if r["se"] is not None], *tol)
    simple = aggregated(found, "simple")
    close([simple.overall], simple.overall_scores[:, None], entry["values"]["simple"], *tol)
