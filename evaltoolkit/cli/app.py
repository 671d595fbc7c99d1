"""The typer application: every command registered, none of their heavy imports made."""

from __future__ import annotations

from typing import Annotated

import typer

from evaltoolkit.cli import check, compare, demo, designs, doctor, explain, new, power, report, run, schema, simulate

_EVERYWHERE = "Everywhere: --json, --quiet, --no-color, --debug; before or after the command."

app = typer.Typer(
    name="evaltoolkit",
    help="Program evaluation with quasi-experimental designs, from a design file to a report.",
    epilog=_EVERYWHERE,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _command in (
    demo.demo,
    new.new,
    check.check,
    run.run,
    report.report,
    compare.compare,
    power.power,
    designs.designs,
    schema.schema,
    explain.explain,
    doctor.doctor,
    simulate.simulate,
):
    app.command(epilog=_EVERYWHERE)(_command)


def _version(wanted: bool) -> None:
    if wanted:
        from evaltoolkit import __version__

        typer.echo(f"evaltoolkit {__version__}")
        raise typer.Exit


@app.callback()
def everywhere(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, and nothing else there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress messages.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colour; NO_COLOR does the same.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and warnings.")] = False,
) -> None:
    """Program evaluation with quasi-experimental designs, from a design file to a report."""
