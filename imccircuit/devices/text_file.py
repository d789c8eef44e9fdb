"""Reading text files that may come from a stranger: ordinary ones of a sane size, or not at all."""

from __future__ import annotations

import re
import stat
import tomllib
from pathlib import Path
from typing import Any

LARGEST = 16 * 1024 * 1024
_LONGEST_KEY = 100
_BETWEEN_WORDS = re.compile(r"[\n=,\[\]{}#]")


def read_text(path: Path, most_bytes: int = LARGEST) -> str:
    """Text of a file, UTF-8.

    Raises
    ------
    OSError : it cannot be read.
    ValueError : it is no ordinary file (but a pipe, which may never end), too large, or not UTF-8.
    """
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise ValueError("no ordinary file")
    if state.st_size > most_bytes:
        raise ValueError(f"larger than {most_bytes >> 20} MiB")
    with path.open("rb") as file:
        # No more than its size: some files of the system have none and no end.
        text = file.read(state.st_size).decode("utf-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_toml(text: str) -> dict[str, Any]:
    """Tables of a TOML text.

    Raises
    ------
    ValueError, RecursionError : it is not TOML.
    """
    # The parser takes time with the square of the parts of a key: 20 s for one of 40 kB.
    for word in _BETWEEN_WORDS.split(text):
        if word.count(".") > _LONGEST_KEY and len(re.findall(r"[^.]\.", word)) > _LONGEST_KEY:
            raise ValueError(f"a key of more than {_LONGEST_KEY} parts")
    return tomllib.loads(text)
