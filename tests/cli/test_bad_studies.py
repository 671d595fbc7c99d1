"""Bad input to each real design: one message that names the thing, exit code 2, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cli.conftest import Call
from tests.cli.test_bad_input import refused

SHARED = """version = 1
title = "A study"

[data]
source = "../data/rows.csv"
rows = "{rows}"

[outcome]
column = "y"
"""
DESIGNS = {
    "did": 'design = "difference-in-differences"\nunit = "site"\ntime = "year"\nfirst_treated = "start"\n',
    "match": 'design = "propensity-score-matching"\ntreated = "served"\ncovariates = ["age", "need"]\n',
    "its": 'design = "interrupted-time-series"\ntime = "month"\ninterruption = "2020-01"\n',
}
ROWS = {"did": "aggregates", "match": "people", "its": "aggregates"}


def panel() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame([(s, t) for s in range(30) for t in range(2015, 2023)], columns=["site", "year"])
    frame["start"] = np.where(frame["site"] < 12, 2019, 0)
    frame["y"] = rng.normal(size=len(frame)) + frame["site"] % 3
    frame["x"] = (frame["site"] % 7) + 0.5
    frame["region"] = frame["site"] % 15
    return frame


def people() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    need = rng.normal(size=300)
    served = (rng.random(300) < 1 / (1 + np.exp(1 - need))).astype(int)
    return pd.DataFrame({
        "served": served, "need": need, "age": rng.integers(12, 18, 300), "y": need + served + rng.normal(size=300),
    })  # fmt: skip


def series() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    months = pd.period_range("2017-01", periods=72, freq="M").astype(str)
    return pd.DataFrame({"month": months, "y": rng.normal(50, 5, 72)})


FRAMES: dict[str, Callable[[], pd.DataFrame]] = {"did": panel, "match": people, "its": series}
Change = Callable[[pd.DataFrame], pd.DataFrame]


def changed(column: str, value: object, rows: slice | None = None) -> Change:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        if rows is None:
            return frame.assign(**{column: value})
        out = frame.assign(**{column: frame[column].astype(object)})
        out.iloc[rows, out.columns.get_loc(column)] = value
        return out

    return change


def twice(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.iloc[[5]]])


# design, change of the data, further lines of the design file, words of the message
DATA: dict[str, tuple[str, Change, str, str]] = {
    "did, duplicate unit-time rows": ("did", twice, "", "row"),
    "did, column not in the data": ("did", lambda f: f.drop(columns="start"), "", "'start'"),
    "did, text where numbers belong": ("did", changed("y", "many", slice(3, 4)), "", "text in row 4"),
    "did, infinite values": ("did", changed("y", "inf", slice(3, 4)), "", "infinite"),
    "did, periods that do not parse": ("did", changed("year", "later", slice(3, 4)), "", "'year'"),
    "did, a start that changes within a unit": ("did", changed("start", 2020, slice(0, 1)), "", "'start'"),
    "did, no comparison units": ("did", changed("start", 2019), "", "comparison"),
    "did, nobody treated": ("did", changed("start", 0), "", "start"),
    "did, no pre-period": ("did", lambda f: f.assign(start=np.where(f["site"] < 12, 2015, 0)), "", "before"),
    "did, an outcome that never varies": ("did", changed("y", 1.0), "", "never varies"),
    "did, all-missing covariate": ("did", changed("x", np.nan), 'covariates = ["x"]\n', "'x' has no value"),
    "did, one cluster": ("did", changed("region", 1), 'cluster = "region"\n', "cluster"),
    "did, perfect separation": (
        "did", lambda f: f.assign(x=f["site"] * 1.0), 'covariates = ["x"]\n', "'x'",
    ),
    "match, column not in the data": ("match", lambda f: f.drop(columns="need"), "", "'need'"),
    "match, text where numbers belong": ("match", changed("y", "many", slice(3, 4)), "", "text in row 4"),
    "match, infinite values": ("match", changed("need", "inf", slice(3, 4)), "", "infinite"),
    "match, no comparison people": ("match", changed("served", 1), "", "comparison group"),
    "match, an outcome that never varies": ("match", changed("y", 1.0), "", "outcome 'y' is the same"),
    "match, all-missing covariate": ("match", changed("need", np.nan), "", "'need' has no value"),
    "match, perfect separation": ("match", lambda f: f.assign(need=f["need"] + 20 * f["served"]), "", "'need'"),
    "match, treated is no indicator": ("match", changed("served", 2, slice(0, 9)), "", "0 and 1"),
    "its, duplicate periods": ("its", twice, "", "Jun 2017"),
    "its, dates that do not parse": ("its", changed("month", "then", slice(3, 4)), "", "'month'"),
    "its, text where numbers belong": ("its", changed("y", "many", slice(3, 4)), "", "text in row 4"),
    "its, infinite values": ("its", changed("y", "inf", slice(3, 4)), "", "infinite"),
    "its, an outcome that never varies": ("its", changed("y", 1.0), "", "never varies"),
    "its, no pre-period": ("its", lambda f: f.iloc[36:], "", "before"),
    "its, the interruption is after the data": ("its", lambda f: f.iloc[:30], "", "interruption"),
    "its, too few periods": ("its", lambda f: f.iloc[34:40], "", "2 months lie before"),
}  # fmt: skip


@pytest.fixture
def study(project: Path) -> Callable[[str, Change, str], Path]:
    def write(design: str, change: Change, lines: str) -> Path:
        (project / "designs" / "toy.toml").unlink(missing_ok=True)
        file = project / "designs" / f"{design}.toml"
        file.write_text(DESIGNS[design] + lines + SHARED.format(rows=ROWS[design]))
        change(FRAMES[design]()).to_csv(project / "data" / "rows.csv", index=False)
        return file

    return write


@pytest.mark.parametrize("case", DATA)
def test_bad_data(case: str, project: Path, call: Call, study: Callable[[str, Change, str], Path]) -> None:
    design, change, lines, words = DATA[case]
    file = study(design, change, lines)
    refused(call, project, words, "run", str(file), "--quiet")


@pytest.mark.parametrize("design", DESIGNS)
def test_the_unchanged_study_runs(
    design: str, project: Path, call: Call, study: Callable[[str, Change, str], Path]
) -> None:
    """So that each refusal above comes from its one change."""
    code, out, err = call("run", str(study(design, lambda f: f, "")), "--format", "json")
    assert code == 0, err
    assert out


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('estimater = "twfe"\n', "estimater"),
        ("level = 0.95\n", "level"),
        ('unit = ["a", 3]\n', "unit"),
    ],
)
def test_bad_keys(
    design: str, line: str, words: str, project: Path, call: Call, study: Callable[[str, Change, str], Path]
) -> None:
    file = study(design, lambda f: f, "")
    text = "".join(row for row in file.read_text().splitlines(keepends=True) if not row.startswith(line.split(" ")[0]))
    file.write_text(line + text)
    refused(call, project, words, "run", str(file), "--quiet")
