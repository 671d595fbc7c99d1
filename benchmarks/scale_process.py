"""A command with limits of time and memory, watched with every process that it starts."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EVERY = 0.1
"""Seconds between two looks."""
PAGE = os.sysconf("SC_PAGE_SIZE") / 1e9


@dataclass(frozen=True)
class Limits:
    """Seconds, and GB of a process with all that it starts."""

    seconds: float
    memory: float


@dataclass
class Watched:
    """The largest memory of a process with all that it started, where the system tells (Linux)."""

    peak: float = 0.0
    helpers: bool = False

    def look(self, pid: int) -> None:
        """Look once."""
        family = descendants(pid)
        self.helpers = self.helpers or len(family) > 1
        self.peak = max(self.peak, sum(map(resident, family)))


def descendants(pid: int) -> list[int]:
    """Return a process and all below it."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        try:
            tasks = list(Path(f"/proc/{one}/task").iterdir())
            todo += [int(c) for task in tasks for c in (task / "children").read_text().split()]
        except OSError:  # it has ended, or the system has no such files
            continue
    return found


def resident(pid: int) -> float:
    """Return the memory of one process, in GB."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0.0


def finished(command: list[str], environment: dict[str, str], limits: Limits) -> dict[str, Any]:
    """Run a command to its end or to a limit; ``failed`` says why where it printed no result."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment, start_new_session=True)
        watched, end, over = Watched(), time.monotonic() + limits.seconds, ""
        while process.poll() is None and not over:
            watched.look(process.pid)
            over = f"over {limits.seconds:g} s" if time.monotonic() > end else ""
            over = f"over {limits.memory:g} GB" if watched.peak > limits.memory else over
            time.sleep(EVERY)
        stop(process)
        out.seek(0)
        err.seek(0)
        printed, said = out.read().decode(errors="replace"), err.read().decode(errors="replace")
    lines = [text for text in printed.splitlines() if text.startswith("RESULT ")]
    if lines:
        found: dict[str, Any] = json.loads(lines[-1].removeprefix("RESULT "))
        return found | {"peak": max(found["peak"], watched.peak), "helpers": watched.helpers}
    return {"failed": over or reason(said, process.returncode)}


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that still runs, and all that it started."""
    if process.poll() is None:
        for one in descendants(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
    process.wait()


def reason(said: str, code: int) -> str:
    """Return the line of a traceback that tells what went wrong."""
    if code == -signal.SIGKILL or "MemoryError" in said or "OutOfMemory" in said:
        return "out of memory"
    errors = [t.strip() for t in said.splitlines() if "Error: " in t or "Exception: " in t]
    return (errors[-1] if errors else f"ended with {code}")[:120].replace("|", "/")
