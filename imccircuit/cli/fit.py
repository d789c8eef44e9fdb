"""``imccircuit fit``: a results file to a surrogate with its verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imccircuit.cli.output import (
    JsonFlag,
    complain_unfinished,
    figures_of,
    say,
    say_json,
    say_json_line,
)
from imccircuit.errors import ExitCode, UsageError

NAME = "fit"


def command(
    results: Annotated[Path, typer.Argument(help="A results file.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Default: beside it, NAME.model.h5.")
    ] = None,
    point: Annotated[
        int | None, typer.Option(min=0, help="Sweep point to fit; needed if there are several.")
    ] = None,
    refine: Annotated[
        int,
        typer.Option(
            min=0,
            help="Of cells and front ends: measure up to N more values where the surrogate is "
            "least sure, and fit to all.",
        ),
    ] = 0,
    jobs: Annotated[
        int | None, typer.Option("-j", "--jobs", min=1, help="For --refine; default: all cores.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Fit the surrogate that the recipe in the file asks for; exit 3 if it is below its gate."""
    from imccircuit.cli.model_report import model_dict, model_text
    from imccircuit.results.read import read_results
    from imccircuit.surrogates.fit import fit_results

    if refine and point is not None:
        raise UsageError("--refine takes results of a single point; allowed: --refine or --point")
    with figures_of(results):
        if refine:
            from imccircuit.cli.refinement import refine as refined

            model = refined(results, refine, jobs=jobs or 0, as_json=as_json)
        else:
            model = fit_results(results, point)
        complain_unfinished(read_results(results), point)
    target = output or results.with_name(f"{results.stem}.model.h5")
    model.save(target)
    if as_json:
        (say_json_line if refine else say_json)({"output": target, **model_dict(model)})
    else:
        say(model_text(model))
        say(f"model: {target}")
    if model.verdict.state == "fail":
        raise typer.Exit(ExitCode.BELOW_GATE)
