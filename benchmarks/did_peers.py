"""Group-time effects with two covariates and their event study: the kernels here beside other packages for Python.

Run ``python benchmarks/did_peers.py`` (add ``--out docs/speed_did.md`` for the table). Every run is a process of its
own with a time limit; data are in memory before the clock starts, and imports are not counted. Packages that are not
installed are named and left out; one in another environment is given as ``--python peer=/path/to/python``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

PERIODS = 10
COHORTS = (4, 5, 7, 9)
LEVEL = {4: 1.0, 5: 0.8, 7: 0.6, 9: 0.4}
SLOPE = {4: 0.20, 5: 0.15, 7: 0.10, 9: 0.05}
CHOICE = ((0.30, 0.2), (0.20, 0.1), (-0.10, 0.3), (0.15, -0.2))
SIZES = (1_000, 10_000, 100_000, 1_000_000)
SEED = 20240611
AGAIN = 15.0
"""Seconds of a first call above which there is no second."""

Events = dict[int, tuple[float, float]]
"""Estimate and standard error by event time."""
Run = Callable[[pd.DataFrame], Events]


def simulate(n: int) -> dict[str, np.ndarray]:
    """Columns of n units in ten periods: whether and when a unit starts depends on two covariates, trends do too."""
    rng = np.random.default_rng(SEED)
    x1, x2 = rng.normal(size=n), (rng.random(n) < 0.4).astype(np.float64)
    line = np.stack([np.zeros(n)] + [-0.9 + b * x1 + c * x2 for b, c in CHOICE], axis=1)
    chance = np.exp(line)
    chance /= chance.sum(axis=1, keepdims=True)
    kind = (rng.random(n)[:, None] > chance.cumsum(axis=1)).sum(axis=1)
    g = np.array((0, *COHORTS))[kind]
    t = np.arange(1, PERIODS + 1)
    effect = np.array([[0.0 if c == 0 or s < c else LEVEL[c] + SLOPE[c] * (s - c) for s in t] for c in (0, *COHORTS)])
    y = (rng.normal(size=n) + 0.3 * (g > 0))[:, None] + 0.1 * t + 0.3 * np.sin(t) + effect[kind]
    y = y + rng.normal(size=(n, PERIODS)) + (0.10 * x1 + 0.15 * x2)[:, None] * t
    G, T = np.repeat(g, PERIODS).astype(np.int64), np.tile(t, n).astype(np.int64)
    return {
        "id": np.repeat(np.arange(n, dtype=np.int64), PERIODS),
        "t": T,
        "g": G,
        "y": y.ravel(),
        "x1": np.repeat(x1, PERIODS),
        "x2": np.repeat(x2, PERIODS),
        "rel": np.where(G > 0, T - G, -1),
    }


def events(times: Any, estimates: Any, errors: Any) -> Events:
    rows = zip(times, np.ravel(estimates), np.ravel(errors), strict=True)
    return {int(e): (float(b), float(s)) for e, b, s in rows if b == b}


def ours() -> Run:
    from evaltoolkit.kernels.aggregate import aggregate
    from evaltoolkit.kernels.group_time import NEVER, Rule, group_time_study

    def run(frame: pd.DataFrame) -> Events:
        unit, names = pd.factorize(frame["id"])
        period, periods = pd.factorize(frame["t"], sort=True)
        y = np.full((names.size, len(periods)), np.nan)
        y[unit, period] = frame["y"].to_numpy()
        first = np.empty(names.size, dtype=np.int64)
        first[unit[::-1]] = np.arange(unit.size)[::-1]
        start = frame["g"].to_numpy()[first]
        x = [frame[name].to_numpy()[first] for name in ("x1", "x2")]
        design = np.column_stack([np.ones(names.size), *x])[:, None, :]
        start = np.where(start == 0, NEVER, start)
        found = group_time_study(y, start, periods.to_numpy(), design, Rule("never", "doubly-robust"))
        c = found.cells
        by_event = aggregate("dynamic", c.cohort, c.period, c.att, c.scores, found.sizes)
        return events(by_event.labels, by_event.rows, np.sqrt((by_event.row_scores**2).sum(axis=0)))

    return run


def csdid() -> Run:
    from csdid.att_gt import ATTgt  # type: ignore[import-not-found]

    def run(frame: pd.DataFrame) -> Events:
        model = ATTgt(
            yname="y", tname="t", idname="id", gname="g", data=frame, control_group=["nevertreated"],
            xformla="y ~ x1 + x2", cband=False,
        )  # fmt: skip
        found = model.fit(est_method="dr", bstrap=False)
        found.aggte(typec="dynamic", bstrap=False, cband=False)
        return events(found.atte["egt"], found.atte["att_egt"], found.atte["se_egt"])

    return run


def diff_diff() -> Run:
    import diff_diff as dd  # type: ignore[import-not-found]

    def run(frame: pd.DataFrame) -> Events:
        model = dd.CallawaySantAnna(estimation_method="dr", control_group="never_treated", n_bootstrap=0)
        fit = model.fit(frame, outcome="y", unit="id", time="t", first_treat="g", covariates=["x1", "x2"])
        table = fit.aggregate("event_study").to_dataframe()
        table.columns = [c.lower() for c in table.columns]
        time_ = next(c for c in ("relative_time", "event_time", "relative_period", "period") if c in table)
        value = next(c for c in ("att", "effect", "estimate") if c in table)
        error = next(c for c in ("se", "std_error") if c in table)
        return events(table[time_], table[value], table[error])

    return run


def moderndid() -> Run:
    import moderndid as md  # type: ignore[import-not-found]

    estimate, average = md.att_gt, md.aggte  # loaded on first use, which is no part of the call

    def run(frame: pd.DataFrame) -> Events:
        fit = estimate(
            data=frame, yname="y", tname="t", idname="id", gname="g", xformla="~ x1 + x2", est_method="dr",
            control_group="nevertreated", boot=False, cband=False,
        )  # fmt: skip
        found = average(fit, type="dynamic")
        return events(found.event_times, found.att_by_event, found.se_by_event)

    return run


def differences() -> Run:
    from differences import ATTgt  # type: ignore[import-not-found]

    def run(frame: pd.DataFrame) -> Events:
        data = frame.assign(g=frame["g"].where(frame["g"] > 0, np.nan)).set_index(["id", "t"])
        model = ATTgt(data=data, cohort_column="g")
        model.fit(formula="y ~ x1 + x2", est_method="dr", control_group="never_treated", progress_bar=False)
        table = model.aggregate("event")
        table.columns = [c[-1] for c in table.columns]
        return events(table.index, table["ATT"], table["std_error"])

    return run


def statspai() -> Run:
    import statspai as sp  # type: ignore[import-not-found]

    estimate, average = sp.callaway_santanna, sp.aggte

    def run(frame: pd.DataFrame) -> Events:
        fit = estimate(
            frame, y="y", g="g", t="t", i="id", x=["x1", "x2"], estimator="dr", control_group="nevertreated",
            base_period="varying", bstrap=False, cband=False,
        )  # fmt: skip
        table = average(fit, type="dynamic", bstrap=False, cband=False).detail
        time_ = next(c for c in ("relative_time", "event_time", "e", "egt") if c in table)
        return events(table[time_], table["att"] if "att" in table else table["estimate"], table["se"])

    return run


def pyfixest() -> Run:
    import pyfixest as pf  # type: ignore[import-not-found]

    fit = pf.feols

    def run(frame: pd.DataFrame) -> Events:
        found = fit("y ~ i(rel, ref=-1) | id + t", data=frame, vcov={"CRV1": "id"}, lean=True, store_data=False)
        value, error = found.coef(), found.se()
        times = [int(name.split("rel")[-1].strip("]:T.[ ")) for name in value.index]
        return events(times, value, error)

    return run


OURS = "evaltoolkit"
RUNS: dict[str, tuple[str, Callable[[], Run]]] = {
    OURS: (OURS, ours),
    "csdid": ("csdid", csdid),
    "diff-diff": ("diff_diff", diff_diff),
    "moderndid": ("moderndid", moderndid),
    "differences": ("differences", differences),
    "StatsPAI": ("statspai", statspai),
    "pyfixest": ("pyfixest", pyfixest),
}
OTHER_ESTIMATOR = "pyfixest"
"""Has no group-time effects: its two-way event study without covariates stands beside them, estimates not compared."""


def peak() -> float:
    """Return the largest memory of this process so far, in MB."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / 1e6 if sys.platform == "darwin" else size * 1024 / 1e6


