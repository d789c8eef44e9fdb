"""The data set that a study of networks names: read, cut, and checked before anything is measured.

What is wrong with it is one line with the study's file, the key, its value and what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from imccircuit.errors import FileFormatError, InputError, UsageError
from imccircuit.networks.datasets import Samples, load_cifar10, load_digit_samples, load_mnist
from imccircuit.networks.network_tables import NetworksTable
from imccircuit.networks.paired import split_folds
from imccircuit.recipes.paths import FilePolicy

_MNIST_FILES = 2
_KEYS = {
    "digits": (),
    "mnist": ("files",),
    "cifar10": ("files",),
    "speech_commands": ("folder", "words"),
}


def load_study_samples(table: NetworksTable, file: str) -> Samples:
    """Samples of the data set that a study's table names, at most ``images`` of them.

    The words of ``speech_commands`` take turns, so that the first samples are of all classes.

    Parameters
    ----------
    table : its table ``network``.
    file : what messages call the study.

    Raises
    ------
    InputError : keys that the data set does not take, files that are missing, torn or of classes
        that do not match, or fewer images than asked for or than the folds need.
    SetupError : scikit-learn is not installed.
    """
    _check_keys(table, file)
    samples = _load(table, file)
    count = len(samples.y)
    if table.images is not None and table.images > count:
        problem = f"the data set has {count}"
        raise InputError(file, "network.images", table.images, problem, f"100 to {count}")
    used = slice(0, table.images)
    samples = replace(samples, x=samples.x[used], y=samples.y[used])
    _try(lambda: next(split_folds(samples.y, table.folds, 0)), file, "network.folds", table.folds)
    return samples


def _check_keys(table: NetworksTable, file: str) -> None:
    """Each data set takes its own keys, all of them."""
    wanted = _KEYS[table.dataset]
    for key in ("files", "folder", "words"):
        value = getattr(table, key)
        if value and key not in wanted:
            takes = " and ".join(wanted) or "no files"
            problem = f"data set {table.dataset} does not take it"
            raise InputError(file, f"network.{key}", value, problem, takes)
        if key in wanted and not value:
            problem = f"data set {table.dataset} needs it"
            raise InputError(file, f"network.{key}", value, problem, _needs(table.dataset, key))
    if table.dataset == "mnist" and len(table.files) != _MNIST_FILES:
        problem = f"{len(table.files)} files"
        raise InputError(file, "network.files", table.files, problem, _needs("mnist", "files"))


def _needs(dataset: str, key: str) -> str:
    if key == "words":
        return "two names of folders or more, one a class"
    if key == "folder":
        return "the folder with a folder of .wav files for every word"
    if dataset == "mnist":
        return "two idx files, of the images and of their labels"
    return "batches of the Python version, such as data_batch_1"


def _load(table: NetworksTable, file: str) -> Samples:
    if table.dataset == "digits":
        return load_digit_samples()
    if table.dataset == "speech_commands":
        return _load_words(table, file)
    paths = [Path(item) for item in table.files]
    for item, path in zip(table.files, paths, strict=True):
        if not path.is_file():
            raise InputError(file, "network.files", item, "no such file", "an existing file")

    def read() -> Samples:
        return load_mnist(*paths) if table.dataset == "mnist" else load_cifar10(paths)

    found: Samples = _try(read, file, "network.files", list(table.files))
    return found


def _load_words(table: NetworksTable, file: str) -> Samples:
    from imccircuit.networks.speech import load_speech_commands

    folder = Path(str(table.folder))
    if not folder.is_dir():
        needs = _needs(table.dataset, "folder")
        raise InputError(file, "network.folder", str(folder), "no such folder", needs)
    counts = [len(list((folder / word).glob("*.wav"))) for word in table.words]
    for word, count in zip(table.words, counts, strict=True):
        if count == 0:
            there = sorted(item.name for item in folder.iterdir() if any(item.glob("*.wav")))
            problem = f"no .wav file in {folder / word}"
            raise InputError(file, "network.words", word, problem, ", ".join(there) or "none")
    # Reading takes long, so no more of each word than its turns.
    asked = sum(counts) if table.images is None else table.images
    turns = range(1, max(counts) + 1)
    most = next((n for n in turns if sum(min(n, c) for c in counts) >= asked), None)
    samples: Samples = _try(
        lambda: load_speech_commands(folder, table.words, most),
        file, "network.folder", str(folder),
    )  # fmt: skip
    place = np.concatenate([np.arange(count) for count in np.bincount(samples.y)])
    order = np.argsort(place, kind="stable")
    return replace(samples, x=samples.x[order], y=samples.y[order])


def _try(act: Callable[[], Any], file: str, key: str, value: object) -> Any:
    """What ``act`` returns; what it refuses is a fault of the key."""
    try:
        return act()
    except (FileFormatError, UsageError) as error:
        problem, _, allowed = str(error).partition("; allowed: ")
        raise InputError(file, key, value, problem, allowed) from None


def resolve_data(file: str, table: dict[str, Any], policy: FilePolicy) -> None:
    """Make the data paths of a study's raw table absolute; they may not name any file there is.

    Parameters
    ----------
    table : the raw table ``network``; what else is wrong with it is not seen here.
    policy : of the study's file.

    Raises
    ------
    InputError : a path that may not be read, or is not there.
    """
    files, folder, models = table.get("files"), table.get("folder"), table.get("models")
    if isinstance(files, list) and all(isinstance(item, str) for item in files):
        table["files"] = [_resolved(file, "network.files", item, policy.resolve) for item in files]
    if isinstance(models, list) and all(isinstance(item, str) for item in models):
        table["models"] = [
            _resolved(file, "network.models", item, policy.resolve)
            if item.endswith(".onnx") else item
            for item in models
        ]  # fmt: skip
    if isinstance(folder, str):
        table["folder"] = _resolved(file, "network.folder", folder, policy.resolve_folder)


def _resolved(file: str, key: str, text: str, resolve: Callable[[str], Path]) -> str:
    try:
        return str(resolve(text))
    except ValueError as error:
        problem, _, allowed = str(error).partition("; allowed: ")
        raise InputError(file, key, text, problem, allowed) from None
