"""``imccircuit plot``: pictures of a results file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from imccircuit.benches.registry import get_bench
from imccircuit.cli.figures import Choice, draw, kinds_of
from imccircuit.cli.output import JsonFlag, figures_of, say, say_json
from imccircuit.errors import UsageError
from imccircuit.results.read import Results, read_results

NAME = "plot"


class Method(StrEnum):
    """Convention of INL and DNL."""

    END_POINT = "end-point"
    BEST_FIT = "best-fit"


def command(
    results: Annotated[Path, typer.Argument(help="A results file.")],
    kind: Annotated[
        str,
        typer.Option(
            help="transfer, inl, ir-drop, error, histogram or one of the bench's own; default all."
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help=".png, .svg or .pdf; default beside the results."),
    ] = None,
    point: Annotated[int, typer.Option(min=0, help="Index of the sweep point.")] = 0,
    sample: Annotated[int | None, typer.Option(min=0, help="One chip; default all.")] = None,
    batch: Annotated[
        int | None, typer.Option(min=0, help="Input vector of a map; default the worst one.")
    ] = None,
    method: Annotated[Method, typer.Option(help="Convention of INL and DNL.")] = Method.END_POINT,
    variable: Annotated[
        str, typer.Option(help="Draw this variable over a swept key instead.")
    ] = "",
    over: Annotated[
        str, typer.Option(help="The swept key; may be left out where there is one.")
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Draw transfer curve, INL/DNL, IR-drop map, errors, variation, or a variable over a key."""
    from imccircuit.plots.style import save_figure

    loaded = read_results(results)
    if variable or over:
        if not variable:
            raise UsageError("--over needs --variable, what is to be drawn over it")
        from imccircuit.cli.sweep_figure import draw_over

        with figures_of(results):
            drawn = draw_over(loaded, variable, over)  # refuses names that are no variable's
        target = output or results.with_name(f"{results.stem}-{variable}.png")
        _say_written([save_figure(drawn, target)], as_json=as_json)
        return
    data, row = _group_of(loaded, point)
    curves = get_bench(loaded.provenance.bench).curves
    kinds = [kind] if kind else kinds_of(data, curves)
    if not kinds:
        raise UsageError(f"{results}: nothing in it that can be drawn")
    if output is not None and len(kinds) > 1:
        raise UsageError(f"-o names one picture; choose one with --kind: {', '.join(kinds)}")
    choice = Choice(row, sample, batch, method.value)
    written = []
    several = sum(group.sizes["point"] for group in loaded.datasets) > 1
    tail = f"-p{point}" if several else ""
    for name in kinds:
        with figures_of(results):
            drawn = draw(name, data, choice, curves)  # refuses names that are no picture's
            target = output or results.with_name(f"{results.stem}-{name}{tail}.png")
            written.append(save_figure(drawn, target))
    _say_written(written, as_json=as_json)


def _say_written(written: list[Path], *, as_json: bool) -> None:
    if as_json:
        say_json({"pictures": written})
    else:
        for path in written:
            say(f"picture: {path}")


def _group_of(results: Results, point: int) -> tuple[object, int]:
    for data in results.datasets:
        rows = (data["point"].values == point).nonzero()[0]
        if len(rows):
            return data, int(rows[0])
    total = sum(data.sizes["point"] for data in results.datasets)
    raise UsageError(f"{results.path}: no point {point}; there are 0 to {total - 1}")
