"""Subcircuits of a model as text for ngspice, one for each chip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from imccircuit.exporters.array_terms import ArrayTerms

Floats = NDArray[np.float64]

_STEPS_PER_NODE = 64
_WORDS_PER_LINE = 8


def comment_lines(facts: Mapping[str, float], mark: str) -> list[str]:
    """``mark name = value`` for each number, with all its digits."""
    return [f"{mark} {name} = {float(value)!r}" for name, value in facts.items()]


def adc_subcircuit(levels_v: Floats, chip: int, high_v: float) -> list[str]:
    """Lines of ``imc_adc_<chip> in code b0 … : v_high``.

    The voltage of ``code`` is how many levels are below that of ``in``; bit k stands at ``v_high``
    or 0 V. Steps have no width, ``in`` draws no current, outputs have no resistance.

    Parameters
    ----------
    levels_v : (code,) transition levels in V.
    high_v : default of ``v_high``.
    """
    bits = len(levels_v).bit_length()
    ports = ["in", "code", *(f"b{k}" for k in range(bits))]
    lines = [*_head(f"imc_adc_{chip}", ports), f"+ params: v_high={float(high_v)!r}"]
    steps = [f"((v(in)>{float(level)!r})?1:0)" for level in levels_v]
    parts = [steps[k : k + _STEPS_PER_NODE] for k in range(0, len(steps), _STEPS_PER_NODE)]
    for k, part in enumerate(parts):
        lines += _sum(f"Bpart{k} part{k} 0 V =", part)
    lines += _sum("Bcode code 0 V =", [f"v(part{k})" for k in range(len(parts))])
    for k in range(bits):
        # The half keeps what rounding a sum may do away from the edge of a step.
        up, down = (f"floor((v(code)+0.5)/{2**n})" for n in (k + 1, k))
        lines.append(f"Bbit{k} b{k} 0 V = {{v_high}}*({down}-2*{up})")
    return [*lines, f".ends imc_adc_{chip}"]


def crossbar_subcircuit(terms: ArrayTerms, chip: int, admittance_s: Floats | None) -> list[str]:
    """Lines of ``imc_crossbar_<chip> row0 … col0 …``, or ``… out0 …`` where there are amplifiers.

    Rows draw no current. Without amplifiers each ``col`` delivers the column's current, as far as
    ``admittance_s`` says less by what the voltages of all ``col`` take from it.

    Parameters
    ----------
    admittance_s : (col, col) in S: current that 1 V at sense j drives out of sense k.
    """
    _, count, rows, cols = terms.shape
    amplified = terms.output_offset_v is not None
    ends = [f"{'out' if amplified else 'col'}{j}" for j in range(cols)]
    sense = [f"sense{j}" for j in range(cols)] if amplified else ends
    lines = _head(f"imc_crossbar_{chip}", [*(f"row{i}" for i in range(rows)), *ends])
    driven = [[f"row{i}" for i in range(rows)]]
    for p in range(1, count):
        driven.append([f"power{p}_{i}" for i in range(rows)])
        lines += [
            f"Bpower{p}_{i} power{p}_{i} 0 V = v({driven[p - 1][i]})*abs(v(row{i}))"
            for i in range(rows)
        ]
    lines += list(_sources(terms.matrices[chip], driven, sense))
    for j, value in enumerate(terms.offset_a[chip]):
        if value:
            lines.append(f"Ioffset{j} 0 {sense[j]} {float(value)!r}")
    if admittance_s is not None and not amplified:
        lines += [
            f"Gload{k}_{j} {ends[j]} 0 {ends[k]} 0 {float(admittance_s[k, j])!r}"
            for k in range(cols)
            for j in range(cols)
        ]
    if terms.output_offset_v is not None and terms.transresistance_ohm is not None:
        for j, offset in enumerate(terms.output_offset_v[chip]):
            lines += [
                f"Vsense{j} sense{j} 0 0",
                f"Hswing{j} out{j} rest{j} Vsense{j} {-terms.transresistance_ohm!r}",
                f"Vrest{j} rest{j} 0 {float(offset)!r}",
            ]
    return [*lines, f".ends imc_crossbar_{chip}"]


def macro_subcircuit(
    chip: int, shape: tuple[int, int], converters: int, bits: int, bias_v: float
) -> list[str]:
    """Lines of ``imc_macro_<chip> row0 … code0 …`` over those of its array and its converters.

    Parameters
    ----------
    shape : rows and columns of the array.
    bits : of each converter.
    bias_v : from which the drive of the array counts, in V.
    """
    rows, cols = (range(size) for size in shape)
    ports = [*(f"row{i}" for i in rows), *(f"code{j}" for j in range(converters))]
    lines = _head(f"imc_macro_{chip}", ports)
    lines += [f"Vbias{i} row{i} drive{i} {float(bias_v)!r}" for i in rows]
    ends = [*(f"drive{i}" for i in rows), *(f"out{j}" for j in cols)]
    lines += ["Xarray", *(f"+ {end}" for end in ends), f"+ imc_crossbar_{chip}"]
    for j in range(converters):
        own = " ".join(f"b{j}_{k}" for k in range(bits))
        lines.append(f"Xadc{j} out{j} code{j} {own} imc_adc_{chip * converters + j}")
    return [*lines, f".ends imc_macro_{chip}"]


def _sources(matrices: Floats, driven: list[list[str]], sense: list[str]) -> Iterator[str]:
    for p, matrix in enumerate(matrices):
        for i, row in enumerate(matrix):
            for j, value in enumerate(row):
                if value:
                    yield f"G{p}_{i}_{j} 0 {sense[j]} {driven[p][i]} 0 {float(value)!r}"


def _head(name: str, ports: list[str]) -> list[str]:
    parts = [
        " ".join(ports[k : k + _WORDS_PER_LINE]) for k in range(0, len(ports), _WORDS_PER_LINE)
    ]
    return [f".subckt {name} {parts[0]}", *(f"+ {part}" for part in parts[1:])]


def _sum(head: str, words: list[str]) -> list[str]:
    parts = ["+".join(words[k : k + 4]) for k in range(0, len(words), 4)]
    # The first sign of a line says that it goes on, the second one adds.
    return [f"{head} {parts[0]}", *(f"+ +{part}" for part in parts[1:])]
