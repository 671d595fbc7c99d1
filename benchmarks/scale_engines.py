r"""Growth curves of panels that an engine holds: time and memory from 10^5 to 10^8 rows, beside peers.

Each case runs in a process of its own, so that memory is its own, with a limit of time and of memory. Panels have ten
periods, five cohorts and a comparison group, a covariate of two values and one of ten thousand; they are written once
into ``--folder`` and kept. Packages live in other environments, each given as ``--python peer=/path/to/python``:
duckreg (with duckdb below 2), moderndid (with its extras dask and spark), and ``spark`` for evaltoolkit with its own
extra. What is not installed is named and left out. The whole table, with its page and figure, takes about half an hour
on two idle cores, and 2 GB of disk beside what DuckDB spills:

    python benchmarks/scale_engines.py --folder data --rows 100_000 1_000_000 10_000_000 100_000_000 \
        --python spark=spark/bin/python --python duckreg=duckreg/bin/python --python moderndid=moderndid/bin/python \
        --results scale.json --out docs/speed_scale.md

Runs that ``--results`` holds already, failed ones too, are not repeated: the same command goes on after an
interruption, and writes the page anew when all is done. Without that file everything is measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scale_page import draw, line, page
from scale_process import Limits, finished

PERIODS = 10
COHORTS = "[0, 3, 4, 5, 6, 7]"
"""Periods of the starts, counted from the first; 0 for never."""
PART = 1_000_000
"""Units in one file."""
FIRST = 10_000
"""Rows of the panel on which a package is called before the clock starts."""
ROOT = Path(__file__).resolve().parents[1]

UNITS = f"""
select u as id, {COHORTS}[1 + (hash(u) % 6)::int] as g, (hash(u + 7) % 2)::int as x,
       round((hash(u + 9) % 10000) / 5000.0 - 1, 4) as z
from range({{first}}, {{last}}) r(u)
"""
ROWS = f"""
select id, 2010 + p as year, case when g > 0 then 2010 + g end as first_treated, x, z,
       round(5 + x + 0.3 * z + sin(id * 0.7) * 1.5 + 0.1 * p * (1 + x)
             + case when g > 0 and p >= g then 0.8 + 0.1 * (p - g) else 0 end
             + (hash(id, p) % 1000) / 500.0 - 1, 3) as y
