"""simulate, demo, schema and new, on the project's own data."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from evaltoolkit.registry import DESIGNS
from evaltoolkit.simulate import WORLDS
from evaltoolkit.study import load
from tests.cli.conftest import Call

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "designs" / "design.schema.json"


@pytest.mark.parametrize("world", sorted(WORLDS))
def test_simulate_writes_the_same_files_again(world: str, tmp_path: Path, call: Call) -> None:
    first = call("simulate", world, "--seed", "3", "--out", str(tmp_path / "a"))
    again = call("simulate", world, "--seed", "3", "--out", str(tmp_path / "b"))
    assert first[0] == again[0] == 0
    files = [Path(line) for line in first[1].splitlines()]
    assert len(files) == 3
    for file in files:
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_simulate_tells_of_a_world_it_does_not_know(tmp_path: Path, call: Call) -> None:
    code, out, err = call("simulate", "training-county", "--out", str(tmp_path))
    assert (code, out) == (2, "")
    assert "did you mean 'training-counties'" in err
    assert not list(tmp_path.iterdir())


def test_simulate_can_leave_out_the_effect(tmp_path: Path, call: Call) -> None:
    code, out, _ = call("simulate", "hotline-campaign", "--effect", "0", "--out", str(tmp_path), "--json")
    assert code == 0
    assert json.loads(out)["effect"] == 0
    assert json.loads((tmp_path / "hotline_campaign_truth.json").read_text())["rate_ratio"] == 1


def test_the_demo_prints_the_path_of_its_report(tmp_path: Path, call: Call) -> None:
    code, out, _ = call("demo", "--out", str(tmp_path))
    assert code == 0
    assert Path(out.strip()).read_bytes().startswith(b"%PDF")


def test_the_schema_beside_the_design_files_is_current(tmp_path: Path, call: Call) -> None:
    code, _, _ = call("schema", "--out", str(tmp_path / "now.json"))
    assert code == 0
    assert (tmp_path / "now.json").read_bytes() == SCHEMA.read_bytes(), "run: evaltoolkit schema --out " + SCHEMA.name


def test_the_schema_accepts_every_design_file_and_refuses_an_unknown_key() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    files = sorted((ROOT / "designs").glob("*.toml"))
    assert {str(load(p)[0].design) for p in files} == {entry.kind for entry in DESIGNS}
    for path in files:
        study = load(path)[0].model_dump(mode="json", exclude_unset=True)
        written = {**{k: v for k, v in study.items() if k != "settings"}, **study["settings"]}
        assert [e.message for e in validator.iter_errors(written)] == [], path.name
        assert list(validator.iter_errors({**written, "estimatr": "x"})), path.name


@pytest.mark.parametrize(
    ("data", "design"),
    [
        ("training_counties", "difference-in-differences"),
        ("safe_harbor_states", "difference-in-differences"),
        ("job_training_grants", "difference-in-differences"),
        ("specialized_services", "propensity-score-matching"),
        ("hotline_campaign", "interrupted-time-series"),
    ],
)
def test_new_guesses_the_design_and_leaves_only_words_open(data: str, design: str, tmp_path: Path, call: Call) -> None:
    code, out, _ = call("new", str(tmp_path / "study"), "--data", str(ROOT / "sample_data" / f"{data}.csv"), "--json")
    assert code == 0
    made = json.loads(out)
    assert made["design"] == design
    file = next(name for name in made["files"] if name.endswith(".toml"))
    code, out, _ = call("check", file, "--json")
    open_places = {f["looked_at"] for f in json.loads(out)["designs"][0]["findings"] if f["severity"] == "stop"}
    assert open_places <= {"title", "question", "program", "outcome.label", "interruption"}


def test_new_takes_people_for_people_and_names_their_identifier(tmp_path: Path, call: Call) -> None:
    data = ROOT / "sample_data" / "specialized_services.csv"
    assert call("new", str(tmp_path / "study"), "--data", str(data))[0] == 0
    text = (tmp_path / "study" / "designs" / "specialized_services.toml").read_text(encoding="utf-8")
    assert 'rows = "people"' in text
    assert 'identifiers = ["youth_id"]' in text
