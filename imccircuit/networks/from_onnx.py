"""A trained network in an ONNX file, as the matrices that tiles hold.

The file may come from a stranger: it is read, nothing of it runs, and weights that it keeps in
another file must lie beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from imccircuit.errors import FileFormatError, SetupError, UsageError
from imccircuit.networks.chain import Part, chain_parts, refuse
from imccircuit.networks.models import Floats, Network, Shape

_LARGEST = 1 << 30
_SKIPPED = ("Flatten", "Identity", "Dropout")
_MATRIX, _WINDOWS = 2, 4
_NO_BORDER = {"pads": [0, 0, 0, 0], "auto_pad": b"NOTSET", "dilations": [1, 1]}
_CONVOLUTION = {**_NO_BORDER, "strides": [1, 1], "group": 1}
_GEMM = {"alpha": 1.0, "beta": 1.0, "transA": 0}


def from_onnx(path: Path, shape: Shape) -> Network:
    """Read a network, called like its file, with the answers of the file.

    Parameters
    ----------
    path : a chain of ``Gemm`` or ``MatMul`` with ``Add``, ``Conv``, ``Relu``, ``AveragePool`` and
        what makes images flat, as PyTorch writes a ``Sequential``; as far as
        `imccircuit.networks.chain` has a place for them.
    shape : of the images.

    Raises
    ------
    FileFormatError : no ONNX file, torn, or weights elsewhere.
    UsageError : a layer that tiles cannot hold, layers that do not fit together, or no chain.
    SetupError : onnx is not installed.
    """
    model = _load(path)
    return chain_parts(path.stem, _join_biases(path.stem, _parts(path.stem, model)), shape)


def _load(path: Path) -> Any:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise SetupError('onnx is missing: pip install "imccircuit[onnx]"') from None
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file")
    if path.stat().st_size > _LARGEST:
        raise FileFormatError(f"{path}: larger than 1 GiB")
    try:
        model = onnx.load(str(path), load_external_data=False)
        for tensor in _tensors(model):
            _check_place(path, tensor)
        onnx.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, ValueError, OSError) as error:
        why = str(error).split("\n")[0]
        raise FileFormatError(f"{path}: not a whole ONNX file: {why}") from None
    return model


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


def _parts(name: str, model: Any) -> Iterator[tuple[Part, str]]:
    """Every part with the kind of its node; each takes what the one before it gave."""
    import onnx

    weights = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    given = [item.name for item in model.graph.input if item.name not in weights]
    if len(given) != 1 or len(model.graph.output) != 1:
        raise UsageError(f"{name}: {len(given)} inputs and {len(model.graph.output)} outputs; "
                         "allowed: one of each")  # fmt: skip
    now = given[0]
    for node in model.graph.node:
        settings = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Constant" and "value" in settings:
            weights[node.output[0]] = onnx.numpy_helper.to_array(settings["value"])
            continue
        own = [weights[item] for item in node.input if item in weights]
        taken = [item for item in node.input if item not in weights]
        if taken != [now] or (node.op_type != "Add" and node.input[0] != now):
            raise UsageError(f"{name}: {node.op_type} does not take what is before it alone; "
                             "allowed: a chain, weights in the file")  # fmt: skip
        now = node.output[0]
        yield from _part(name, node.op_type, settings, own)
    if now != model.graph.output[0].name:
        raise UsageError(f"{name}: the last node is not the output; allowed: a chain")


def _part(
    name: str, kind: str, settings: dict[str, Any], own: list[Any]
) -> Iterator[tuple[Part, str]]:
    shapes = " and ".join(str(list(item.shape)) for item in own)
    said = f"{kind} {shapes}" if own else kind
    first = own[0] if own else np.zeros(())
    bias = _numbers(own[1]) if len(own) > 1 else None
    if kind in _SKIPPED and settings.get("axis", 1) == 1:
        return
    # What is not (image, everything of it) does not fit the inputs of the layer behind it.
    if kind == "Reshape" and first.shape == (_MATRIX,):
        return
    if kind == "Relu":
        yield Part("relu", said), kind
    elif kind == "AveragePool" and _means_of_four(settings):
        yield Part("pool", said), kind
    elif kind == "Conv" and first.ndim == _WINDOWS and _agree(settings, _CONVOLUTION):
        yield Part("convolution", said, _numbers(first), bias), kind
    elif kind == "Gemm" and first.ndim == _MATRIX and _agree(settings, _GEMM):
        matrix = first if settings.get("transB", 0) else first.T
        yield Part("dense", said, _numbers(matrix), bias), kind
    elif kind == "MatMul" and first.ndim == _MATRIX:
        yield Part("dense", said, _numbers(first.T)), kind
    elif kind == "Add" and own:
        yield Part("dense", said, None, _numbers(first)), kind
    else:
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


def _numbers(values: Any) -> Floats:
    return np.asarray(values, dtype=np.float64)
