"""What the security tests share: texts of an attacker, mutations, and a look at what was done."""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from imccircuit.cli.main import run_command
from imccircuit.errors import ImcError

# What a name or value of a recipe, card or file may be when its writer means harm.
EVIL = [
    "", "x", "x\n.control\nshell touch pwned\n.endc", "\n*# shell touch pwned", "`touch pwned`",
    "$(touch pwned)", "x; touch pwned", "{1e9}", "'x", '"x', "x' tt", "../../secret", "/etc/passwd",
    "/proc/kmsg", "/dev/zero", "/dev/zero.npz:g", "/etc/passwd.toml", "a/../b.toml", ".", "..", "~",
    "x.npz:g", "rram_techC", "mos_generic", "\x00", "\x1b[2J", "[/bold]", "[link=x]y", "$\\frac{",
    "é\u202e", "__import__('os').system('touch pwned')", "1e999", "NaN", "-1 V", "1 V", "1e300 ohm",
    "0 s", "9" * 5000, "x" * 5000, "!!python/object/apply:os.system [touch pwned]", "%s%n", "1/0",
]  # fmt: skip
NUMBERS = [0, -1, 1, 2, 7, 10**9, 2**63, 0.5, -1.5, float("nan"), float("inf"), 1e300, 5e-324]
LONG = 50
_SETTINGS = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "phases": [Phase.explicit, Phase.generate, Phase.shrink],
    "suppress_health_check": list(HealthCheck),
}
_CODES = {0, 1, 2, 3, 4}


def fuzz(examples, **strategies):
    """Two tests of a body: with so many examples, and the long one with 50 times as many."""

    def decorate(body):
        quick = settings(max_examples=examples, **_SETTINGS)(given(**strategies)(body))
        longer = settings(max_examples=LONG * examples, **_SETTINGS)(given(**strategies)(body))
        return quick, pytest.mark.long(longer)

    return decorate


@dataclass
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str


def command(*arguments):
    """Run a command line; whatever it is about, it ends with a known code and single lines."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = int(run_command([str(item) for item in arguments]))
    ended = Ended(code, out.getvalue(), err.getvalue())
    assert code in _CODES, ended
    assert "Traceback" not in ended.out + ended.err
    assert "\x1b" not in ended.out + ended.err
    if code == 1:
        lines = [line for line in ended.err.splitlines() if "warning:" not in line]
        assert len(lines) == 1, ended.err
        assert lines[0].startswith("imccircuit: ")
    return ended


def one_line(call, kind=ImcError):
    """What ``call`` returns, or None, and the one line in which it refuses."""
    found, text = None, ""
    try:
        found = call()
    except kind as error:
        text = str(error)
    assert "\n" not in text
    assert text.isprintable()
    return found, text


def tree(folder):
    """Everything below a folder: path → what it is and holds."""
    found = {}
    for name, folders, files in os.walk(folder):
        for entry in folders:
            found[str(Path(name) / entry)] = "folder"
        for entry in files:
            path = Path(name) / entry
            is_plain = path.is_file() and not path.is_symlink()
            found[str(path)] = path.read_bytes() if is_plain else "special"
    return found


def damaged(rng, content, rounds=3):
    """Bytes with some of them changed, cut out, doubled, or cut off."""
    data = bytearray(content)
    for _ in range(rng.randint(1, rounds)):
        if not data:
            break
        place = rng.randrange(len(data))
        kind = rng.randrange(6)
        if kind == 0:
            data[place] = rng.randrange(256)
        elif kind == 1:
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del data[place : place + rng.randint(1, 16)]
        elif kind == 3:
            data[place:place] = data[place : place + rng.randint(1, 16)]
        elif kind == 4:
            data[place:place] = rng.choice(EVIL).encode("utf-8", "surrogatepass")
        else:
            del data[place:]
    return bytes(data)
