"""Graphs of standard ONNX operators, all in float64; only for those who have ``onnx``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from imccircuit.exporters.array_terms import ArrayTerms
from imccircuit.versions import library_versions

# Old enough for runtimes of 2023, new enough for sums over axes that are an input.
_OPSET = 17
_IR = 8
_F64, _I64 = TensorProto.DOUBLE, TensorProto.INT64


def adc_graph(levels_v: NDArray[np.float64], facts: Mapping[str, str]) -> onnx.ModelProto:
    """Codes of voltages: how many transition levels of the chip are below.

    Inputs ``voltage`` (batch,) float64 in V and ``chip`` (batch,) int64; output ``code`` (batch,)
    int64, -1 where the input is NaN.

    Parameters
    ----------
    levels_v : (chip, code) in V.
    facts : name → text, kept as the model's metadata.
    """
    constants = {
        "transition_level": levels_v,
        "last_axis": np.array([-1], dtype=np.int64),
        "no_code": np.array(-1, dtype=np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["transition_level", "chip"], ["levels"], axis=0),
        helper.make_node("Unsqueeze", ["voltage", "last_axis"], ["column"]),
        helper.make_node("Greater", ["column", "levels"], ["above"]),
        helper.make_node("Cast", ["above"], ["ones"], to=_I64),
        helper.make_node("ReduceSum", ["ones", "last_axis"], ["count"], keepdims=0),
        helper.make_node("IsNaN", ["voltage"], ["missing"]),
        helper.make_node("Where", ["missing", "no_code", "count"], ["code"]),
    ]
    inputs = [_value("voltage", _F64, ["batch"]), _value("chip", _I64, ["batch"])]
    return _model("adc", nodes, inputs, [_value("code", _I64, ["batch"])], constants, facts)


def crossbar_graph(terms: ArrayTerms, facts: Mapping[str, str]) -> onnx.ModelProto:
    """Column currents and amplifier outputs of drive voltages.

    Inputs ``voltage`` (batch, row) float64 in V and ``chip`` () int64; outputs ``current``
    (batch, col) in A and, where there are amplifiers, ``output_voltage`` (batch, col) in V.

    Parameters
    ----------
    facts : name → text, kept as the model's metadata.
    """
    _, _, rows, cols = terms.shape
    nodes, constants = _array_nodes(terms, "voltage")
    outputs = [_value("current", _F64, ["batch", cols])]
    if terms.output_offset_v is not None:
        outputs.append(_value("output_voltage", _F64, ["batch", cols]))
    inputs = [_value("voltage", _F64, ["batch", rows]), _value("chip", _I64, [])]
    return _model("crossbar", nodes, inputs, outputs, constants, facts)


def macro_graph(
    terms: ArrayTerms, levels_v: NDArray[np.float64], bias_v: float, facts: Mapping[str, str]
) -> onnx.ModelProto:
    """Codes of the converters behind an array's first columns.

    Inputs ``voltage`` (batch, row) float64 in V, of the rows, and ``chip`` () int64; output
    ``code`` (batch, converter) int64, -1 where the input of a converter is NaN.

    Parameters
    ----------
    terms : of an array with amplifiers.
    levels_v : (chip, converter, code) in V.
    bias_v : from which the array's drive counts, in V.
    facts : name → text, kept as the model's metadata.
    """
    nodes, constants = _array_nodes(terms, "drive")
    count = levels_v.shape[1]
    constants |= {
        "bias": np.array(bias_v, dtype=np.float64),
        "transition_level": levels_v,
        "first": np.zeros(1, dtype=np.int64),
        "converters": np.array([count], dtype=np.int64),
        "last_axis": np.array([-1], dtype=np.int64),
        "no_code": np.array(-1, dtype=np.int64),
    }
    sampled = ["output_voltage", "first", "converters", "last_axis"]
    nodes = [
        helper.make_node("Sub", ["voltage", "bias"], ["drive"]),
        *nodes,
        helper.make_node("Slice", sampled, ["sampled"]),
        helper.make_node("Gather", ["transition_level", "chip"], ["levels"], axis=0),
        helper.make_node("Unsqueeze", ["sampled", "last_axis"], ["column"]),
        helper.make_node("Greater", ["column", "levels"], ["above"]),
        helper.make_node("Cast", ["above"], ["ones"], to=_I64),
        helper.make_node("ReduceSum", ["ones", "last_axis"], ["count"], keepdims=0),
        helper.make_node("IsNaN", ["sampled"], ["missing"]),
        helper.make_node("Where", ["missing", "no_code", "count"], ["code"]),
    ]
    inputs = [_value("voltage", _F64, ["batch", terms.shape[2]]), _value("chip", _I64, [])]
    return _model(
        "macro", nodes, inputs, [_value("code", _I64, ["batch", count])], constants, facts
    )


def _array_nodes(terms: ArrayTerms, drive: str) -> tuple[list[Any], dict[str, NDArray[Any]]]:
    """Nodes and constants that turn drive voltages into currents and amplifier outputs."""
    count = terms.shape[1]
    constants: dict[str, NDArray[Any]] = {"offset_current": terms.offset_a}
    nodes = [helper.make_node("Gather", ["offset_current", "chip"], ["sum_0"], axis=0)]
    if count > 1:
        nodes.append(helper.make_node("Abs", [drive], ["magnitude"]))
    power = drive
    for p in range(count):
        if p:
            nodes.append(helper.make_node("Mul", [power, "magnitude"], [f"power_{p}"]))
            power = f"power_{p}"
        constants[f"matrix_{p}"] = np.ascontiguousarray(terms.matrices[:, p])
        last = "current" if p == count - 1 else f"sum_{p + 1}"
        nodes += [
            helper.make_node("Gather", [f"matrix_{p}", "chip"], [f"chosen_{p}"], axis=0),
            helper.make_node("MatMul", [power, f"chosen_{p}"], [f"product_{p}"]),
            helper.make_node("Add", [f"product_{p}", f"sum_{p}"], [last]),
        ]
    if terms.output_offset_v is not None:
        constants["output_offset"] = terms.output_offset_v
        constants["transresistance"] = np.array(terms.transresistance_ohm, dtype=np.float64)
        nodes += [
            helper.make_node("Gather", ["output_offset", "chip"], ["at_rest"], axis=0),
            helper.make_node("Mul", ["current", "transresistance"], ["swing"]),
            helper.make_node("Sub", ["at_rest", "swing"], ["output_voltage"]),
        ]
    return nodes, constants


def _value(name: str, kind: int, shape: list[str | int]) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def _model(
    name: str,
    nodes: list[Any],
    inputs: list[Any],
    outputs: list[Any],
    constants: Mapping[str, NDArray[Any]],
    facts: Mapping[str, str],
) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(value, key) for key, value in constants.items()]
    graph = helper.make_graph(nodes, f"imccircuit_{name}", inputs, outputs, tensors)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR,
        producer_name="imccircuit",
        producer_version=library_versions()["imccircuit"],
    )
    helper.set_model_props(model, dict(facts))
    onnx.checker.check_model(model, full_check=True)
    return model
