"""Difference-in-differences on simulated panels: the kernels here beside other packages for Python.

Run ``python benchmarks/did_peers.py --out docs/speed_did.md``; packages live in other environments, each given as
``--python peer=/path/to/python``. Every run is a process of its own with a time limit, on the same data; data are in
memory before the clock starts, and imports are not counted. Packages that are not installed are named and left out.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib import import_module, metadata
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
DRAWS = 999
ROUNDS = (3, 20)
"""Least and largest number of calls: no more than the least once they took ``ENOUGH`` seconds."""
ENOUGH = 3.0
AGAIN = 15.0
"""Seconds in all after which a package is not called again."""
SLOW = 10.0
"""Seconds of the best call above which a package is not run with ten times as many units."""
MEMORY = 16 * 2**30
"""Address space of one process."""

Events = dict[int, tuple[float, float]]
"""Estimate and standard error by event time."""
Run = Callable[[pd.DataFrame], Events]


def simulate(n: int) -> dict[str, np.ndarray]:
    """Columns of n units in ten periods: whether and when a unit starts depends on two covariates.

    Trends of ``y`` depend on the covariates too, those of ``z`` do not. Rows are sorted by unit and period.
    """
    rng = np.random.default_rng(SEED)
    x1, x2 = rng.normal(size=n), (rng.random(n) < 0.4).astype(np.float64)
    line = np.stack([np.zeros(n)] + [-0.9 + b * x1 + c * x2 for b, c in CHOICE], axis=1)
    chance = np.exp(line)
    chance /= chance.sum(axis=1, keepdims=True)
    kind = (rng.random(n)[:, None] > chance.cumsum(axis=1)).sum(axis=1)
    g = np.array((0, *COHORTS))[kind]
    t = np.arange(1, PERIODS + 1)
    effect = np.array([[0.0 if c == 0 or s < c else LEVEL[c] + SLOPE[c] * (s - c) for s in t] for c in (0, *COHORTS)])
    z = (rng.normal(size=n) + 0.3 * (g > 0))[:, None] + 0.1 * t + 0.3 * np.sin(t) + effect[kind]
    z = z + rng.normal(size=(n, PERIODS))
    y = z + (0.10 * x1 + 0.15 * x2)[:, None] * t
    G, T = np.repeat(g, PERIODS).astype(np.int64), np.tile(t, n).astype(np.int64)
    return {
        "id": np.repeat(np.arange(n, dtype=np.int64), PERIODS),
        "t": T,
        "g": G,
        "y": y.ravel(),
        "z": z.ravel(),
        "x1": np.repeat(x1, PERIODS),
        "x2": np.repeat(x2, PERIODS),
        "treat": ((G > 0) & (T >= G)).astype(np.int64),
        "rel": np.where(G > 0, T - G, -1),
    }


def events(times: Any, estimates: Any, errors: Any) -> Events:
    rows = zip(times, np.ravel(estimates), np.ravel(errors), strict=True)
    return {int(e): (float(b), float(s)) for e, b, s in rows if b == b}


def named(table: pd.DataFrame) -> Events:
    """Read event times, estimates and errors from a table, whatever its columns are called."""
    table = table.rename(columns=str.lower)
    times = ("relative_time", "event_time", "relative_period", "period", "horizon", "e", "egt")
    time_, value, error = (
        next(c for c in names if c in table) for names in (times, ("att", "effect", "estimate"), ("se", "std_error"))
    )
    table = table[pd.to_numeric(table[time_], errors="coerce").notna()]
    return events(table[time_].astype(float), table[value].astype(float), table[error].astype(float))


def wide(frame: pd.DataFrame, columns: tuple[str, ...]) -> tuple[Any, ...]:
    """Return start, periods, and each column by unit and period, from rows in any order."""
    from evaltoolkit.kernels.cohorts import NEVER
    from evaltoolkit.reduction.panel import balanced, widen

    unit, period, start = (frame[name].to_numpy() for name in ("id", "t", "g"))
    periods = balanced(unit, period)
    if periods is not None:
        shape = (-1, periods.size)
        start = start.reshape(shape)[:, 0]
        tables = [frame[name].to_numpy().reshape(shape) for name in columns]
    else:
        codes, names = pd.factorize(unit)
        at, periods = pd.factorize(period, sort=True)
        shape = (names.size, periods.size)
        begun = np.zeros(names.size, dtype=np.int64)
        begun[codes] = start
        start, tables = begun, [widen(codes, at, frame[name].to_numpy(), shape) for name in columns]
    return np.where(start == 0, NEVER, start), periods, *tables


def ours(task: str) -> Run:
    from evaltoolkit.kernels.aggregate import Sizes, aggregate
    from evaltoolkit.kernels.group_time import Rule, group_time_study
    from evaltoolkit.kernels.imputation import imputation
    from evaltoolkit.kernels.multiplier import multiplier_bootstrap
    from evaltoolkit.kernels.two_way import event_study
    from evaltoolkit.kernels.two_way_panel import two_way_panel

    import_module("evaltoolkit.reduction.panel")  # ``wide`` needs it; importing is no part of the call

    def cells(frame: pd.DataFrame) -> Events:
        start, periods, y, x1, x2 = wide(frame, ("y", "x1", "x2"))
        design = np.ones((start.size, 1, 3))
        design[:, 0, 1], design[:, 0, 2] = x1[:, 0], x2[:, 0]
        found = group_time_study(y, start, periods, design, Rule("never", "doubly-robust"))
        c = found.cells
        path = aggregate("dynamic", c.cohort, c.period, c.att, c.scores, found.sizes)
        error = np.sqrt((path.row_scores**2).sum(axis=0))
        if task == "cs_boot":
            multiplier_bootstrap(c.att, c.scores, "gaussian", level=0.95, draws=DRAWS, seed=1)
            bands = multiplier_bootstrap(path.rows, path.row_scores, "gaussian", level=0.95, draws=DRAWS, seed=1)
            error = bands.std_error
        return events(path.labels, path.rows, error)

    def twfe(frame: pd.DataFrame) -> Events:
        start, periods, z = wide(frame, ("z",))
        found = event_study(two_way_panel(z, start, periods))
        return events(found.labels, found.coefficients, np.sqrt(np.diag(found.covariance)))

    def bjs(frame: pd.DataFrame) -> Events:
        start, periods, z = wide(frame, ("z",))
        c = imputation(two_way_panel(z, start, periods))
        none = Sizes(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros((c.scores.shape[0], 0)))
        path = aggregate("dynamic", c.cohort, c.period, c.att, c.scores, none, weights=c.weight)
        return events(path.labels, path.rows, np.sqrt((path.row_scores**2).sum(axis=0)))

    return {"cs_an": cells, "cs_boot": cells, "twfe": twfe, "bjs": bjs}[task]


def csdid(task: str) -> Run:
    from csdid.att_gt import ATTgt  # type: ignore[import-not-found]

    boot = task == "cs_boot"

    def run(frame: pd.DataFrame) -> Events:
        model = ATTgt(
            yname="y", tname="t", idname="id", gname="g", data=frame, control_group=["nevertreated"],
            xformla="y ~ x1 + x2", cband=boot, biters=DRAWS,
        )  # fmt: skip
        found = model.fit(est_method="dr", bstrap=boot)
        found.aggte(typec="dynamic", bstrap=boot, cband=boot)
        return events(found.atte["egt"], found.atte["att_egt"], found.atte["se_egt"])

    return run


def diff_diff(task: str) -> Run:
    import diff_diff as dd  # type: ignore[import-not-found]

    draws = DRAWS if task == "cs_boot" else 0

    def cells(frame: pd.DataFrame) -> Events:
        model = dd.CallawaySantAnna(estimation_method="dr", control_group="never_treated", n_bootstrap=draws, seed=1)
        fit = model.fit(frame, outcome="y", unit="id", time="t", first_treat="g", covariates=["x1", "x2"])
        return named(fit.aggregate("event_study").to_dataframe())

    def bjs(frame: pd.DataFrame) -> Events:
        fit = dd.ImputationDiD().fit(frame, outcome="z", unit="id", time="t", first_treat="g")
        return named(fit.aggregate("event_study").to_dataframe())

    return bjs if task == "bjs" else cells


def moderndid(task: str) -> Run:
    import moderndid as md  # type: ignore[import-not-found]

    estimate, average = md.att_gt, md.aggte  # loaded on first use, which is no part of the call
    boot = task == "cs_boot"

    def run(frame: pd.DataFrame) -> Events:
        fit = estimate(
            data=frame, yname="y", tname="t", idname="id", gname="g", xformla="~ x1 + x2", est_method="dr",
            control_group="nevertreated", boot=boot, biters=DRAWS, cband=boot, random_state=1,
        )  # fmt: skip
        found = average(fit, type="dynamic", random_state=1)
        return events(found.event_times, found.att_by_event, found.se_by_event)

    return run


def differences(task: str) -> Run:
    from differences import ATTgt  # type: ignore[import-not-found]

    draws = DRAWS if task == "cs_boot" else 0

    def run(frame: pd.DataFrame) -> Events:
        data = frame.assign(g=frame["g"].where(frame["g"] > 0, np.nan)).set_index(["id", "t"])
        model = ATTgt(data=data, cohort_column="g")
        model.fit(
            formula="y ~ x1 + x2", est_method="dr", control_group="never_treated", boot_iterations=draws,
            random_state=1, progress_bar=False,
        )  # fmt: skip
        table = model.aggregate("event", boot_iterations=draws, random_state=1)
        table.columns = [c[-1] for c in table.columns]
        return events(table.index, table["ATT"], table["std_error"])

    return run


def statspai(task: str) -> Run:
    import statspai as sp  # type: ignore[import-not-found]

    boot = task == "cs_boot"
    estimate, average, regress, impute = sp.callaway_santanna, sp.aggte, sp.fast.event_study, sp.did_imputation

    def cells(frame: pd.DataFrame) -> Events:
        fit = estimate(
            frame, y="y", g="g", t="t", i="id", x=["x1", "x2"], estimator="dr", control_group="nevertreated",
            base_period="varying", bstrap=boot, biters=DRAWS, cband=boot, random_state=1,
        )  # fmt: skip
        return named(average(fit, type="dynamic", bstrap=boot, n_boot=DRAWS, cband=boot, random_state=1).detail)

    def twfe(frame: pd.DataFrame) -> Events:
        found = regress(frame, y="z", unit="id", time="t", event_time="rel")
        return events(found.event_times, found.coefs, found.ses)

    def bjs(frame: pd.DataFrame) -> Events:
        found = impute(
            frame, y="z", group="id", time="t", first_treat="g", cluster="id",
            horizon=list(range(PERIODS - min(COHORTS) + 1)),
        )  # fmt: skip
        info = found.model_info
        return named(info["event_study"] if isinstance(info, dict) and "event_study" in info else found.detail)

    return {"cs_an": cells, "cs_boot": cells, "twfe": twfe, "bjs": bjs}[task]


def pyfixest(task: str) -> Run:
    import pyfixest as pf  # type: ignore[import-not-found]

    fit, two_stage = pf.feols, pf.did2s

    def read(found: Any) -> Events:
        value, error = found.coef(), found.se()
        among = [name for name in value.index if "rel" in name]
        times = [int(re.findall(r"-?\d+", name.split("rel")[-1])[0]) for name in among]
        return events(times, value[among], error[among])

    def twfe(frame: pd.DataFrame) -> Events:
        options = {"copy_data": False, "store_data": False, "lean": True}
        return read(fit("z ~ i(rel, ref=-1) | id + t", data=frame, vcov={"CRV1": "id"}, **options))

    def bjs(frame: pd.DataFrame) -> Events:
        data = frame.assign(treat=frame["treat"].astype(bool))
        stages = {"first_stage": "~ 0 | id + t", "second_stage": "~ i(rel, ref=-1)"}
        return read(two_stage(data, yname="z", **stages, treatment="treat", cluster="id"))

    return twfe if task == "twfe" else bjs


def linearmodels(_: str) -> Run:
    from linearmodels.panel import PanelOLS

    def run(frame: pd.DataFrame) -> Events:
        since = frame["rel"].to_numpy()
        times = [e for e in np.unique(since).tolist() if e != -1]
        index = pd.MultiIndex.from_arrays([frame["id"], frame["t"]])
        X = pd.DataFrame({f"e{e}": (since == e).astype(float) for e in times}).set_index(index)
        z = pd.Series(frame["z"].to_numpy(), index=index, name="z")
        model = PanelOLS(z, X, entity_effects=True, time_effects=True)
        found = model.fit(cov_type="clustered", cluster_entity=True)
        return events(times, found.params, found.std_errors)

    return run


OURS = "evaltoolkit"
TASKS = {
    "cs_an": "Doubly robust group-time effects and event study, analytic errors",
    "cs_boot": f"The same with {DRAWS} multiplier draws and simultaneous bands",
    "twfe": "Event study with unit and period effects, clustered by unit",
    "bjs": "Imputation (Borusyak, Jaravel and Spiess), event study",
}
CELLS = ("cs_an", "cs_boot")
PEERS: dict[str, tuple[str, str, tuple[str, ...], Callable[[str], Run]]] = {
    OURS: (OURS, OURS, tuple(TASKS), ours),
    "csdid": ("csdid", "csdid", CELLS, csdid),
    "diff-diff": ("diff_diff", "diff-diff", (*CELLS, "bjs"), diff_diff),
    "moderndid": ("moderndid", "moderndid", CELLS, moderndid),
    "differences": ("differences", "differences", CELLS, differences),
    "StatsPAI": ("statspai", "StatsPAI", tuple(TASKS), statspai),
    "pyfixest": ("pyfixest", "pyfixest", ("twfe", "bjs"), pyfixest),
    "linearmodels": ("linearmodels", "linearmodels", ("twfe",), linearmodels),
}
"""Module, name of the distribution, tasks, and adapter."""


def peak() -> float:
    """Return the largest memory of this process so far, in MB."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / 1e6 if sys.platform == "darwin" else size * 1024 / 1e6


