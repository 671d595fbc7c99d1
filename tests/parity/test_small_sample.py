"""Small-sample errors against R clubSandwich 0.5.8, sandwich, estimatr and fixest 0.12.2."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evaltoolkit.kernels.small_sample import small_sample
from evaltoolkit.kernels.small_sample_fit import ClusteredFit, clustered_fit

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "did_golden.json").exists(), reason="reference values are not here")
GOLDEN: dict[str, Any] = (
    {e["id"]: e for e in json.loads((FOLDER / "did_golden.json").read_text())["entries"]} if FOLDER.exists() else {}
)
CLOSE = 1e-10  # values are stored with 15 digits


def simple_fit(covariates: list[str]) -> ClusteredFit:
    frame = pd.read_csv(FOLDER / "base_did.csv")
    columns = [frame.treat * frame.post, np.ones(len(frame)), frame.treat, frame.post, *(frame[c] for c in covariates)]
    return clustered_fit(np.column_stack(columns).astype(float), frame.y.to_numpy(), frame.id.to_numpy())


@pytest.mark.parametrize(("entry", "covariates"), [("2x2.base_did", []), ("2x2.base_did.x1", ["x1"])])
@pytest.mark.parametrize("kind", ["iid", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR1S", "CR2", "CR3"])
def test_every_error_of_the_simple_comparison(entry: str, covariates: list[str], kind: Any) -> None:
    golden = GOLDEN[entry]["values"]
    found = small_sample(simple_fit(covariates), kind)
    assert found.estimate[0] == pytest.approx(golden["est"], rel=CLOSE)
    assert found.std_error[0] == pytest.approx(golden[f"se_{kind}"], rel=CLOSE)
    if kind in {"CR2", "CR3"}:
        assert found.df[0] == pytest.approx(golden[f"df_satt_{kind}"], rel=CLOSE)
        assert found.p_value[0] == pytest.approx(golden[f"p_satt_{kind}"], rel=CLOSE)
    if kind == "CR2":
        reach = stats.t.ppf(0.975, found.df[0]) * found.std_error[0]
        ends = [found.estimate[0] - reach, found.estimate[0] + reach]
        assert ends == pytest.approx(golden["estimatr_CR2"]["ci"], rel=CLOSE)


@pytest.mark.parametrize("absorb", [False, True])
def test_two_way_effects_of_castle_laws(*, absorb: bool) -> None:
    frame = pd.read_csv(FOLDER / "castle.csv")
    golden = GOLDEN["twfe.castle.cr2"]["values"]
    columns = [frame.post, *(frame.year == y for y in sorted(frame.year.unique())[1:])]
    if not absorb:
        columns += [frame.sid == s for s in frame.sid.unique()]
    sid = frame.sid.to_numpy()
    design = np.column_stack(columns).astype(float)
    fit = clustered_fit(design, frame.l_homicide.to_numpy(), sid, None, sid if absorb else None)
    kinds: Any = ("CR1", "CR1S", "CR2")
    for kind in kinds:
        found = small_sample(fit, kind)
        assert found.estimate[0] == pytest.approx(golden["est"], rel=CLOSE)
        assert found.std_error[0] == pytest.approx(golden[f"se_{kind}"], rel=CLOSE)
    assert found.df[0] == pytest.approx(golden["df_satt"], rel=CLOSE)
    assert found.p_value[0] == pytest.approx(golden["p_satt"], rel=CLOSE)


def test_counties_absorbed_in_states() -> None:
    frame = pd.read_csv(FOLDER / "mpdta.csv")
    golden = GOLDEN["twfe.mpdta.cr2_state"]["values"][0]
    treated = (frame.first_treat > 0) & (frame.year >= frame.first_treat)
    design = np.column_stack([treated, *(frame.year == y for y in range(2004, 2008))]).astype(float)
    county = frame.countyreal.to_numpy()
    found = small_sample(clustered_fit(design, frame.lemp.to_numpy(), county // 1000, None, county), "CR1-nested")
    assert found.estimate[0] == pytest.approx(golden["est"], rel=CLOSE)
    assert found.std_error[0] == pytest.approx(golden["se"], rel=CLOSE)
    assert found.p_value[0] == pytest.approx(golden["p"], rel=CLOSE)
