"""The command line: one file per command, one boundary that turns every failure into a message and an exit code."""

from evaltoolkit.cli.boundary import main

__all__ = ["main"]