def child(peer: str, folder: Path) -> None:
    """Time one package on data in a folder, and print what was found as JSON."""
    warnings.simplefilter("ignore")
    run = RUNS[peer][1]()
    frame = pd.DataFrame({path.stem: np.load(path) for path in sorted(folder.glob("*.npy"))}, copy=False)
    before, spent = peak(), []
    for round_ in range(4):
        start = time.perf_counter()
        found = run(frame)
        spent.append(time.perf_counter() - start)
        if round_ == 0:
            highest = peak()
        if sum(spent) > AGAIN:
            break
    result = {"first": spent[0], "again": min(spent[1:], default=None), "peak": highest, "before": before}
    print("RESULT " + json.dumps(result | {"events": found}), flush=True)


def measured(peer: str, folder: Path, python: str, limit: float) -> dict[str, Any]:
    """Run a child; ``failed`` says why where there is no result."""
    command = [python, str(Path(__file__).resolve()), "--child", peer, str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": f"over {limit:g} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if lines:
        return dict(json.loads(lines[-1].removeprefix("RESULT ")))
    return {"failed": (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1][:80]}


def installed(peer: str, python: str) -> bool:
    module = RUNS[peer][0]
    if python == sys.executable:
        return importlib.util.find_spec(module) is not None
    found = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
    return found.returncode == 0


def apart(mine: dict[str, Any], theirs: dict[str, Any]) -> tuple[float, float]:
    """Return the largest difference of estimates, and of standard errors relative to ours, at event times of both."""
    shared = set(mine["events"]) & set(theirs["events"])
    both = [(mine["events"][e], theirs["events"][e]) for e in sorted(shared, key=int)]
    errors = [abs(a[1] - b[1]) / a[1] for a, b in both if a[1] > 0 and b[1] == b[1]]
    return max((abs(a[0] - b[0]) for a, b in both), default=float("nan")), max(errors, default=float("nan"))


def row(n: int, peer: str, found: dict[str, Any], mine: dict[str, Any]) -> str:
    if "failed" in found:
        return f"| {n:,} | {peer} | {found['failed']} | | | | | |"
    again = "" if found["again"] is None else f"{found['again']:.3f}"
    memory = f"{found['peak']:.0f} ({found['before']:.0f})"
    ratio, agreement = "1", ("", "")
    if peer != OURS:
        ratio = "" if "failed" in mine else f"{found['first'] / mine['first']:.1f}"
        if peer != OTHER_ESTIMATOR and "failed" not in mine:
            estimate, error = apart(mine, found)
            agreement = (f"{estimate:.0e}", f"{error:.0e}")
    return f"| {n:,} | {peer} | {found['first']:.3f} | {again} | {ratio} | {memory} | {agreement[0]} | {agreement[1]} |"


def page(rows: list[str], absent: list[str]) -> str:
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}"
    missing = f"\nNot installed, so not run: {', '.join(absent)}.\n" if absent else ""
    head = f"""# Speed of difference-in-differences

Written by `benchmarks/did_peers.py` ({machine}).

Doubly robust group-time effects with two covariates beside the never-treated, analytic standard errors and the event
study, from a tidy pandas frame in memory (widening it counts, imports do not). Simulated panel of ten periods; cohorts
start in periods {", ".join(map(str, COHORTS))}; which, if any, depends on both covariates. pyfixest has no group-time
effects: its two-way event study without covariates is timed instead.

Seconds of the first call in a fresh process and, where that took less than {AGAIN:.0f}, of the best of up to three
more. The ratio is of first calls, other over evaltoolkit. Memory is the peak after the first call in MB, in brackets
before it, with the data loaded. The last columns are the largest differences from evaltoolkit over event times: of
estimates, and of standard errors relative to ours. Seconds depend on the machine; ratios less so.
{missing}
| Units | Package | First call, s | Again, s | Ratio | Peak MB (before) | Estimates apart | Errors apart |
|---:|---|---:|---:|---:|---:|---:|---:|
"""
    return head + "\n".join(rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="numbers of units, with commas")
    parser.add_argument("--limit", type=float, default=120, help="seconds for each process")
    parser.add_argument("--only", default="", help="packages to run beside evaltoolkit, with commas")
    parser.add_argument("--python", action="append", default=[], help="peer=interpreter; repeatable")
    parser.add_argument("--out", type=Path, help="where to write the table as markdown")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child[0], Path(given.child[1]))
        return
    python = dict(p.split("=", 1) for p in given.python)
    chosen = [OURS, *(p for p in RUNS if p != OURS and (not given.only or p in given.only.split(",")))]
    absent = [p for p in chosen if not installed(p, python.get(p, sys.executable))]
    rows: list[str] = []
    for n in (int(size) for size in given.sizes.split(",")):
        with tempfile.TemporaryDirectory() as name:
            for column, values in simulate(n).items():
                np.save(Path(name) / f"{column}.npy", values)
            mine: dict[str, Any] = {}
            for peer in (p for p in chosen if p not in absent):
                found = measured(peer, Path(name), python.get(peer, sys.executable), given.limit)
                mine = found if peer == OURS else mine
                rows.append(row(n, peer, found, mine))
                print(rows[-1], flush=True)
    if absent:
        print(f"not installed: {', '.join(absent)}")
    if given.out:
        given.out.write_text(page(rows, absent), encoding="utf-8")


if __name__ == "__main__":
    main()
