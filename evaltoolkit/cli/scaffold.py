"""The texts of a new study: a design file pre-filled from the columns, a codebook and a README."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any, Final

import pandas as pd

_WORDS: Final = {
    "first-treated": ("first_", "start", "adopt", "training_", "law_", "treatment_year", "cohort"),
    "treated": ("treat", "served", "program", "participant", "exposed"),
    "time": ("year", "quarter", "month", "week", "date", "time", "period"),
    "unit": ("county", "state", "site", "unit", "district", "agency", "firm", "school", "code", "id"),
    "outcome": ("outcome", "recognized", "identified", "arrest", "referral", "contact", "score", "count", "rate"),
    "population": ("population", "youth", "pop"),
}  # fmt: skip
FILL_IN: Final = "FILL_IN"
_ID: Final = re.compile(r"(^|_)(id|ssn|dob|name|phone|email|address)(_|$)", re.IGNORECASE)


def scaffold(frame: pd.DataFrame, data_name: str, design: str | None) -> tuple[str, dict[str, str]]:
    """Return the design's name and the text of each file."""
    from evaltoolkit.registry import entry_for

    guesses = guess_roles(frame)
    entry = entry_for(design or guess_design(guesses), where="--design")
    stem = re.sub(r"\W+", "_", data_name.rsplit(".", 1)[0]).strip("_") or "study"
    texts = {
        f"designs/{stem}.toml": design_text(entry.kind, entry.load().options, guesses, frame, data_name),
        f"data/{stem}_codebook.csv": codebook_text(frame, guesses),
        "README.md": (
            f"# {stem}\n\nDesign: {entry.kind}. {entry.summary}\n\n1. Fill in `designs/{stem}.toml`; "
            f"every guess there is marked.\n2. `evaltoolkit check designs/{stem}.toml`\n"
            f"3. `evaltoolkit run designs/{stem}.toml`\n"
        ),
    }
    return entry.kind, texts


def guess_roles(frame: pd.DataFrame) -> dict[str, str]:
    """Return the column that each role most likely has, by name and kind of values."""
    found: dict[str, str] = {}
    for role, words in _WORDS.items():
        for column in map(str, frame.columns):
            if column in found.values() or not _fits(frame[column], role):
                continue
            parts = column.casefold().split("_")
            if any(word in (parts if role == "time" else column.casefold()) for word in words):
                found[role] = column
                break
    if "outcome" not in found:
        numbers = [c for c in map(str, frame.columns) if c not in found.values() and _fits(frame[c], "outcome")]
        found["outcome"] = numbers[-1] if numbers else FILL_IN
    return found


def _fits(values: pd.Series[Any], role: str) -> bool:
    numeric = pd.api.types.is_numeric_dtype(values)
    if role == "treated":
        return bool(numeric and set(values.dropna().unique()) <= {0, 1})
    if role in {"outcome", "population"}:
        return bool(numeric and not _ID.search(str(values.name)))
    return True


def guess_design(guesses: dict[str, str]) -> str:
    """Return the design that the guessed columns allow."""
    if "time" in guesses and "unit" in guesses:
        return "difference-in-differences"
    return "interrupted-time-series" if "time" in guesses else "propensity-score-matching"


def design_text(kind: str, options: type[Any], guesses: dict[str, str], frame: pd.DataFrame, data_name: str) -> str:
    """Return a design file that loads; what cannot be guessed reads FILL_IN."""
    roles = {"outcome", *(_role(field) for field in options.model_fields.values())}
    used = {column for role, column in guesses.items() if role in roles}
    identifiers = [c for c in map(str, frame.columns) if _ID.search(c) and c not in used]
    rows = "people" if identifiers or "time" not in roles else "aggregates"
    lines = [
        "version = 1",
        f"design = {_toml(kind)}",
        f'title = "{FILL_IN}: title of the evaluation"',
        f'question = "{FILL_IN}: the question that the evaluation answers"',
        f'program = "{FILL_IN}: the program, as it should read in a sentence"',
        "",
    ]
    for name, field in options.model_fields.items():
        lines += [f"# {field.description}"] if field.description else []
        lines.append(_option_line(name, field, _role(field), guesses, frame, used))
    lines += [
        "",
        "[data]",
        f"source = {_toml('../data/' + data_name)}",
        f'rows = "{rows}"   # guessed: "people" | "events" | "aggregates": what one row stands for',
        'missing = []          # texts and codes that mean a missing value, for example ["NA", "-99"]',
        "",
        "[outcome]",
        f"column = {_toml(guesses['outcome'])}   # guessed",
        f'label = "{FILL_IN}: the outcome in words"',
        'kind = "continuous"   # continuous | binary | count | rate | proportion',
        "# role: incidence | identification | justice-contact | service-access | wellbeing | knowledge | process",
        '# role = "wellbeing"',
        '# better = "higher"   # higher | lower | neither',
        "# smallest_effect_that_matters = 1.0",
        "",
        "[disclosure]",
        f"identifiers = {_toml(identifiers)}   # never leave",
    ]
    return "\n".join(lines) + "\n"


def _role(field: Any) -> str:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    return str(extra.get("column", ""))


def _option_line(name: str, field: Any, role: str, guesses: dict[str, str], frame: pd.DataFrame, used: set[str]) -> str:
    if role in guesses:
        return f"{name} = {_toml(guesses[role])}   # guessed"
    if role == "covariates":
        numeric = [c for c in map(str, frame.columns) if c not in used and pd.api.types.is_numeric_dtype(frame[c])]
        return f"{name} = {_toml([c for c in numeric if not _ID.search(c)])}   # guessed: keep what was fixed before"
    extra = field.json_schema_extra
    asked = isinstance(extra, dict) and bool(extra.get("ask"))
    if field.is_required() or asked or role == "first-treated":
        return f'{name} = "{FILL_IN}"'
    default = field.get_default(call_default_factory=True)
    plain = isinstance(default, str | int | float | bool)
    return f"# {name} = {_toml(default) if plain else '...'}"


def _toml(value: Any) -> str:
    # A JSON text, list or number is TOML as well.
    return json.dumps(value, ensure_ascii=False)


def codebook_text(frame: pd.DataFrame, guesses: dict[str, str]) -> str:
    """Return the codebook as CSV: column, type, unit, role, source."""
    roles = {column: role for role, column in guesses.items()}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["column", "type", "unit", "role", "source"])
    for column in map(str, frame.columns):
        writer.writerow([column, str(frame[column].dtype), "", roles.get(column, ""), ""])
    return out.getvalue()
