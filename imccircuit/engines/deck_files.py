"""Files that a deck reads: what they hold decides its numbers, where they lie does not."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

_INCLUDE = re.compile(
    r"(?P<command>\s*\.(?:inc(?:lude)?|lib))\s+(?P<path>\"[^\"]+\"|'[^']+'|\S+)(?P<rest>.*)",
    re.IGNORECASE,
)
# What else makes ngspice read a file: code models with a file of their own, compiled models.
_OTHER = re.compile(r"file\s*=|osdi|codemodel", re.IGNORECASE)
# Nine of ten lines of a large deck are resistors: those cost no look.
_LOOKED_AT = re.compile(r"\n([^rRvV\n].*)")
_DEEPEST = 20


class DeckFiles:
    """Hashes of included files, each read once in the life of this object.

    One object serves one look at a number of decks: the next sees a file that is edited later.
    """

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}
        self.all_known = True

    def portable(self, text: str) -> str:
        """``text`` with every included path replaced by the file's name and a hash of its content.

        What the file includes itself is in that hash. A file that cannot be read, or one that is
        read in another way than by ``.include`` and ``.lib``, makes ``all_known`` False.
        """
        return self._portable(text, Path(), 0)

    def unchanged(self) -> bool:
        """Whether every file still holds what it held when it was read."""
        again = DeckFiles()
        return all(again._hash(path, 0) == digest for path, digest in self._known.items())

    def _portable(self, text: str, folder: Path, depth: int) -> str:
        if depth > _DEEPEST:
            self.all_known = False
        text = f"\n{text}"
        parts, end = [], 0
        for place in _LOOKED_AT.finditer(text):
            line = place[1]
            if _OTHER.search(line):
                self.all_known = False
            found = _INCLUDE.match(line)
            if found:
                parts += [text[end : place.start(1)], self._included(found, folder, depth)]
                end = place.end()
        return "".join([*parts, text[end:]])[1:]

    def _included(self, found: re.Match[str], folder: Path, depth: int) -> str:
        if found["command"].strip().lower() == ".lib" and not found["rest"].strip():
            return found[0]  # inside a library, ".lib NAME" opens a section
        path = folder / found["path"].strip("'\"")
        return f"{found['command']} {path.name} {self._hash(path, depth)}{found['rest']}"

    def _hash(self, path: Path, depth: int) -> str:
        if path not in self._known:
            try:
                text = path.read_text(encoding="utf-8", errors="surrogateescape")
            except OSError:
                self.all_known = False
                return "unreadable"
            inner = self._portable(text, path.parent, depth + 1) if depth <= _DEEPEST else text
            digest = hashlib.sha256(inner.encode("utf-8", "surrogateescape"))
            self._known[path] = digest.hexdigest()
        return self._known[path]
