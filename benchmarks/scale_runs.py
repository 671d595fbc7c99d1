"""One measured call on a panel of ``scale_engines.py``, in a process of its own and perhaps another environment.

``python benchmarks/scale_runs.py RUN JSON`` prints seconds, memory, and estimates with errors. Sessions of Spark and
Dask, and imports, are there before the clock starts; reading the files is counted, but for frames in memory.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

START = 2010
"""The year before the first that a panel may have; duckreg counts periods from nought."""
DRAWS = 100
"""Bootstrap draws of duckreg: its own default."""
SHUFFLE = 20240611
COLUMNS: dict[str, Any] = {
    "outcome": "y",
    "unit": "id",
    "time": "year",
    "first_treated": "first_treated",
    "rows": "people",
}

Cells = dict[str, tuple[float, float]]
"""Estimate and standard error by ``cohort year``; that of the headline is called ``headline``."""


@dataclass(frozen=True)
class Asked:
    """What to run: files, arguments of ``ev.did``, what an engine may use."""

    files: str
    more: dict[str, Any] = field(default_factory=dict)
    memory: str = "4GB"
    first: str = ""
    """Files of a small panel: a call on them loads what is loaded on first use, which is no part of the call."""

    def names(self) -> list[str]:
        """Return each file."""
        return sorted(map(str, Path(self.files).parent.glob(Path(self.files).name)))


Ready = Callable[[], Cells]
"""The call that is timed."""


def cells_of(found: Any) -> Cells:
    """Read effects by cohort and period, and the headline, from an evaluation here."""
    row = found.result.headline
    cells = {
        f"{e.cohort} {e.time}": (e.estimate, e.std_error)
        for e in found.result.estimates
        if e.cohort is not None and e.time is not None
    }
    return {**cells, "headline": (row.estimate, row.std_error)}


def ours(asked: Asked) -> Ready:
    import duckdb  # noqa: F401  (as a running session has them)
    import ibis  # noqa: F401

    import evaltoolkit as ev

    def run() -> Cells:
        source: Any = ev.connect(f"parquet:{asked.files}", memory=asked.memory)
        return cells_of(ev.did(source, **COLUMNS, **asked.more))

    return run


def headline(asked: Asked) -> Ready:
    """Get the data ready and estimate one number with its error, without the rest of an evaluation."""
    import evaltoolkit as ev
    from evaltoolkit.pipeline import headline_of
    from evaltoolkit.study import Outcome, study_from

    columns = {key: COLUMNS[key] for key in ("unit", "time", "first_treated")} | asked.more
    said = {"design": "did", "title": "One number", "outcome": Outcome(column="y"), "data": {"rows": COLUMNS["rows"]}}
    study = study_from({**said, **columns})

    def run() -> Cells:
        row, _ = headline_of(study, ev.connect(f"parquet:{asked.files}", memory=asked.memory))
        return {"headline": (float(row.estimate or "nan"), float(row.std_error or "nan"))}

    return run


def ours_polars(asked: Asked) -> Ready:
    import ibis
    import polars  # noqa: F401

    import evaltoolkit as ev

    def run() -> Cells:
        source: Any = ev.connect(ibis.polars.connect().read_parquet(asked.files, table_name="panel"))
        return cells_of(ev.did(source, **COLUMNS, **asked.more))

    return run


def spark_session(memory: str) -> Any:
    """Start Spark on this machine, with two threads and nothing that listens beyond it."""
    from pyspark.sql import SparkSession  # type: ignore[import-not-found, unused-ignore]

    settings = {
        "spark.driver.memory": memory.lower().removesuffix("b"), "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false", "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1", "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "4", "spark.sql.execution.arrow.pyspark.enabled": "true",
    }  # fmt: skip
    builder = SparkSession.builder.master("local[2]")
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session


def ours_spark(asked: Asked) -> Ready:
    import ibis  # noqa: F401

    import evaltoolkit as ev

    session = spark_session(asked.memory)

    def run() -> Cells:
        source: Any = ev.connect(session.read.parquet(*asked.names()))
        return cells_of(ev.did(source, **COLUMNS, **asked.more))

    return run


def shuffled(asked: Asked) -> Any:
    """Read a panel into a pandas frame whose rows are in any order."""
    import pandas as pd

    frame = pd.concat([pd.read_parquet(name) for name in asked.names()], ignore_index=True)
    return frame.sample(frac=1, random_state=SHUFFLE).reset_index(drop=True)


def ours_memory(asked: Asked) -> Ready:
    import evaltoolkit as ev

    frame = shuffled(asked)
    return lambda: cells_of(ev.did(frame, **COLUMNS, **asked.more))


def kernel(asked: Asked) -> Ready:
    """Widen and estimate without the rest of an evaluation: the call of ``did_peers.py``."""
    from did_peers import ours as of_race  # type: ignore[import-not-found, unused-ignore]

    frame = shuffled(asked).rename(columns={"year": "t", "x": "x1", "z": "x2"})
    frame["g"] = frame.pop("first_treated").fillna(0).astype("int64")
    run = of_race("cs_an")

    def timed() -> Cells:
        run(frame)
        return {}

    return timed


def duckreg_table(asked: Asked) -> Any:
    import ibis

    connection = ibis.duckdb.connect(memory_limit=asked.memory)
    connection.raw_sql(
        f"create view panel as select id, y, year - {START} as p, "
        f"(first_treated is not null and year >= first_treated)::int as d from read_parquet('{asked.files}')"
    )
    return connection


def duckreg_cohorts(asked: Asked, draws: int = 0) -> Ready:
    from duckreg.estimators import DuckMundlakEventStudy  # type: ignore[import-not-found, unused-ignore]

    def run() -> Cells:
        model = DuckMundlakEventStudy(
            db_name=None, table_name="panel", outcome_var="y", treatment_col="d", unit_col="id", time_col="p",
            cluster_col="id", seed=1, n_bootstraps=draws, connection=duckreg_table(asked),
        )  # fmt: skip
        model.fit()
        found = model.summary() if draws else {c: t.assign(se=float("nan")) for c, t in model.point_estimate.items()}
        cells: Cells = {}
        for cohort, table in found.items():
            for name, (estimate, error) in zip(table.index, table.to_numpy(), strict=True):
                year = START + int(name.rsplit("_", 1)[1])
                if year != START + int(cohort) - 1:
                    cells[f"{START + int(cohort)} {year}"] = (float(estimate), float(error))
        return cells

    return run


def duckreg_drawn(asked: Asked) -> Ready:
    return duckreg_cohorts(asked, DRAWS)


def duckreg_static(asked: Asked) -> Ready:
    from duckreg.estimators import DuckDoubleDemeaning

    def run() -> Cells:
        model = DuckDoubleDemeaning(
            db_name=None, table_name="panel", outcome_var="y", treatment_var="d", unit_col="id", time_col="p",
            cluster_col="id", seed=1, n_bootstraps=0, connection=duckreg_table(asked),
        )  # fmt: skip
        model.fit()
        return {"headline": (float(model.point_estimate.ravel()[1]), float("nan"))}

    return run


def moderndid(frame: Callable[[], Any]) -> Ready:
    import moderndid as md  # type: ignore[import-not-found, unused-ignore]

    estimate, average = md.att_gt, md.aggte  # loaded on first use, which is no part of the call

    def run() -> Cells:
        fit = estimate(
            data=frame(), yname="y", tname="year", idname="id", gname="g", xformla="~ x", est_method="dr",
            control_group="notyettreated", boot=False, cband=False,
        )  # fmt: skip
        found = average(fit, type="group")
        named = (f"{int(g)} {int(t)}" for g, t in zip(fit.groups, fit.times, strict=True))
        effects = zip(map(float, fit.att_gt), map(float, fit.se_gt), strict=True)
        return {**dict(zip(named, effects, strict=True)), "headline": (found.overall_att, found.overall_se)}

    return run


def moderndid_dask(asked: Asked) -> Ready:
    import dask.dataframe as dd  # type: ignore[import-not-found, unused-ignore]
    from distributed import Client  # type: ignore[import-not-found, unused-ignore]

    client = Client(n_workers=os.cpu_count(), threads_per_worker=1, dashboard_address=None)

    def frame() -> Any:
        columns = ["id", "year", "first_treated", "x", "y"]
        found = dd.read_parquet(asked.names(), columns=columns)
        return found.assign(g=found["first_treated"].fillna(0).astype("int64")).drop(columns=["first_treated"])

    run = moderndid(frame)

    def timed() -> Cells:
        cells = run()
        client.scheduler_info()  # the client is to live as long as the call
        return cells

    return timed


def moderndid_spark(asked: Asked) -> Ready:
    session = spark_session(asked.memory)

    def frame() -> Any:
        table = session.read.parquet(*asked.names())
        return table.selectExpr("id", "year", "coalesce(first_treated, 0) as g", "x", "y")

    return moderndid(frame)


RUNS: dict[str, tuple[str, Callable[[Asked], Ready]]] = {
    "duckdb": ("duckdb", ours),
    "headline": ("duckdb", headline),
    "polars": ("polars", ours_polars),
    "spark": ("pyspark", ours_spark),
    "memory": ("pandas", ours_memory),
    "kernel": ("numpy", kernel),
    "duckreg-cohorts": ("duckreg", duckreg_cohorts),
    "duckreg-draws": ("duckreg", duckreg_drawn),
    "duckreg-static": ("duckreg", duckreg_static),
    "moderndid-dask": ("moderndid", moderndid_dask),
    "moderndid-spark": ("moderndid", moderndid_spark),
}
"""The distribution whose version counts, and what gets the call ready."""
WITH = {"moderndid-dask": "dask", "moderndid-spark": "pyspark"}
COLD = {"spark", "moderndid-dask", "moderndid-spark"}
"""Where the first call is timed: a call on a small panel would take as long."""
BEST_OF = {"memory": 3, "kernel": 3}


def peak() -> float:
    """Return the largest memory of this process so far, in GB."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / 1e9 if sys.platform == "darwin" else size * 1024 / 1e9


def main() -> None:
    warnings.simplefilter("ignore")
    name, asked = sys.argv[1], Asked(**json.loads(sys.argv[2]))
    if asked.first and name not in COLD:
        RUNS[name][1](replace(asked, files=asked.first))()
    run = RUNS[name][1](asked)
    before, spent = peak(), []
    for _ in range(BEST_OF.get(name, 1)):
        start, worked = time.perf_counter(), time.process_time()
        cells = run()
        spent.append((time.perf_counter() - start, time.process_time() - worked))
    seconds, cpu = min(spent)
    versions = {d: metadata.version(d) for d in (RUNS[name][0], *filter(None, [WITH.get(name)]))}
    found = {"seconds": seconds, "cpu": cpu, "peak": peak(), "before": before, "cells": cells, "versions": versions}
    print("\nRESULT " + json.dumps(found), flush=True)
    if hasattr(sys.modules.get("distributed"), "Client"):
        sys.modules["distributed"].Client.current().shutdown()


if __name__ == "__main__":
    main()
