"""An exported network answers from its files alone, as its README says in words."""

from __future__ import annotations

import json

import numpy as np
import pytest

from imccircuit.errors import FileFormatError
from imccircuit.exporters.numpy.load import load_exported
from imccircuit.networks.datasets import load_digit_samples
from imccircuit.networks.exported_chip import export_chip, load_chip
from imccircuit.networks.fit_network import fit_network
from imccircuit.networks.hardware import Hardware
from imccircuit.networks.mapping import Mapping
from imccircuit.surrogates.macro_compose import Composition
from imccircuit.surrogates.verdict import Verdict


@pytest.fixture(scope="module")
def digits():
    samples = load_digit_samples(400)
    return samples.x[:300], samples.y[:300], samples.x[300:], samples.shape


def by_the_readme(folder, images):
    """Logits (image, class) from the files, by the words of their README and nothing of ours."""
    told = json.loads((folder / "network.json").read_text())
    arrays = np.load(folder / "network.npz")
    x = images
    for k, layer in enumerate(told["layers"]):
        if layer["patches"] is not None:
            high, wide, deep, size = (layer["patches"][n] for n in
                                      ("height", "width", "channels", "size"))  # fmt: skip
            maps = x.reshape(-1, high, wide, deep)
            windows = np.lib.stride_tricks.sliding_window_view(maps, (size, size), axis=(1, 2))
            x = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, size * size * deep)
        most = 2 ** layer["input_bits"] - 1
        full = layer["range"]["input_full_scale"]
        whole = np.minimum(np.round(x / full * most), most).astype(int)
        sums = -layer["offset"] * whole.sum(axis=1, keepdims=True).astype(float)
        for number in range(-(-layer["input_bits"] // layer["pass_bits"])):
            weight = 2.0 ** (layer["pass_bits"] * number)
            digits = (whole >> (layer["pass_bits"] * number)) % 2 ** layer["pass_bits"]
            for i, tile in enumerate(layer["tiles"]):
                part = digits[:, tile["first_row"] : tile["first_row"] + tile["rows"]]
                place = folder / f"layer_{k}" / f"tile_{i}"
                volts = load_exported(place / "array").outputs_v(-layer["digit_v"] * part)
                adc = load_exported(place / "converter")
                codes = np.stack([adc.convert(v, chip=j) for j, v in enumerate(volts.T)], axis=1)
                combine = arrays[f"layer_{k}/tile_{i}/combine"]
                raw = (codes + 0.5) * tile["worth"] @ combine
                common = layer["off"] * part.sum(axis=1)[:, None] * combine.sum(axis=0)
                sums = sums + weight * (layer["range"]["gain"] * raw - common)
        y = sums * layer["weight_step"] * full / most + arrays[f"layer_{k}/bias"]
        x = np.maximum(y, 0) if layer["relu"] else y
        if layer["patches"] is not None:
            x = x.reshape(len(images), high - size + 1, wide - size + 1, -1)
            if layer["pool"]:
                rows, cols = x.shape[1] // 2, x.shape[2] // 2
                x = x[:, : 2 * rows, : 2 * cols].reshape(len(images), rows, 2, cols, 2, -1)
                x = x.mean(axis=(2, 4))
            x = x.reshape(len(images), -1)
    return x


@pytest.mark.parametrize(
    ("model", "composition"),
    [("mlp", Composition(4, 5, 2, 2, "offset")), ("cnn", Composition(4, 5, 4, 4))],
)
def test_logits_come_from_the_files_alone(model, composition, population, digits, tmp_path) -> None:
    x, y, test, shape = digits
    network = fit_network(model, shape, 10, x, y, 1)
    hardware = Hardware(network, Mapping(40, 30, composition), population, x)
    layers = hardware.program(1, 0)
    export_chip(network, layers, tmp_path)
    found = load_chip(tmp_path).logits(test)
    # Sums of codes in single precision.
    np.testing.assert_allclose(found, by_the_readme(tmp_path, test), rtol=0,
                               atol=1e-5 * np.max(np.abs(found)))  # fmt: skip
    assert np.mean(hardware.logits(layers, test).argmax(axis=1) == found.argmax(axis=1)) > 0.95
    (file,) = tmp_path.glob("network.json")
    told = json.loads(file.read_text())
    told["layers"][0]["range"]["gain"] *= 1.5
    file.write_text(json.dumps(told))
    assert np.max(np.abs(load_chip(tmp_path).logits(test) - found)) > 0.1


def test_a_chip_of_failed_models_says_so(population, digits, tmp_path) -> None:
    x, y, _, shape = digits
    network = fit_network("linear", shape, 10, x, y, 1)
    hardware = Hardware(network, Mapping(70, 30, Composition(4, 5, 4, 4)), population, x)
    layers = hardware.program(1, 0)
    good, bad = Verdict("pass", "every gate holds"), Verdict("fail", "max_error: 2 exceeds 1")
    open_ = Verdict("not judged", "too few chips")
    for name, array, converter in (("a", good, good), ("b", good, bad), ("c", open_, bad)):
        verdicts = {"array": array, "converter": converter}
        export_chip(network, layers, tmp_path / name, verdicts=verdicts)
        told = json.loads((tmp_path / name / "network.json").read_text())["verdicts"]
        assert {part: one["state"] for part, one in told.items()} == {
            "array": array.state, "converter": converter.state,
        }  # fmt: skip
        words = (tmp_path / name / "README.md").read_text()
        assert ("model of the array that this chip was drawn from: not judged (too few chips)"
                in words) == (name == "c")  # fmt: skip
        assert ("model of the converter that this chip was drawn from: fail (max_error: 2 exceeds "
                "1)" in words) == (name in "bc")  # fmt: skip
    load_chip(tmp_path / "b")


@pytest.mark.parametrize("how", ["none", "schema", "torn"])
def test_files_that_are_not_ours_are_refused(how, tmp_path) -> None:
    if how != "none":
        schema = "other" if how == "schema" else "imccircuit-network-1"
        (tmp_path / "network.json").write_text(json.dumps({"schema": schema, "layers": [{}]}))
    with pytest.raises(FileFormatError, match="schema 'other'" if how == "schema" else "no exp"):
        load_chip(tmp_path)
