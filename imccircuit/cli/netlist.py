"""``imccircuit netlist``: the very deck of a point, as plain ngspice runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imccircuit.benches.problem import Problem
from imccircuit.cli.output import AllowNative, Libraries, Settings, Unset, complain, say
from imccircuit.engines import deck
from imccircuit.engines.deck_files import DeckFiles
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.errors import EngineError, SetupError, UsageError
from imccircuit.recipes.load import load_recipe, recipe_of_results
from imccircuit.recipes.native import check_native
from imccircuit.recipes.plan import Plan, Task

NAME = "netlist"
_TITLE = "imccircuit"


def command(
    source: Annotated[
        str, typer.Argument(help="A recipe (name or .toml) or a results file (.h5).")
    ],
    point: Annotated[int, typer.Option(help="Index of the sweep point.", min=0)] = 0,
    sample: Annotated[int, typer.Option(help="Index of the chip.", min=0)] = 0,
    problem: Annotated[
        int,
        typer.Option(help="Which of the measurement's problems; earlier ones are solved.", min=0),
    ] = 0,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; default stdout.")
    ] = None,
    settings: Settings = None,
    unset: Unset = None,
    libraries: Libraries = None,
    allow_native: AllowNative = False,
) -> None:
    """Write the deck of one point and chip; `ngspice -b DECK` runs it."""
    if source.endswith(".h5"):
        if settings or unset:
            raise UsageError("--set changes a recipe; a results file is what it is")
        plan, recorded = _stored_plan(source, (point, sample), allow_native=allow_native)
    else:
        recipe = load_recipe(
            source, settings or [], libraries or [], unset=unset or [], allow_native=allow_native
        )
        plan, recorded = Plan(recipe), []
    if point >= plan.points or sample >= plan.samples:
        raise UsageError(
            f"{source} has {plan.points} point(s) and {plan.samples} sample(s), counted from 0"
        )
    found = _problem(plan, (point, sample), problem)
    try:
        options = NgspiceEngine().options
    except SetupError:
        options = {}
    label = plan.label((point, sample))
    text = deck.deck_text(found, title=f"{_TITLE} {label}", options=options)
    if (
        len(recorded) > problem
        and deck.deck_sha256(DeckFiles().portable(text)) != recorded[problem]
    ):
        complain("warning: this is not the deck that was run (version, solver or rung differ)")
    title, _, rest = text.partition("\n")
    values = ", ".join(f"{key} = {value}" for key, value in plan.values(point).items()) or "none"
    head = [
        f"* recipe {plan.recipe.name}, point {point} (swept: {values}), sample {sample}, "
        f"problem {problem}",
        "* run: ngspice -b -n THIS_FILE; each run of the analysis is appended to imccircuit.raw",
    ]
    text = "\n".join([title, *(" ".join(line.split()) for line in head), rest])
    if output is None:
        say(text.rstrip("\n"))
        return
    try:
        if output.exists() and output.read_bytes()[:10] not in (b"", _TITLE.encode()):
            raise UsageError(f"{output} is no deck of ours and is not replaced; choose another")
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}") from None


def _stored_plan(source: str, task: Task, *, allow_native: bool) -> tuple[Plan, list[str]]:
    """Plan of the recipe inside a results file, and the recorded deck hashes."""
    from imccircuit.results.read import read_results

    results = read_results(Path(source))
    recipe = recipe_of_results(results)
    if not allow_native:
        check_native(recipe)
    plan = Plan(recipe)
    if plan.digest != results.provenance.digest:
        complain("warning: a card or the version of imccircuit differs from that of the results")
    for data in results.datasets:
        rows = (data["point"].values == task[0]).nonzero()[0]
        if len(rows) and task[1] < data.sizes["sample"]:
            return plan, str(data["deck_sha256"].values[rows[0], task[1]]).split()
    return plan, []


def _problem(plan: Plan, task: Task, number: int) -> Problem:
    measurement = plan.recipe.bench.measure(plan.parameters(task[0]), plan.variation(*task))
    problem = next(measurement, None)
    if problem is None:
        raise UsageError(f"bench {plan.recipe.bench.name} simulates nothing, so it has no deck")
    for index in range(number):
        outcome = NgspiceEngine().solve([problem])[0]
        if outcome.answer is None:
            raise EngineError(f"problem {index} is not good: {outcome.reason}")
        try:
            problem = measurement.send(outcome.answer)
        except StopIteration:
            text = f"this measurement has {index + 1} problem(s), counted from 0"
            raise UsageError(text) from None
    measurement.close()
    return problem
