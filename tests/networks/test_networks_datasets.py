"""Loaders, on small files that are made here byte by byte."""

from __future__ import annotations

import gzip
import os
import pickle
import struct

import numpy as np
import pytest
from scipy.io import wavfile

from imccircuit.errors import FileFormatError, UsageError
from imccircuit.networks.datasets import load_cifar10, load_digit_samples, load_mnist
from imccircuit.networks.restricted_pickle import load_plain
from imccircuit.networks.speech import (
    RATE_HZ,
    compute_log_mel,
    load_speech_commands,
    mel_triangles,
)


def idx(folder, pixels=bytes(range(12)), labels=bytes([7, 0, 9]), count=3):
    images, numbers = folder / "images", folder / "labels"
    images.write_bytes(struct.pack(">4I", 0x803, count, 2, 2) + pixels)
    numbers.write_bytes(struct.pack(">2I", 0x801, len(labels)) + labels)
    return images, numbers


def test_mnist_byte_by_byte(tmp_path) -> None:
    images, labels = idx(tmp_path)
    found = load_mnist(images, labels)
    np.testing.assert_array_equal(found.x * 255, np.arange(12).reshape(3, 4))
    np.testing.assert_array_equal(found.y, [7, 0, 9])
    assert (found.shape.height, found.shape.width, found.classes) == (2, 2, 10)
    packed = tmp_path / "images.gz"
    packed.write_bytes(gzip.compress(images.read_bytes()))
    np.testing.assert_array_equal(load_mnist(packed, labels).x, found.x)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"pixels": bytes(11)}, "torn"),
        ({"labels": bytes([1, 2])}, "2 labels do not match 3 images"),
        ({"labels": bytes([1, 2, 10])}, "classes do not match: 1 to 10; allowed: 0 to 9"),
    ],
)
def test_wrong_mnist_is_one_line(tmp_path, change, word) -> None:
    with pytest.raises(FileFormatError, match=word) as caught:
        load_mnist(*idx(tmp_path, **change))
    assert "\n" not in str(caught.value)


def test_missing_swapped_and_torn_mnist(tmp_path) -> None:
    images, labels = idx(tmp_path)
    with pytest.raises(FileFormatError, match="nowhere: cannot be read: No such file"):
        load_mnist(tmp_path / "nowhere", labels)
    with pytest.raises(FileFormatError, match="no idx file of 3 axes"):
        load_mnist(labels, labels)
    images.write_bytes(gzip.compress(images.read_bytes())[:-12])
    with pytest.raises(FileFormatError, match=r"torn|no idx"):
        load_mnist(images, labels)


def batch(path, pixels=None, labels=(3, 9), protocol=2):
    pixels = np.arange(6144, dtype=np.int64).astype(np.uint8).reshape(2, 3072) if pixels is None \
        else pixels  # fmt: skip
    with path.open("wb") as file:
        pickle.dump({b"data": pixels, b"labels": list(labels), b"batch_label": b"b 1"}, file,
                    protocol=protocol)  # fmt: skip
    return path


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_cifar_turns_planes_into_pixels(tmp_path, protocol) -> None:
    pixels = np.zeros((2, 3072), np.uint8)
    pixels[1, 1024 + 69] = 51  # green of the second image, row 2, column 5
    found = load_cifar10([batch(tmp_path / "b", pixels, protocol=protocol)])
    assert np.flatnonzero(found.x).tolist() == [3072 + (32 * 2 + 5) * 3 + 1]
    assert found.x.max() == 0.2
    np.testing.assert_array_equal(found.y, [3, 9])


