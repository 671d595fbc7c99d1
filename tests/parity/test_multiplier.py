"""Simultaneous critical values of dynamic effects against Genz' integral of R mvtnorm, kept with R did's results."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaltoolkit.kernels.aggregate import aggregate
from evaltoolkit.kernels.group_time import NEVER, Rule, group_time_study
from evaltoolkit.kernels.multiplier import multiplier_bootstrap

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "did_golden.json").exists(), reason="reference values are not here")
GOLDEN: dict[str, Any] = (
    {e["id"]: e for e in json.loads((FOLDER / "did_golden.json").read_text())["entries"]} if FOLDER.exists() else {}
)
WITH_BAND = [
    name for name, entry in GOLDEN.items() if isinstance(entry["values"], dict) and "sup_t_95" in entry["values"]
]


def dynamic(spec: dict[str, Any]) -> Any:
    frame = pd.read_csv(FOLDER / "mpdta.csv").sort_values(["countyreal", "year"])
    y = frame.lemp.to_numpy().reshape(500, 5)
    start = frame.first_treat.to_numpy(dtype=np.int64)[::5]
    start = np.where(start == 0, NEVER, start)
    design = np.column_stack([np.ones(500), frame.lpop.to_numpy()[::5]])[:, None, :]
    comparison: Any = "never" if spec["control_group"] == "nevertreated" else "not-yet"
    rule = Rule(comparison, "doubly-robust", spec["base_period"], spec["anticipation"])
    study = group_time_study(y, start, np.arange(2003, 2008), design, rule, np.arange(500))
    c = study.cells
    return aggregate("dynamic", c.cohort, c.period, c.att, c.scores, study.sizes)


@pytest.mark.parametrize("entry", WITH_BAND)
def test_gaussian_critical_value(entry: str) -> None:
    golden = GOLDEN[entry]
    rows = dynamic(golden["spec"])
    found = multiplier_bootstrap(rows.rows, rows.row_scores, "gaussian", level=0.95, draws=1_000_000, seed=1)
    expected = [np.nan if r["se"] is None else r["se"] for r in golden["values"]["dynamic"]["by"]]
    assert found.std_error == pytest.approx(expected, abs=1e-8, nan_ok=True)
    # A quantile of a million draws has an error of 0.0022 (root of .05 * .95 / 1e6 over the density, about 0.1).
    assert found.critical_value == pytest.approx(golden["values"]["sup_t_95"], abs=0.006)


def test_there_are_entries_to_compare() -> None:
    assert len(WITH_BAND) == 4
