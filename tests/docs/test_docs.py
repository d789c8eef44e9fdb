"""Every example of README.md and docs/**/*.md is run, in order, in an empty folder of its page.

A fence says what its block is:

- ``python``: executed; the names of one block are known in the next ones of the page.
- ``console``: executed by bash until a command fails. If a line begins with ``$ ``, only such lines
  are commands (``> `` goes on with one) and the others are what they print; else every line is one.
- ``console exit=1``: the last command must end with that exit code.
- any language with ``file=NAME``: the block is written to that file.
- ``no-run`` behind any of them: not executed. Blocks of other languages are only read.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("**/*.md")])
TIMEOUT_S = 300
_FENCE = re.compile(r"^( *)(`{3,}|~{3,})\s*(.*)$")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the words behind it, first line, text."""

    language: str
    words: tuple[str, ...]
    line: int
    text: str

    def option(self, name, default=""):
        return next(
            (word.partition("=")[2] for word in self.words if word.startswith(f"{name}=")), default
        )


def blocks(text):
    """Blocks of a page; a fence in a list loses its indentation."""
    found, lines, start = [], text.splitlines(), None
    for number, line in enumerate(lines):
        match = _FENCE.match(line)
        if match is None:
            continue
        if start is None:
            start, (indent, fence, info) = number, match.groups()
        elif match[2].startswith(fence) and not match[3]:
            body = "".join(f"{item.removeprefix(indent)}\n" for item in lines[start + 1 : number])
            language, *words = info.split() or [""]
            found.append(Block(language, tuple(words), start + 2, body))
            start = None
    assert start is None, f"the fence in line {start + 1} is never closed"
    return found


def commands(text):
    """The bash script of a console block."""
    lines = text.splitlines()
    if not any(line.startswith("$ ") for line in lines):
        return text
    kept, inside = [], False
    for line in lines:
        if line.startswith("$ ") or (inside and line.startswith("> ")):
            kept.append(line[2:])
            inside = True
        else:
            inside = False
    return "\n".join(kept)


def run_console(block, where):
    scripts = Path(sys.executable).parent
    path = f"{scripts}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", commands(block.text)],
        env={**os.environ, "PATH": path, "COLUMNS": "100", "PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    expected = int(block.option("exit", "0"))
    assert done.returncode == expected, (
        f"{where}: exit code {done.returncode}, not {expected}\n{done.stdout}\n{done.stderr}"
    )
    assert "Traceback" not in done.stderr, f"{where}\n{done.stderr}"


def run_page(text, name):
    """Run the blocks of a page in the current folder; how many were run."""
    namespace = {"__name__": "__main__"}
    count = 0
    for block in blocks(text):
        where = f"{name}:{block.line}"
        if "no-run" in block.words:
            continue
        if target := block.option("file"):
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            Path(target).write_text(block.text)
        elif block.language == "python":
            # Line numbers of the page in a traceback; <> for else pytest shows the whole page.
            code = compile("\n" * (block.line - 1) + block.text, f"<{name}>", "exec")
            exec(code, namespace)
        elif block.language == "console":
            run_console(block, where)
        else:
            continue
        count += 1
    return count


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("HOME", str(tmp_path))
    yield tmp_path
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


# PyTorch's exporter of ONNX files uses what PyTorch itself calls deprecated.
@pytest.mark.filterwarnings("ignore:.*treespec.*:FutureWarning")
@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_page(page, folder):
    run_page(page.read_text(encoding="utf-8"), str(page.relative_to(ROOT)))


def test_the_runner(folder):
    page = """
```python
a = 1
```
1. in a list
   ```python
   assert a == 1
   b = a + 1
   ```
```toml file=sub/x.toml
b = 2
```
```console
$ cat sub/x.toml
b = 2
$ printf "%s\\n" \\
>   two > y.txt
```
```console
test "$(cat y.txt)" = two
imccircuit --version
```
```console exit=3
exit 3
```
```python no-run
raise ValueError
```
```console no-run
exit 1
```
```text
nothing
```
"""
    assert run_page(page, "p.md") == 6
    assert Path("sub/x.toml").read_text() == "b = 2\n"
    with pytest.raises(AssertionError, match=r"p\.md:3: exit code 1, not 0"):
        run_page("\n```console\nfalse\ntrue\n```\n", "p.md")
    with pytest.raises(NameError):
        run_page("```python\nc\n```\n", "p.md")
    with pytest.raises(AssertionError, match="never closed"):
        run_page("```python\n", "p.md")