class Harm:
    """What a pickle of a stranger may hold."""

    def __init__(self, call, *arguments) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize(
    ("harm", "word"),
    [
        (Harm(os.system, "touch ran"), "it names posix.system"),
        (Harm(eval, "open('ran', 'w')"), "it names builtins.eval"),
        (Harm(getattr, "a", "b"), "it names builtins.getattr"),
        (Harm(np.load, "ran"), "it names numpy.load"),
        (Harm(np.ndarray, (2,)), "not callable"),
    ],
)
def test_a_pickle_that_runs_something_is_refused_before_it_runs(
    tmp_path, monkeypatch, harm, word
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "b"
    path.write_bytes(pickle.dumps({b"data": harm}))
    with pytest.raises(FileFormatError, match=word) as caught:
        load_plain(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_wrong_cifar_is_one_line(tmp_path) -> None:
    path = tmp_path / "b"
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_cifar10([path])
    path.write_bytes(b"not a pickle at all")
    with pytest.raises(FileFormatError, match="no pickle"):
        load_cifar10([path])
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(FileFormatError, match="no data, no labels"):
        load_cifar10([path])
    with pytest.raises(FileFormatError, match="are not 3 images"):
        load_cifar10([batch(path, labels=(1, 2, 3))])
    with pytest.raises(FileFormatError, match="0 to 9"):
        load_cifar10([batch(path, labels=(1, 10))])
    whole = batch(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match="no pickle"):
        load_cifar10([path])
    path.write_bytes(pickle.dumps(np.array([object], dtype=object)))
    with pytest.raises(FileFormatError, match=r"it names|objects"):
        load_plain(path)
    with pytest.raises(UsageError, match="no batch"):
        load_cifar10([])


def test_a_tone_is_in_its_band(tmp_path) -> None:
    second = np.arange(RATE_HZ) / RATE_HZ
    for word, tone in (("low", 300.0), ("high", 4000.0)):
        (tmp_path / word).mkdir()
        sound = (2**14 * np.sin(2 * np.pi * tone * second)).astype(np.int16)
        wavfile.write(tmp_path / word / "a.wav", RATE_HZ, sound)
    found = load_speech_commands(tmp_path, ["low", "high"])
    np.testing.assert_array_equal(found.y, [0, 1])
    assert found.x.min() >= 0.0
    assert found.x.max() == 1.0
    maps = found.x.reshape(2, found.shape.height, found.shape.width)
    # Centres lie at equal mel from 20 Hz to 8 kHz: m(f) = 2595 log10(1 + f/700).
    mel = [2595 * np.log10(1 + f / 700) for f in (20.0, 300.0, 4000.0, 8000.0)]
    for sample, wanted in enumerate(mel[1:3]):
        centre = (wanted - mel[0]) / (mel[3] - mel[0]) * 21 - 1
        assert abs(maps[sample].mean(axis=0).argmax() - centre) <= 1


def test_silence_and_triangles() -> None:
    assert not compute_log_mel(np.zeros(RATE_HZ)).any()
    triangles = mel_triangles()
    # Between the first and the last centre the triangles add to one: nothing is counted twice.
    inside = slice(int(np.argmax(triangles[0])) + 1, int(np.argmax(triangles[-1])))
    np.testing.assert_allclose(triangles.sum(axis=0)[inside], 1.0, rtol=0, atol=1e-12)


def test_wrong_sounds_are_one_line(tmp_path) -> None:
    with pytest.raises(FileFormatError, match=r"no .wav file of the word 'yes'"):
        load_speech_commands(tmp_path, ["yes"])
    (tmp_path / "yes").mkdir()
    path = tmp_path / "yes" / "a.wav"
    path.write_bytes(b"RIFFnothing")
    with pytest.raises(FileFormatError, match="no wav file"):
        load_speech_commands(tmp_path, ["yes"])
    wavfile.write(path, 8000, np.zeros(8000, np.int16))
    with pytest.raises(FileFormatError, match=r"8000 Hz.*allowed: 16000 Hz"):
        load_speech_commands(tmp_path, ["yes"])
    wavfile.write(path, RATE_HZ, np.zeros((100, 2), np.int16))
    with pytest.raises(FileFormatError, match="2 axes"):
        load_speech_commands(tmp_path, ["yes"])
    wavfile.write(path, RATE_HZ, np.zeros(100, np.int16))
    assert load_speech_commands(tmp_path, ["yes"]).x.shape[0] == 1  # filled up with silence
    with pytest.raises(UsageError, match="no word"):
        load_speech_commands(tmp_path, [])


def test_digits_come_in_order() -> None:
    some = load_digit_samples(100)
    np.testing.assert_array_equal(some.x, load_digit_samples().x[:100])
    assert some.x.max() == 1.0