def child(peer: str, task: str, folder: Path, order: str) -> None:
    """Time one package on data in a folder, and print what was found as JSON after every call."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    run = PEERS[peer][3](task)
    columns = {path.stem: np.load(path) for path in sorted(folder.glob("*.npy"))}
    if order == "shuffled":
        at = np.random.default_rng(SEED).permutation(columns["id"].size)
        columns = {name: values[at] for name, values in columns.items()}
        del at
    frame = pd.DataFrame(columns, copy=False)
    del columns
    before, spent = peak(), []
    for _ in range(ROUNDS[1]):
        start = time.perf_counter()
        found = run(frame)
        spent.append(time.perf_counter() - start)
        if len(spent) == 1:
            highest = peak()
        result: dict[str, Any] = {"first": spent[0], "best": min(spent), "calls": len(spent), "added": highest - before}
        version = metadata.version(PEERS[peer][1])
        result |= {"before": before, "events": found, "version": version}
        print("\nRESULT " + json.dumps(result), flush=True)
        if sum(spent) > (AGAIN if len(spent) < ROUNDS[0] else ENOUGH):
            break


def measured(peer: str, task: str, folder: Path, python: str, limit: float, order: str = "sorted") -> dict[str, Any]:
    """Run a child; ``failed`` says why where there is no result. All cores are free to use."""
    command = [python, str(Path(__file__).resolve()), "--child", peer, task, str(folder), order]
    free = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    try:
        done = subprocess.run(command, capture_output=True, timeout=limit, check=False, env=free)
        out, err = done.stdout.decode(), done.stderr.decode() or f"ended with {done.returncode}"
    except subprocess.TimeoutExpired as late:
        out, err = (late.stdout or b"").decode(), f"over {limit:g} s"
    lines = [line for line in out.splitlines() if line.startswith("RESULT ")]
    if lines:
        return dict(json.loads(lines[-1].removeprefix("RESULT ")))
    last = err.strip().splitlines()[-1]
    return {"failed": "out of memory" if "emory" in last or "allocate" in last else last[:60]}


def installed(peer: str, python: str) -> bool:
    found = subprocess.run([python, "-c", f"import {PEERS[peer][0]}"], capture_output=True, check=False)
    return found.returncode == 0


def apart(mine: dict[str, Any], theirs: dict[str, Any]) -> tuple[float, float]:
    """Return the largest difference of estimates, and of standard errors relative to ours, at event times of both."""
    shared = set(mine["events"]) & set(theirs["events"])
    both = [(mine["events"][e], theirs["events"][e]) for e in sorted(shared, key=int)]
    errors = [abs(a[1] - b[1]) / a[1] for a, b in both if a[1] > 0 and b[1] == b[1]]
    return max((abs(a[0] - b[0]) for a, b in both), default=float("nan")), max(errors, default=float("nan"))


Results = dict[str, dict[str, dict[str, dict[str, Any]]]]
"""By task, package and number of units."""


def skipped(earlier: dict[str, dict[str, Any]], n: int) -> str:
    """Say why a package is not run with n units, if it is not."""
    before = {int(size): found for size, found in earlier.items() if int(size) < n}
    if any("failed" in found for found in before.values()):
        return "not run"
    return "not run" if before and n >= 10 * max(before) and before[max(before)]["best"] > SLOW else ""


def race(given: argparse.Namespace, python: dict[str, str], peers: list[str], found: Results) -> Results:
    """Run packages in turn and add what they did to what was found before."""
    found = {task: found.get(task, {}) for task in given.tasks.split(",")}
    for n in (int(size) for size in given.sizes.split(",")):
        with tempfile.TemporaryDirectory() as name:
            for column, values in simulate(n).items():
                np.save(Path(name) / f"{column}.npy", values)
            for task, of_task in found.items():
                for peer in (p for p in peers if task in PEERS[p][2]):
                    of_peer = of_task.setdefault(peer, {})
                    why = skipped(of_peer, n)
                    exe = python.get(peer, sys.executable)
                    of_peer[str(n)] = {"failed": why} if why else measured(peer, task, Path(name), exe, given.limit)
                    said = {k: v for k, v in of_peer[str(n)].items() if k != "events"}
                    print(n, task, peer, json.dumps(said), flush=True)
                if OURS in of_task:
                    of_peer = of_task.setdefault(f"{OURS}, rows shuffled", {})
                    of_peer[str(n)] = measured(OURS, task, Path(name), sys.executable, given.limit, "shuffled")
        if given.results:
            given.results.write_text(json.dumps(found), encoding="utf-8")
    return found


def cell(of_task: dict[str, dict[str, dict[str, Any]]], peer: str, n: str, what: str) -> str:
    found, mine = of_task[peer].get(n, {"failed": ""}), of_task.get(OURS, {}).get(n, {"failed": ""})
    if "failed" in found:
        return str(found["failed"]) if what == "ratio" else ""
    if what == "memory":
        return f"{found['added']:.0f}"
    if peer == OURS or "failed" in mine:
        return f"{found['best']:.3f} s" if what == "ratio" else ""
    if what == "ratio":
        return f"{found['best']:.3g} s ({found['best'] / mine['best']:.1f} ×)"
    return "{:.0e}, {:.0e}".format(*apart(mine, found))


def table(of_task: dict[str, dict[str, dict[str, Any]]], sizes: list[str], what: str) -> str:
    peers = [p for p in of_task if what != "apart" or p != OURS]
    head = "| Package | " + " | ".join(f"{int(n):,} units" for n in sizes) + " |\n|---|" + "---:|" * len(sizes)
    rows = [f"| {p} | " + " | ".join(cell(of_task, p, n, what) for n in sizes) + " |" for p in peers]
    if what == "ratio":
        rows.append("| **fastest peer over evaltoolkit** | " + " | ".join(leads(of_task, n) for n in sizes) + " |")
    return "\n".join([head, *rows])


def leads(of_task: dict[str, dict[str, dict[str, Any]]], n: str) -> str:
    others = {p: found[n] for p, found in of_task.items() if not p.startswith(OURS) and n in found}
    fine = {p: found["best"] for p, found in others.items() if "failed" not in found}
    mine = of_task.get(OURS, {}).get(n, {})
    if not fine or "best" not in mine:
        return "no peer finished"
    first = min(fine, key=lambda p: fine[p])
    return f"**{fine[first] / mine['best']:.1f} ×** ({first})"


def draw(results: Results, path: Path) -> None:
    """Plot seconds against rows, both on a logarithmic scale: evaltoolkit in full lines, the fastest peer dotted."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "speed"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for colour, (task, of_task) in zip(("#1b6ca8", "#c0561a", "#2e7d4f", "#7a4a9e"), results.items(), strict=False):
        mine = {int(n): v["best"] for n, v in of_task[OURS].items() if "best" in v}
        others: dict[int, float] = {}
        for peer, found in of_task.items():
            for n, v in found.items():
                if "best" in v and not peer.startswith(OURS):
                    others[int(n)] = min(v["best"], others.get(int(n), np.inf))
        rows = [n * PERIODS for n in mine]
        axes.plot(rows, list(mine.values()), "o-", color=colour, label=f"{task}: evaltoolkit")
        rows = [n * PERIODS for n in others]
        axes.plot(rows, list(others.values()), "x:", color=colour, label=f"{task}: fastest other package")
    axes.set(xscale="log", yscale="log", xlabel="Rows (units × 10 periods)", ylabel="Seconds, best call")
    axes.grid(visible=True, which="major", color="0.9")
    axes.legend(fontsize=8, frameon=False)
    figure.savefig(path, metadata={"Date": None})


