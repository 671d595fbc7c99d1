"""Make docs/design-file.md from the models of a design file: ``python docs/make.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from evaltoolkit.registry import DESIGNS
from evaltoolkit.study.models import (
    Context,
    Data,
    Detection,
    DisclosureRules,
    Filter,
    Inference,
    MomentRules,
    Outcome,
    ReportOptions,
    Study,
)

FILE = Path(__file__).parent / "design-file.md"
HEAD: Final = """# The design file

A design file says what is evaluated, with which data and how. It is TOML: `key = value` lines under `[section]`
headings, with `#` for comments. It holds no formulas and nothing in it is run: a design file from a stranger is data.
Every file in [designs/](../designs) runs as it stands.

- `evaltoolkit new DIR --data FILE` writes one, with the columns guessed; `evaltoolkit check FILE` finds what is wrong.
- With `#:schema design.schema.json` as the first line, editors that know TOML complete the keys.
- Paths are relative to the design file and stay inside the project folder (the nearest folder that holds `designs/`).

This page is made from the program by `python docs/make.py`.
"""
TOP: Final = ("version", "design", "title", "question", "program")
SECTIONS: Final[tuple[tuple[str, str, type[BaseModel]], ...]] = (
    ("[data]", "Where the data are.", Data),
    (
        "keep = [{ column = ..., op = ..., value = ... }]",
        "Row filters under `[data]`; a row is kept if all of them hold.",
        Filter,
    ),
    ("[outcome] and [[secondary]]", "One outcome; any number of secondary ones, with the same keys.", Outcome),
    ("[detection]", "How the program may have changed what is recorded.", Detection),
    ("[inference]", "How uncertainty is measured.", Inference),
    ("[disclosure]", "What may be shown about small groups of people.", DisclosureRules),
    ("[moments]", "How rows become sums, where rows do not leave an engine or an agency.", MomentRules),
    ("[context]", "The evaluator's own words, printed as they stand.", Context),
    ("[report]", "How the report is written.", ReportOptions),
)


def page() -> str:
    """Return the text of the page."""
    parts = [
        HEAD,
        "## At the top of the file\n",
        _table(Study, only=TOP),
    ]
    for entry in DESIGNS:
        parts += [f'\n## design = "{entry.kind}"\n', f"{entry.summary}\n", _table(entry.load().options)]
    for heading, text, model in SECTIONS:
        parts += [f"\n## {heading}\n", f"{text}\n", _table(model)]
    return "\n".join(parts)


def _table(model: type[BaseModel], only: tuple[str, ...] | None = None) -> str:
    schema = model.model_json_schema()
    lines = ["| key | value | if left out | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        if only is None or name in only:
            value = _value(schema["properties"][name], schema.get("$defs", {}))
            meaning = (field.description or "").replace("|", "\\|")
            lines.append(f"| `{name}` | {value} | {_default(field)} | {meaning} |")
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**needed**"
    default = field.get_default(call_default_factory=True)
    if default is None or default is PydanticUndefined or default == ():
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return "`[" + ", ".join(f'"{item}"' for item in default) + "]`"
    return f'`"{default}"`' if isinstance(default, str) else f"`{default}`"


_WORDS: Final = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`"}


def _value(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in schema:
        return _value(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    if "anyOf" in schema:
        kinds = [_value(s, definitions) for s in schema["anyOf"] if s.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema:
        return ", ".join(f"`{item}`" for item in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        if "prefixItems" in schema:
            kinds = list(dict.fromkeys(_value(s, definitions) for s in schema["prefixItems"]))
            return f"list of {len(schema['prefixItems'])}: {', '.join(kinds)}"
        return f"list of: {_value(schema['items'], definitions)}"
    if schema.get("type") == "object":
        return "`{ " + ", ".join(f"{key} = ..." for key in schema.get("properties", {})) + " }`"
    return "date" if schema.get("format") == "date" else _WORDS.get(schema.get("type", ""), "text")


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8", newline="\n")
