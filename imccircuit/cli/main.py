"""The command ``imccircuit``: its verbs, and one line and an exit code for every failure."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

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
    run,
    show,
    status,
)
from imccircuit.cli.output import complain
from imccircuit.errors import ExitCode, ImcError

app = typer.Typer(
    name="imccircuit",
    help="From SPICE decks of in-memory computing circuits to surrogates that state their own "
    "error. Exit codes: 0 good, 1 usage or recipe, 2 some points failed (results written), "
    "3 verdict below its gate (file written), 4 environment, 130 interrupted and resumable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _module in (
    doctor, listing, netlist, run, import_levels, status, show, fit, check, export, plot, accuracy,
    cache,
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


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; failures are one line on stderr."""
    try:
        code = app(args=list(arguments) if arguments is not None else None, standalone_mode=False)
    except TyperException as error:
        text = " ".join(error.format_message().split())
        if text:
            complain(text)
        # Called without arguments: the help was shown, and nothing was done.
        return ExitCode.USAGE
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except ImcError as error:
        complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        complain("interrupted; what was finished is kept")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing to tell anybody.
        sys.stderr.close()
        return ExitCode.GOOD
    except OSError as error:
        complain(f"{error.filename or 'a file'}: {error.strerror or error}")
        return ExitCode.USAGE
    return code if isinstance(code, int) else ExitCode.GOOD


def main() -> None:
    """Entry point of the script."""
    sys.exit(run_command())
