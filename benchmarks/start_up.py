"""CPU of starting up, against ``import typer`` in the same run, and the time from the bundled design file to its PDF.

Run ``python benchmarks/start_up.py``. Prints medians; the ratio is what can be compared between machines.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 15
COMMANDS = {
    "python -c 'import typer'": [sys.executable, "-c", "import typer"],
    "python -c 'import evaltoolkit'": [sys.executable, "-c", "import evaltoolkit"],
    "evaltoolkit --help": [sys.executable, "-m", "evaltoolkit", "--help"],
}


def cpu_seconds(command: list[str]) -> float:
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    return (after.children_user - before.children_user) + (after.children_system - before.children_system)


def main() -> None:
    spent: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            spent[name].append(cpu_seconds(command))
    peer = statistics.median(next(iter(spent.values())))
    for name, values in spent.items():
        middle = statistics.median(values)
        print(f"{name:32s} {middle:6.3f} s CPU   {middle / peer:5.2f} x import typer")
    walls = []
    for _ in range(4):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            command = [sys.executable, "-m", "evaltoolkit", "demo", "--out", folder, "--quiet"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            walls.append(time.perf_counter() - start)
    print(f"{'evaltoolkit demo, warm':32s} {statistics.median(walls[1:]):6.2f} s wall (first run {walls[0]:.2f} s)")


if __name__ == "__main__":
    main()
