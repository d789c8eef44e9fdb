"""Files that a deck reads: what they hold decides its numbers, where they lie does not."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_INCLUDE = re.compile(
    r"(?P<command>\s*\.(?:inc(?:lude)?|lib))\s+(?P<path>\"[^\"]+\"|'[^']+'|\S+)(?P<rest>.*)",
    re.IGNORECASE,
)
# What else makes ngspice read a file: code models with a file of their own, compiled models.
_OTHER = re.compile(r"file\s*=|osdi|codemodel", re.IGNORECASE)
# Nine of ten lines of a large deck are resistors: those cost no look.
_LOOKED_AT = re.compile(r"\n([^rRvV\n].*)")


@dataclass(frozen=True)
class _File:
    """What a file says, with the paths of what it includes cut out, and those files in order."""

    text_sha256: str
    included: tuple[Path, ...]


class DeckFiles:
    """Hashes of included files, each read once in the life of this object.

    One object serves one look at a number of decks: the next sees a file that is edited later.
    """

    def __init__(self) -> None:
        self._files: dict[Path, _File | None] = {}
        self._hashes: dict[Path, str] = {}
        self.all_known = True

    def portable(self, text: str) -> str:
        """``text`` with every included path replaced by the file's name and a hash of its content.

        What the file includes itself is in that hash, also where files include each other, as
        libraries do whose corners share a section. A file that cannot be read, or one that is read
        in another way than by ``.include`` and ``.lib``, makes ``all_known`` False.
        """
        return self._replaced(text, Path(), self._hash)[0]

    def unchanged(self) -> bool:
        """Whether every file still holds what it held when it was read."""
        again = DeckFiles()
        return all(again._read(path) == file for path, file in self._files.items())

    def _replaced(
        self, text: str, folder: Path, said_of: Callable[[Path], str]
    ) -> tuple[str, list[Path]]:
        """Text with what is said of each included file in place of its path, and those files."""
        text = f"\n{text}"
        parts, end, included = [], 0, []
        for place in _LOOKED_AT.finditer(text):
            line = place[1]
            if _OTHER.search(line):
                self.all_known = False
            found = _INCLUDE.match(line)
            if found is None or _opens_section(found):
                continue
            path = folder / found["path"].strip("'\"")
            included.append(self._without_detour(path))
            line = f"{found['command']} {path.name} {said_of(included[-1])}{found['rest']}"
            parts += [text[end : place.start(1)], line]
            end = place.end()
        return "".join([*parts, text[end:]])[1:], included

    def _without_detour(self, path: Path) -> Path:
        """The same file; else one that reaches itself by a detour has a longer name each time."""
        try:
            return path.parent.resolve() / path.name
        except (OSError, RuntimeError):  # links in a circle
            self.all_known = False
            return path

    def _read(self, path: Path) -> _File | None:
        """A file, None if it cannot be read."""
        if path not in self._files:
            try:
                text = path.read_text(encoding="utf-8", errors="surrogateescape")
            except OSError:
                self.all_known = False
                self._files[path] = None
            else:
                thin, included = self._replaced(text, path.parent, lambda _: "")
                self._files[path] = _File(_sha256(thin), tuple(included))
        return self._files[path]

    def _hash(self, path: Path) -> str:
        """Hash of a file and of all that can be reached from it.

        Files may include each other in a circle, so hashes within hashes would have no beginning.
        Instead files are numbered in the order in which they are first met, and what each says
        stands beside the numbers of those that it includes: that is all of it, once.
        """
        if path not in self._hashes:
            numbers: dict[Path, int] = {}
            waiting, said = [path], []
            while waiting:
                each = waiting.pop()
                if each in numbers:
                    continue
                numbers[each] = len(numbers)
                file = self._read(each)
                said.append(file)
                waiting += [] if file is None else reversed(file.included)
            lines = [
                "unreadable" if file is None else
                f"{file.text_sha256} {[numbers[i] for i in file.included]}"
                for file in said
            ]  # fmt: skip
            self._hashes[path] = _sha256("\n".join(lines))
        return self._hashes[path]


def _opens_section(found: re.Match[str]) -> bool:
    """Whether the line is ``.lib NAME`` within a library, which reads no file."""
    return found["command"].strip().lower() == ".lib" and not found["rest"].strip()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
