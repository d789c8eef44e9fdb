"""The verbs of ``imccircuit`` in one application; importing it loads all they need."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import imccircuit
from imccircuit.cli import (
    accuracy,
    cache,
    check,
    doctor,
    export,
    fit,
    import_levels,
    listing,
    netlist,
    plot,
    replay,
    run,
    show,
    status,
)
from imccircuit.errors import ExitCode, ImcError


class _InterruptedError(ImcError):
    """Ctrl-C, where nothing waits for it."""

    exit_code = ExitCode.INTERRUPTED


class _Verbs(TyperGroup):
    """Typer turns Ctrl-C into an exit code without a word."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _InterruptedError("interrupted; what was finished is kept") from None


app = typer.Typer(
    name="imccircuit",
    cls=_Verbs,
    help="From SPICE decks of in-memory computing circuits to surrogates that state their own "
    "error. Exit codes: 0 good, 1 usage or recipe, 2 some points failed (results written), "
    "3 verdict below its gate (file written), 4 environment, 130 interrupted and resumable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _module in (
    doctor, listing, netlist, run, import_levels, status, show, fit, check, export, replay, plot,
    accuracy, cache,
):  # fmt: skip
    app.command(name=_module.NAME)(_module.command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"imccircuit {imccircuit.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass
