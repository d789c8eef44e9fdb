"""Google Speech Commands from a folder on this machine: sounds to log-mel features.

A sound of one second at 16 kHz (shorter ones are filled up with silence, longer ones cut) becomes
frames of 32 ms every 16 ms under a Hann window; of each the power of its spectrum is added in
triangles that are equally wide on the mel scale, m = 2595 log10(1 + f / 700 Hz) [1]_, and the
logarithm over 80 dB below the largest is laid on 0 to 1.

References
----------
.. [1] D. O'Shaughnessy, "Speech Communication: Human and Machine", Addison-Wesley, 1987.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import FileFormatError, UsageError
from imccircuit.networks.datasets import Samples
from imccircuit.networks.models import Shape

Floats = NDArray[np.float64]

RATE_HZ = 16_000
_FRAME, _STEP = 512, 256
_BANDS = 20
_LOWEST_HZ = 20.0
_DEPTH_DB = 80.0
_LARGEST = 1 << 24


def load_speech_commands(folder: Path, words: Sequence[str], most: int | None = None) -> Samples:
    """Sounds of some words, each from the folder of its name; class k is word k.

    Source: P. Warden, "Speech Commands: a dataset for limited-vocabulary speech recognition",
    arXiv 1804.03209, 2018.

    Parameters
    ----------
    folder : with a folder of .wav files for every word.
    words : names of the classes.
    most : files of each word, in the order of their names; all by default.

    Raises
    ------
    FileFormatError : a folder without sounds, or a file that is not 16 kHz, one channel, 16 bit.
    UsageError : no word is given.
    """
    if not words:
        raise UsageError("no word is given")
    features, classes = [], []
    for number, word in enumerate(words):
        files = sorted((Path(folder) / word).glob("*.wav"))[:most]
        if not files:
            raise FileFormatError(f"{Path(folder) / word}: no .wav file of the word {word!r}")
        for path in files:
            features.append(compute_log_mel(read_wav(path)))
            classes.append(number)
    frames, bands = features[0].shape
    x = np.stack(features).reshape(len(features), -1)
    return Samples(x, np.array(classes, dtype=np.int64), Shape(frames, bands), len(words))


def read_wav(path: Path) -> Floats:
    """One second of sound (sample,), −1 to 1.

    Raises
    ------
    FileFormatError : not a readable wav file of 16 kHz, one channel and 16 bit.
    """
    from scipy.io import wavfile

    try:
        if path.stat().st_size > _LARGEST:
            raise FileFormatError(f"{path}: larger than 16 MiB")
        rate, sound = wavfile.read(path)
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError, struct.error, UserWarning) as error:
        raise FileFormatError(f"{path}: no wav file: {error}") from None
    if rate != RATE_HZ or sound.ndim != 1 or sound.dtype != np.int16:
        raise FileFormatError(
            f"{path}: {rate} Hz, {sound.ndim} axes of {sound.dtype}; allowed: {RATE_HZ} Hz, one "
            "channel, 16 bit"
        )
    found = np.zeros(RATE_HZ)
    cut = sound[:RATE_HZ]
    found[: len(cut)] = cut / 2.0**15
    return found


def compute_log_mel(sound: Floats) -> Floats:
    """Features (frame, band) of a sound (sample,), 0 to 1; silence is 0."""
    starts = np.arange(0, len(sound) - _FRAME + 1, _STEP)
    frames = sound[starts[:, None] + np.arange(_FRAME)] * np.hanning(_FRAME)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    bands = power @ mel_triangles().T
    largest = float(bands.max())
    if largest == 0:
        return np.zeros(bands.shape)
    below = 10 * np.log10(np.maximum(bands / largest, 10 ** (-_DEPTH_DB / 10)))
    return np.asarray(1.0 + below / _DEPTH_DB)


def mel_triangles() -> Floats:
    """Weight (band, bin) of each bin of a spectrum in each band."""
    high = RATE_HZ / 2
    low_mel, high_mel = 2595 * np.log10(1 + np.array([_LOWEST_HZ, high]) / 700)
    mel = np.linspace(float(low_mel), float(high_mel), _BANDS + 2)
    edge = 700 * (10 ** (mel / 2595) - 1)
    bins = np.fft.rfftfreq(_FRAME, 1 / RATE_HZ)
    rise = (bins - edge[:-2, None]) / np.diff(edge)[:-1, None]
    fall = (edge[2:, None] - bins) / np.diff(edge)[1:, None]
    return np.asarray(np.maximum(0.0, np.minimum(rise, fall)))
