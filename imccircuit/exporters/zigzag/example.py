"""A small layer on a small analog accelerator, in the form of ZigZag's input files.

All figures of the memories are round numbers: what is looked at is the array.
"""

from __future__ import annotations

from typing import Any

WEIGHT_BITS = 4
INPUT_BITS = 4
BATCH, OUTPUTS, INPUTS = 4, 8, 16
"""Input vectors of the layer, its outputs and its inputs."""

CONVERSIONS = BATCH * INPUT_BITS * OUTPUTS * WEIGHT_BITS
"""Of the layer: one for each vector, input bit, output and weight bit; all rows at once."""

CONVERTERS = OUTPUTS * WEIGHT_BITS
"""Of the array: one for each column of cells."""


def workload() -> list[dict[str, Any]]:
    """One fully connected layer."""
    return [
        {
            "id": 0,
            "name": "dense",
            "operator_type": "Gemm",
            "equation": "O[b][k]+=I[b][c]*W[c][k]",
            "loop_dims": ["B", "K", "C"],
            "loop_sizes": [BATCH, OUTPUTS, INPUTS],
            "operand_precision": {"O": 16, "O_final": 8, "W": WEIGHT_BITS, "I": INPUT_BITS},
            "operand_source": {"I": 0, "W": 0},
        }
    ]


def mapping() -> list[dict[str, Any]]:
    """Outputs on the columns, inputs on the rows."""
    return [
        {
            "name": "default",
            "memory_operand_links": {"O": "O", "W": "I2", "I": "I1"},
            "spatial_mapping": {"D1": [f"K, {OUTPUTS}"], "D2": [f"C, {INPUTS}"]},
        }
    ]


def accelerator(adc_bits: int) -> dict[str, Any]:
    """An array that the layer fills, and a memory for all of its operands."""
    dims = ["D1", "D2"]
    outside = ("fh", "tl")
    everything = [f"I1, {way}" for way in outside] + [f"I2, {way}" for way in outside]
    everything += [f"O, {way}" for way in ("fh", "tl", "fl", "th")]
    return {
        "name": "one_tile",
        "memories": {
            "cells": {
                **_memory(WEIGHT_BITS, ["I2"], [f"I2, {way}" for way in outside], []),
                "latency": 0,
            },
            "outside": _memory(10**8, ["I1", "I2", "O"], everything, dims, width=512),
        },
        "operational_array": {
            "is_imc": True,
            "imc_type": "analog",
            "input_precision": [INPUT_BITS, WEIGHT_BITS],
            "bit_serial_precision": 1,
            "adc_resolution": adc_bits,
            "dimensions": dims,
            "sizes": [OUTPUTS, INPUTS],
        },
    }


def _memory(
    size: int, operands: list[str], allocation: list[str], served: list[str], width: int = 4
) -> dict[str, Any]:
    port = {
        "name": "rw_port_1",
        "type": "read_write",
        "bandwidth_min": width,
        "bandwidth_max": width,
        "allocation": allocation,
    }
    return {
        "size": size,
        "r_cost": 1.0,
        "w_cost": 1.0,
        "area": 0,
        "latency": 1,
        "operands": operands,
        "ports": [port],
        "served_dimensions": served,
    }