def growth(of_task: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Return the power of the number of rows that time grows with, between the two largest sizes."""
    mine = [(int(n), v["best"]) for n, v in of_task[OURS].items() if "best" in v][-2:]
    if len(mine) < 2:
        return ""
    power = np.log(mine[1][1] / mine[0][1]) / np.log(mine[1][0] / mine[0][0])
    return f"rows to the power {power:.2f} from {mine[0][0]:,} to {mine[1][0]:,} units"


def page(results: Results, absent: list[str], plot: str, limit: float) -> str:
    sizes = sorted({n for of_task in results.values() for found in of_task.values() for n in found}, key=int)
    versions = {
        p: v["version"]
        for of_task in results.values()
        for p, f in of_task.items()
        for v in f.values()
        if "version" in v
    }
    others = ", ".join(f"{p} {v}" for p, v in versions.items() if not p.startswith(OURS))
    missing = f" Not installed, so not run: {', '.join(absent)}." if absent else ""
    text = f"""# Speed of difference-in-differences

Written by `benchmarks/did_peers.py` on {datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}: {os.cpu_count()} cores
({platform.machine()}), Python {platform.python_version()}, numpy {np.__version__}.
Beside {others}.{missing}

Simulated panels of {PERIODS} periods; cohorts start in periods {", ".join(map(str, COHORTS))}, and whether and when
a unit starts depends on two covariates. The clock starts with a tidy pandas frame in memory, its rows sorted by unit
and period, and stops with estimates and standard errors by event time: widening counts, imports do not. Every package
runs on the same data in a process of its own, with all cores. Seconds are the best of {ROUNDS[0]} to {ROUNDS[1]}
calls, or of as many as fit in {AGAIN:g} s, because the machine had other work: differences below a factor of two may
be noise. In brackets the ratio to evaltoolkit. A process ends after {limit:g} s; a package whose best call took over
{SLOW:g} s, or failed, is not run with more units. Memory is what the first call added to the peak, in MB, beyond the
loaded frame and imports. Agreement is the largest difference from evaltoolkit over event times: of estimates, then of
standard errors relative to ours.

![Seconds against rows]({plot})
"""
    for task, of_task in results.items():
        text += f"\n## {TASKS[task]}\n\n{table(of_task, sizes, 'ratio')}\n\n"
        if OURS in of_task:
            text += f"Time of evaltoolkit grows with {growth(of_task)}.\n\n"
        text += f"Added memory, MB:\n\n{table(of_task, sizes, 'memory')}\n\n"
        text += f"Differences of estimates, of standard errors:\n\n{table(of_task, sizes, 'apart')}\n"
    return text + NOTES


NOTES = """
## Where numbers differ

- diff-diff does not normalise the weights of comparison units to sum to one: estimates differ in small samples.
- With draws the other packages' standard errors are themselves random: they differ by a few per cent. Here the
  multipliers are Gaussian, whose standard error in the limit of many draws is known, and bands need draws only in as
  many dimensions as there are estimates.
- StatsPAI and linearmodels count unit effects in the degrees of freedom although units are the clusters: their errors
  are 5.4 % larger with ten periods. Here, as in pyfixest and fixest, nested effects are not counted.
- pyfixest has no imputation estimator: its two-stage one has the same estimates and another variance. It and StatsPAI
  read the relative time that the frame holds, the others work it out.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="numbers of units, with commas")
    parser.add_argument("--tasks", default=",".join(TASKS), help="which of " + ", ".join(TASKS))
    parser.add_argument("--limit", type=float, default=60, help="seconds for each process")
    parser.add_argument("--only", default=",".join(PEERS), help="packages to run, with commas")
    parser.add_argument("--python", action="append", default=[], help="peer=interpreter; repeatable")
    parser.add_argument("--out", type=Path, help="where to write the page; its plot goes beside it")
    parser.add_argument(
        "--results", type=Path, help="where to write all numbers as JSON; read, with --only '', for --out"
    )
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child[0], given.child[1], Path(given.child[2]), given.child[3])
        return
    python = dict(p.split("=", 1) for p in given.python)
    chosen = [p for p in PEERS if p in given.only.split(",")]
    absent = [p for p in chosen if p != OURS and not installed(p, python.get(p, sys.executable))]
    known = given.results is not None and given.results.exists()
    found: Results = json.loads(given.results.read_text(encoding="utf-8")) if known else {}
    if chosen:
        found = race(given, python, [p for p in chosen if p not in absent], found)
    if given.out:
        plot = given.out.with_suffix(".svg")
        draw(found, plot)
        given.out.write_text(page(found, absent, plot.name, given.limit), encoding="utf-8")


if __name__ == "__main__":
    main()
