"""Matching on simulated people: the kernels here beside other packages for Python.

Run ``python benchmarks/matching_peers.py --out docs/speed_matching.md``; packages live in other environments, each
given as ``--python peer=/path/to/python``. Every run is a process of its own with a limit of time and of memory, on the
same data; data are in memory before the clock starts, and imports are not counted. Compiled code is warmed up on a few
rows first. Packages that are not installed are named and left out. Values for R are quoted from an earlier run.

Tasks, with 8 covariates, about 17 % treated and an effect of 1:

a   logit score, exact greedy pairs without replacement within 0.2 standard deviations of the score, balance of the
    covariates before and after, difference in means with a pair-clustered error
d   optimal pairs, and optimal full matching, on the logit score, with the same error
k   the pairing step alone, the score given
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
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
SEED = 20240101
SECONDS = 120
GIGABYTES = 12
ROUNDS = 3
QUOTED = {
    ("a", "MatchIt 4.7.2 (R)"): {1_000: (0.21, 84), 10_000: (0.23, 128), 100_000: (1.55, 186), 1_000_000: (20.7, 1127)},
    ("b", "MatchIt 4.7.2 (R, two-way clustered error)"): {
        1_000: (0.29, None),
        10_000: (0.17, None),
        100_000: (0.82, 173),
        1_000_000: (8.32, 1067),
    },
    ("b", "Matching 4.10-8 (R)"): {1_000: (0.02, None), 10_000: (0.62, None), 100_000: (45.2, 170)},
    ("d full", "MatchIt 4.7.2 (R, optmatch)"): {1_000: (1.20, 173), 10_000: (82.8, 3951), 100_000: "over 12 GB"},
    ("d pairs", "MatchIt 4.7.2 (R, optmatch)"): {1_000: (0.69, 126), 10_000: (3.06, 747)},
    ("k greedy, caliper", "MatchIt 4.7.2 (R)"): {10_000: (0.14, None), 100_000: (0.065, None), 1_000_000: (1.19, None)},
}
"""Seconds and megabytes of an earlier run on two cores, R 4.2.2."""

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


def ours(frame: pd.DataFrame, task: str) -> Answer:
    """The kernels of this package, one after another."""
    from evaltoolkit.kernels.balance import balances, denominators
    from evaltoolkit.kernels.grouping import set_weights
    from evaltoolkit.kernels.optimal import full_match, pair_optimal
    from evaltoolkit.kernels.pairing import Rule, matching_weights, pair_nearest
    from evaltoolkit.kernels.propensity import fit_yes_no

    X, t = frame[COVARIATES].to_numpy(), frame["treat"].to_numpy() == 1
    if task == "b":
        return replacing(X, t, frame["y"].to_numpy())
    score = fit_yes_no(X, t).probability
    if task == "d full":
        found = full_match(score, t)
        return {**effect(frame, set_weights(found.code, t), found.code), "total": found.total}
    if task == "d pairs":
        pairs = pair_optimal(score, t)
    else:
        pairs = pair_nearest(score, t, Rule(caliper=0.2 * float(score.std(ddof=1))))
    weights = matching_weights(pairs, t)
    if task == "a":
        balances(X, t, (None, weights), denominators(X, t, "first"))
    sets = np.full(t.size, -1)
    sets[pairs.focal] = sets[pairs.match] = pairs.focal
    return {**effect(frame, weights, sets), "total": float(np.abs(score[pairs.focal] - score[pairs.match]).sum())}


def replacing(X: np.ndarray, t: np.ndarray, y: np.ndarray) -> Answer:
    """Nearest neighbours with replacement, with the error of Abadie and Imbens for an estimated score."""
    from evaltoolkit.kernels.abadie_imbens import abadie_imbens, conditional_variances
    from evaltoolkit.kernels.estimated_score import score_correction
    from evaltoolkit.kernels.pairing import Rule, pair_nearest
    from evaltoolkit.kernels.propensity import fit_yes_no

    fit = fit_yes_no(X, t)
    pairs = pair_nearest(fit.probability, t, Rule(replace=True))
    found = abadie_imbens(y, t, pairs, conditional_variances(fit.probability, y, t, 2))
    step = score_correction(np.column_stack([np.ones(t.size), X]), fit.line, y, t, "ATT", found.estimate)
    return {"estimate": found.estimate, "se": float(np.sqrt(found.std_error**2 + step.variance)), "n": int(t.sum())}


def effect(frame: pd.DataFrame, weights: np.ndarray, sets: np.ndarray) -> Answer:
    """Difference in weighted means with an error clustered by matched set."""
    from evaltoolkit.kernels.least_squares import least_squares
    from evaltoolkit.kernels.sandwich import clustered

    used = weights > 0
    t = frame["treat"].to_numpy()[used].astype(float)
    fit = least_squares(np.column_stack([np.ones(t.size), t]), frame["y"].to_numpy()[used], weights[used])
    error = clustered(fit.scores, fit.bread, sets[used])
    return {"estimate": float(fit.coefficients[1]), "se": float(np.sqrt(error.matrix[1, 1])), "n": int(used.sum())}


def ours_kernel(frame: pd.DataFrame, task: str) -> Callable[[], Answer]:
    """The pairing step alone."""
    from evaltoolkit.kernels.optimal import full_match, pair_optimal
    from evaltoolkit.kernels.pairing import Rule, pair_nearest
    from evaltoolkit.kernels.propensity import fit_yes_no

    t = frame["treat"].to_numpy() == 1
    score = fit_yes_no(frame[COVARIATES].to_numpy(), t).probability
    rule = Rule(caliper=0.2 * float(score.std(ddof=1)) if task == "k greedy, caliper" else None)
    ways: dict[str, Callable[[], Any]] = {
        "k greedy, caliper": lambda: pair_nearest(score, t, rule),
        "k greedy": lambda: pair_nearest(score, t, rule),
        "k optimal pairs": lambda: pair_optimal(score, t),
        "k optimal full": lambda: full_match(score, t),
    }

    def call() -> Answer:
        found = ways[task]()
        far = found.total if task == "k optimal full" else np.abs(score[found.focal] - score[found.match]).sum()
        return {"total": float(far)}

    return call


def front_door(frame: pd.DataFrame, task: str) -> Answer:
    """The whole evaluation: checks, score, pairs, balance, diagnostics, figures, tables, words, seal."""
    import evaltoolkit as ev

    method = {"a": "nearest", "b": "nearest", "d pairs": "optimal", "d full": "full"}[task]
    m = ev.match(
        frame, treated="treat", outcome="y", covariates=COVARIATES, method=method, effect="difference",
        caliper=0.2 if task == "a" else None, replace=task == "b", inference="abadie-imbens" if task == "b" else "auto",
    )  # fmt: skip
    return {"estimate": m.result.headline.estimate, "se": m.result.headline.std_error, "n": m.result.headline.n_units}


def statspai(frame: pd.DataFrame, task: str) -> Answer | None:
    import statspai as sp

    if task == "a":
        r = sp.psmatch2(data=frame, treat="treat", covariates=COVARIATES, outcome="y", replace=False, caliper=0.02)
        r.pstest()
        return {"estimate": float(r.att), "se": float(r.se)}
    if task == "b":
        r = sp.match(data=frame, y="y", treat="treat", covariates=COVARIATES, method="nearest", estimand="ATT")
        return {"estimate": float(r.estimate), "se": float(r.se)}
    if task == "d full":
        r = sp.full_match(data=frame, y="y", treat="treat", covariates=COVARIATES)
        return {"estimate": float(r.estimate), "se": float(r.se)}
    return None


def pymatchit(frame: pd.DataFrame, task: str) -> Answer | None:
    from pymatchit import MatchIt

    if task not in {"a", "d full"}:
        return None
    m = MatchIt(frame, method="nearest", caliper=0.2) if task == "a" else MatchIt(frame, method="full")
    m.fit("treat ~ " + " + ".join(COVARIATES))
    if task == "a":
        m.summary()
    w, t, y = np.asarray(m.weights, float), frame["treat"].to_numpy() == 1, frame["y"].to_numpy()
    return {"estimate": float(np.average(y[t], weights=w[t]) - np.average(y[~t], weights=w[~t]))}


def psmpy(frame: pd.DataFrame, task: str) -> Answer | None:
    from psmpy import PsmPy

    if task != "a":
        return None
    p = PsmPy(frame.assign(pid=np.arange(len(frame))), treatment="treat", indx="pid", exclude=["y"], target="y")
    p.logistic_ps(balance=False)
    width = 0.2 * float(p.predicted_data["propensity_logit"].std())
    p.kdtree_matched(matcher="propensity_logit", replacement=False, caliper=width, drop_unmatched=True)
    one, two = (p.matched_ids.iloc[:, k].astype(int).to_numpy() for k in (0, 1))
    y = frame["y"].to_numpy()
    return {"estimate": float((y[one] - y[two]).mean())}


OURS = ("evaltoolkit, kernels", "evaltoolkit, ev.match")
PEERS: dict[str, tuple[str, Callable[[pd.DataFrame, str], Answer | None]]] = {
    "StatsPAI": ("statspai", statspai),
    "pymatchit-causal": ("pymatchit", pymatchit),
    "psmpy": ("psmpy", psmpy),
}
TASKS = ("a", "b", "d pairs", "d full", "k greedy", "k greedy, caliper", "k optimal pairs", "k optimal full")


def call_of(peer: str, task: str, frame: pd.DataFrame) -> Callable[[], Answer | None]:
    if task.startswith("k"):
        return ours_kernel(frame, task)
    run = {OURS[0]: ours, OURS[1]: front_door}.get(peer) or PEERS[peer][1]
    return lambda: run(frame, task)


def child(peer: str, task: str, n: int) -> None:
    """Run one cell in this process and print its answer."""
    warnings.simplefilter("ignore")
    if peer in PEERS:
        importlib.import_module(PEERS[peer][0])
    else:
        call_of(peer, task, simulate(2_000))()
    frame = simulate(n)
    call = call_of(peer, task, frame)
    best, cpu, answer = np.inf, np.inf, None
    started = time.perf_counter()
    for _ in range(ROUNDS):
        wall, used = time.perf_counter(), time.process_time()
        answer = call()
        best, cpu = min(best, time.perf_counter() - wall), min(cpu, time.process_time() - used)
        if peer in PEERS or time.perf_counter() - started > 20:
            break
    if answer is None:
        print("@@null")
        return
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("@@" + json.dumps({"seconds": best, "cpu": cpu, "megabytes": peak, **answer}))


def cell(peer: str, task: str, n: int, pythons: dict[str, str], gigabytes: int) -> Any:
    """Return the answer of one run; a text where there is none."""
    python = pythons.get(peer, sys.executable)
    command = [python, str(Path(__file__).resolve()), "--child", peer, task, str(n)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1]) if peer in OURS else ""}
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, env=env,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (gigabytes * 2**30, gigabytes * 2**30)),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"over {SECONDS} s"
    lines = [line for line in run.stdout.splitlines() if line.startswith("@@")]
    if run.returncode or not lines:
        error = (run.stderr.strip().splitlines() or [""])[-1]
        missing = "ModuleNotFoundError" in error
        return (
            "not installed"
            if missing
            else f"over {gigabytes} GB"
            if "emory" in error or "allocate" in error
            else "failed"
        )
    return json.loads(lines[-1][2:])


def measure(
    sizes: list[int], pythons: dict[str, str], tasks: list[str], gigabytes: int
) -> dict[tuple[str, str], dict[int, Any]]:
    found: dict[tuple[str, str], dict[int, Any]] = {}
    for task in tasks:
        peers = OURS[:1] if task.startswith("k") else (*OURS, *PEERS)
        for peer in peers:
            row = found.setdefault((task, peer), {})
            for n in sizes:
                if any(isinstance(value, str) or value is None for value in row.values()):
                    break
                row[n] = cell(peer, task, n, pythons, gigabytes)
                print(task, peer, n, row[n], file=sys.stderr, flush=True)
    return found


def shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, tuple | list):
        return f"{value[0]:.3g} s" + (f", {value[1]:.0f} MB" if value[1] is not None else "")
    return f"{value['seconds']:.3g} s ({value['cpu']:.3g}), {value['megabytes']:.0f} MB"


TITLES = {
    "a": "Greedy pairs without replacement within a caliper: score, pairs, balance, effect",
    "b": "Nearest neighbours with replacement: score, pairs, effect with Abadie-Imbens error",
    "d pairs": "Optimal pairs: score, pairs, effect",
    "d full": "Optimal full matching: score, sets, effect",
    "k greedy": "Pairing alone: greedy, no caliper",
    "k greedy, caliper": "Pairing alone: greedy within a caliper",
    "k optimal pairs": "Pairing alone: optimal pairs",
    "k optimal full": "Pairing alone: optimal full matching",
}
HEAD = """# How fast matching is

