"""Tables, page and figure of ``scale_engines.py``."""

from __future__ import annotations

import datetime
import math
import os
import platform
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

Found = Mapping[str, Any]


class Case(Protocol):
    """What a page needs to know of a case."""

    @property
    def name(self) -> str: ...
    @property
    def beside(self) -> str: ...
    @property
    def is_peer(self) -> bool: ...


Cases = Mapping[str, Any]
"""Cases by their key."""
Results = Mapping[str, Mapping[str, Found]]
"""By case and number of rows."""

HEAD = """| What | Rows | Seconds | of the processor | Peak memory, GB | Estimate | Standard error | Apart |
|---|---:|---:|---:|---:|---:|---:|---:|"""


def apart(mine: Found, theirs: Found) -> tuple[float, float]:
    """Return the largest difference of estimates, and of standard errors relative to ours, over effects of both."""
    shared = sorted(set(mine.get("cells", {})) & set(theirs.get("cells", {})))
    both = [(mine["cells"][key], theirs["cells"][key]) for key in shared]
    errors = [abs(a[1] - b[1]) / a[1] for a, b in both if a[1] > 0 and not math.isnan(b[1])]
    return max((abs(a[0] - b[0]) for a, b in both), default=math.nan), max(errors, default=math.nan)


def told(found: Found, reference: Found) -> str:
    """Write how far effects and errors are from those of the reference."""
    effects, errors = apart(reference, found)
    if math.isnan(effects) or found is reference:
        return ""
    return f"{effects:.0e}" + ("" if math.isnan(errors) else f", {errors:.0e}")


def beside(found: Found, reference: Found, what: str, digits: str, *, is_peer: bool) -> str:
    """Write a number, and for a peer its ratio to ours."""
    value = f"{found[what]:{digits}}"
    if not is_peer or what not in reference:
        return value
    ratio = found[what] / reference[what]
    return f"{value} ({ratio:.{1 if ratio >= 1 else 2}f} ×)"


def line(case: Case, rows: int, found: Found, reference: Found) -> str:
    """Return one line of a table; ``reference`` is what ours found on the same rows."""
    if "failed" in found:
        return f"| {case.name} | {rows:,} | {found['failed']} | | | | | |"
    estimate, error = found["cells"].get("headline", (math.nan, math.nan))
    # Processes that a run started keep their own clocks.
    cpu = "" if found["helpers"] else f"{found['cpu']:.1f}"
    numbers = (
        beside(found, reference, "seconds", ".2f", is_peer=case.is_peer),
        cpu,
        beside(found, reference, "peak", ".2f", is_peer=case.is_peer),
        "" if math.isnan(estimate) else f"{estimate:.5f}",
        "" if math.isnan(error) else f"{error:.7f}",
        told(found, reference),
    )
    return f"| {case.name} | {rows:,} | " + " | ".join(numbers) + " |"


def table(cases: Cases, results: Results, *, peers: bool) -> str:
    """Return the table of ours, or of peers; what was left out on purpose is not among its lines."""
    lines = [HEAD]
    for key, case in cases.items():
        for rows, found in sorted(results.get(key, {}).items(), key=lambda item: int(item[0])):
            if case.is_peer == peers and not str(found.get("failed", "")).startswith("asked"):
                lines.append(line(case, int(rows), found, results.get(case.beside, {}).get(rows, {})))
    return "\n".join(lines)


def growth(results: Results, key: str) -> str:
    """Return the power of the number of rows that time grows with, between the two largest sizes."""
    seconds = [(int(n), f["seconds"]) for n, f in results.get(key, {}).items() if "seconds" in f]
    last = sorted(seconds)[-2:]
    if len(last) < 2:
        return ""
    power = math.log(last[1][1] / last[0][1]) / math.log(last[1][0] / last[0][0])
    return f"\nThe first line grows with rows to the power {power:.2f} from {last[0][0]:,} to {last[1][0]:,} rows.\n"


def left_out(cases: Cases, results: Results, absent: list[str]) -> Iterator[str]:
    """Yield what was not run, and why."""
    for name in absent:
        yield f"- {name}: not installed."
    for key, case in cases.items():
        for rows, found in sorted(results.get(key, {}).items(), key=lambda item: int(item[0])):
            if "failed" in found:
                yield f"- {case.name}, {int(rows):,} rows: {found['failed']}."


def versions(results: Results) -> str:
    """Name the packages that ran, as the runs themselves told."""
    known = {pair for f in results.values() for one in f.values() for pair in one.get("versions", {}).items()}
    return textwrap.fill(", ".join(f"{name} {version}" for name, version in sorted(known)), 116)


