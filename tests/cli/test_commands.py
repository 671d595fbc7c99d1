"""Each command: its exit codes, its streams, its JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import evaltoolkit.cli.run
import evaltoolkit.pipeline
from evaltoolkit.cli import main
from evaltoolkit.cli.app import app
from tests.cli.conftest import Call


def test_help_imports_nothing_heavy() -> None:
    heavy = {"numpy", "pandas", "pydantic", "statsmodels", "matplotlib", "typst", "scipy", "rich"}
    code = (
        "import sys; from evaltoolkit.cli import main; code = main(['--help']); "
        f"loaded = sorted({heavy!r} & set(sys.modules)); sys.exit(code if not loaded else repr(loaded))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout


@pytest.mark.parametrize("command", sorted(str(c.callback.__name__) for c in app.registered_commands if c.callback))
def test_every_command_has_help(command: str, call: Call) -> None:
    code, out, _ = call(command, "--help")
    assert code == 0
    assert f"evaltoolkit {command}" in out


def test_run_writes_a_folder_and_only_its_files_to_stdout(project: Path, call: Call) -> None:
    code, out, err = call("run", "designs/toy.toml")
    assert code == 0
    written = {str(path.relative_to(project)) for path in (project / "reports").rglob("*") if path.is_file()}
    assert {str(Path(line).absolute().relative_to(project)) for line in out.splitlines()} == written
    assert {f"reports/toy/{name}" for name in ("report.pdf", "result.json", "manifest.json")} <= written
    assert "estimating" in err


def test_quiet_says_nothing_on_stderr(project: Path, call: Call) -> None:
    assert call("run", "designs/toy.toml", "--quiet")[2] == ""


@pytest.mark.parametrize("before", [True, False])
def test_json_is_one_document(project: Path, call: Call, *, before: bool) -> None:
    words = ["--json", "run", "designs/toy.toml"] if before else ["run", "designs/toy.toml", "--json"]
    code, out, _ = call(*words)
    document = json.loads(out)
    assert (code, document["exit_code"], document["command"]) == (0, 0, "run")
    assert set(document["reports"][0]) == {"design", "exit_code", "folder", "files", "headline", "problems", "error"}


def test_several_designs_go_on_and_the_worst_code_counts(project: Path, call: Call) -> None:
    code, out, err = call("run", "designs/nowhere.toml", "designs/toy.toml", "--json")
    document = json.loads(out)
    assert code == 2
    assert [r["exit_code"] for r in document["reports"]] == [2, 0]
    assert "nowhere.toml" in err


def test_an_unusable_headline_is_written_and_exits_1(
    project: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaltoolkit.cli.run, "unusable", lambda result: ["pre-trends: they moved apart"])
    code, _, err = call("run", "designs/toy.toml")
    assert code == 1
    assert "moved apart" in err
    assert (project / "reports" / "toy" / "result.json").is_file()


def test_a_bug_exits_3_with_a_log_that_holds_no_data(
    project: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **more: object) -> None:
        raise ZeroDivisionError("client 77231 was divided")

    monkeypatch.setattr(evaltoolkit.pipeline, "evaluate", broken)
    code, out, err = call("run", "designs/toy.toml")
    assert (code, out) == (3, "")
    line = err.splitlines()[-1]
    log = Path(line.rsplit(" ", 1)[1])
    assert "ZeroDivisionError" in log.read_text()
    assert "77231" not in log.read_text() + err
    log.unlink()


def test_an_interruption_exits_130(project: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*args: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(evaltoolkit.pipeline, "evaluate", stopped)
    code, _, err = call("run", "designs/toy.toml", "--quiet")
    assert code == 130
    assert len(err.splitlines()) == 1


def test_report_renders_again_without_data(project: Path, call: Call) -> None:
    call("run", "designs/toy.toml")
    (project / "data" / "rows.csv").unlink()
    code, out, _ = call("report", "reports/toy/result.json", "--out", "again")
    assert code == 0
    pdf, *others = [Path(line) for line in out.splitlines()]
    assert pdf.read_bytes() == (project / "reports" / "toy" / "report.pdf").read_bytes()
    assert all(path.is_file() for path in others)


def test_check_lists_findings_and_never_values(project: Path, call: Call) -> None:
    (project / "data" / "rows.csv").write_text("d,y,x,client_id\n0,1,,771\n1,infinity,3,772\n1,5,3,773\n")
    code, out, _ = call("check", "designs/toy.toml", "--json")
    found = {f["code"]: f for f in json.loads(out)["designs"][0]["findings"]}
    assert code == 2
    assert found["C-INFINITE"]["rows"] == [2]
    assert found["C-MISSING"]["n"] == 1
    assert found["C-IDENTIFIER"]["severity"] == "warn"
    assert "771" not in out


def test_check_warns_about_words(project: Path, call: Call) -> None:
    design = project / "designs" / "toy.toml"
    design.write_text(design.read_text().replace('"Screening"', '"Juvenile prostitution"'))
    code, out, _ = call("check", "designs/toy.toml")
    assert code == 0
    assert "L-WORDS" in out


def test_new_writes_a_design_that_loads(project: Path, call: Call) -> None:
    code, out, _ = call("new", "fresh", "--data", "data/rows.csv", "--design", "toy")
    assert code == 0
    design = next(line for line in out.splitlines() if line.endswith(".toml"))
    evaltoolkit.pipeline.load_study(design)
    code, out, _ = call("check", design, "--json")
    assert code in {0, 2}
    assert "C-ROWS" in out
    left = [f["looked_at"] for d in json.loads(out)["designs"] for f in d["findings"] if f["code"] == "C-FILL-IN"]
    assert left == ["title", "question", "program", "outcome.label", "treated"]
    code, _, err = call("new", "fresh", "--data", "data/rows.csv", "--design", "toy")
    assert code == 2
    assert "not empty" in err


@pytest.mark.parametrize("command", ["designs", "explain", "doctor"])
def test_plain_commands_answer_in_text_and_json(command: str, call: Call) -> None:
    code, out, _ = call(command)
    assert code == 0
    assert out
    document = json.loads(call(command, "--json")[1])
    assert document["schema"] == "evaltoolkit.command/1"


def test_explain_a_code_and_a_typo(call: Call) -> None:
    code, out, _ = call("explain", "e-data-file", "--json")
    assert code == 0
    assert "missing" in json.loads(out)["text"]
    code, _, err = call("explain", "twfee")
    assert code == 2
    assert "did you mean 'twfe'" in err


def test_a_mistyped_command_is_guessed(call: Call) -> None:
    code, out, err = call("rum")
    assert (code, out) == (2, "")
    assert "'run'" in err


def test_the_module_is_the_command() -> None:
    env = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "evaltoolkit", "--version"], capture_output=True, text=True, env=env, check=True
    )
    assert done.stdout.startswith("evaltoolkit ")


def test_letters_without_a_font_are_warned_about(project: Path, call: Call) -> None:
    call("run", "designs/toy.toml")
    result = project / "reports" / "toy" / "result.json"
    record = json.loads(result.read_text(encoding="utf-8"))
    record["statements"]["plain"] = "\U00012000"
    result.write_text(json.dumps(record), encoding="utf-8")
    code, _, err = call("report", str(result), "--out", "again")
    assert code == 0
    assert "E-RPT-FONT" in err


def test_check_looks_at_what_an_engine_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import duckdb

    with duckdb.connect(str(tmp_path / "x.db")) as connection:
        connection.execute(
            "create table calls as select (2000 + i // 12) || '-' || lpad((i % 12 + 1)::varchar, 2, '0') as month, "
            "20 + i % 7 as n from range(48) r(i)"
        )
    (tmp_path / "designs").mkdir()
    file = tmp_path / "designs" / "calls.toml"
    file.write_text(
        'version = 1\ndesign = "interrupted-time-series"\ntitle = "Calls"\ntime = "month"\ninterruption = "2002-01"\n'
        'every = "month"\n[data]\nsource = "duckdb:///../x.db?table=calls"\n[outcome]\ncolumn = "n"\n'
    )
    assert main(["check", str(file)]) == 0
    assert "the rows stay in the engine" in capsys.readouterr().out
    file.write_text(file.read_text().replace("2002-01", "2009-01"))
    assert main(["check", str(file)]) == 2
    assert "E-DESIGN-PREPERIOD" in capsys.readouterr().out
