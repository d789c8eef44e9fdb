"""``imccircuit check``: a model against SPICE results it was not fitted to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imccircuit.cli.output import JsonFlag, figures_of, say, say_json
from imccircuit.errors import ExitCode
from imccircuit.results.read import read_results

NAME = "check"


def command(
    model: Annotated[Path, typer.Argument(help="A model file.")],
    against: Annotated[Path, typer.Option(help="A results file of the same bench.")],
    point: Annotated[
        int | None, typer.Option(min=0, help="Sweep point; needed if there are several.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Judge a model on new SPICE data; exit 3 if it is below its gate there."""
    from imccircuit.cli.model_report import verdict_dict
    from imccircuit.surrogates.files import load_model
    from imccircuit.surrogates.fit import check

    loaded, measured = load_model(model), read_results(against)
    with figures_of(against):
        verdict = check(loaded, measured, point)
    if as_json:
        say_json(verdict_dict(verdict))
    else:
        say(str(verdict))
    if verdict.state == "fail":
        raise typer.Exit(ExitCode.BELOW_GATE)
