"""Sensitivity to departures from parallel trends against R HonestDiD 0.2.8."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit.kernels.honest import EventStudy, Method, honest_relative, honest_smoothness, original_interval

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "did_golden.json").exists(), reason="reference values are not here")

METHODS: dict[str, Method] = {"FLCI": "fixed-length", "C-LF": "hybrid"}
ENTRIES: dict[str, Any] = (
    {
        entry["id"]: entry
        for entry in json.loads((FOLDER / "did_golden.json").read_text())["entries"]
        if entry["id"].startswith("honest.")
    }
    if FOLDER.exists()
    else {}
)


def study(entry: dict[str, Any]) -> EventStudy:
    given = entry["values"]["input"]
    return EventStudy(np.array(given["betahat"]), np.array(given["sigma"]), entry["spec"]["num_pre"])


@pytest.mark.parametrize("name", ENTRIES)
def test_robust_intervals(name: str) -> None:
    entry = ENTRIES[name]
    weights = np.array(entry["spec"]["l_vec"], dtype=float)
    for row in entry["values"]["rows"]:
        intervals = honest_smoothness if row["Delta"] == "DeltaSD" else honest_relative
        (found,) = intervals(study(entry), weights, [row["M"]], method=METHODS[row["method"]])
        assert found.low == pytest.approx(row["lb"], abs=entry["tol"]["abs"])
        assert found.high == pytest.approx(row["ub"], abs=entry["tol"]["abs"])
        assert not found.is_open


@pytest.mark.parametrize("name", ENTRIES)
def test_original_interval(name: str) -> None:
    entry = ENTRIES[name]
    found = original_interval(study(entry), np.array(entry["spec"]["l_vec"], dtype=float))
    assert found.low == pytest.approx(entry["values"]["original"]["lb"], rel=1e-10)
    assert found.high == pytest.approx(entry["values"]["original"]["ub"], rel=1e-10)


def test_the_data_file_is_the_input_of_its_entries() -> None:
    stored = json.loads((FOLDER / "bc_eventstudy.json").read_text())
    for name, entry in ENTRIES.items():
        if entry["dataset"] == "bc_eventstudy.json":
            assert entry["values"]["input"]["betahat"] == stored["betahat"], name
            assert entry["values"]["input"]["sigma"] == stored["sigma"], name


def test_every_entry_is_compared() -> None:
    assert len(ENTRIES) == 6


@pytest.mark.parametrize("name", ENTRIES)
def test_any_event_study_can_be_handed_over(name: str) -> None:
    """``ev.honest`` takes estimates and covariance as they are, in any order."""
    entry = ENTRIES[name]
    weights = np.array(entry["spec"]["l_vec"], dtype=float)
    given, n = entry["values"]["input"], entry["spec"]["num_pre"]
    times = [*range(-n - 1, -1), *range(len(given["betahat"]) - n)]
    chosen = np.flatnonzero(weights)
    if not np.allclose(weights[chosen], 1 / chosen.size) or 1 < chosen.size < weights.size:
        pytest.skip("not one effect, nor the average")
    backwards = np.arange(len(times))[::-1]
    rows = entry["values"]["rows"][:2]
    found = ev.honest(
        np.array(given["betahat"])[backwards],  # type: ignore[arg-type]
        np.array(given["sigma"])[np.ix_(backwards, backwards)],  # type: ignore[arg-type]
        event_times=[times[i] for i in backwards], bounds=[row["M"] for row in rows],
        restriction="smoothness" if rows[0]["Delta"] == "DeltaSD" else "relative",
        effect=int(chosen[0]) if chosen.size == 1 else "average",
    )  # fmt: skip
    for row, (_, mine) in zip(rows, found.iloc[1:].iterrows(), strict=True):
        assert mine["conf_low"] == pytest.approx(row["lb"], abs=entry["tol"]["abs"])
        assert mine["conf_high"] == pytest.approx(row["ub"], abs=entry["tol"]["abs"])


def test_an_evaluation_hands_over_its_event_study() -> None:
    e = ev.did(
        pd.read_csv(FOLDER / "mpdta.csv"), outcome="lemp", unit="countyreal", time="year", first_treated="first_treat",
        comparison="never-treated", covariates=["lpop"], inference="analytic",
    )  # fmt: skip
    path = e.sample.products["path"]
    whole, by_hand = (
        ev.honest(*given, bounds=[1.0], **more)
        for given, more in (((e,), {}), ((path.estimates, path.covariance), {"event_times": path.labels}))
    )
    pd.testing.assert_frame_equal(whole, by_hand)
    drawn = next(f for f in e.result.figures if f.key == "departures")
    assert whole["conf_low"].iloc[1] == pytest.approx(drawn.rows[2][3])
    short = pd.DataFrame({"u": [0, 0, 1, 1], "t": [1, 2, 1, 2], "g": [2, 2, 0, 0], "y": [1.0, 4, 2, 3]})
    pathless = ev.did(short, outcome="y", unit="u", time="t", first_treated="g")
    with pytest.raises(ev.EvaluationError, match="no path"):
        ev.honest(pathless)
    with pytest.raises(ev.EvaluationError, match="one period apart"):
        ev.honest([1.0, 2.0], [[1, 0], [0, 1]], event_times=[-3, 0])
