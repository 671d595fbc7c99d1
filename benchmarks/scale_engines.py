"""Growth curves of panels that an engine holds: time and memory from 10^5 to 10^8 rows, beside peers.

Each case runs in a process of its own, so that memory is its own. Panels have ten periods, five cohorts and a
comparison group, a covariate of two values and one of ten thousand; they are written once into ``--folder`` and kept.

    python benchmarks/scale_engines.py --folder data --rows 100_000 1_000_000 10_000_000 --out docs/speed_scale.md
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PERIODS = 10
COHORTS = "[0, 3, 4, 5, 6, 7]"
"""Periods of the starts, counted from the first; 0 for never."""
PART = 1_000_000
"""Units in one file."""

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
    """Write a panel of so many rows, sorted by unit, or by period with units in any order; return its address."""
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
    return f"parquet:{place}/*.parquet"


@dataclass(frozen=True)
class Case:
    """One call, as arguments of ``ev.did``, with what the engine may use."""

    name: str
    more: dict[str, object]
    memory: str = "4GB"
    shuffled: bool = False
    most: int = 100_000_000


CASES = (
    Case("Callaway-Sant'Anna, doubly robust, covariate of two values", {"covariates": ["x"]}),
    Case("event study with unit and period effects", {"estimator": "twfe"}),
    Case("the first with 2 GB", {"covariates": ["x"]}, memory="2GB"),
    Case("the first, rows by period, units in any order", {"covariates": ["x"]}, shuffled=True),
    Case("the same with 2 GB", {"covariates": ["x"]}, memory="2GB", shuffled=True),
    Case("continuous covariates, release strict", {"covariates": ["x", "z"], "release": "strict"}),
)

CALL = """
import json, resource, sys, time
address, more, memory, people = json.loads(sys.argv[1])
import evaltoolkit as ev
import duckdb, ibis  # as a running session has them
start = time.perf_counter()
source = ev.connect(address, memory=memory)
found = ev.did(source, outcome="y", unit="id", time="year", first_treated="first_treated", rows=people, **more)
seconds = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_SELF)
row = found.result.headline
print(json.dumps({"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss / 1e6,
                  "estimate": row.estimate, "std_error": row.std_error}))
"""


def measured(case: Case, address: str) -> dict[str, float]:
    """Run one case in a process of its own."""
    asked = json.dumps([address, case.more, case.memory, "people"])
    done = subprocess.run([sys.executable, "-c", CALL, asked], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{case.name}: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def lines(folder: Path, sizes: list[int]) -> Iterator[str]:
    """Yield the table, a line as soon as it is measured."""
    yield "| What | Rows | Seconds | of the processor | Peak memory, GB | Estimate | Standard error |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for case in CASES:
        for rows in sizes:
            if rows > case.most:
                continue
            found = measured(case, written(folder, rows, shuffled=case.shuffled))
            yield (
                f"| {case.name} | {rows:,} | {found['seconds']:.1f} | {found['cpu']:.1f} | {found['peak']:.2f} | "
                f"{found['estimate']:.5f} | {found['std_error']:.7f} |"
            )


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    table = []
    for line in lines(asked.folder, asked.rows):
        print(line, flush=True)
        table.append(line)
    if asked.out is not None:
        asked.out.write_text("\n".join(table) + "\n")


if __name__ == "__main__":
    main()
