"""Networks that a study names: its own, and those of files."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from imccircuit.errors import InputError, SetupError
from imccircuit.networks import fit_network as fit_module
from imccircuit.networks.accuracy_study import run_networks
from imccircuit.networks.datasets import Samples
from imccircuit.networks.models import Shape
from imccircuit.networks.study import NetworkStudy, load_study
from imccircuit.networks.study_networks import load_study_networks

onnx = pytest.importorskip("onnx", reason="networks of ONNX")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

X = np.random.default_rng(1).random((40, 12))
SAMPLES = Samples(X, np.arange(40) % 4, Shape(4, 3), 4)


def write(path, inputs: int = 12, outputs: int = 4) -> np.ndarray:
    matrix = np.random.default_rng(2).standard_normal((inputs, outputs))
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    save(path, nodes, outputs, w=matrix)
    return matrix


def save(path, nodes, outputs: int, **weights) -> None:
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ("n", 1, 4, 3))],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, ("n", outputs))],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    path.write_bytes(model.SerializeToString())


def table_of(models: list[str]):
    text = ", ".join(f'"{model}"' for model in models)
    name = models[0].rpartition("/")[2].removesuffix(".onnx")
    study = load_study("digits_networks", [f"network.models=[{text}]", f"sensitivity.model={name}"])
    assert isinstance(study, NetworkStudy)
    return study


def test_a_network_of_a_file_is_the_same_in_every_fold(tmp_path) -> None:
    matrix = write(tmp_path / "own.onnx")
    table = table_of([str(tmp_path / "own.onnx"), "linear"]).tables.network
    makers, brought = load_study_networks(table, SAMPLES, "s")
    assert list(makers) == ["own", "linear"]
    for part in (slice(0, 20), slice(20, 40)):
        network = makers["own"](X[part], SAMPLES.y[part])
        np.testing.assert_allclose(network.logits(X), X @ matrix, rtol=0, atol=1e-12)
    # Its weights are part of what tells one study from another.
    assert brought[0].tolist() == [0, 0, 0, 0, 0, 0, 12, 4]
    np.testing.assert_array_equal(brought[1], matrix)
    trained = [makers["linear"](X[p], SAMPLES.y[p]) for p in (slice(0, 20), slice(20, 40))]
    assert np.any(trained[0].layers[0].weights != trained[1].layers[0].weights)


@pytest.mark.parametrize(
    ("inputs", "outputs", "words"),
    [
        (13, 4, "does not fit what is before it; allowed: 12 inputs"),
        (12, 5, "5 outputs, and the images are of 4 classes; allowed: 4 outputs"),
        (12, 3, "3 outputs, and the images are of 4 classes; allowed: 4 outputs"),
        (0, 0, "not a whole ONNX file"),
    ],
)
def test_a_file_that_does_not_fit_is_one_line(tmp_path, inputs, outputs, words) -> None:
    path = tmp_path / "own.onnx"
    if inputs:
        write(path, inputs, outputs)
    else:
        path.write_bytes(b"no network")
    with pytest.raises(InputError) as refused:
        load_study_networks(table_of([str(path)]).tables.network, SAMPLES, "mine.toml")
    assert str(refused.value).startswith("mine.toml: network.models = '")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_could_be_negative_inside_is_refused_before_spice(tmp_path) -> None:
    first, second = np.ones((12, 5)), np.ones((5, 4))
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "a"], ["h"]),
        helper.make_node("MatMul", ["h", "b"], ["y"]),
    ]
    save(tmp_path / "own.onnx", nodes, 4, a=first, b=second)
    table = table_of([str(tmp_path / "own.onnx")]).tables.network
    words = "layer 1 of 2 has no ReLU.*allowed: ReLU behind every layer but the last"
    with pytest.raises(InputError, match=rf"mine.toml: network.models = .*{words}"):
        load_study_networks(table, SAMPLES, "mine.toml")


@pytest.mark.parametrize(
    "models", [["mlp", "a/mlp.onnx"], ["a b.onnx"], ["mlp", "mlp"], ["net.pt"], [".onnx"]]
)
def test_names_are_those_of_folders_and_differ(models) -> None:
    with pytest.raises(InputError, match=r"network(\.models)?.*allowed: ") as refused:
        table_of(models)
    assert "\n" not in str(refused.value)


def test_missing_torch_is_one_line_before_spice(monkeypatch, tmp_path) -> None:
    def without(name: str) -> object:
        return None if name == "torch" else find_spec(name)

    monkeypatch.setattr(fit_module, "find_spec", without)
    with pytest.raises(SetupError, match=r"torch is missing: pip install"):
        run_networks(table_of(["mlp"]), tmp_path / "out", jobs=1, progress=lambda _: None)
    assert not (tmp_path / "out").exists()
