"""Floors are kept, the front door is cheap, and the written tables are true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import evaltoolkit
from evaltoolkit.registry import DESIGNS

ROOT = Path(__file__).parents[2]
HEAVY = {"pandas", "statsmodels", "linearmodels", "matplotlib", "pydantic", "typer", "scipy", "numpy", "numba", "typst"}


def modules_after(code: str) -> set[str]:
    script = f"{code}\nimport sys; print(' '.join(sorted({{m.split('.')[0] for m in sys.modules}})))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not modules_after("import evaltoolkit") & HEAVY


def test_kernels_load_numpy_and_scipy_only_and_numba_not_before_it_is_needed() -> None:
    code = "import pkgutil, importlib, evaltoolkit.kernels as k\n"
    code += "[importlib.import_module(m.name) for m in pkgutil.iter_modules(k.__path__, 'evaltoolkit.kernels.')]"
    assert not modules_after(code) & (HEAVY - {"numpy", "scipy"})


def test_errors_load_nothing() -> None:
    assert not modules_after("import evaltoolkit.errors") & HEAVY


def test_exported_names_exist_and_are_sorted() -> None:
    names = evaltoolkit.__all__
    assert names == sorted(names, key=lambda n: (not n[0].isupper(), n))
    for name in names:
        assert getattr(evaltoolkit, name) is not None
    assert set(names) <= set(dir(evaltoolkit))


def rows_of_table(text: str, heading: str) -> list[list[str]]:
    section = text.split(heading, 1)[1]
    rows = []
    for line in section.splitlines()[1:]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            break
    return rows[2:]


def test_the_map_of_rooms_is_true() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    written = {re.sub(r"[`/]", "", row[0]) for row in rows_of_table(text, "## Rooms")}
    package = ROOT / "evaltoolkit"
    folders = {p.name for p in package.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    files = {p.stem for p in package.glob("*.py") if not p.stem.startswith("__")}
    assert written == folders | files


def test_the_table_of_designs_is_true() -> None:
    for name in ("README.md", "ARCHITECTURE.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        written = {row[0].strip("`"): row[1].strip("`") for row in rows_of_table(text, "## Designs")}
        assert written == {entry.kind: f"ev.{entry.short}" for entry in DESIGNS}, name


def test_the_floors_of_the_picture_are_the_floors_of_the_linter() -> None:
    config = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    layers = re.findall(r'"([^"]+)"', config.split("layers = [", 1)[1].split("]", 1)[0])
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    picture = text.split("## Floors", 1)[1].split("```")[1].strip().splitlines()
    assert [" ".join(line.split("  ")[0].split()) for line in picture] == layers
