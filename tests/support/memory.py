"""How much memory a process takes."""

import re
from pathlib import Path


class Peak:
    """The most memory that a process has held since the last reset, over what it held when this was made."""

    def __init__(self, pid: int) -> None:
        self._process = Path(f"/proc/{pid}")
        self._before = self._read("VmRSS")
        self.reset()

    def reset(self) -> None:
        (self._process / "clear_refs").write_text("5")  # proc(5): resets the peak

    def growth(self) -> int:
        """Bytes."""
        return self._read("VmHWM") - self._before

    def _read(self, name: str) -> int:
        found = re.search(rf"(?m)^{name}:\s+(\d+) kB$", (self._process / "status").read_text())
        assert found
        return 1024 * int(found[1])
