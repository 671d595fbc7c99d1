"""Sums in place of rows on the command line: every order of words, every combination that makes no sense."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cli.conftest import Call

DESIGN = """version = 1
design = "difference-in-differences"
title = "Stable housing"
unit = "young_person"
time = "year"
first_treated = "started"
covariates = ["age"]

[data]
source = "../data/all.csv"
rows = "people"

[outcome]
column = "housed"
kind = "binary"
role = "wellbeing"

[disclosure]
identifiers = ["young_person"]
"""
AGENCIES = ("county_a", "county_b", "county_c")


def county(seed: int, n: int = 1200) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    start, age = rng.choice([2020, 2021, 0], n), rng.choice(["12 to 14", "15 to 17"], n)
    frame = pd.DataFrame({
        "young_person": np.repeat([f"{seed}-{i}" for i in range(n)], 4), "year": np.tile(range(2018, 2022), n),
        "started": np.repeat(np.where(start > 0, start.astype(str), ""), 4), "age": np.repeat(age, 4),
    })  # fmt: skip
    runs = np.repeat(start > 0, 4) & (frame["year"].to_numpy() >= np.repeat(start, 4))
    return frame.assign(housed=(rng.random(4 * n) < 0.4 + 0.1 * runs).astype(int))


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call) -> Path:
    """Three counties' rows and sums, and the design file that they agreed on."""
    for name in ("designs", "data"):
        (tmp_path / name).mkdir()
    (tmp_path / "designs" / "housing.toml").write_text(DESIGN)
    monkeypatch.chdir(tmp_path)
    frames = [county(seed) for seed in range(3)]
    pd.concat(frames).to_csv("data/all.csv", index=False)
    for name, frame in zip(AGENCIES, frames, strict=True):
        frame.to_csv(f"data/{name}.csv", index=False)
        code, out, _ = call(
            "run", "designs/housing.toml", "--source", f"data/{name}.csv", "--export-moments", f"{name}.json", "--quiet"
        )
        assert (code, out) == (0, f"{name}.json\n")
    return tmp_path


def headline(place: str) -> tuple[float, float]:
    row = json.loads(Path(place, "housing", "result.json").read_text())["headline"]
    return row["estimate"], row["std_error"]


def everything(root: Path) -> set[Path]:
    return set(root.rglob("*"))


ORDERS = {
    "once for each": "--from-moments a --from-moments b --from-moments c D",
    "several, then the design": "--from-moments a b c D",
    "the design, then several": "D --from-moments a b c",
    "the design in between": "--from-moments a D b c",
    "the design first of all": "--from-moments D a b c",
}


def test_in_any_order_of_words_as_from_pooled_rows(work: Path, call: Call) -> None:
    assert call("run", "designs/housing.toml", "--format", "json", "--out", "pooled", "--quiet")[0] == 0
    names = {"a": "county_a.json", "b": "county_b.json", "c": "county_c.json", "D": "designs/housing.toml"}
    for words in ORDERS.values():
        given = [names.get(word, word) for word in words.split()]
        code, _, err = call("run", *given, "--format", "json", "--out", "apart", "--quiet")
        assert (code, err) == (0, "")
        # Sums of whole numbers are exact; the rest is rounding of a few operations.
        np.testing.assert_allclose(headline("apart"), headline("pooled"), rtol=1e-10)


def test_a_report_names_the_files_and_no_person(work: Path, call: Call) -> None:
    given = ["run", "designs/housing.toml", "--from-moments", *(f"{name}.json" for name in AGENCIES)]
    assert call(*given, "--format", "json", "--out", "apart", "--quiet")[0] == 0
    text = Path("apart/housing/result.json").read_text()
    assert json.loads(text)["provenance"]["data_name"] == "county_a.json, county_b.json, county_c.json"
    assert "Whether a person is in two of the 3 files was not checked" in text
    assert '"0-' not in text


def test_the_same_bytes_each_time_and_as_data(work: Path, call: Call) -> None:
    before = Path("county_a.json").read_bytes()
    given = ["run", "designs/housing.toml", "--source", "data/county_a.csv", "--export-moments", "county_a.json"]
    code, out, err = call(*given, "--json", "--quiet")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert (told["file"], told["cells"]) == ("county_a.json", 6)
    assert told["sha256"] == json.loads(before)["sha256"]
    assert Path("county_a.json").read_bytes() == before


def test_an_engine_gives_the_same_file(work: Path, call: Call) -> None:
    code, _, _ = call(
        "run", "designs/housing.toml", "--source", "csv:data/county_a.csv", "--export-moments", "engine.json", "--quiet"
    )
    assert code == 0
    one, other = (json.loads(Path(name).read_text()) for name in ("county_a.json", "engine.json"))
    assert other["engine"] == "duckdb"
    assert (one["cells"], one["plan_sha256"], one["units"]) == (other["cells"], other["plan_sha256"], other["units"])
    again = call(
        "run", "designs/housing.toml", "--source", "csv:data/county_a.csv", "--export-moments", "twice.json", "--quiet"
    )
    assert again[0] == 0
    assert Path("twice.json").read_bytes() == Path("engine.json").read_bytes()


def test_explaining_runs_and_writes_nothing(work: Path, call: Call) -> None:
    before = everything(work)
    code, out, err = call("run", "designs/housing.toml", "--source", "csv:data/county_a.csv", "--explain")
    assert (code, err) == (0, "")
    assert "SELECT" in out
    assert "housed" in out
    assert "the sums: one line for each cell" in out
    code, out, _ = call(
        "run", "designs/housing.toml", "--explain", "--export-moments", "never_written.json", "--json"
    )  # fmt: skip
    told = json.loads(out)["explanations"][0]
    assert told["plan_sha256"] == json.loads(Path("county_a.json").read_text())["plan_sha256"]
    listed = {x["what"]: x["numbers"] for x in told["leaves"]}
    assert set(listed["the file: cells"]) >= {"start", "age", "units", "sums (T)", "products (T (T + 1) / 2)"}
    assert everything(work) == before


