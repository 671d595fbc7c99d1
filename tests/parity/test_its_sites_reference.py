"""Many sites against R 4.2.2 (sandwich, metafor, nlme): 39 states around 1989."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "its_golden.json").exists(), reason="reference values are not here")
GOLDEN: dict[str, Any] = json.loads((FOLDER / "its_golden.json").read_text()) if FOLDER.exists() else {}
CLOSE = 1e-8  # closed forms printed with 15 digits
# nlme and statsmodels stop their searches at different points of a flat likelihood.
SEARCH = 1e-4
OWN = "one regression, site intercepts, errors clustered by site"
MIXED = "mixed model, random intercepts and trends"


@pytest.fixture(scope="module")
def states() -> Any:
    frame = pd.read_csv(FOLDER / "prop99.csv")
    return ev.its(frame, outcome="PacksPerCapita", time="Year", interruption=1989, unit="State",
                  errors="newey-west", lags=1)  # fmt: skip


@pytest.mark.parametrize(("what", "place"), [("level", 0), ("slope", 1)])
def test_every_state_by_its_own_model(states: Any, what: str, place: int) -> None:
    golden, found = GOLDEN["prop99_sites_meta"][what], states.sample.products
    assert list(found["sites"]) == golden["site"]
    assert found["changes"][:, place] == pytest.approx(np.array(golden["yi"]), rel=CLOSE)
    errors = np.sqrt(found["change_covariance"][:, place, place])
    assert errors == pytest.approx(np.array(golden["sei"]), rel=CLOSE)


@pytest.mark.parametrize("what", ["level", "slope"])
def test_states_pooled(states: Any, what: str) -> None:
    golden = GOLDEN["prop99_sites_meta"][what]["REML_HKSJ"]
    row = next(e for e in states.result.estimates if e.term == what)
    # metafor stops the search for the variance between sites at 1e-5.
    assert [row.estimate, row.std_error] == pytest.approx([golden["est"], golden["se"]], rel=2e-5)
    assert [row.conf_low, row.conf_high] == pytest.approx(golden["ci"], rel=2e-5)
    assert row.df == 38


def test_one_regression_with_site_intercepts(states: Any) -> None:
    golden = GOLDEN["prop99_pooled_fe"]
    rows = {e.term: e for e in states.result.estimates}
    for theirs, mine in (("t", "trend"), ("level1", "level"), ("slope1", "slope")):
        row = rows[f"{mine}: {OWN}"]
        assert row.estimate == pytest.approx(golden["coef"][theirs], rel=CLOSE)
        assert row.std_error == pytest.approx(golden["cluster_se_CR1"][theirs], rel=CLOSE)


def test_the_mixed_model(states: Any) -> None:
    golden = GOLDEN["prop99_mixed"]["ri_slope_t"]
    rows = {e.term: e for e in states.result.estimates}
    for theirs, mine in (("t", "trend"), ("level1", "level"), ("slope1", "slope")):
        row = rows[f"{mine}: {MIXED}"]
        assert row.estimate == pytest.approx(golden["coef"][theirs], rel=SEARCH)
        assert row.std_error == pytest.approx(golden["se"][theirs], rel=SEARCH)
