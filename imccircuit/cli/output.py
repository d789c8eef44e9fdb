"""What the verbs share: tables, JSON, complaints, and options of the same meaning."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imccircuit.errors import FileFormatError, visible

if TYPE_CHECKING:
    from imccircuit.results.read import Results

_FILE_WIDTH = 160

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a key of the recipe; the value is TOML, else a string. Repeatable.",
    ),
]
Unset = Annotated[
    list[str] | None,
    typer.Option(
        "--unset",
        metavar="KEY",
        help="Take a key or a table out of the recipe, before --set. Repeatable.",
    ),
]
AllowNative = Annotated[
    bool,
    typer.Option("--allow-native", help="Let ngspice run the compiled models (OSDI) of a netlist."),
]
Libraries = Annotated[
    list[Path] | None,
    typer.Option(
        "--library",
        exists=True,
        file_okay=False,
        help="A folder of your own cards; the recipe's paths may point into it. Repeatable.",
    ),
]


def say(text: str = "") -> None:
    """Print to stdout."""
    typer.echo(visible(text))


def complain(text: str) -> None:
    """Print one line to stderr."""
    typer.echo(f"imccircuit: {visible(' '.join(text.split()))}", err=True)


def complain_unfinished(results: Results, point: int | None) -> None:
    """Say in one line what an unfinished results file lacks at a point; nothing of a whole one."""
    numbers = [int(number) for data in results.datasets for number in data["point"].values]
    if point is None and len(numbers) == 1:
        (point,) = numbers
    text = results.unfinished(point)
    if text:
        complain(text)


def say_json(data: Any) -> None:
    """Print JSON to stdout; NaN and infinity as null, because JSON has neither."""
    typer.echo(json.dumps(_plain(data), indent=1, sort_keys=True, allow_nan=False))


def say_json_line(data: Any) -> None:
    """Print JSON to stdout on one line, at once: something may be reading while we work."""
    typer.echo(json.dumps(_plain(data), sort_keys=True, allow_nan=False))
    sys.stdout.flush()


@contextmanager
def figures_of(path: Path) -> Iterator[None]:
    """Context that works with numbers of a file which may be of any shape, named or not.

    Raises
    ------
    FileFormatError : they do not fit together; the exception that said so is its cause.
    """
    try:
        yield
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        raise FileFormatError(f"{path}: its numbers do not fit together ({why})") from error


def _plain(data: Any) -> Any:
    if isinstance(data, dict):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(value) for value in data]
    if hasattr(data, "tolist"):
        return _plain(data.tolist())
    if isinstance(data, Path):
        return str(data)
    if isinstance(data, float) and (data != data or data in (float("inf"), float("-inf"))):
        return None
    return data


def say_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for number, column in enumerate(columns):
        # A name is what one copies: it is never broken.
        table.add_column(column, overflow="fold", no_wrap=number == 0)
    for row in rows:
        # Not strings: in those rich would take what stands in brackets for a style.
        table.add_row(*(Text(visible(str(cell))) for cell in row))
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        # A file has no width that words would have to be broken for.
        console.width = _FILE_WIDTH
    console.print(table)
