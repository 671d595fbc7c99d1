"""The house rules as programs: size, nesting, parameters, names, docstrings, sorted front doors."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "evaltoolkit"
FILES = sorted(PACKAGE.rglob("*.py"))
FRONT_DOOR = "notebook"
FORBIDDEN_NAMES = {"utils", "helpers", "core", "manager", "builder", "base", "misc", "common"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def code_lines(node: Function) -> int:
    doc = ast.get_docstring(node, clean=False)
    end = node.end_lineno or node.lineno
    return end - node.lineno + 1 - (doc.count("\n") + 1 if doc else 0)


def nesting(node: ast.AST, depth: int = 0) -> int:
    blocks = (ast.If, ast.For, ast.While, ast.With, ast.Try)
    deepest = depth
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            continue
        elif_of = isinstance(node, ast.If) and child in node.orelse and isinstance(child, ast.If)
        deepest = max(deepest, nesting(child, depth + (isinstance(child, blocks) and not elif_of)))
    return deepest


def is_command(path: Path) -> bool:
    return "cli" in path.parts


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def test_files_are_short(trees: dict[Path, ast.Module]) -> None:
    long = {str(p.relative_to(PACKAGE)): n for p in trees if (n := len(p.read_text().splitlines())) > 400}
    assert not long


def test_functions_are_short(trees: dict[Path, ast.Module]) -> None:
    sizes = {
        f"{path.relative_to(PACKAGE)}:{node.name}": code_lines(node)
        for path, tree in trees.items()
        for node in functions(tree)
        if FRONT_DOOR not in path.parts
    }
    assert not {name: n for name, n in sizes.items() if n > 60}, "hard limit"
    over = {name: n for name, n in sizes.items() if n > 40}
    assert len(over) <= len(sizes) * 0.03, f"functions over 40 lines: {over}"


def test_blocks_are_not_deep(trees: dict[Path, ast.Module]) -> None:
    deep = [
        f"{path.relative_to(PACKAGE)}:{node.name}"
        for path, tree in trees.items()
        for node in functions(tree)
        if nesting(node) > 4
    ]
    assert not deep


def test_parameters_are_few_and_named(trees: dict[Path, ast.Module]) -> None:
    wrong = []
    for path, tree in trees.items():
        for node in functions(tree):
            place = f"{path.relative_to(PACKAGE)}:{node.name}"
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            named = [a for a in arguments if a.arg not in {"self", "cls"}]
            if len(named) > 7 and FRONT_DOOR not in path.parts and not is_command(path):
                wrong.append(f"{place}: {len(named)} parameters")
            if node.args.kwarg and not node.name.startswith("_"):
                wrong.append(f"{place}: **{node.args.kwarg.arg}")
            booleans = [a for a in named if isinstance(a.annotation, ast.Name) and a.annotation.id == "bool"]
            if len(booleans) > 1 and FRONT_DOOR not in path.parts and not is_command(path):
                wrong.append(f"{place}: {len(booleans)} boolean parameters")
            if any(a in node.args.args for a in booleans) and not is_command(path):
                wrong.append(f"{place}: a positional boolean")
    assert not wrong


def test_rooms_have_telling_names() -> None:
    assert not [p for p in PACKAGE.rglob("*") if p.stem.strip("_") in FORBIDDEN_NAMES]


def test_public_things_have_docstrings(trees: dict[Path, ast.Module]) -> None:
    bare = []
    for path, tree in trees.items():
        if not ast.get_docstring(tree):
            bare.append(str(path.relative_to(PACKAGE)))
        for node in ast.walk(tree):
            named = isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
            if named and not ast.get_docstring(node):
                bare.append(f"{path.relative_to(PACKAGE)}:{node.name}")
    assert not bare


def test_kernels_show_an_example(trees: dict[Path, ast.Module]) -> None:
    without = [
        path.name
        for path, tree in trees.items()
        if path.parent.name == "kernels" and path.name != "__init__.py" and ">>>" not in path.read_text()
        and any(not f.name.startswith("_") for f in functions(tree))
    ]  # fmt: skip
    assert not without


def test_front_doors_are_sorted_and_true(trees: dict[Path, ast.Module]) -> None:
    wrong = []
    for path, tree in trees.items():
        for node in tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
                names = list(ast.literal_eval(node.value))
                order = sorted(names, key=lambda n: (not n.isupper(), not n[0].isupper(), n))
                if names != order:
                    wrong.append(str(path.relative_to(PACKAGE)))
    assert not wrong


def test_nothing_is_left_undone() -> None:
    marks = ("TO" + "DO", "FIX" + "ME", "XXX", "NotImplementedError", "place" + "holder")
    found = [f"{p.relative_to(PACKAGE)}: {m}" for p in FILES for m in marks if m in p.read_text()]
    assert not found


def test_designs_do_not_edit_the_reporter() -> None:
    """Presentation never asks what kind of result it holds: no design is named in plots, report or evidence."""
    from evaltoolkit.registry import DESIGNS

    words = {entry.kind for entry in DESIGNS}
    folders = [PACKAGE / room for room in ("plots", "report", "evidence")]
    rooms = [p for folder in folders for p in folder.rglob("*") if p.suffix in {".py", ".typ"}]
    assert rooms
    assert not [f"{p.name}: {w}" for p in rooms for w in words if w in p.read_text(encoding="utf-8")]
