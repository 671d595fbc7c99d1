"""Checks of a series against R 4.2.2: lmtest, stats, strucchange, and the closed form of power."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from evaltoolkit.kernels import residual_tests as r
from evaltoolkit.kernels.detectable import power_of_t
from evaltoolkit.kernels.interruption_power import ErrorsAhead, error_of_effect
from evaltoolkit.kernels.several_breaks import segmentations
from evaltoolkit.kernels.unknown_break import ave_f_p_value, break_path, exp_f_p_value, sup_f_p_value

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "its_golden.json").exists(), reason="reference values are not here")
GOLDEN: dict[str, Any] = json.loads((FOLDER / "its_golden.json").read_text()) if FOLDER.exists() else {}
FloatArray = NDArray[np.float64]
# Closed forms printed with 15 digits; squares lose a few of them.
CLOSE = 1e-8


def segmented(t: FloatArray, starts: list[int]) -> FloatArray:
    columns = [np.ones(t.size), t]
    for start in starts:
        columns += [(t >= start) * 1.0, (t - start) * (t >= start)]
    return np.column_stack(columns)


def series(block: str) -> tuple[FloatArray, FloatArray]:
    """Residuals and columns of a block's plain fit."""
    golden = GOLDEN[block]
    if block.startswith("sicily"):
        frame = pd.read_csv(FOLDER / "sicily.csv")
        month = frame["month"].to_numpy()
        waves = [f(2 * np.pi * k * month / 12) for k in (1, 2) for f in (np.sin, np.cos)]
        X = np.column_stack([segmented(np.arange(59.0), [36]), *waves])
        y = frame["aces"].to_numpy() / frame["stdpop"].to_numpy() * 1e5
    else:
        frame = pd.read_csv(FOLDER / "prop99.csv")
        frame = frame[frame["State"] == "California"]
        if "sub" in block:
            frame = frame[frame["Year"].between(1975, 1995)]
        y = frame["PacksPerCapita"].to_numpy()
        starts = golden["T0"] if isinstance(golden["T0"], list) else [golden["T0"]]
        X = segmented(np.arange(float(y.size)), [int(s) for s in starts])
    return y - X @ np.linalg.lstsq(X, y, rcond=None)[0], X


BLOCKS = ["prop99_ca_1989", "prop99_ca_1982_1989", "prop99_ca_1982_1989_sub1975_1995", "sicily_rate_linear_fourier2"]


@pytest.mark.parametrize("block", BLOCKS)
def test_dependence_of_residuals(block: str) -> None:
    e, X = series(block)
    golden = GOLDEN[block]["fit"]["diagnostics"]
    found = r.durbin_watson(e, X)
    assert found.statistic == pytest.approx(golden["durbin_watson"]["stat"], rel=CLOSE)
    # R integrates Pan's formula with 15 subintervals.
    assert found.p_value == pytest.approx(golden["durbin_watson"]["p_exact_two_sided"], rel=1e-4)
    for lags, row in golden["breusch_godfrey_chisq"].items():
        one = r.breusch_godfrey(e, X, int(lags))
        assert (one.statistic, one.p_value) == pytest.approx((row["stat"], row["p"]), rel=1e-7)
    for lags, row in golden["breusch_godfrey_F"].items():
        assert r.breusch_godfrey_f(e, X, int(lags)) == pytest.approx((row["stat"], row["p"]), rel=1e-7)
    for lags, row in golden["ljung_box"].items():
        one = r.ljung_box(e, int(lags))
        assert (one.statistic, one.p_value) == pytest.approx((row["stat"], row["p"]), rel=1e-7)
    assert r.box_pierce(e, 12).statistic == pytest.approx(golden["box_pierce12"], rel=CLOSE)
    acf = r.autocorrelations(e, len(golden["acf"]))
    assert acf == pytest.approx(golden["acf"], abs=1e-10)
    assert r.partial_autocorrelations(acf) == pytest.approx(golden["pacf"], abs=1e-10)


def california() -> tuple[FloatArray, FloatArray]:
    frame = pd.read_csv(FOLDER / "prop99.csv")
    y = frame.loc[frame["State"] == "California", "PacksPerCapita"].to_numpy()
    return y, np.arange(float(y.size))


@pytest.mark.parametrize("name", ["mean_only", "trend"])
def test_a_break_at_an_unknown_date(name: str) -> None:
    y, t = california()
    golden = GOLDEN["prop99_ca_supF"][name]
    X = np.ones((y.size, 1)) if name == "mean_only" else np.column_stack([np.ones(y.size), t])
    found = break_path(X, y, golden["trim"])
    assert found.sup_f == pytest.approx(golden["supF"], rel=CLOSE)
    assert found.ave_f == pytest.approx(golden["aveF"], rel=CLOSE)
    assert found.exp_f == pytest.approx(golden["expF"], rel=CLOSE)
    assert found.best == golden["break_obs"]
    assert sup_f_p_value(found.sup_f, found.q, found.trim_ratio) == pytest.approx(golden["p"], abs=1e-9)
    assert ave_f_p_value(found.ave_f, found.q, found.share) < 1e-9
    assert exp_f_p_value(found.exp_f, found.q, found.share) == pytest.approx(1 / 10_001)


@pytest.mark.parametrize(
    ("q", "critical"),
    # Andrews (1993), table 1, 15 percent trimming, 10, 5 and 1 percent; simulated there with 10,000 paths.
    [(1, (7.17, 8.85, 12.35)), (2, (10.01, 11.79, 15.51)), (5, (16.37, 18.35, 22.92))],
)
def test_critical_values_of_the_largest_statistic(q: int, critical: tuple[float, ...]) -> None:
    for value, level in zip(critical, (0.10, 0.05, 0.01), strict=True):
        assert sup_f_p_value(value, q, (0.85 / 0.15) ** 2) == pytest.approx(level, abs=0.006)


def test_several_breaks() -> None:
    y, t = california()
    golden = GOLDEN["prop99_ca_breakpoints"]
    found = segmentations(np.column_stack([np.ones(y.size), t]), y, golden["h"])
    assert list(found.best) == golden["optimal"]
    assert found.rss == pytest.approx(golden["RSS"], rel=1e-7)
    assert found.bic == pytest.approx(golden["BIC"], rel=1e-7)


def test_power_in_closed_form() -> None:
    for row in GOLDEN["power_closed_form"]:
        t = np.arange(row["n"])
        X = segmented(t.astype(np.float64), [row["T0"]])
        for name, j in (("level", 2), ("slope", 3)):
            error = error_of_effect(X, np.eye(4)[j], t, ErrorsAhead(row["rho"], row["marginal_sd"]))
            assert error == pytest.approx(row[f"se_{name}"], rel=CLOSE)
            assert power_of_t(row[name], error, alpha=row["alpha"]) == pytest.approx(row[f"power_{name}"], rel=CLOSE)