from ({UNITS}) a, range({PERIODS}) q(p)
"""


def written(folder: Path, rows: int, *, shuffled: bool = False) -> str:
    """Write a panel of so many rows, sorted by unit, or by period with units in any order; return its files."""
    import duckdb

    units = rows // PERIODS
    place = folder / (f"shuffled_{rows}" if shuffled else f"sorted_{rows}")
    place.mkdir(parents=True, exist_ok=True)
    done = place / "done"
    if not done.exists():
        with duckdb.connect() as connection:
            connection.execute("set memory_limit = '4GB'")
            parts: list[tuple[int, int, str]]
            if shuffled:
                parts = [(0, units, f"where p = {p} order by hash(id)") for p in range(PERIODS)]
            else:
                parts = [(k, min(k + PART, units), "order by id, p") for k in range(0, units, PART)]
            for i, (first, last, order) in enumerate(parts):
                query = f"{ROWS.format(first=first, last=last)} {order}"
                connection.execute(
                    f"copy ({query}) to '{place / f'{i}.parquet'}' "
                    "(format parquet, compression zstd, row_group_size 1000000)"
                )
        done.touch()
    return f"{place.resolve()}/*.parquet"


@dataclass(frozen=True)
class Case:
    """One call, as arguments of ``ev.did``, with what the engine may use, and the case it is compared with."""

    name: str
    run: str = "duckdb"
    more: dict[str, object] = field(default_factory=dict)
    memory: str = "4GB"
    shuffled: bool = False
    most: int = 100_000_000
    beside: str = "cs"

    @property
    def package(self) -> str:
        """Whose interpreter it needs, or nothing for this one."""
        return self.run.split("-")[0] if self.is_peer or self.run == "spark" else ""

    @property
    def is_peer(self) -> bool:
        return "-" in self.run


X: dict[str, object] = {"covariates": ["x"]}
CONTINUOUS: dict[str, object] = {"covariates": ["x", "z"], "release": "strict"}
CASES = {
    "cs": Case("Callaway-Sant'Anna, doubly robust, covariate of two values", more=X),
    "twfe": Case("event study with unit and period effects", more={"estimator": "twfe"}, beside="twfe"),
    "one": Case("one effect with unit and period effects, alone", "headline", {"estimator": "twfe"}, beside="twfe"),
    "cohorts": Case(
        "event study of each cohort (Sun and Abraham)", more={"estimator": "sun-abraham"}, beside="cohorts"
    ),
    "cs-2": Case("the first with 2 GB", more=X, memory="2GB"),
    "any-order": Case("the first, rows by period, units in any order", more=X, shuffled=True),
    "any-order-2": Case("the first, rows in that order, with 2 GB", more=X, memory="2GB", shuffled=True),
    "strict": Case(
        "continuous covariates, release strict, compared with the never treated",
        more=CONTINUOUS | {"comparison": "never-treated"},
        beside="strict",
    ),
    "strict-not-yet": Case("the same, with the not yet treated", more=CONTINUOUS, beside="strict-not-yet"),
    "polars": Case("the first in Polars, through Ibis", "polars", more=X, most=10_000_000),
    "spark": Case("the first in Spark, two threads of this machine", "spark", more=X, most=10_000_000),
    "memory": Case("the first, from a pandas frame in any order", "memory", more=X, most=10_000_000),
    "kernel": Case(
        "the kernel alone, two covariates, from that frame to the event study", "kernel", most=10_000_000, beside=""
    ),
    "duckreg-cohorts": Case(
        "duckreg, Mundlak event study of each cohort, without errors", "duckreg-cohorts", beside="cohorts"
    ),
    "duckreg-draws": Case("duckreg, the same with errors from 100 bootstrap draws", "duckreg-draws", beside="cohorts"),
    "duckreg-static": Case(
        "duckreg, one effect with unit and period effects, without errors", "duckreg-static", beside="one"
    ),
    "moderndid-dask": Case("moderndid, Callaway-Sant'Anna on a Dask frame", "moderndid-dask"),
    "moderndid-spark": Case("moderndid, Callaway-Sant'Anna on a Spark frame", "moderndid-spark", beside="spark"),
}
MODULES = {"spark": "pyspark", "duckreg": "duckreg", "moderndid": "moderndid"}


def measured(case: Case, rows: int, folder: Path, python: str, limits: Limits) -> dict[str, Any]:
    """Run one case in a process of its own; ``failed`` says why where there is no result. All cores are free to use."""
    files, first = written(folder, rows, shuffled=case.shuffled), written(folder, FIRST)
    asked = json.dumps({"files": files, "more": case.more, "memory": case.memory, "first": first})
    free = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")} | {"PYTHONPATH": str(ROOT)}
    return finished([python, str(ROOT / "benchmarks" / "scale_runs.py"), case.run, asked], free, limits)


def skipped(case: Case, rows: int, of_case: dict[str, dict[str, Any]]) -> str:
    """Say why a case is not run with so many rows, if it is not."""
    if rows > case.most:
        return f"asked up to {case.most:,} rows only"
    before = [int(n) for n, found in of_case.items() if int(n) < rows and "failed" in found]
    return f"not run, as {min(before):,} rows failed" if before else ""


Results = dict[str, dict[str, dict[str, Any]]]
"""By case and number of rows."""


def race(given: argparse.Namespace, python: dict[str, str], chosen: list[str], found: Results) -> None:
    """Run what was not run before, add it to what was found, and keep it."""
    for key in chosen:
        limits = Limits(given.limit if CASES[key].is_peer else given.our_limit, given.most_memory)
        case, of_case = CASES[key], found.setdefault(key, {})
        for rows in sorted(given.rows):
            if not str(of_case.get(str(rows), {"failed": "not run"}).get("failed", "")).startswith(
                ("not run", "asked")
            ):
                continue
            of_case.pop(str(rows), None)
            why = skipped(case, rows, of_case)
            exe = python.get(case.package, sys.executable)
            if why:
                of_case[str(rows)] = {"failed": why}
            else:
                of_case[str(rows)] = measured(case, rows, given.folder, exe, limits)
            print(line(CASES[key], rows, of_case[str(rows)], found.get(case.beside, {}).get(str(rows), {})), flush=True)
            if given.results:
                given.results.write_text(json.dumps(found, indent=1), encoding="utf-8")


def installed(package: str, python: str) -> bool:
    code = f"import {MODULES[package]}" + ("; import ibis" if package == "spark" else "")
    return (
        shutil.which(python) is not None
        and not subprocess.run([python, "-c", code], capture_output=True, check=False).returncode
    )


def main() -> None:
    """Print a line as soon as it is measured, and write the page where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--limit", type=float, default=120, help="seconds for each process of a peer")
    parser.add_argument("--our-limit", type=float, default=600, help="seconds for each process of evaltoolkit")
    parser.add_argument("--most-memory", type=float, default=16, help="GB for each process with all it starts")
    parser.add_argument("--only", default=",".join(CASES), help="which of " + ", ".join(CASES))
    parser.add_argument("--python", action="append", default=[], help="spark, duckreg or moderndid=interpreter")
    parser.add_argument("--results", type=Path, help="where all numbers are kept as JSON, and not measured again")
    parser.add_argument("--out", type=Path, help="where to write the page; its figure goes beside it")
    given = parser.parse_args()
    python = dict(p.split("=", 1) for p in given.python)
    wanted = [key for key in CASES if key in given.only.split(",")]
    needed = {CASES[key].package for key in wanted} - {""}
    absent = sorted(p for p in needed if not installed(p, python.get(p, sys.executable)))
    chosen = [key for key in wanted if CASES[key].package not in absent]
    known = given.results is not None and given.results.exists()
    found: Results = json.loads(given.results.read_text(encoding="utf-8")) if known else {}
    race(given, python, chosen, found)
    if given.out is not None:
        figure = given.out.with_suffix(".svg")
        draw(CASES, found, figure)
        given.out.write_text(page(CASES, found, absent, figure.name, vars(given)), encoding="utf-8")


if __name__ == "__main__":
    main()
