"""The page about sums in place of rows runs from its first block to its last, and what it shows is what comes out."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from evaltoolkit.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "federated.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
GRID = "grid = { need_score = [5] }"


def blocks(kind: str) -> list[str]:
    return [text for found, text in BLOCKS if found == kind]


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    design, *others = blocks("toml")
    assert (others, GRID in design) == ([], True)
    Path("designs").mkdir()
    Path("designs/housing.toml").write_text(design)
    names: dict[str, object] = {}
    steps = [(kind, text) for kind, text in BLOCKS if kind in {"python", "sh"}]
    assert [kind for kind, _ in steps] == ["python", "sh", "sh", "sh", "python", "sh"]
    for kind, text in steps:
        if kind == "python":
            exec(compile(text, "docs/federated.md", "exec"), names)
            continue
        for line in text.splitlines():
            command, *words = shlex.split(line)
            assert command in {"evaltoolkit", "export"}
            if command == "evaltoolkit":
                assert main(["--quiet", *words]) == 0, line
    shown_as_it_is(capsys)


def shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    (excerpt,), (refusal,) = blocks("json"), blocks("text")
    cells = json.loads(Path("alder.json").read_text())["cells"]
    assert [json.loads(line.rstrip(",")) for line in excerpt.splitlines()] == cells[:2]
    said = json.loads(Path("together/housing/result.json").read_text())["statements"]["bottom_line"]
    quoted = " ".join(line.removeprefix("> ") for line in PAGE.splitlines() if line.startswith("> "))
    assert quoted == said
    design = Path("designs/housing.toml").read_text()
    Path("designs/fine.toml").write_text(design.replace(f"[moments]\n{GRID}\n", ""))
    capsys.readouterr()
    given = ["run", "designs/fine.toml", "--source", "alder.csv", "--export-moments", "fine.json", "--quiet"]
    assert main(given) == 2
    assert capsys.readouterr().err.startswith(refusal.rstrip())
    assert not Path("fine.json").exists()
    assert set(re.findall(r"EVALTOOLKIT_\w+", PAGE)) == {"EVALTOOLKIT_OVERLAP_KEY"}
