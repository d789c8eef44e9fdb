"""``imccircuit import-levels``: transition levels from a CSV file to a results file."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from imccircuit.cli.output import JsonFlag, say, say_json
from imccircuit.errors import UsageError
from imccircuit.recipes.load import check_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.sweeps.run import RunOptions, run_plan
from imccircuit.units import parse_quantity

NAME = "import-levels"


def command(
    table: Annotated[
        Path, typer.Argument(help="A .csv file with columns code, level and perhaps chip.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Default: results/TABLE.h5.")
    ] = None,
    reference: Annotated[
        str, typer.Option("--reference", help="Full scale of the converter, such as '1 V'.")
    ] = "1 V",
    unit: Annotated[
        str, typer.Option(help="Unit of levels that have none of their own, such as mV.")
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Bring measured transition levels of a converter into a results file."""
    levels = read_levels(table, unit)
    target = output or Path("results") / f"{table.stem}.h5"
    digest = hashlib.sha256(table.read_bytes()).hexdigest()
    text = (
        f"# imported from {table.name}, SHA-256 {digest}\n"
        f'bench = "adc_levels"\nengine = "imported"\n'
        f'[circuit]\nreference_voltage = "{reference}"\n[variation]\nsamples = {len(levels)}\n'
    )
    raw: dict[str, Any] = {
        "bench": "adc_levels",
        "engine": "imported",
        "title": f"levels from {table.name}",
        "circuit": {"levels": levels, "reference_voltage": reference},
        "variation": {"samples": len(levels)},
    }
    plan = Plan(check_recipe(table.stem, str(table), text, raw))
    run_plan(plan, target, RunOptions(jobs=1))
    report = {"output": str(target), "chips": len(levels), "levels": int(levels.shape[1])}
    if as_json:
        say_json(report)
    else:
        say(f"{report['chips']} chip(s) of {report['levels']} levels: {target}")
        say(f"next: imccircuit show {target}")


def read_levels(path: Path, unit: str = "") -> NDArray[np.float64]:
    """Levels (chip, code) in V of a table with columns ``code``, ``level`` and perhaps ``chip``.

    Rows may come in any order; chips are numbered in the order of their first row.

    Parameters
    ----------
    unit : of levels without one of their own.

    Raises
    ------
    UsageError : the file cannot be read, a column is missing, a value is none, a code is missing
        or there twice; one line that names the line of the file.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            names = [name.strip().lower() for name in reader.fieldnames or []]
            reader.fieldnames = names
            for column in ("code", "level"):
                if column not in names:
                    raise UsageError(
                        f"{path}: no column {column!r}; allowed: columns code, level, chip"
                    )
            chips: dict[str, dict[int, float]] = {}
            for row in reader:
                _take(chips, row, unit, f"{path} line {reader.line_num}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    if not chips:
        raise UsageError(f"{path}: no levels in it")
    count = max(max(levels) for levels in chips.values())
    for chip, levels in chips.items():
        missing = [code for code in range(1, count + 1) if code not in levels]
        if missing:
            where = f" of chip {chip}" if len(chips) > 1 else ""
            raise UsageError(f"{path}: no level{where} for code {missing[0]} of 1 to {count}")
    return np.array([[levels[k] for k in range(1, count + 1)] for levels in chips.values()])


def _take(chips: dict[str, dict[int, float]], row: dict[str, Any], unit: str, where: str) -> None:
    text, chip = str(row["code"] or "").strip(), str(row.get("chip") or "0").strip()
    if not text.isdecimal() or len(text) > 9 or not 1 <= int(text) < 2**16:
        raise UsageError(f"{where}: code {text[:40]!r}; allowed: 1 to 2^bits − 1")
    if None in row:
        raise UsageError(
            f"{where}: more fields than columns; allowed: as many, with points for decimals"
        )
    code = int(text)
    value = str(row["level"] or "").strip()
    try:
        float(value)
    except ValueError:
        quantity = value
    else:
        quantity = f"{value} {unit}"
    try:
        level = parse_quantity(quantity, "V")
    except ValueError as error:
        hint = "" if unit else " (or --unit mV, for levels without a unit)"
        raise UsageError(f"{where}: level {value[:40]!r}: {error}{hint}") from None
    if code in chips.setdefault(chip, {}):
        raise UsageError(f"{where}: code {code} is there twice")
    chips[chip][code] = level
