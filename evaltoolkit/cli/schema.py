"""``evaltoolkit schema``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from evaltoolkit.cli.console import console_of


def schema(
    ctx: typer.Context,
    out: Annotated[Path | None, typer.Option("--out", help="File to write; else stdout.")] = None,
) -> None:
    """Print the JSON Schema of design files, for completion in an editor."""
    from evaltoolkit.cli.files import write_text

    text = json.dumps(design_file_schema(), indent=2, ensure_ascii=False)
    console = console_of(ctx)
    if out is None:
        typer.echo(text)
        return
    write_text(out, text + "\n")
    console.answer("schema", str(out), {"file": str(out)})


def design_file_schema() -> dict[str, Any]:
    """Return the schema: the shared sections, and one branch per design, told apart by ``design``."""
    from evaltoolkit.registry import DESIGNS
    from evaltoolkit.study import Study

    shared = Study.model_json_schema(ref_template="#/$defs/{model}")
    definitions: dict[str, Any] = shared.pop("$defs", {})
    common = {k: v for k, v in shared["properties"].items() if k not in {"settings", "origin"}}
    branches = []
    for entry in DESIGNS:
        own = entry.load().options.model_json_schema(ref_template=f"#/$defs/{entry.short}.{{model}}")
        definitions |= {f"{entry.short}.{name}": body for name, body in own.pop("$defs", {}).items()}
        named = {"const": entry.kind, "description": entry.summary}
        branches.append(
            {
                "title": entry.kind,
                "type": "object",
                "properties": {**common, "design": named, **own.get("properties", {})},
                "required": sorted({*shared.get("required", []), *own.get("required", [])} - {"settings"}),
                "additionalProperties": False,
            }
        )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "evaltoolkit design file, version 1",
        "type": "object",
        "required": ["design"],
        "properties": {"design": {"enum": [entry.kind for entry in DESIGNS]}},
        "oneOf": branches,
        "$defs": definitions,
    }
