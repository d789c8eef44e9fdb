"""A trained network in an ONNX file, as the matrices that tiles hold.

The file may come from a stranger: it is read, nothing of it runs, and weights that it keeps in
another file must lie beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import FileFormatError, SetupError, UsageError
from imccircuit.networks.chain import Part, chain_parts, refuse
from imccircuit.networks.models import Floats, Network, Shape

_LARGEST = 1 << 30
_SKIPPED = ("Identity", "Dropout")
_ON_MAPS, _ON_FLAT = ("Conv", "AveragePool"), ("Gemm", "MatMul")
_MATRIX, _WINDOWS = 2, 4
# Place of the input of Dropout that says whether it drops.
_TRAINING = 2
_NO_BORDER = {"pads": [0, 0, 0, 0], "auto_pad": b"NOTSET", "dilations": [1, 1]}
_CONVOLUTION = {**_NO_BORDER, "strides": [1, 1], "group": 1}
_GEMM = {"alpha": 1.0, "beta": 1.0, "transA": 0}


def from_onnx(path: Path, shape: Shape) -> Network:
    """Read a network, called like its file, with the answers of the file.

    Parameters
    ----------
    path : takes images of (image, channel, row, column), or flat in this order; a chain of
        ``Gemm`` or ``MatMul`` with ``Add``, ``Conv``, ``Relu``, ``AveragePool`` and what makes
        images flat, as PyTorch writes a ``Sequential``; as far as `imccircuit.networks.chain` has
        a place for them.
    shape : of the images.

    Raises
    ------
    FileFormatError : no ONNX file, torn, or weights elsewhere.
    UsageError : a layer that tiles cannot hold, layers that do not fit together, or no chain.
    SetupError : onnx is not installed.
    """
    model = _load(path)
    return chain_parts(path.stem, _join_biases(path.stem, _parts(path.stem, model, shape)), shape)


def _load(path: Path) -> Any:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise SetupError('onnx is missing: pip install "imccircuit[onnx]"') from None
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file; allowed: an existing ONNX file")
    if path.stat().st_size > _LARGEST:
        raise FileFormatError(f"{path}: larger than allowed; allowed: up to 1 GiB")
    try:
        model = onnx.load(str(path), load_external_data=False)
        if sum(8 * math.prod(tensor.dims) for tensor in _tensors(model)) > _LARGEST:
            raise ValueError("its weights take more than 1 GiB")
        for tensor in _tensors(model):
            _check_place(path, tensor)
        onnx.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, ValueError, OSError) as error:
        why = str(error).split("\n")[0]
        problem = f"{path}: not a whole ONNX file: {why}"
        raise FileFormatError(f"{problem}; allowed: a file with its weights") from None
    return model


def _array(name: str, tensor: Any) -> NDArray[Any]:
    """The numbers of a tensor; a file that a program did not write may hold none."""
    import onnx

    kinds = onnx.TensorProto
    floats = (kinds.FLOAT, kinds.DOUBLE, kinds.FLOAT16, kinds.BFLOAT16)
    if tensor.data_type not in (*floats, kinds.INT64, kinds.INT32, kinds.BOOL):
        raise FileFormatError(f"{name}: a tensor of type {tensor.data_type}; allowed: floats")
    try:
        return np.asarray(onnx.numpy_helper.to_array(tensor))
    except (KeyError, TypeError, ValueError) as error:
        why = str(error).split("\n")[0]
        raise FileFormatError(f"{name}: a torn tensor: {why}; allowed: all of it") from None


def _tensors(model: Any) -> Iterator[Any]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs or attribute.tensors:
                raise ValueError(f"a {node.op_type} holds a graph of its own")
            if attribute.HasField("t"):
                yield attribute.t


def _check_place(path: Path, tensor: Any) -> None:
    for entry in tensor.external_data:
        place = path.parent / entry.value
        beside = PurePosixPath(entry.value).name == entry.value and not place.is_symlink()
        if entry.key == "location" and not beside:
            raise ValueError(f"its weights are in {entry.value!r}, which is not a file beside it")


def _parts(name: str, model: Any, shape: Shape) -> Iterator[tuple[Part, str]]:
    """Every part with the kind of its node; each takes what the one before it gave."""
    import onnx

    weights = {t.name: _array(name, t) for t in model.graph.initializer}
    now, flat = _entry(name, model, weights, shape)
    reshaped = False
    for node in model.graph.node:
        settings = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.domain not in ("", "ai.onnx"):
            raise refuse(name, f"a node of {node.domain!r}")
        if node.op_type == "Constant" and "value" in settings:
            weights[node.output[0]] = _array(name, settings["value"])
            continue
        inputs = [item for item in node.input if item]
        own = [weights[item] for item in inputs if item in weights]
        taken = [item for item in inputs if item not in weights]
        if taken != [now] or (node.op_type != "Add" and inputs[0] != now):
            raise UsageError(f"{name}: {node.op_type} does not take what is before it alone; "
                             "allowed: a chain, weights in the file")  # fmt: skip
        now = node.output[0]
        flattens = _flattens(node.op_type, settings, own)
        # What makes maps flat wrongly does not fit the dense layer behind it: there must be one.
        if node.op_type in _ON_FLAT and not flat and not flattens:
            raise refuse(name, f"{node.op_type} on maps")
        if node.op_type in _ON_MAPS and (flat or flattens):
            raise refuse(name, f"{node.op_type} on what is flat")
        reshaped = (reshaped or node.op_type == "Reshape") and node.op_type not in _ON_FLAT
        flat = flat or flattens
        if not flattens and node.op_type not in _SKIPPED:
            yield _part(name, node.op_type, settings, own), node.op_type
        elif len(node.input) > _TRAINING and np.any(weights.get(node.input[_TRAINING], False)):
            raise refuse(name, f"{node.op_type} in training")
    if now != model.graph.output[0].name or reshaped:
        raise UsageError(f"{name}: the last layer is not the output; allowed: a chain")


def _entry(name: str, model: Any, weights: dict[str, Any], shape: Shape) -> tuple[str, bool]:
    """Name of the images, and whether they come flat."""
    given = [item for item in model.graph.input if item.name not in weights]
    if len(given) != 1 or len(model.graph.output) != 1:
        raise UsageError(f"{name}: {len(given)} inputs and {len(model.graph.output)} outputs; "
                         "allowed: one of each")  # fmt: skip
    sizes = [d.dim_value for d in given[0].type.tensor_type.shape.dim]
    maps, row = (shape.channels, shape.height, shape.width), (shape.pixels,)
    # 0 is a size that the file leaves open.
    for wanted in (maps, row):
        fits = len(sizes) == len(wanted) + 1
        if fits and all(s in (0, w) for s, w in zip(sizes[1:], wanted, strict=True)):
            return given[0].name, wanted == row
    raise UsageError(f"{name}: takes {sizes}; allowed: (n, {', '.join(map(str, maps))}) or "
                     f"(n, {shape.pixels})")  # fmt: skip


def _flattens(kind: str, settings: dict[str, Any], own: list[Any]) -> bool:
    """Whether a node makes maps flat: (image, everything of it)."""
    if kind == "Flatten":
        return bool(settings.get("axis", 1) == 1)
    plain = kind == "Reshape" and len(own) == 1 and own[0].shape == (2,)
    return bool(plain and not (settings.get("allowzero", 0) and 0 in own[0]))


def _part(name: str, kind: str, settings: dict[str, Any], own: list[Any]) -> Part:
    shapes = " and ".join(str(list(item.shape)) for item in own)
    said = f"{kind} {shapes}" if own else kind
    first = own[0] if own else np.zeros(())
    bias = _row(own[1]) if len(own) > 1 else None
    if kind == "Relu":
        return Part("relu", said)
    if kind == "AveragePool" and _means_of_four(settings):
        return Part("pool", said)
    if kind == "Conv" and first.ndim == _WINDOWS and _agree(settings, _CONVOLUTION):
        return Part("convolution", said, _numbers(first), bias)
    if kind == "Gemm" and first.ndim == _MATRIX and _agree(settings, _GEMM):
        matrix = first if settings.get("transB", 0) else first.T
        return Part("dense", said, _numbers(matrix), bias)
    if kind == "MatMul" and first.ndim == _MATRIX:
        return Part("dense", said, _numbers(first.T))
    if kind == "Add" and own:
        return Part("dense", said, None, _row(first))
    raise refuse(name, said)


def _join_biases(name: str, parts: Iterator[tuple[Part, str]]) -> Iterator[Part]:
    """Parts, an ``Add`` as the bias of the ``MatMul`` before it."""
    held: Part | None = None
    for part, kind in parts:
        if kind == "Add":
            if held is None:
                raise refuse(name, part.said)
            yield replace(held, bias=part.bias)
            held = None
            continue
        if held is not None:
            yield held
        held = part if kind == "MatMul" else None
        if held is None:
            yield part
    if held is not None:
        yield held


def _agree(settings: dict[str, Any], plain: dict[str, Any]) -> bool:
    """Whether what is set is what `plain` says; what is not set is so by itself."""
    return all(settings.get(key, value) == value for key, value in plain.items())


def _means_of_four(settings: dict[str, Any]) -> bool:
    sizes = (settings.get("kernel_shape"), settings.get("strides"))
    plain = {**_NO_BORDER, "ceil_mode": 0}
    return sizes == ([2, 2], [2, 2]) and _agree(settings, plain)


def _row(values: Any) -> Floats:
    """A bias, which may be written as the one row that it is added to."""
    found = _numbers(values)
    return found[0] if found.ndim == _MATRIX and len(found) == 1 else found


def _numbers(values: Any) -> Floats:
    return np.asarray(values, dtype=np.float64)
