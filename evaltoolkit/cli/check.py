"""``evaltoolkit check``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evaltoolkit.cli.console import console_of, table_text
from evaltoolkit.errors import EvaluationError

if TYPE_CHECKING:
    from evaltoolkit.data import Finding
    from evaltoolkit.study import Study


def check(
    ctx: typer.Context,
    design: Annotated[list[Path], typer.Argument(help="Design files.", metavar="DESIGN...")],
    allow_outside: Annotated[bool, typer.Option("--allow-outside", help="Paths may leave the project folder.")] = False,
) -> None:
    """Check design files and their data for everything that can fail, without estimating."""
    console = console_of(ctx)
    records = []
    texts = []
    for file in design:
        found = findings_of(file, allow_outside=allow_outside)
        stops = sum(finding.severity == "stop" for finding in found)
        warns = sum(finding.severity == "warn" for finding in found)
        records.append(
            {"design": str(file), "usable": not stops, "findings": [dataclasses.asdict(finding) for finding in found]}
        )
        verdict = f"{stops} to correct, {warns} to look at" if stops or warns else "nothing to correct"
        texts.append(f"{file}: {verdict}\n{_table(found)}")
    code = 0 if all(record["usable"] for record in records) else 2
    console.answer("check", "\n\n".join(texts), {"designs": records}, exit_code=code)
    raise typer.Exit(code)


def _table(found: list[Finding]) -> str:
    rows = [(f.code, f.severity, f.looked_at, str(f.n or ""), ", ".join(map(str, f.rows)), f.text) for f in found]
    return table_text(("code", "severity", "looked at", "n", "first rows", "finding"), rows)


def findings_of(file: Path, *, allow_outside: bool = False) -> list[Finding]:
    """Return the findings about one design file and its data."""
    from evaltoolkit.data import EngineSource, findings, open_source
    from evaltoolkit.pipeline import load_study, prepare

    found: list[Finding] = []
    try:
        study = load_study(file, allow_outside=allow_outside)
        found += [*_words(study), *_left_open(study)]
        source = open_source(study)
        if isinstance(source, EngineSource) and study.data.release != "open":
            found.append(_kept_in_engine())
        else:
            found += findings(source.rows(study), study, column_roles(study))
        if not _open_settings(study):
            prepare(study, source)
    except EvaluationError as error:
        return [*found, _stop(error)]
    return found


def _kept_in_engine() -> Finding:
    from evaltoolkit.data import Finding

    text = "the rows stay in the engine, so single rows were not looked at; what the design needs of them was"
    return Finding("C-ENGINE", "info", "rows", text)


def _stop(error: EvaluationError) -> Finding:
    from evaltoolkit.data import Finding

    text = f"{error.found}; expected: {error.expected}; to do: {error.todo}"
    return Finding(error.code, "stop", error.where or "design", text, 1)


def _words(study: Study) -> list[Finding]:
    from evaltoolkit.data import Finding
    from evaltoolkit.study import study_language

    return [
        Finding("L-WORDS", "warn", key, f"'{phrase}' is better written as: {use}", 1)
        for key, phrase, use in study_language(study)
    ]


def _open_settings(study: Study) -> bool:
    from evaltoolkit.cli.scaffold import FILL_IN

    return any(FILL_IN in text for _, text in _strings(dict(study.settings), ""))


def _left_open(study: Study) -> list[Finding]:
    from evaltoolkit.cli.scaffold import FILL_IN
    from evaltoolkit.data import Finding

    written = study.model_dump(mode="json")
    return [
        Finding("C-FILL-IN", "stop", key, f"still reads {FILL_IN}; write it, or remove the line", 1)
        for key, text in _strings(written, "")
        if FILL_IN in text
    ]


def _strings(thing: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(thing, str):
        yield path, thing
    elif isinstance(thing, dict):
        for key, value in thing.items():
            yield from _strings(value, f"{path}.{key}".removeprefix(".settings").lstrip("."))
    elif isinstance(thing, list | tuple):
        for i, value in enumerate(thing):
            yield from _strings(value, f"{path}[{i}]")


def column_roles(study: Study) -> dict[str, str]:
    """Return the data columns that the design's own keys name, with the role of each."""
    from evaltoolkit.registry import entry_for

    options: Any = entry_for(study.design).load().parse(study)
    found: dict[str, str] = {}
    for name, field in type(options).model_fields.items():
        extra = field.json_schema_extra
        role = extra.get("column") if isinstance(extra, dict) else None
        value = getattr(options, name)
        for column in [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []:
            if isinstance(column, str) and isinstance(role, str):
                found.setdefault(column, role)
    return found