def memory_of_machine() -> str:
    try:
        return re.sub(r"\.0$", "", f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB, ")
    except (OSError, ValueError):
        return ""


def page(cases: Cases, results: Results, absent: list[str], figure: str, limits: Mapping[str, Any]) -> str:
    """Return the whole page."""
    missing = "\n".join(left_out(cases, results, absent)) or "Everything was run."
    return f"""# Time and memory as data grow

Written by `benchmarks/scale_engines.py` on {datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}: {os.cpu_count()} cores
({platform.machine()}), {memory_of_machine()}Python {platform.python_version()};
{versions(results)}.

Panels of ten periods, five cohorts and a comparison group, a covariate of two values and a continuous one, in
Parquet files compressed with zstd, sorted by unit where nothing else is said. Every line is one call in a process
of its own, with all cores. Seconds run from the files (or the frame in memory, where the line says so) to the
finished evaluation: effects by cohort and period, their averages, errors, checks, tables and figures as data; for
the kernel to the event study. Imports, and starting Spark or Dask, are not counted: but for Spark and Dask, a call
on a small panel comes first, which loads what is loaded on first use. Lines in memory are the best of three calls,
all others the only one. Peak memory is that of the process with Python and all libraries, and of every process that
it starts (memory that these share counts for each); seconds of the processor are left out where other processes did
the work. DuckDB, duckreg in it, and Spark may use 4 GB where nothing else is said, Dask all of the machine. "Apart"
is the largest difference of effects by cohort and period from those here (the first line, or the same model), then
of standard errors relative to these. A process ends after {limits["limit"]:g} s
({limits["our_limit"]:g} s for evaltoolkit) or above {limits["most_memory"]:g} GB; a package that failed
is not run with more rows.

![Seconds and memory against rows]({figure})

## evaltoolkit

{table(cases, results, peers=False)}
{growth(results, "cs")}
## Other packages

In brackets the ratio to evaltoolkit in DuckDB, or in Spark for a Spark frame: the same model on the same rows, with
errors and, but for one effect alone, the whole evaluation.

{table(cases, results, peers=True)}

## Not run, or not finished

{missing}
{NOTES}"""


NOTES = """
## What is compared

- duckreg's event study has an effect for each cohort and period, as that of Sun and Abraham; its errors come from a
  bootstrap of units, which fetches their identifiers, and differ by chance. Its model of one effect is compared with
  that effect alone here, which has an error clustered by unit. Periods are counted from nought for it.
- moderndid computes the same doubly robust effects on not-yet-treated comparisons, and is asked for the average over
  cohorts, as here. Dask runs a process for each core, Spark as many threads as for evaltoolkit.
"""

LINES = (
    ("cs", "evaltoolkit in DuckDB: Callaway-Sant'Anna", "#1b6ca8", "o-"),
    ("any-order", "the same, units in any order", "#1b6ca8", "o--"),
    ("strict", "evaltoolkit in DuckDB: continuous covariates", "#7a4a9e", "o-"),
    ("cohorts", "evaltoolkit in DuckDB: event study of each cohort", "#2e7d4f", "o-"),
    ("memory", "evaltoolkit in memory: Callaway-Sant'Anna", "#5f6b73", "o-"),
    ("spark", "evaltoolkit in Spark: Callaway-Sant'Anna", "#c0561a", "o-"),
    ("duckreg-cohorts", "duckreg: event study, without errors", "#2e7d4f", "x:"),
    ("duckreg-draws", "duckreg: event study, 100 draws", "#2e7d4f", "+:"),
    ("moderndid-dask", "moderndid, Dask: Callaway-Sant'Anna", "#1b6ca8", "x:"),
    ("moderndid-spark", "moderndid, Spark: Callaway-Sant'Anna", "#c0561a", "x:"),
)


def draw(cases: Cases, results: Results, path: Path) -> None:
    """Plot seconds and memory against rows, on logarithmic scales: evaltoolkit in full lines, peers dotted."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "scale"
    import matplotlib.pyplot as plt

    figure, both = plt.subplots(1, 2, figsize=(10, 5.6), layout="constrained")
    for axes, what, label in zip(both, ("seconds", "peak"), ("Seconds", "Peak memory, GB"), strict=True):
        for key, name, colour, style in LINES:
            points = sorted((int(n), f[what]) for n, f in results.get(key, {}).items() if what in f and key in cases)
            if points:
                axes.plot(*zip(*points, strict=True), style, color=colour, label=name)
        axes.set(xscale="log", yscale="log", xlabel="Rows (units × 10 periods)", ylabel=label)
        axes.grid(visible=True, which="major", color="0.9")
    handles, labels = both[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    figure.savefig(path, metadata={"Date": None})
