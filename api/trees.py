"""What may be in a plugin. Paths, kinds and limits are checked before a byte is read.

A plugin is regular files and directories with names that every agent's file system can hold. Refused are
symbolic links, hard links (what they share with the host is not the plugin's), devices, pipes, sockets,
setuid, setgid and sticky bits, and paths that are absolute, leave the plugin, are too long, are no UTF-8 or
differ from another one only by case.
"""

import stat
import unicodedata
from dataclasses import dataclass

from api.errors import ContentRefused, PluginTooLarge

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 1024

_REFUSED_KINDS = {
    stat.S_IFLNK: "symbolic link",
    stat.S_IFIFO: "named pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFBLK: "device",
    stat.S_IFCHR: "device",
}
_REFUSED_BITS = {stat.S_ISUID: "setuid bit", stat.S_ISGID: "setgid bit", stat.S_ISVTX: "sticky bit"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or a directory of a plugin; `path` is relative to its root, `mode` the permission bits."""

    path: str
    size: int
    mode: int
    is_directory: bool


class Listing:
    """What a plugin says is in it, entry by entry, parents first; the first that breaks a rule ends it."""

    def __init__(self, *, max_bytes: int, max_files: int) -> None:
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._entries: list[Entry] = []
        self._directories = {b""}
        self._folded: set[str] = set()
        self._files = 0
        self.size_bytes = 0

    def admit(self, path: bytes, mode: int, size: int, *, links: int = 1) -> Entry:
        """The entry at `path`, with `mode` as of stat(2). Raises ContentRefused, PluginTooLarge."""
        refuse_kind(path, mode, links)
        is_directory = stat.S_ISDIR(mode)
        entry = Entry(self._name(path), 0 if is_directory else size, stat.S_IMODE(mode), is_directory)
        self._entries.append(entry)
        if is_directory:
            self._directories.add(path)
        else:
            self._files += 1
            self.size_bytes += size
        most = self._max_files
        if self.size_bytes > self._max_bytes or self._files > most or len(self._directories) > most + 1:
            raise PluginTooLarge(
                hint=f"at most {self._max_bytes} bytes, {most} files and as many directories"
            )
        return entry

    def entries(self) -> tuple[Entry, ...]:
        """All of them, sorted by the bytes of their paths: a directory comes before what is in it."""
        return tuple(sorted(self._entries, key=lambda entry: entry.path.encode()))

    def _name(self, path: bytes) -> str:
        parent, _, name = path.rpartition(b"/")
        if path.startswith(b"/") or name in (b"", b".", b"..") or parent not in self._directories:
            raise ContentRefused("path that leaves the plugin", shown(path))
        if b"\0" in name:
            raise ContentRefused("NUL in a name", shown(path))
        if len(name) > MAX_NAME_BYTES or len(path) > MAX_PATH_BYTES:
            raise ContentRefused("over-long name", shown(path))
        try:
            text = path.decode()
        except UnicodeDecodeError as exc:
            raise ContentRefused("name that is not UTF-8", shown(path)) from exc
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
        if folded in self._folded:
            raise ContentRefused("names that differ only by case", shown(path))
        self._folded.add(folded)
        return text


def refuse_kind(path: bytes, mode: int, links: int) -> None:
    """Raises ContentRefused unless `mode` and the number of links are of a plain file or a directory."""
    kind = stat.S_IFMT(mode)
    reason = _REFUSED_KINDS.get(kind)
    if kind == stat.S_IFREG and links > 1:
        reason = "hard link"
    elif reason is None and kind not in (stat.S_IFREG, stat.S_IFDIR):
        reason = "neither a file nor a directory"
    for bit, name in _REFUSED_BITS.items():
        if reason is None and mode & bit:
            reason = name
    if reason:
        raise ContentRefused(reason, shown(path))


def shown(path: bytes) -> str:
    """The path as people can read it, whatever it is made of."""
    return path.decode(errors="backslashreplace")
