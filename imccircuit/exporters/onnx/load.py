"""Opening an exported graph with onnxruntime, as its user would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imccircuit.errors import FileFormatError, SetupError

INSTALL = 'pip install "imccircuit[onnx]"'


def open_session(path: Path) -> tuple[Any, str]:
    """Session of a graph on one thread, and the name and version of what runs it.

    Raises
    ------
    FileFormatError : there is no such graph, or onnxruntime refuses it.
    SetupError : onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError:
        text = f"replaying target onnx needs the package onnxruntime; {INSTALL}"
        raise SetupError(text) from None
    if not path.is_file():
        raise FileFormatError(f"{path.parent}: no {path.name} in this export")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    errors = onnxruntime.capi.onnxruntime_pybind11_state
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except (errors.InvalidProtobuf, errors.InvalidGraph, errors.Fail) as error:
        raise FileFormatError(f"{path}: onnxruntime refuses it: {error}") from None
    return session, f"onnxruntime {onnxruntime.__version__}"
