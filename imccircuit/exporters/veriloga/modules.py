"""Modules of a model as Verilog-A text, one for each chip.

Only scalar ports and plain expressions, which every compiler takes; tables are in the text with
all their digits.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from imccircuit.exporters.array_terms import ArrayTerms

Floats = NDArray[np.float64]

_STEPS_PER_STATEMENT = 64
_WORDS_PER_LINE = 8


def header(kind: str, facts: Mapping[str, float]) -> list[str]:
    """First lines of a file: what it is, its numbers as comments, what it includes."""
    return [
        f"// imccircuit: modules of kind {kind}, one for each chip; numbers in SI",
        *(f"// {name} = {float(value)!r}" for name, value in facts.items()),
        '`include "disciplines.vams"',
    ]


def adc_module(levels_v: Floats, chip: int, high_v: float) -> list[str]:
    """Lines of module ``imc_adc_<chip>(in, code, b0, …)``.

    The voltage of ``code`` is how many levels are below that of ``in``; bit k stands at ``v_high``
    or 0 V. Steps have no width, ``in`` draws no current, outputs have no resistance.

    Parameters
    ----------
    levels_v : (code,) transition levels in V.
    high_v : default of ``v_high``.
    """
    bits = [f"b{k}" for k in range(len(levels_v).bit_length())]
    lines = _head(
        f"imc_adc_{chip}",
        f"converter of {len(bits)} bits, chip {chip}",
        {"input": ["in"], "output": ["code", *bits]},
    )
    lines += [
        '  (* desc = "logic high of the bits", units = "V" *)',
        f"  parameter real v_high = {float(high_v)!r};",
        "  real x;",
        "  integer n;",
        "  analog begin",
        "    x = V(in);",
        "    n = 0;",
    ]
    steps = [f"((x > {float(level)!r}) ? 1 : 0)" for level in levels_v]
    for k in range(0, len(steps), _STEPS_PER_STATEMENT):
        lines += _sum("    n = n", steps[k : k + _STEPS_PER_STATEMENT])
    lines.append("    V(code) <+ 1.0 * n;")
    lines += [f"    V({bit}) <+ v_high * ((n >> {k}) & 1);" for k, bit in enumerate(bits)]
    return [*lines, "  end", "endmodule"]


def crossbar_module(terms: ArrayTerms, chip: int, admittance_s: Floats | None) -> list[str]:
    """Lines of module ``imc_crossbar_<chip>(row0, …, col0, …)``; ``out0, …`` with amplifiers.

    Rows draw no current. Without amplifiers each ``col`` delivers the column's current, as far as
    ``admittance_s`` says less by what the voltages of all ``col`` take from it.

    Parameters
    ----------
    admittance_s : (col, col) in S: current that 1 V at sense j drives out of sense k.
    """
    _, count, rows, cols = terms.shape
    amplified = terms.output_offset_v is not None
    ends = [f"{'out' if amplified else 'col'}{j}" for j in range(cols)]
    inputs = [f"row{i}" for i in range(rows)]
    lines = _head(
        f"imc_crossbar_{chip}",
        f"crossbar of {rows} rows and {cols} columns, chip {chip}",
        {"input": inputs, "output" if amplified else "inout": ends},
    )
    if amplified:
        lines += [
            '  (* desc = "output of an amplifier over its current", units = "ohm" *)',
            f"  parameter real transresistance = {terms.transresistance_ohm!r};",
        ]
    powers = [[f"x{p}_{i}" for i in range(rows)] for p in range(count)]
    lines += [f"  real {name};" for names in powers for name in names]
    lines += ["  real current;", "  analog begin"]
    lines += [f"    x0_{i} = V(row{i});" for i in range(rows)]
    for p in range(1, count):
        lines += [f"    x{p}_{i} = x{p - 1}_{i} * abs(x0_{i});" for i in range(rows)]
    for j, end in enumerate(ends):
        lines.append(f"    current = {float(terms.offset_a[chip, j])!r};")
        for p, names in enumerate(powers):
            column = terms.matrices[chip, p, :, j]
            words = [f"({float(g)!r}) * {name}" for g, name in zip(column, names, strict=True)]
            lines += _sum("    current = current", words)
        if admittance_s is not None and not amplified:
            words = [f"(-({float(y)!r})) * V({k})"
                     for y, k in zip(admittance_s[:, j], ends, strict=True)]  # fmt: skip
            lines += _sum("    current = current", words)
        if terms.output_offset_v is not None:
            rest = f"({float(terms.output_offset_v[chip, j])!r})"
            lines.append(f"    V({end}) <+ {rest} - transresistance * current;")
        else:
            lines.append(f"    I({end}) <+ -current;")
    return [*lines, "  end", "endmodule"]


def _head(name: str, what: str, ports: Mapping[str, list[str]]) -> list[str]:
    every = [port for names in ports.values() for port in names]
    lines = ["", f'(* desc = "{what}" *)', *_list(f"module {name}(", every, ");")]
    for direction, names in ports.items():
        lines += _list(f"  {direction} ", names, ";")
    return [*lines, *_list("  electrical ", every, ";")]


def _list(head: str, words: list[str], end: str) -> list[str]:
    parts = [
        ", ".join(words[k : k + _WORDS_PER_LINE]) for k in range(0, len(words), _WORDS_PER_LINE)
    ]
    return (head + ",\n    ".join(parts) + end).splitlines()


def _sum(head: str, words: list[str]) -> list[str]:
    return [head, *(f"      + {word}" for word in words[:-1]), f"      + {words[-1]};"]
