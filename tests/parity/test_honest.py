"""Sensitivity to departures from parallel trends against R HonestDiD 0.2.8."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
