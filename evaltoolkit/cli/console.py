"""What a command may say: results on stdout, messages on stderr, one JSON document when asked."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from evaltoolkit.errors import EvaluationError

SCHEMA = "evaltoolkit.command/1"


@dataclass(frozen=True, slots=True)
class Console:
    """The global options, and the only way for a command to write to the terminal."""

    json: bool = False
    quiet: bool = False
    color: bool = True
    debug: bool = False

    def say(self, text: str) -> None:
        """Write a message or progress to stderr, unless --quiet."""
        if not self.quiet:
            typer.echo(text, err=True)

    def warn(self, text: str) -> None:
        """Write to stderr, --quiet or not."""
        typer.echo(text, err=True)

    def answer(self, command: str, text: str, values: Mapping[str, Any], *, exit_code: int = 0) -> None:
        """Write a command's result to stdout: its text, or one JSON document of its values with --json."""
        if self.json:
            document = {"schema": SCHEMA, "command": command, "exit_code": exit_code, **values}
            text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
        typer.echo(text)

    def refuse(self, error: EvaluationError) -> None:
        """Write an error: to stderr in the error shape, and with --json as a document to stdout as well."""
        typer.echo(error_text(error, color=self.paints), err=True)
        if self.json:
            document = {"schema": SCHEMA, "exit_code": 2, "error": error_record(error)}
            typer.echo(json.dumps(document, indent=2, ensure_ascii=False))

    @property
    def paints(self) -> bool:
        """Whether messages are coloured."""
        return self.color and "NO_COLOR" not in os.environ and sys.stderr.isatty()


def console_of(ctx: typer.Context) -> Console:
    """Return the console of a command's context."""
    return ctx.obj if isinstance(ctx.obj, Console) else Console()


def error_text(error: EvaluationError, *, color: bool = False) -> str:
    """Return the error shape: code and place, what was found, what was expected, what to do, where to read more.

    >>> from evaltoolkit.errors import OptionError
    >>> print(error_text(OptionError("no seed", expected="a number", todo="give one", where="--seed")))
    error[E-OPTION] --seed  no seed
      expected: a number
      to do: give one
      help: evaltoolkit explain E-OPTION
    """
    head = f"error[{error.code}]"
    head = typer.style(head, fg="red", bold=True) if color else head
    place = f"{error.where}  " if error.where else ""
    return (
        f"{head} {place}{error.found}\n  expected: {error.expected}\n  to do: {error.todo}"
        f"\n  help: evaltoolkit explain {error.code}"
    )


def error_record(error: EvaluationError) -> dict[str, str]:
    """Return an error as data."""
    return {
        "code": error.code,
        "where": error.where,
        "found": error.found,
        "expected": error.expected,
        "to_do": error.todo,
    }


def table_text(headers: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return rows as aligned text.

    >>> print(table_text(("code", "n"), [("A", "1"), ("BB", "20")]))
    code  n
    A     1
    BB    20
    """
    widths = [max(len(row[i]) for row in [headers, *rows]) for i in range(len(headers))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [headers, *rows]]
    return "\n".join(line.rstrip() for line in lines)
