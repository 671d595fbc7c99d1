"""The sample data are what make.py makes; each has a codebook and a design; the demo carries the same files."""

from __future__ import annotations

import csv
import importlib.util
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT / "sample_data"
BUNDLED = ROOT / "evaltoolkit" / "bundled"
DESIGNS = sorted((ROOT / "designs").glob("*.toml"))


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("make_sample_data", DATA / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    files: dict[str, str] = module.made()
    return files


def test_every_file_comes_out_byte_for_byte(made: dict[str, str]) -> None:
    stored = {p.name: p.read_bytes() for p in DATA.iterdir() if p.suffix in {".csv", ".json"}}
    assert stored.keys() == made.keys()
    assert [name for name, text in made.items() if stored[name] != text.encode()] == []


def test_every_data_set_has_a_codebook_that_fits(made: dict[str, str]) -> None:
    tables = [name for name in made if name.endswith(".csv") and not name.endswith("_codebook.csv")]
    assert len(tables) == 8
    for name in tables:
        header = made[name].split("\n", 1)[0].split(",")
        codebook = list(csv.DictReader(made[name.replace(".csv", "_codebook.csv")].splitlines()))
        assert [row["column"] for row in codebook] == header, name
        assert all(row["source"] and row["role"] and row["type"] for row in codebook), name


def test_every_data_set_has_a_design_file(made: dict[str, str]) -> None:
    used = {Path(tomllib.loads(p.read_text(encoding="utf-8"))["data"]["source"]).name for p in DESIGNS}
    assert used == {name for name in made if name.endswith(".csv") and not name.endswith("_codebook.csv")}


def test_made_up_data_say_so(made: dict[str, str]) -> None:
    for path in DESIGNS:
        study = tomllib.loads(path.read_text(encoding="utf-8"))
        truth = Path(study["data"]["source"]).name.replace(".csv", "_truth.json")
        assert study["context"].get("synthetic", False) == (truth in made), path.name


def test_the_demo_carries_the_same_files() -> None:
    carried = {p.relative_to(BUNDLED) for p in BUNDLED.rglob("*") if p.is_file()}
    expected = {Path("designs/training_counties.toml")} | {
        Path("sample_data") / p.name for p in DATA.glob("training_counties*")
    }
    assert carried == expected
    assert [str(p) for p in carried if (BUNDLED / p).read_bytes() != (ROOT / p).read_bytes()] == []
