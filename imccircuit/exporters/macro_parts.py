"""Macros for targets that have a place for an array and for converters, but for no macro.

Such an export holds two exports of the target, ``array/`` and ``converters/``, and where the
target can run them as one what chains them. A chip of ``converters/`` is one converter: that of
column j of chip k is chip k·n + j, n being the number of converters.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np

from imccircuit.errors import UsageError
from imccircuit.exporters.content import (
    COST_NUMBERS,
    Content,
    Fidelity,
    plain,
    write_npz,
)
from imccircuit.exporters.parts import parts_fidelity
from imccircuit.exporters.replay import Difference, Replay
from imccircuit.exporters.target import Target
from imccircuit.surrogates.base import ModelArray, Surrogate
from imccircuit.surrogates.macro_parts import ARRAY

CONVERTERS = "converters"


def target_for(target: Target, kind: str) -> Target:
    """``target``, or for a macro that it takes no other way the target of its parts.

    Raises
    ------
    UsageError : it takes no such surrogate.
    """
    if kind in target.kinds:
        return target
    if kind == "macro" and {"adc", "crossbar"} <= set(target.kinds):
        return replace(
            target,
            usage=partial(_usage, target),
            write=partial(_write, target),
            replay=partial(_replay, target),
            fidelity=partial(_fidelity, target),
            kinds=("macro",),
        )
    allowed = ", ".join(target.kinds)
    raise UsageError(f"target {target.name} takes no {kind} surrogate; allowed: {allowed}")


def macro_parts(content: Content) -> dict[str, Content]:
    """The array of a macro, and all its converters as chips of one content."""
    return {ARRAY: content.parts[ARRAY], CONVERTERS: converters_of(content)}


def converters_of(content: Content) -> Content:
    """Converters of a macro as chips of one content of kind adc."""
    each = [part for name, part in content.parts.items() if name != ARRAY]
    first, count = each[0], len(each)
    axis = f"a chip of the export is a converter: chip·{count} + column of the macro"
    items = {
        "transition levels": Fidelity("transition levels", "exact", f"every level; {axis}"),
        "population of chips": Fidelity(
            "population of chips", "dropped", "chips are those that were measured"
        ),
    }
    arrays = {
        name: replace(array, values=_by_chip([part.arrays[name].values for part in each]))
        for name, array in first.arrays.items()
        if array.dims[0] == "chip" and all(name in part.arrays for part in each)
    }
    return Content(
        kind="adc",
        arrays=arrays,
        replay=_conversions(content, count),
        fidelity=tuple(items.get(item.quantity, item) for item in first.fidelity),
        numbers={
            name: value
            if name in ("bits", "full_scale_v") or all(p.numbers[name] == value for p in each)
            else None
            for name, value in first.numbers.items()
        },
    )


def stated_codes(content: Content, of_part: Callable[[Content], tuple[Fidelity, ...]]) -> float:
    """Most that a code is off by what a target makes of the array; 0 where that is exact.

    Parameters
    ----------
    of_part : what the target keeps of an array or of converters.
    """
    whole = replace(content, parts=macro_parts(content))
    codes = next(i for i in parts_fidelity(whole, of_part) if i.quantity == "codes")
    return codes.amount or 0.0


def _by_chip(values: list[np.ndarray]) -> np.ndarray:
    """Chips of each converter, (chip, …), as one axis: chip·count + converter."""
    together = np.stack(values, axis=1)
    return np.ascontiguousarray(together.reshape(-1, *together.shape[2:]))


def _conversions(content: Content, count: int) -> dict[str, ModelArray]:
    """Conversions of the whole's vectors, as each converter's own."""
    stored = content.replay
    chip = stored["chip"].values[:, None] * count + np.arange(count)
    given = stored["expected_sampled_voltage"].values
    names = ("code", "expected_code")
    return {
        "chip": ModelArray(chip.ravel(), "1", ("replay",), "converter of a stored conversion"),
        "input": ModelArray(given.ravel(), "V", ("replay",), "its input, of the surrogate"),
        **{
            name: replace(stored[name], values=stored[name].values.ravel(), dims=("replay",))
            for name in names
            if name in stored
        },
    }


def _write(target: Target, content: Content, model: Surrogate, folder: Path) -> None:
    for name, part in macro_parts(content).items():
        own = folder / name
        own.mkdir()
        target.write(part, model, own)
        listed = [asdict(item) for item in target.fidelity(part)]
        (own / "fidelity.json").write_text(json.dumps(listed, indent=1) + "\n", "utf-8")
        (own / "README.md").write_text(target.usage(part).strip() + "\n", "utf-8")
        write_npz(own / "replay.npz", plain(part.replay))
    if target.chain is not None and target.chain.write is not None:
        target.chain.write(content, folder)


def _usage(target: Target, content: Content) -> str:
    count = int(content.numbers["converters"] or 0)
    text = (
        f"`{ARRAY}/` is the array with its amplifiers, whose drive counts from the bias, "
        f"{content.numbers['bias_voltage_v']:g} V; `{CONVERTERS}/` are the converters of its first "
        f"{count} columns, that of column j of chip k as chip {count}·k + j. Each has its own "
        "README.md."
    )
    if target.chain is None:
        return f"{text} {target.name} has no place for both at once: use one or the other."
    return f"{text}\n\n{target.chain.usage(content)}"


def _fidelity(target: Target, content: Content) -> tuple[Fidelity, ...]:
    whole = replace(content, parts=macro_parts(content))
    found = []
    for item in parts_fidelity(whole, target.fidelity):
        if item.quantity == "codes" and target.chain is None:
            how = f"{target.name} has no place for array and converters at once"
            found.append(Fidelity("codes", "dropped", how))
        elif item.quantity == "array: read-out" and item.unit == "V":
            kept = replace(item, treatment="exact", amount=None, unit="")
            how = "currents with the amplifiers' offsets; output offsets stand at the converters"
            found.append(item if target.chain is None else replace(kept, how=how))
        elif item.quantity in COST_NUMBERS and item.treatment == "exact":
            how = f"of the whole; {target.name} has no place for it here, target zigzag has"
            found.append(Fidelity(item.quantity, "dropped", how))
        else:
            found.append(item)
    return tuple(found)


def _replay(target: Target, folder: Path) -> Replay:
    """Vectors of each part, and those of the whole where the target chains them."""
    found: list[Difference] = []
    programs: dict[str, None] = {}
    for part in (ARRAY, CONVERTERS):
        one = target.replay(folder / part)
        found += [replace(d, quantity=f"{part}: {d.quantity}") for d in one.differences]
        programs[one.program] = None
    if target.chain is not None and target.chain.replay is not None:
        found += target.chain.replay(folder)
    return Replay(target.name, "; ".join(programs), tuple(found))
