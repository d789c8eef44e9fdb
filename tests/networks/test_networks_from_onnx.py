"""Networks from ONNX files answer as onnxruntime says; what is not one is refused in one line."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx", reason="networks of ONNX")
runtime = pytest.importorskip("onnxruntime", reason="networks of ONNX")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from imccircuit.errors import FileFormatError, SetupError, UsageError  # noqa: E402
from imccircuit.networks.from_onnx import from_onnx  # noqa: E402
from imccircuit.networks.models import Shape  # noqa: E402

RNG = np.random.default_rng(4)
SHAPE = Shape(5, 4, 3)


def write(folder: Path, nodes, given_shape=("n", 3, 5, 4), name: str = "mine",
          kind: int = TensorProto.DOUBLE, **weights) -> Path:  # fmt: skip
    """An ONNX file of nodes (kind, inputs, attributes), the outputs named o0, o1 and so on."""
    made = [
        helper.make_node(operator, inputs, [f"o{k}"], **more)
        for k, (operator, inputs, more) in enumerate(nodes)
    ]
    graph = helper.make_graph(
        made, "g",
        [helper.make_tensor_value_info("x", kind, given_shape)],
        [helper.make_tensor_value_info(f"o{len(nodes) - 1}", kind, ("n", "k"))],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in weights.items()],
    )  # fmt: skip
    path = folder / f"{name}.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, str(path))
    return path


def answer(path: Path, images) -> np.ndarray:
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (item,) = session.get_inputs()
    (found,) = session.run(None, {item.name: images})
    return found


def gemm(inputs: int, outputs: int) -> dict[str, np.ndarray]:
    return {"w": RNG.standard_normal((outputs, inputs)), "b": RNG.standard_normal(outputs)}


FLAT = ("Flatten", ["x"], {})


def test_answers_are_those_of_onnxruntime(tmp_path) -> None:
    path = write(
        tmp_path,
        [
            ("Flatten", ["x"], {}),
            ("MatMul", ["o0", "a"], {}),
            ("Add", ["o1", "c"], {}),
            ("Relu", ["o2"], {}),
            ("MatMul", ["o3", "d"], {}),
            ("Relu", ["o4"], {}),
            ("Reshape", ["o5", "flat"], {}),
            ("Gemm", ["o6", "w"], {"transB": 1}),
        ],
        a=RNG.standard_normal((60, 9)), c=RNG.standard_normal(9), d=RNG.standard_normal((9, 7)),
        flat=np.array([0, -1]), w=RNG.standard_normal((4, 7)),
    )  # fmt: skip
    x = RNG.random((11, 5, 4, 3))
    network = from_onnx(path, SHAPE)
    assert (network.name, network.classes, len(network.layers)) == ("mine", 4, 3)
    wanted = answer(path, x.transpose(0, 3, 1, 2).copy())
    # Sums of at most sixty products in double precision.
    np.testing.assert_allclose(network.logits(x.reshape(11, -1)), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dynamo", [False, True])
def test_what_pytorch_writes_is_read(tmp_path, dynamo) -> None:
    torch = pytest.importorskip("torch", reason="its exporter")
    if dynamo:
        pytest.importorskip("onnxscript", reason="its newer exporter")
    nn = torch.nn
    torch.manual_seed(1)
    module = nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(5, 6, 2), nn.ReLU(), nn.Flatten(),
        nn.Linear(36, 7), nn.ReLU(), nn.Linear(7, 4),
    ).eval()  # fmt: skip
    x = RNG.random((3, 8, 10, 3))
    maps = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).float()
    with warnings.catch_warnings():
        # The older exporter says that it is, and packages that we do not ask for are missing.
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (maps,), str(tmp_path / "net.onnx"), dynamo=dynamo)
    # Each of both ways to keep weights is seen.
    assert (tmp_path / "net.onnx.data").is_file() == dynamo
    with torch.no_grad():
        wanted = module.double()(maps.double()).numpy()
    # Rounded to single precision: images, and they alone.
    images = maps.double().numpy().transpose(0, 2, 3, 1).reshape(3, -1)
    found = from_onnx(tmp_path / "net.onnx", Shape(8, 10, 3)).logits(images)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


def test_weights_in_a_file_beside_it_are_read(tmp_path) -> None:
    weights = gemm(60, 4)
    nodes = [FLAT, ("Gemm", ["o0", "w", "b"], {"transB": 1})]
    inside = from_onnx(write(tmp_path, nodes, name="inside", **weights), SHAPE)
    path = write(tmp_path, nodes, **weights)
    onnx.save(
        onnx.load(str(path)), str(path), save_as_external_data=True, location="w.data",
        size_threshold=0,
    )  # fmt: skip
    found = from_onnx(path, SHAPE)
    np.testing.assert_array_equal(found.layers[0].weights, inside.layers[0].weights)


@pytest.mark.parametrize("place", ["../w.data", "/etc/hostname", "link.data", "sub/w.data"])
def test_weights_elsewhere_are_refused(tmp_path, place) -> None:
    weights = gemm(60, 4)
    (tmp_path / "w.data").write_bytes(weights["w"].tobytes())
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "w.data").write_bytes(weights["w"].tobytes())
    (folder / "link.data").symlink_to(tmp_path / "w.data")
    path = write(folder, [FLAT, ("Gemm", ["o0", "w", "b"], {"transB": 1})], **weights)
    model = onnx.load(str(path))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", place
    path.write_bytes(model.SerializeToString())
    with pytest.raises(FileFormatError, match="which is not a file beside it"):
        from_onnx(path, SHAPE)


W = {"w": np.ones((4, 60)), "b": np.zeros(4)}
DENSE = ("Gemm", ["o0", "w", "b"], {"transB": 1})


@pytest.mark.parametrize(
    ("nodes", "weights", "words"),
    [
        ([FLAT, DENSE, ("Sigmoid", ["o1"], {})], W, "mine: Sigmoid has no place on tiles"),
        ([FLAT, ("Gemm", ["o0", "w"], {"transB": 1, "alpha": 2.0})], W, r"Gemm \[4, 60\].*place"),
        ([FLAT, ("Gemm", ["o0", "w"], {"transB": 1})], {"w": np.ones((4, 59))}, "allowed: 60 inp"),
        ([FLAT, DENSE, ("Add", ["o1", "b"], {})], W, r"Add \[4\] has no place"),
        ([FLAT, DENSE, ("Add", ["o1", "o1"], {})], W, "Add does not take what is before it alone"),
        ([FLAT, ("MatMul", ["v", "o0"], {})], {"v": np.ones((1, 60))}, "MatMul does not take"),
        ([("Relu", ["x"], {})], {}, "Relu has no place"),
        ([FLAT], {}, "no layer"),
        (
            [("Reshape", ["x", "s"], {}), ("MatMul", ["o0", "v"], {})],
            {"s": np.array([-1, 15]), "v": np.ones((15, 4))},
            "allowed: 60 inputs",
        ),
        ([("Reshape", ["x", "s"], {}), DENSE], {**W, "s": np.array([0, 2, 30])}, "Reshape.*place"),
        ([FLAT, DENSE], {"w": np.full((4, 60), np.nan), "b": np.zeros(4)}, "finite weights"),
        ([FLAT, DENSE], {"w": np.ones((4, 60)), "b": np.zeros(())}, "a bias of 4"),
        ([("Conv", ["x", "k"], {"strides": [2, 2]})], {"k": np.ones((2, 3, 3, 3))}, "Conv.*place"),
        ([("Conv", ["x", "k"], {"auto_pad": "SAME_UPPER"})], {"k": np.ones((2, 3, 3, 3))}, "Conv"),
        ([("Conv", ["x", "k"], {})], {"k": np.ones((2, 3, 5, 5))}, "windows of 1 to 4"),
        ([("Conv", ["x", "k"], {})], {"k": np.ones((2, 3, 3, 2))}, "Conv.*has no place"),
        (
            [("Conv", ["x", "k"], {}), ("Relu", ["o0"], {}),
             ("AveragePool", ["o1"], {"kernel_shape": [2, 2]})],
            {"k": np.ones((2, 3, 3, 3))},
            "AveragePool has no place",
        ),
    ],
)  # fmt: skip
def test_what_tiles_cannot_hold_is_one_line(tmp_path, nodes, weights, words) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        from_onnx(write(tmp_path, nodes, **weights), SHAPE)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("given_shape", [("n", 5, 4, 3), ("n", 3, 4, 5), ("n", 59), ("n",)])
def test_images_of_another_order_or_size_are_refused(tmp_path, given_shape) -> None:
    path = write(tmp_path, [FLAT, ("MatMul", ["o0", "v"], {})], given_shape, v=np.ones((60, 4)))
    with pytest.raises(UsageError, match=r"takes \[0.*allowed: \(n, 3, 5, 4\) or \(n, 60\)"):
        from_onnx(path, SHAPE)


@pytest.mark.parametrize(("given_shape", "shape"), [((7, 60), SHAPE), (("n", "c", 5, "w"), SHAPE)])
def test_flat_images_and_open_sizes_are_taken(tmp_path, given_shape, shape) -> None:
    weights = gemm(60, 4)
    nodes = [FLAT, ("Gemm", ["o0", "w", "b"], {"transB": 1})]
    if len(given_shape) == 2:
        nodes = [("Gemm", ["x", "w", "b"], {"transB": 1})]
    path = write(tmp_path, nodes, given_shape, **weights)
    x = RNG.random((7, 5, 4, 3))
    maps = x.transpose(0, 3, 1, 2).reshape((7, 60) if len(given_shape) == 2 else (7, 3, 5, 4))
    found = from_onnx(path, shape).logits(x.reshape(7, -1))
    np.testing.assert_allclose(found, answer(path, maps.copy()), rtol=0, atol=1e-12)


def test_odd_maps_rows_as_biases_and_left_out_ones_are_those_of_onnxruntime(tmp_path) -> None:
    path = write(
        tmp_path,
        [
            ("Conv", ["x", "k", ""], {}),
            ("Relu", ["o0"], {}),
            ("AveragePool", ["o1"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
            ("Flatten", ["o2"], {}),
            ("Gemm", ["o3", "w", "b"], {}),
        ],
        ("n", 2, 7, 6), kind=TensorProto.FLOAT,
        k=RNG.standard_normal((3, 2, 3, 3)).astype(np.float32),
        w=RNG.standard_normal((12, 4)).astype(np.float32),
        b=RNG.standard_normal((1, 4)).astype(np.float32),
    )  # fmt: skip
    x = RNG.random((5, 7, 6, 2)).astype(np.float32)
    found = from_onnx(path, Shape(7, 6, 2)).logits(x.reshape(5, -1))
    wanted = answer(path, x.transpose(0, 3, 1, 2).copy())
    # onnxruntime has this convolution in single precision alone: 30 products of order one.
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


KERNEL = {"k": np.ones((4, 3, 3, 3))}


@pytest.mark.parametrize(
    ("nodes", "weights", "words"),
    [
        ([("Conv", ["x", "k"], {})], KERNEL, "ends in maps; allowed: a dense layer last"),
        ([("Conv", ["x", "k"], {}), ("Flatten", ["o0"], {})], KERNEL, "ends in maps"),
        ([("MatMul", ["x", "v"], {})], {"v": np.ones((4, 4))}, "MatMul on maps has no place"),
        (
            [FLAT, DENSE, ("Reshape", ["o1", "s"], {})],
            {**W, "s": np.array([-1, 2])},
            "the last layer is not the output",
        ),
        (
            [("Reshape", ["x", "s"], {"allowzero": 1}), DENSE],
            {**W, "s": np.array([0, 60])},
            "Gemm on maps|Reshape .*has no place",
        ),
        (
            [("Dropout", ["x", "r", "t"], {}), ("Flatten", ["o0"], {})],
            {"r": np.array(0.5), "t": np.array(True)},
            "Dropout in training has no place",
        ),
        (
            [("Dropout", ["x", "", "t"], {}), ("Flatten", ["o0"], {}), DENSE],
            {**W, "t": np.array(True)},
            "Dropout in training has no place",
        ),
        (
            [("Dropout", ["x", "r", "t"], {}), ("Flatten", ["o0"], {}), DENSE],
            {**W, "r": np.array(0.5), "t": np.array([False, True])},
            "Dropout in training has no place",
        ),
        (
            [("Conv", ["x", "k"], {}), ("Relu", ["o0"], {}),
             ("AveragePool", ["o1"], {"kernel_shape": [2, 2], "strides": [2, 2]})],
            {"k": np.ones((4, 3, 4, 4))},
            "AveragePool has no place",
        ),
        ([FLAT, ("Gemm", ["o0", "w"], {})], {"w": np.ones((60, 4), dtype=complex)}, "type 15"),
    ],
)  # fmt: skip
def test_what_would_be_read_otherwise_is_refused(tmp_path, nodes, weights, words) -> None:
    with pytest.raises((UsageError, FileFormatError), match=words) as refused:
        from_onnx(write(tmp_path, nodes, **weights), SHAPE)
    assert "\n" not in str(refused.value)


def test_a_function_of_the_file_is_not_taken_for_the_node_of_its_name(tmp_path) -> None:
    path = write(tmp_path, [FLAT, DENSE, ("Relu", ["o1"], {})], **W)
    model = onnx.load(str(path))
    model.graph.node[2].domain = "my"
    negative = helper.make_node("Neg", ["a"], ["b"])
    opset = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("my", "Relu", ["a"], ["b"], [negative], opset))
    model.opset_import.append(helper.make_opsetid("my", 1))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UsageError, match="a node of 'my' has no place"):
        from_onnx(path, SHAPE)


def test_any_byte_of_a_file_may_be_wrong(tmp_path) -> None:
    path = write(tmp_path, [FLAT, DENSE], ("n", 1, 5, 3), w=np.ones((4, 15)), b=np.zeros(4))
    data, refused = path.read_bytes(), 0
    for place in range(len(data)):
        for byte in (0, 99):
            path.write_bytes(data[:place] + bytes([byte]) + data[place + 1 :])
            try:
                from_onnx(path, Shape(5, 3))
            except (FileFormatError, UsageError):
                refused += 1
    assert refused > 50


def test_a_file_that_is_not_there_and_a_missing_package(tmp_path, monkeypatch) -> None:
    with pytest.raises(FileFormatError, match="no such file"):
        from_onnx(tmp_path / "none.onnx", SHAPE)
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(SetupError, match=r"imccircuit\[onnx\]"):
        from_onnx(tmp_path / "none.onnx", SHAPE)


@given(cut=st.integers(0, 700), place=st.integers(0, 700), byte=st.integers(0, 255))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_one_line_or_read(tmp_path, cut, place, byte) -> None:
    path = write(tmp_path, [FLAT, DENSE], ("n", 1, 5, 3), w=np.ones((4, 15)), b=np.zeros(4))
    data = bytearray(path.read_bytes())[: cut if byte % 2 else None]
    if place < len(data):
        data[place] = byte
    path.write_bytes(bytes(data))
    said = ""
    try:
        from_onnx(path, Shape(5, 3))
    except (FileFormatError, UsageError) as error:
        said = str(error)
    assert "\n" not in said
