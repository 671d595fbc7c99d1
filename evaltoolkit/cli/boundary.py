"""The one boundary: every failure becomes a message and an exit code, never a traceback on the terminal.

0 done. 1 done and written, but the headline is not usable. 2 the input or the environment is wrong, nothing was
written. 3 a bug. 130 stopped by the user.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import typer

from evaltoolkit.cli.console import Console
from evaltoolkit.cli.files import REFUSED, explained
from evaltoolkit.errors import EvaluationError

_GLOBAL = {"--json": "json", "--quiet": "quiet", "-q": "quiet", "--no-color": "color", "--debug": "debug"}
INTERRUPTED = 130
_BROKEN_PIPE = 141


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Global options may stand before or after the command.
    """
    words = list(sys.argv[1:] if args is None else args)
    end = words.index("--") if "--" in words else len(words)
    chosen = {_GLOBAL[word] for word in words[:end] if word in _GLOBAL}
    rest = [word for word in words[:end] if word not in _GLOBAL] + words[end:]
    console = Console(
        json="json" in chosen, quiet="quiet" in chosen, color="color" not in chosen, debug="debug" in chosen
    )
    if console.debug:
        return _run(rest, console)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _run(rest, console)


def _run(words: list[str], console: Console) -> int:
    from evaltoolkit.cli.app import app

    try:
        code = app(words, prog_name="evaltoolkit", standalone_mode=False, obj=console)
    except EvaluationError as error:
        _trace(console)
        console.refuse(error)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except Exception as error:  # noqa: BLE001  (the boundary)
        _trace(console)
        return _other(error, console)
    if code == INTERRUPTED:
        console.warn("stopped; nothing half-written is left behind")
    return code if isinstance(code, int) else 0


def _trace(console: Console) -> None:
    if console.debug:
        console.warn(traceback.format_exc())


def _other(error: Exception, console: Console) -> int:
    if hasattr(error, "format_message"):  # a usage error of typer
        return _usage(error, console)
    if isinstance(error, OSError) and error.errno in REFUSED:
        console.refuse(explained(error))
        return 2
    return _bug(error, console)


def _usage(error: Any, console: Console) -> int:
    from evaltoolkit.errors import OptionError

    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return 2
    context = getattr(error, "ctx", None)
    usage = context.get_usage().removeprefix("Usage: ") if context is not None else "evaltoolkit COMMAND"
    path = context.command_path if context is not None else "evaltoolkit"
    message = " ".join(str(error.format_message()).split())
    console.refuse(OptionError(message, expected=usage, todo=f"see {path} --help"))
    return 2


def _bug(error: Exception, console: Console) -> int:
    log = _log(error)
    kind = type(error).__name__
    place = f"; details (no data rows) are in {log}" if log else ""
    console.warn(f"internal error: {kind}. This is a bug in evaltoolkit{place}")
    if console.json:
        console.answer("", "", {"error": {"code": "E-BUG", "found": kind, "log": log}}, exit_code=3)
    return 3


def _log(error: Exception) -> str | None:
    """Write where the error happened; messages and values are left out, because they may quote data."""
    lines: list[str] = []
    link: BaseException | None = error
    while link is not None:
        lines += [f"{type(link).__module__}.{type(link).__name__}", *_frames(link.__traceback__), ""]
        link = link.__cause__ or link.__context__
    try:
        handle, name = tempfile.mkstemp(prefix="evaltoolkit-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8") as log:
            log.write("\n".join(lines))
    except OSError:
        return None
    return name


def _frames(trace: TracebackType | None) -> list[str]:
    return [f"  {f.filename}:{f.lineno} in {f.name}" for f in traceback.extract_tb(trace)]
