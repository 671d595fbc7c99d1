"""Inverse-probability weighting and doubly robust estimation of a million people, beside other packages for Python.

Run ``python benchmarks/weighting_peers.py``; packages live in other environments, each given as
``--python statspai=/path/to/python`` (statspai, doubleml, causallib). Every cell is a process of its own on the same
data; data are in memory before the clock starts, and imports are not counted. Seconds of the processor are printed
beside those of the clock, because a busy machine stretches the clock. Packages that are not given are left out.

The task: effects on everybody (ATE) of 8 covariates, about 17% treated and a true effect of 1, by inverse-probability
weights from a logit and by augmented weights with linear outcome models, each with its standard error where a package
has one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SIZES = (1_000, 10_000, 100_000, 1_000_000)
COVARIATES = [f"x{i}" for i in range(1, 9)]
SEED, LIMIT = 20240101, 300
Answer = dict[str, Any]


def simulate(n: int) -> pd.DataFrame:
    """People with eight covariates; who is treated depends on them, and so does the outcome."""
    rng = np.random.default_rng(SEED)
    X = rng.normal(size=(n, 8))
    X[:, 5], X[:, 6], X[:, 7] = X[:, 5] > 0.3, X[:, 6] > -0.5, np.clip(np.round(X[:, 7] * 2 + 5), 0, 10)
    line = -1.75 + X[:, :5] @ np.array([0.5, 0.4, 0.3, 0.2, 0.1]) + 0.4 * X[:, 5] - 0.3 * X[:, 6]
    t = (rng.random(n) < 1 / (1 + np.exp(-line - 0.05 * (X[:, 7] - 5)))).astype(int)
    y = 2 + X[:, :5] @ np.array([1, 0.8, -0.5, 0.3, 0]) + 0.5 * X[:, 5] + 0.2 * X[:, 7] + t + 2 * rng.normal(size=n)
    frame = pd.DataFrame(X, columns=COVARIATES)
    frame["treat"], frame["y"] = t, y
    return frame


def kernels(frame: pd.DataFrame) -> Answer:
    """The kernels of this package: score, weights, both effects, both errors."""
    from evaltoolkit.kernels.augmented import augmented_means, predictions
    from evaltoolkit.kernels.propensity import density, fit_yes_no
    from evaltoolkit.kernels.score_weights import Equations, EstimatedWeights, score_weights
    from evaltoolkit.kernels.standardized import Standardized
    from evaltoolkit.kernels.weighted_means import weighted_means

    X, t, y = frame[COVARIATES].to_numpy(), frame["treat"].to_numpy() == 1, frame["y"].to_numpy()
    fit, rows = fit_yes_no(X, t), Standardized.of(X)
    w, slope = score_weights(fit.probability, t, "ATE")
    part = Equations(fit.score, fit.curvature, slope * density(fit.line, fit.probability, "logit"))
    ipw = weighted_means(y, t, EstimatedWeights(w, np.ones(t.size), rows=rows, equations=(part,)))
    aipw = augmented_means(y, t, predictions(rows, y, t, fit.probability, "gaussian"), "ATE")
    return {"ipw": ipw.difference, "ipw_se": _error(ipw), "aipw": aipw.difference, "aipw_se": _error(aipw)}


def _error(means: Any) -> float:
    v = means.covariance()
    return float(np.sqrt(v[0, 0] + v[1, 1] - 2 * v[0, 1]))


def statspai(frame: pd.DataFrame) -> Answer:
    import statspai as sp

    what = {"data": frame, "y": "y", "treat": "treat", "covariates": COVARIATES, "estimand": "ATE"}
    one, two = sp.ipw(se_method="sandwich", **what), sp.aipw(cross_fit=False, **what)
    return {"ipw": float(one.estimate), "ipw_se": float(one.se), "aipw": float(two.estimate), "aipw_se": float(two.se)}


def doubleml(frame: pd.DataFrame) -> Answer:
    import doubleml as dml
    from sklearn.linear_model import LinearRegression, LogisticRegression

    data = dml.DoubleMLData(frame, "y", "treat", COVARIATES)
    logit = LogisticRegression(C=np.inf, max_iter=1000)
    m = dml.DoubleMLIRM(data, LinearRegression(), logit, n_folds=5, score="ATE")
    m.fit()
    return {"aipw": float(m.coef[0]), "aipw_se": float(m.se[0])}


def causallib(frame: pd.DataFrame) -> Answer:
    from causallib.estimation import AIPW, IPW, Standardization
    from sklearn.linear_model import LinearRegression, LogisticRegression

    X, a, y = frame[COVARIATES], frame["treat"], frame["y"]
    one = IPW(LogisticRegression(C=np.inf, max_iter=1000)).fit(X, a).estimate_population_outcome(X, a, y)
    both = AIPW(Standardization(LinearRegression()), IPW(LogisticRegression(C=np.inf, max_iter=1000)))
    two = both.fit(X, a, y).estimate_population_outcome(X, a, y)
    return {"ipw": float(one[1] - one[0]), "aipw": float(two[1] - two[0])}


RUNS: dict[str, Callable[[pd.DataFrame], Answer]] = {
    "kernels": kernels, "statspai": statspai, "doubleml": doubleml, "causallib": causallib,
}  # fmt: skip
NAMES = {
    "kernels": "evaltoolkit, kernels: both effects and errors", "statspai": "StatsPAI: both effects and errors",
    "doubleml": "DoubleML: doubly robust alone, 5 folds", "causallib": "causallib: both effects, no errors",
}  # fmt: skip


def child(peer: str, n: int) -> None:
    """Run one cell in this process and print its answer."""
    warnings.simplefilter("ignore")
    RUNS[peer](simulate(2_000))
    frame = simulate(n)
    clock, processor = time.perf_counter(), time.process_time()
    answer = RUNS[peer](frame)
    seconds, used = time.perf_counter() - clock, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("@@" + json.dumps({"seconds": seconds, "processor": used, "megabytes": peak, **answer}))


def cell(peer: str, python: str, n: int, rounds: int) -> Answer | None:
    """Return the fastest of several processes; None where one fails or takes too long."""
    found = []
    env = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    if peer == "kernels":
        env["PYTHONPATH"] = str(Path(__file__).parents[1])
    for _ in range(rounds):
        command = [python, str(Path(__file__).resolve()), "--child", peer, "--sizes", str(n)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False, env=env)
        except subprocess.TimeoutExpired:
            return None
        lines = [line for line in done.stdout.splitlines() if line.startswith("@@")]
        if not lines:
            print(f"{peer}: {(done.stderr.strip().splitlines() or ['no answer'])[-1]}", file=sys.stderr)
            return None
        found.append(json.loads(lines[0][2:]))
    return min(found, key=lambda answer: float(answer["processor"]))


def main() -> None:
    """Run every cell and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--child")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--python", action="append", default=[], help="peer=/path/to/python")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.sizes[0])
        return
    pythons = {"kernels": sys.executable, **dict(text.split("=", 1) for text in given.python)}
    print("| n | Package | Seconds | Processor | MB | IPW (error) | AIPW (error) |\n|---:|---|---:|---:|---:|---|---|")
    for n in given.sizes:
        for peer, python in pythons.items():
            a = cell(peer, python, n, given.rounds)
            print(
                _row(n, peer, a) if a else f"| {n:,} | {NAMES[peer]} | failed or over {LIMIT} s | | | | |", flush=True
            )


def _row(n: int, peer: str, a: Answer) -> str:
    effects = [f"{a[k]:.4f} ({a[f'{k}_se']:.4f})" if f"{k}_se" in a else f"{a.get(k, float('nan')):.4f}" for k in _BOTH]
    return (
        f"| {n:,} | {NAMES[peer]} | {a['seconds']:.3f} | {a['processor']:.3f} | {a['megabytes']:.0f} | "
        + " | ".join(effects) + " |"
    )  # fmt: skip


_BOTH = ("ipw", "aipw")

if __name__ == "__main__":
    main()
