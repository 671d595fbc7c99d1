"""Imputation and two-stage estimates against R didimputation 0.5.0, did2s 1.2.0 and, on mpdta, Python peers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaltoolkit.kernels.imputation import imputation, pre_trends
from evaltoolkit.kernels.saturated import Extended, extended_two_way, interaction_weighted
from evaltoolkit.kernels.two_stage import two_stage
from evaltoolkit.kernels.two_way import Window, event_study, static
from evaltoolkit.kernels.two_way_panel import Panel, two_way_panel
from tests.parity.test_two_way import FOLDER, LARGE, SMALL, aggregated, castle, errors, mpdta

pytestmark = pytest.mark.skipif(not (FOLDER / "did_golden.json").exists(), reason="reference values are not here")


# R didimputation and did2s take their effects from an iteration that stops early; ours are exact (see the dense test).
# On mpdta and castle.csv the difference is within the tolerance the reference file states for all entries. On
# df_hom600.csv it is not: up to 3.1e-7, 1.7e-7 of an estimate, where 1e-7 is stated. There the bound is 2e-7.
STATED, DF_HOM = 1e-7, 2e-7


def near(values: Any, scores: np.ndarray, rows: list[dict[str, Any]], relative: float = STATED) -> None:
    """Compare estimates (tolerances add up, as the file says) and errors."""
    np.testing.assert_allclose(values, [r["est"] for r in rows], rtol=relative, atol=1e-9)
    np.testing.assert_allclose(spread(scores), [r["se"] for r in rows], rtol=1e-6)


def df_hom() -> Panel:
    frame = pd.read_csv(FOLDER / "df_hom600.csv")
    first = frame.sort_values("year").groupby("unit")
    start = first["g"].first().to_numpy()
    return two_way_panel(
        frame.pivot(index="unit", columns="year", values="dep_var").to_numpy(),
        np.where(start == 0, np.iinfo(np.int64).max, start).astype(np.int64),
        np.sort(frame["year"].unique()).astype(np.int64),
        np.unique(first["state"].first(), return_inverse=True)[1],
    )


def spread(scores: np.ndarray) -> np.ndarray:
    return np.sqrt((scores**2).sum(axis=0))


def test_imputation_mpdta() -> None:
    found = imputation(mpdta())
    simple = aggregated(found, "simple")
    near([simple.overall], simple.overall_scores[:, None], LARGE["bjs.mpdta"]["values"])
    peer = SMALL["other_estimators"]["diff-diff 3.13.0 / pyfixest 0.60.0"]["diff-diff BJS"]
    assert simple.overall == pytest.approx(peer["overall"][0], rel=1e-12)
    assert spread(simple.overall_scores[:, None])[0] == pytest.approx(peer["overall"][1], rel=1e-10)


def test_imputation_event_study_mpdta() -> None:
    found, rows = imputation(mpdta()), LARGE["bjs.mpdta.es"]["values"]
    events = aggregated(found, "dynamic")
    near(events.rows, events.row_scores, [r for r in rows if int(r["term"]) >= 0])
    before = pre_trends(mpdta())
    near(before.coefficients, before.scores, [r for r in rows if int(r["term"]) < 0])


def test_leave_one_out() -> None:
    peer = SMALL["other_estimators"]["diff-diff 3.13.0 / pyfixest 0.60.0"]["diff-diff BJS leave_one_out"]
    found = imputation(mpdta(), "leave-one-out")
    simple, events = aggregated(found, "simple"), aggregated(found, "dynamic")
    assert spread(simple.overall_scores[:, None])[0] == pytest.approx(peer["overall"][1], rel=1e-10)
    expected = [peer["es"][str(e)][1] for e in events.labels]
    assert spread(events.row_scores).tolist() == pytest.approx(expected, abs=6e-11)  # printed to ten places


def test_imputation_clustered_by_state() -> None:
    panel, rows = df_hom(), LARGE["bjs.df_hom.es"]["values"]
    found = imputation(panel)
    events = aggregated(found, "dynamic")
    kept = events.labels <= 10
    near(events.rows[kept], events.row_scores[:, kept], [r for r in rows if int(r["term"]) >= 0], DF_HOM)
    before = pre_trends(panel, (-5, -4, -3, -2, -1))
    near(before.coefficients, before.scores, [r for r in rows if int(r["term"]) < 0])


def test_the_exact_solution_is_ours() -> None:
    """Dense dummies on df_hom600.csv, where R is further away than the reference file states."""
    panel = df_hom()
    n, T = panel.outcome.shape
    dummies = np.hstack([np.kron(np.eye(n), np.ones((T, 1))), np.tile(np.eye(T), (n, 1))])
    y, treated = panel.outcome.ravel(), panel.treated[panel.cohort].ravel()
    left = y - dummies @ np.linalg.lstsq(dummies[~treated], y[~treated], rcond=None)[0]
    assert two_stage(panel).coefficients[0] == pytest.approx(left[treated].mean(), rel=1e-12)
    events = aggregated(imputation(panel), "dynamic")
    since = panel.event_time[panel.cohort].ravel()
    expected = [left[since == e].mean() for e in events.labels]
    np.testing.assert_allclose(events.rows, expected, rtol=1e-11)


@pytest.mark.parametrize(("name", "relative"), [("did2s.castle", STATED), ("did2s.df_hom", DF_HOM)])
def test_two_stage(name: str, relative: float) -> None:
    found = two_stage(castle() if name == "did2s.castle" else df_hom())
    near(found.coefficients, found.scores, LARGE[name]["values"], relative)


def test_two_stage_event_study() -> None:
    found = two_stage(castle(weights="popwt"), Window())
    near(found.coefficients, found.scores, LARGE["did2s.castle.es.w"]["values"])


def test_other_estimators() -> None:
    """Numbers of Python peers on mpdta."""
    peers: dict[str, Any] = SMALL["other_estimators"]["diff-diff 3.13.0 / pyfixest 0.60.0"]
    gardner = two_stage(mpdta())
    assert [gardner.coefficients[0], spread(gardner.scores)[0]] == pytest.approx(
        peers["diff-diff two-stage"]["overall"]
    )
    events = two_stage(mpdta(), Window(first=0, outside="drop"))
    rows = peers["diff-diff two-stage"]["es"]
    assert spread(events.scores).tolist() == pytest.approx([rows[str(e)][1] for e in events.labels], abs=6e-11)
    units = aggregated(extended_two_way(mpdta(), Extended("not-yet", "units")), "simple")
    assert spread(units.overall_scores[:, None])[0] == pytest.approx(peers["diff-diff ETWFE notyet"]["overall"][1])
    shared = aggregated(interaction_weighted(mpdta()), "simple")
    assert [shared.overall, spread(shared.overall_scores[:, None])[0]] == pytest.approx(
        peers["diff-diff SunAbraham"]["overall"]
    )
    found = event_study(mpdta())
    assert found.coefficients.tolist() == pytest.approx([v[0] for v in peers["pyfixest twfe es"].values()])
    # pyfixest counts 8 parameters where fixest counts 12.
    wider = np.sqrt((2500 - 8) / (2500 - 12))
    assert (errors(found) / wider).tolist() == pytest.approx([v[1] for v in peers["pyfixest twfe es"].values()])
    assert static(mpdta()).coefficients[0] == pytest.approx(peers["diff-diff Bacon"]["twfe_estimate"], rel=1e-12)
