"""One series of 120 months: the whole evaluation here, against the fits alone written by hand in statsmodels.

Run ``python benchmarks/series.py``. Both sides run in the same process in turns; the ratio is what can be compared.
"""

from __future__ import annotations

import statistics
import time
import warnings

import numpy as np
import pandas as pd
import statsmodels.api as sm

import evaltoolkit as ev

ROUNDS = 9


def data() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    t = np.arange(120)
    noise = np.zeros(120)
    for i in range(1, 120):
        noise[i] = 0.4 * noise[i - 1] + rng.normal()
    y = 60 + 0.05 * t + 3 * np.sin(2 * np.pi * t / 12) - 6 * (t >= 72) + noise
    return pd.DataFrame({"month": pd.period_range("2015-01", periods=120, freq="M").astype(str), "y": y})


def ours(frame: pd.DataFrame) -> float:
    found = ev.its(frame, outcome="y", time="month", interruption="2021-01", season={"harmonics": 2})
    return float(found.result.headline.estimate or 0)


def by_hand(frame: pd.DataFrame) -> float:
    """Newey-West, and maximum likelihood with AR(1) errors; the mean difference from the counterfactual."""
    t = np.arange(120)
    late = (t >= 72).astype(float)
    waves = [f(2 * np.pi * h * t / 12) for h in (1, 2) for f in (np.sin, np.cos)]
    X = np.column_stack([np.ones(120), t, late, (t - 72) * late, *waves])
    y = frame["y"].to_numpy()
    fit = sm.OLS(y, X).fit(cov_type="HAC", cov_kwds={"maxlags": 4, "use_correction": True}, use_t=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sm.tsa.SARIMAX(y, exog=X, order=(1, 0, 0)).fit(disp=False)
    return float((fit.params[2] + fit.params[3] * (t - 72))[72:].mean())


def main() -> None:
    frame = data()
    spent: dict[str, list[float]] = {"evaltoolkit, whole evaluation": [], "statsmodels, two fits by hand": []}
    for round_ in range(ROUNDS + 1):
        for name, run in zip(spent, (ours, by_hand), strict=True):
            start = time.perf_counter()
            run(frame)
            if round_:
                spent[name].append(time.perf_counter() - start)
    middle = {name: statistics.median(values) for name, values in spent.items()}
    for name, seconds in middle.items():
        print(f"{name:32s} {1000 * seconds:7.0f} ms")
    mine, theirs = middle.values()
    print(f"ratio of times, statsmodels over evaltoolkit: {theirs / mine:.2f}")


if __name__ == "__main__":
    main()
