"""The data sets a study of networks may name, on small files that are made here."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from imccircuit import library
from imccircuit.errors import InputError
from imccircuit.networks.accuracy_study import run_networks
from imccircuit.networks.fit_network import fit_network
from imccircuit.networks.hardware import Hardware
from imccircuit.networks.mapping import Mapping
from imccircuit.networks.speech import RATE_HZ
from imccircuit.networks.study import NetworkStudy, load_study
from imccircuit.networks.study_data import load_study_samples
from imccircuit.surrogates.macro_compose import Composition

COUNT = 120
LINES = {
    "mnist": 'dataset = "mnist"\nfiles = ["images", "labels"]',
    "cifar10": 'dataset = "cifar10"\nfiles = ["batch"]',
    "speech_commands": 'dataset = "speech_commands"\nfolder = "sounds"\nwords = ["low", "high"]',
}


def write_files(folder: Path) -> None:
    """Ten classes in images of 6 × 5 and 32 × 32 × 3, and two words of different pitch."""
    rng = np.random.default_rng(1)
    y = np.arange(COUNT) % 10
    maps = rng.integers(0, 60, (COUNT, 6, 5), dtype=np.uint8)
    maps[np.arange(COUNT), y // 2, y % 2] = 255
    (folder / "images").write_bytes(struct.pack(">4I", 0x803, COUNT, 6, 5) + maps.tobytes())
    (folder / "labels").write_bytes(struct.pack(">2I", 0x801, COUNT) + bytes(y.tolist()))
    pixels = rng.integers(0, 256, (COUNT, 3072), dtype=np.uint8)
    batch = {b"data": pixels, b"labels": y.tolist()}
    (folder / "batch").write_bytes(pickle.dumps(batch, protocol=2))
    time = np.arange(RATE_HZ) / RATE_HZ
    for word, pitch, count in (("low", 300, 70), ("high", 3000, 40)):
        (folder / "sounds" / word).mkdir(parents=True)
        for k in range(count):
            sound = 8000 * np.sin(2 * np.pi * (pitch + k) * time[: RATE_HZ // 8])
            path = folder / "sounds" / word / f"{k:03}.wav"
            wavfile.write(path, RATE_HZ, sound.astype(np.int16))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("data")
    write_files(place)
    shipped = (library.path("characterize") / "digits_networks.toml").read_text()
    for name, lines in LINES.items():
        (place / f"{name}.toml").write_text(
            shipped.replace('dataset = "digits"', lines).replace("folds = 5", "folds = 2")
        )
    return place


def load(folder: Path, name: str, *settings: str) -> NetworkStudy:
    study = load_study(str(folder / f"{name}.toml"), settings)
    assert isinstance(study, NetworkStudy)
    return study


def samples_of(folder: Path, name: str, *settings: str):
    study = load(folder, name, *settings)
    return load_study_samples(study.tables.network, study.file)


@pytest.mark.parametrize(
    ("name", "shape", "classes", "count"),
    [
        ("mnist", (6, 5, 1), 10, 120),
        ("cifar10", (32, 32, 3), 10, 120),
        ("speech_commands", (61, 20, 1), 2, 110),
    ],
)
def test_files_beside_the_study_are_its_data(folder, name, shape, classes, count) -> None:
    found = samples_of(folder, name)
    assert (found.shape.height, found.shape.width, found.shape.channels) == shape
    assert found.x.shape == (count, np.prod(shape))
    assert (found.x.min() >= 0, found.x.max() <= 1, found.classes) == (True, True, classes)
    assert len(samples_of(folder, name, "network.images=100").y) == 100


def test_words_take_turns(folder) -> None:
    found = samples_of(folder, "speech_commands", "network.images=100")
    # 40 of one word and as many of the other in turns, and then what is left.
    assert found.y.tolist() == [0, 1] * 40 + [0] * 20
    full = samples_of(folder, "speech_commands")
    np.testing.assert_array_equal(found.x, full.x[:100])


@pytest.mark.parametrize("model", ["linear", "cnn"])
def test_a_chip_classifies_images_of_another_shape(folder, population, model) -> None:
    found = samples_of(folder, "mnist")
    train, test = slice(0, 80), slice(80, None)
    x, y = found.x[train], found.y[train]
    network = fit_network(model, found.shape, found.classes, np.tile(x, (8, 1)), np.tile(y, 8), 1)
    mapping = Mapping(64, 64, Composition(4, 5, 4, 4))
    hardware = Hardware(network, mapping, population, x)
    logits = hardware.logits(hardware.program(1, 0), found.x[test])
    assert logits.shape == (40, 10)
    # One bright pixel says the class. Chance is 0.1: 40 images would have σ = 0.05.
    assert np.mean(np.argmax(logits, axis=1) == found.y[test]) > 0.5


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("mnist", ["network.files=[]"], ["network.files = ()", "allowed: two idx files"]),
        ("mnist", ['network.files=["a"]'], ["network.files = ('a',)", "1 files", "two idx"]),
        ("mnist", ['network.files=["a", "b"]'], ["network.files = 'a'", "no such file"]),
        ("mnist", ["network.folder=x"], ["network.folder = 'x'", "allowed: files"]),
        ("cifar10", ['network.words=["x"]'], ["network.words = ('x',)", "allowed: files"]),
        ("mnist", ["network.images=121"], ["network.images = 121", "allowed: 100 to 120"]),
        ("mnist", ["network.folds=13"], ["network.folds = 13", "allowed: 2 to 12"]),
        ("speech_commands", ["network.folder=x"], ["network.folder = 'x'", "no such folder"]),
        ("speech_commands", ['network.words=["low", "no"]'], ["words = 'no'", "high, low"]),
        (
            "speech_commands",
            ['network.words=["../low"]'],
            ["network.words[0] = '../low'", "allowed: text"],
        ),
        ("mnist", ["network.dataset=imagenet"], ["network.dataset = 'imagenet'", "cifar10"]),
    ],
)
def test_what_does_not_fit_is_one_line(folder, name, settings, words) -> None:
    with pytest.raises(InputError) as caught:
        samples_of(folder, name, *settings)
    said = str(caught.value)
    assert said.startswith(str(folder / f"{name}.toml"))
    assert "\n" not in said
    for word in words:
        assert word in said


def test_classes_that_do_not_match_are_refused_before_spice(folder, tmp_path) -> None:
    (tmp_path / "images").write_bytes((folder / "images").read_bytes())
    labels = bytearray((folder / "labels").read_bytes())
    labels[8] = 12
    (tmp_path / "labels").write_bytes(bytes(labels))
    (tmp_path / "mnist.toml").write_text((folder / "mnist.toml").read_text())
    study = load(tmp_path, "mnist")
    with pytest.raises(InputError, match=r"network.files = .*match: 0 to 12; allowed: 0 to 9"):
        run_networks(study, tmp_path / "out", jobs=1, progress=lambda _: None)
    assert not (tmp_path / "out").exists()


def test_images_too_small_for_a_network_are_refused(tmp_path, folder) -> None:
    pixels = bytes(2 * 2 * COUNT)
    (tmp_path / "images").write_bytes(struct.pack(">4I", 0x803, COUNT, 2, 2) + pixels)
    (tmp_path / "labels").write_bytes((folder / "labels").read_bytes())
    (tmp_path / "mnist.toml").write_text((folder / "mnist.toml").read_text())
    study = load(tmp_path, "mnist")
    with pytest.raises(InputError, match=r"network.models = 'cnn': images of 2 x 2"):
        run_networks(study, tmp_path / "out", jobs=1, progress=lambda _: None)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "old", "new", "key"),
    [
        ("mnist", '"images"', '"{there}/images"', "network.files"),
        ("speech_commands", '"sounds"', '"{there}/sounds"', "network.folder"),
        ("mnist", '"images"', '"nowhere"', "network.files"),
        ("speech_commands", '"sounds"', '"nowhere"', "network.folder"),
        ("mnist", '"cnn"', '"{there}/own.onnx"', "network.models"),
        ("mnist", '"cnn"', '"nowhere.onnx"', "network.models"),
    ],
)
def test_a_study_reads_below_its_own_folder_only(tmp_path, folder, name, old, new, key) -> None:
    text = (folder / f"{name}.toml").read_text().replace(old, new.format(there=folder))
    if name == "mnist":
        for file in ("labels", "images"):
            (tmp_path / file).write_bytes(b"")
    (folder / "own.onnx").write_bytes(b"")
    (tmp_path / f"{name}.toml").write_text(text)
    problem = "no such" if "nowhere" in new else "outside the recipe's folder"
    with pytest.raises(InputError, match=rf"{key} = .*{problem}.*allowed: "):
        load(tmp_path, name)
