"""Pooling of 39 states against R metafor 3.8-1 (values printed with 15 digits)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaltoolkit.kernels.pooling import Between, pool

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "its_golden.json").exists(), reason="reference values are not here")
GOLDEN: dict[str, Any] = json.loads((FOLDER / "its_golden.json").read_text()) if FOLDER.exists() else {}
METHODS: dict[str, Between] = {"FE": "none", "DL": "dersimonian-laird", "REML": "reml", "PM": "paule-mandel"}
# metafor iterates the variance between sites to 1e-5 (REML) and 1.2e-4 (Paule-Mandel), ours to rounding.
CLOSE = {"FE": 1e-9, "DL": 1e-9, "REML": 2e-5, "PM": 2e-4}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("what", ["level", "slope"])
def test_the_mean_and_the_variance_between_states(what: str, name: str) -> None:
    block = GOLDEN["prop99_sites_meta"][what]
    found = pool(np.array(block["yi"]), np.array(block["sei"]), between=METHODS[name], adjusted=False)
    theirs, close = block[name], CLOSE[name]
    assert found.estimate == pytest.approx(theirs["est"], rel=close)
    assert found.std_error == pytest.approx(theirs["se"], rel=close)
    assert found.tau2 == pytest.approx(theirs["tau2"], rel=close, abs=1e-9)
    assert found.q == pytest.approx(theirs["Q"], rel=1e-9)
    assert found.q_p == pytest.approx(theirs["Qp"], rel=1e-6)
    assert found.i2 == pytest.approx(theirs["I2"], rel=close, abs=1e-8)
    assert [found.low, found.high] == pytest.approx(theirs["ci"], rel=close)


@pytest.mark.parametrize("what", ["level", "slope"])
def test_hartung_knapp_with_its_prediction_interval(what: str) -> None:
    block = GOLDEN["prop99_sites_meta"][what]
    found = pool(np.array(block["yi"]), np.array(block["sei"]))
    theirs = block["REML_HKSJ"]
    assert [found.estimate, found.std_error] == pytest.approx([theirs["est"], theirs["se"]], rel=CLOSE["REML"])
    assert [found.low, found.high] == pytest.approx(theirs["ci"], rel=CLOSE["REML"])
    assert found.p_value == pytest.approx(theirs["p"], rel=1e-3)
    assert [found.new_low, found.new_high] == pytest.approx(theirs["pred_int"], rel=CLOSE["REML"])