Made by [benchmarks/matching_peers.py](../benchmarks/matching_peers.py): simulated people, 8 covariates, about 17 %
treated, the true effect is 1. Seconds of the task alone, in brackets seconds of processor time, and the largest memory
of the process with its data and packages. Every run is a process of its own with at most {seconds} seconds and
{gigabytes} GB; imports and compilation are not counted. Rows in *italics* are quoted from an earlier run in R 4.2.2 on
two cores.

Measured on {machine}, Python {python}. {note}
"""


def page(found: dict[tuple[str, str], dict[int, Any]], sizes: list[int], note: str, gigabytes: int) -> str:
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    text = HEAD.format(
        seconds=SECONDS, gigabytes=gigabytes, machine=machine, python=platform.python_version(), note=note
    )
    for task, title in TITLES.items():
        rows = {peer: row for (t, peer), row in found.items() if t == task and any(row.values())}
        if not rows:
            continue
        text += f"\n## {title}\n\n| | " + " | ".join(f"{n:,}" for n in sizes) + " | effect at the largest size |\n"
        text += "|---|" + "---|" * (len(sizes) + 1) + "\n"
        for peer, row in rows.items():
            cells = [shown(row[n]) if row.get(n) is not None else "" for n in sizes]
            text += f"| {peer} | " + " | ".join(cells) + f" | {effects(row)} |\n"
        for (t, peer), row in QUOTED.items():
            if t == task:
                text += (
                    f"| *{peer}* | " + " | ".join(f"*{shown(row[n])}*" if n in row else "" for n in sizes) + " | |\n"
                )
    return text


def effects(row: dict[int, Any]) -> str:
    answers = [value for value in row.values() if isinstance(value, dict)]
    if not answers:
        return ""
    last = answers[-1]
    parts = [f"{last['estimate']:.4f}"] if "estimate" in last else []
    parts += [f"({last['se']:.4f})"] if last.get("se") is not None else []
    parts += [f"total distance {last['total']:.5f}"] if "total" in last else []
    return " ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--child", nargs=3)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--tasks", default=";".join(TASKS))
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--note", default="")
    parser.add_argument("--memory", type=int, default=GIGABYTES, help="gigabytes of address space for one run")
    given = parser.parse_args()
    if given.child:
        child(given.child[0], given.child[1], int(given.child[2]))
        return
    sizes = [int(size) for size in given.sizes.split(",")]
    found = measure(sizes, dict(p.split("=", 1) for p in given.python), given.tasks.split(";"), given.memory)
    text = page(found, sizes, given.note, given.memory)
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