D, A, B = "designs/housing.toml", "county_a.json", "county_b.json"
REFUSED = {
    "a small cell": ([D, "--source", "data/small.csv", "--export-moments", "x.json"], "make 'age' coarser"),
    "another design": (["designs/its.toml", "--export-moments", "x.json"], "no sums that add up"),
    "two designs": ([D, "designs/other.toml", "--export-moments", "x.json"], "2 design files"),
    "no design": (["--from-moments", A, B], "no design file is named"),
    "sums without the option": ([D, A], "'county_a.json' is no design file"),
    "no sums": (["--from-moments", D, "designs/other.toml"], "is no file of sums"),
    "sums and rows": ([D, "--from-moments", A, "--source", "data/all.csv"], "--from-moments and --source"),
    "sums and a release": ([D, "--from-moments", A, "--release", "open"], "--from-moments and --release"),
    "sums and memory": ([D, "--from-moments", A, "--engine-memory", "1GB"], "--from-moments and --engine-memory"),
    "sums and threads": ([D, "--from-moments", A, "--engine-threads", "1"], "--from-moments and --engine-threads"),
    "sums and a log": ([D, "--from-moments", A, "--audit-log", "log.txt"], "--from-moments and --audit-log"),
    "sums in and out": ([D, "--from-moments", A, "--export-moments", "x.json"], "--from-moments and --export-moments"),
    "sums explained": ([D, "--from-moments", A, "--explain"], "--from-moments and --explain"),
    "explained with a log": ([D, "--explain", "--audit-log", "log.txt"], "--explain and --audit-log"),
    "strict": ([D, "--export-moments", "x.json", "--release", "strict"], "--release strict"),
    "a report folder too": ([D, "--export-moments", "x.json", "--out", "reports"], "--export-moments and --out"),
    "a format too": ([D, "--export-moments", "x.json", "--format", "pdf"], "--export-moments and --format"),
    "a seed too": ([D, "--export-moments", "x.json", "--seed", "3"], "--export-moments and --seed"),
    "no .json": ([D, "--export-moments", "sums.txt"], "call it 'sums.json'"),
    "no such folder": ([D, "--export-moments", "none/x.json"], "'none/x.json' cannot be written"),
    "a folder": ([D, "--export-moments", "folder.json"], "'folder.json' cannot be written"),
    "no such sums": ([D, "--from-moments", "county_d.json"], "cannot be read"),
    "cut off": ([D, "--from-moments", A, "cut.json"], "cut off"),
    "changed": ([D, "--from-moments", A, "changed.json"], "changed after it was written"),
    "a result": ([D, "--from-moments", "result.json"], "'evaltoolkit.result/1'"),
    "twice": ([D, "--from-moments", A, A], "named twice"),
    "a copy": ([D, "--from-moments", A, "copy.json"], "hold the same sums"),
    "another plan": (["designs/other.toml", "--from-moments", A, B], "differ in covariates (['age'] and none)"),
}


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with one of everything that is refused, made once."""
    return tmp_path_factory.mktemp("spoiled")


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense(case: str, spoiled: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(spoiled)
    if not (spoiled / "designs").exists():
        spoil(spoiled, call)
    given, words = REFUSED[case]
    before = everything(spoiled)
    code, out, err = call("run", *given, "--quiet")
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("error[E-") == 1
    assert everything(spoiled) == before


def spoil(root: Path, call: Call) -> None:
    for name in ("designs", "data", "folder.json"):
        (root / name).mkdir()
    Path("designs/housing.toml").write_text(DESIGN)
    Path("designs/other.toml").write_text(DESIGN.replace('["age"]', "[]"))
    its = DESIGN.split("unit =")[0].replace("difference-in-differences", "interrupted-time-series")
    its += 'time = "year"\ninterruption = 2020\n[data]\nsource = "../data/all.csv"\n[outcome]\ncolumn = "housed"\n'
    Path("designs/its.toml").write_text(its)
    for i, name in enumerate(AGENCIES[:2]):
        county(i).to_csv(f"data/{name}.csv", index=False)
        assert call("run", D, "--source", f"data/{name}.csv", "--export-moments", f"{name}.json", "--quiet")[0] == 0
    county(0).to_csv("data/all.csv", index=False)
    small = county(4)
    small.loc[small["young_person"].isin([f"4-{i}" for i in range(12)]), "age"] = "18"
    small.to_csv("data/small.csv", index=False)
    text = Path(A).read_text()
    Path("cut.json").write_text(text[:500])
    Path("changed.json").write_text(text.replace('"all": 1200', '"all": 1201', 1))
    Path("result.json").write_text('{"schema": "evaltoolkit.result/1"}')
    Path("copy.json").write_text(text)


def test_a_refused_export_leaves_an_earlier_file_alone(work: Path, call: Call) -> None:
    before = Path("county_a.json").read_bytes()
    county(4, n=60).to_csv("data/few.csv", index=False)
    code, out, _ = call(
        "run",
        "designs/housing.toml",
        "--source",
        "data/few.csv",
        "--export-moments",
        "county_a.json",
        "--json",
        "--quiet",
    )
    assert code == 2
    assert json.loads(out)["error"]["code"] == "E-DISCLOSURE"
    assert Path("county_a.json").read_bytes() == before
