"""Read a design file into a Study."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from evaltoolkit.errors import (
    DesignFileKeyError,
    DesignFileSyntaxError,
    DesignFileValueError,
    EvaluationError,
    did_you_mean,
)
from evaltoolkit.study.models import DETECTION_ROLES, SHARED_KEYS, Study
from evaltoolkit.study.origin import Origin

Model = TypeVar("Model", bound=BaseModel)


def load(path: str | Path, *, allow_outside: bool = False) -> tuple[Study, Origin]:
    """Read and validate the shared part of a design file.

    Parameters
    ----------
    path
        The design file (TOML).
    allow_outside
        Whether its paths may leave the project folder.

    Returns
    -------
    tuple of Study and Origin

    Raises
    ------
    DesignFileError
        The file is missing, is not TOML, has an unknown key or a value that does not fit.
    """
    file = Path(path)
    text = _read(file)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DesignFileSyntaxError(
            f"the design file is not TOML: {error}",
            expected='TOML such as  title = "My evaluation"',
            todo="correct that line; 'evaltoolkit new' writes a file to start from",
            where=file.name,
        ) from None
    origin = Origin(file, text, hashlib.sha256(text.encode()).hexdigest(), allow_outside)
    return study_from(raw, origin), origin


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        near = did_you_mean(file.name, [p.name for p in file.parent.glob("*.toml")]) if file.parent.is_dir() else ""
        raise DesignFileValueError(
            f"there is no design file '{file}'{near}",
            expected="a TOML file",
            todo="correct the path, or write one with 'evaltoolkit new'",
        ) from None
    except UnicodeDecodeError:
        raise DesignFileSyntaxError(
            "the design file is not text in UTF-8",
            expected="a TOML text file",
            todo="save it as UTF-8, or give the design file and not the data file",
            where=file.name,
        ) from None
    except OSError as error:
        raise DesignFileValueError(
            f"the design file '{file}' cannot be read ({error.strerror})",
            expected="a readable TOML file",
            todo="correct the path or the permissions",
        ) from None


def study_from(raw: Mapping[str, Any], origin: Origin | None = None) -> Study:
    """Build a Study from a mapping, setting the design's own keys aside for the design to parse."""
    shared = {key: value for key, value in raw.items() if key in SHARED_KEYS}
    settings = {key: value for key, value in raw.items() if key not in SHARED_KEYS}
    study = validated(Study, {**shared, "settings": settings, "origin": origin}, origin)
    role = study.outcome.role
    if origin is not None and role in DETECTION_ROLES and study.detection is None:
        raise DesignFileKeyError(
            f"the outcome's role is '{role}' and there is no [detection] section",
            expected="[detection] with ratio = [low, high], or unknown = true",
            todo="state how recording may have changed, because it looks like a change in the outcome",
            where=origin.place(["outcome", "role"]),
        )
    return study


def validated(
    model: type[Model], values: Mapping[str, Any], origin: Origin | None, known: Collection[str] = ()
) -> Model:
    """Validate values against a model; the first failure becomes one message with file, key and line.

    ``known`` adds keys that are right elsewhere on the same level, so that "did you mean" sees them.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise _explained(error, model, origin, known) from None


def _explained(
    error: ValidationError, model: type[BaseModel], origin: Origin | None, known: Collection[str]
) -> EvaluationError:
    first = _to_report(error)
    last = first["loc"][-1:] if first["type"] == "extra_forbidden" else ()
    path = [*(part for part in first["loc"][: len(first["loc"]) - len(last)] if not _is_type_tag(part)), *last]
    if path[:1] == ["settings"]:
        path = path[1:]
    where = origin.place(path) if origin else ".".join(str(part) for part in path)
    if first["type"] == "extra_forbidden":
        return DesignFileKeyError.unknown(str(path[-1]), [*_fields_at(model, path[:-1]), *known], where=where)
    if first["type"] == "missing":
        return DesignFileKeyError(
            f"the key '{path[-1]}' is missing",
            expected=_description(model, path),
            todo=f"add {path[-1]} = ...",
            where=where,
        )
    return _wrong_value(first, path, where)


def _to_report(error: ValidationError) -> Any:
    """Return the first failure; where a table was given and plain values are allowed too, the one about the table."""
    found = error.errors(include_url=False)
    if not isinstance(found[0]["input"], dict):
        return found[0]
    return next((each for each in found if any(_is_model_tag(part) for part in each["loc"])), found[0])


def _is_model_tag(part: str | int) -> bool:
    return isinstance(part, str) and (part[:1].isupper() or part.startswith("function-after["))


def _is_type_tag(part: str | int) -> bool:
    # pydantic adds the union member it tried to the location: "str", "list[...]", "constrained-str", a model's name ...
    plain = isinstance(part, str) and (part in {"str", "int", "float", "bool", "date"} or "[" in part or "(" in part)
    return plain or _is_model_tag(part)


def _wrong_value(first: Any, path: Sequence[str | int], where: str) -> DesignFileValueError:
    shown = repr(first["input"])
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    near = ""
    if first["type"] == "literal_error":
        choices = [c.strip().strip("'") for c in expected.replace(" or ", ", ").split(",")]
        near = did_you_mean(str(first["input"]), choices)
    name = path[-1] if path else "the file"
    if first["type"] == "value_error":
        return DesignFileValueError(
            f"the section '{name}' contradicts itself" if path else "the settings contradict one another",
            expected=expected,
            todo="correct them",
            where=where,
        )
    return DesignFileValueError(
        f"{name} = {shown} does not fit{near}", expected=expected, todo=f"correct the value of {name}", where=where
    )


def _model_at(model: type[BaseModel], path: Sequence[str | int]) -> type[BaseModel] | None:
    current: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, int):
            continue
        field = current.model_fields.get(str(part)) if current else None
        current = _model_in(field.annotation) if field else None
    return current


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found is not None:
            return found
    return None


def _fields_at(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    found = _model_at(model, path)
    return [name for name in found.model_fields if name not in {"settings", "origin"}] if found else []


def _description(model: type[BaseModel], path: Sequence[str | int]) -> str:
    parent = _model_at(model, path[:-1])
    field = parent.model_fields.get(str(path[-1])) if parent else None
    return (field.description if field else None) or "a value"
