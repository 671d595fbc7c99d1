"""Interrupted time series beside other software: one series, and 5,000 sites, in one process and one run.

Run ``python benchmarks/its_peers.py``; it writes ``docs/speed_its.md``. Peers that live elsewhere are given by
``--statspai PYTHON``, an interpreter that has StatsPAI. All figures are CPU seconds on one thread, the best of some
warm calls, so that other work on the machine weighs on both sides alike.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import statsmodels.api as sm
from numpy.typing import NDArray
from series import by_hand, data, ours

from evaltoolkit.kernels.autoregression_batch import Intervals, marginal_ar1_batch, marginal_ar1_each, newey_west_batch
from evaltoolkit.kernels.count_regression import poisson

Array = NDArray[np.float64]

SITES, PERIODS, START, LAGS = 5000, 60, 36, 3
PAGE = Path(__file__).parents[1] / "docs" / "speed_its.md"
T = np.arange(PERIODS)
X = np.column_stack([np.ones(PERIODS), T, T >= START, (T - START) * (T >= START)]).astype(float)
PICK = np.eye(4)[2:]

STATSPAI = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np, pandas as pd, statspai as sp
Y = np.load(sys.argv[1])
t = np.arange(Y.shape[1])
def one(y):
    r = sp.its(pd.DataFrame(dict(y=y, t=t)), y="y", time="t", intervention=36, hac_lag=3, hac_small_sample=True)
    return r.level_change, r.se_level, r.slope_change, r.se_slope
one(Y[0])
began = time.process_time()
found = [one(y) for y in Y]
print(json.dumps({"seconds": time.process_time() - began, "first": [float(v) for v in found[0]]}))
"""


def sites(seed: int = 20240501) -> Array:
    """Levels, trends and changes that differ by site; errors of autocorrelation 0.3."""
    rng = np.random.default_rng(seed)
    b = rng.normal([50, 0.1, -4, -0.05], [5, 0.05, 1, 0.02], (SITES, 4))
    e = rng.normal(size=(SITES, PERIODS))
    for i in range(1, PERIODS):
        e[:, i] += 0.3 * e[:, i - 1]
    return np.asarray(b @ X.T + e)


def best(run: Callable[[], object], rounds: int) -> float:
    spent = []
    for _ in range(rounds + 1):
        began = time.process_time()
        run()
        spent.append(time.process_time() - began)
    return min(spent[1:])


def statsmodels_loop(Y: Array) -> Array:
    found = []
    for y in Y:
        fit = sm.OLS(y, X).fit(cov_type="HAC", cov_kwds={"maxlags": LAGS, "use_correction": True}, use_t=True)
        found.append((fit.params[2], fit.bse[2], fit.params[3], fit.bse[3]))
    return np.array(found)


def default_counts(Y: Array) -> Intervals:
    fit = poisson(X, Y, np.zeros(PERIODS))
    root = np.sqrt(fit.expected)
    working = fit.coefficients @ X.T + (Y - fit.expected) / fit.expected
    return marginal_ar1_each(root * working, root[:, :, None] * X, T, PICK)


def peak(run: Callable[[], object]) -> float:
    tracemalloc.start()
    run()
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return top / 2**20


def single() -> list[list[str]]:
    frame = data()
    mine, theirs = best(lambda: ours(frame), 9), best(lambda: by_hand(frame), 9)
    whole = "evaltoolkit: default interval, checks, earlier dates, other models, figures and tables"
    hand = "statsmodels by hand: two fits (Newey-West, AR(1) likelihood)"
    return [[whole, f"{1000 * mine:.0f}", ""], [hand, f"{1000 * theirs:.0f}", f"{theirs / mine:.1f} ×"]]


def statspai(python: str, Y: Array, folder: Path) -> tuple[float, list[float]]:
    file = folder / "sites.npy"
    np.save(file, Y)
    done = subprocess.run([python, "-c", STATSPAI, str(file)], capture_output=True, text=True, check=True)
    file.unlink()
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    return answer["seconds"], answer["first"]


def many(python: str | None, folder: Path) -> list[list[str]]:
    Y = sites()
    counts = np.random.default_rng(1).poisson(np.exp(0.02 * Y)).astype(float)
    mine = best(lambda: newey_west_batch(Y, X, T, PICK, lags=LAGS), 5)
    found = newey_west_batch(Y, X, T, PICK, lags=LAGS)
    rows = [["Newey-West, 3 lags, evaltoolkit", f"{mine:.3f}", ""]]
    began = time.process_time()
    table = statsmodels_loop(Y)
    loop = time.process_time() - began
    both = np.stack([found.estimate, found.std_error], axis=2).reshape(SITES, 4)
    apart = np.abs(table - both).max()
    rows.append(
        [f"the same, statsmodels in a loop (largest difference {apart:.0e})", f"{loop:.2f}", f"{loop / mine:.0f} ×"]
    )
    if python is not None:
        seconds, first = statspai(python, Y, folder)
        off = np.abs(np.array(first) - table[0]).max()
        rows.append(
            [f"the same, StatsPAI in a loop (difference {off:.0e})", f"{seconds:.2f}", f"{seconds / mine:.0f} ×"]
        )
    rows.append(["default interval, evaltoolkit", f"{best(lambda: marginal_ar1_batch(Y, X, T, PICK), 3):.2f}", ""])
    rows.append(["default interval of counts, evaltoolkit", f"{best(lambda: default_counts(counts), 2):.2f}", ""])
    small, large = (peak(lambda k=k: marginal_ar1_batch(np.tile(Y, (k, 1))[: k * 1000], X, T, PICK)) for k in (1, 5))
    rows.append(["memory at its peak for 1,000 and for 5,000 sites, MB", f"{small:.0f}, {large:.0f}", ""])
    return rows


def markdown(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---", "---:", "---:"], *rows])


INTRODUCTION = """\
# Speed of interrupted time series

Written by `benchmarks/its_peers.py`: CPU time on one thread, the best of some warm calls, both sides in one run.
Seconds depend on the machine; the ratio is what can be compared.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--statspai", help="an interpreter that has StatsPAI")
    python = parser.parse_args().statspai
    one = markdown(["One series of 120 months", "CPU ms", "ratio"], single())
    print(one, flush=True)
    lot = markdown(
        [f"{SITES:,} sites of {PERIODS} months, level and slope", "CPU s", "ratio"], many(python, PAGE.parent)
    )
    print(lot, flush=True)
    text = INTRODUCTION + f"\n{one}\n\n{lot}\n"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
