"""The api's works, who does them, and how much of everything there is."""

from collections.abc import Mapping
from dataclasses import dataclass

REFERENCE, OURS, NGINX, CACHED = "reference", "ours", "nginx", "reference, statements kept"
LISTING, DOWNLOAD, INSTALL, HEARTBEATS = "listing", "download", "install", "heartbeats"


@dataclass(frozen=True, slots=True)
class PluginSizes:
    """A plugin's noise, which nobody can compress, and its text, which gzip makes a third of."""

    noise_mb: int
    text_mb: int

    @property
    def tree_mb(self) -> int:
        return self.noise_mb + self.text_mb

    @property
    def archive_mb(self) -> int:
        return self.noise_mb + round(self.text_mb / 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much of everything; `times` is how often each side is asked in a round."""

    plugins: int
    downloaded: PluginSizes
    downloading: int
    installed: PluginSizes
    beating: int
    times: Mapping[str, Mapping[str, int]]

    def title(self, work: str) -> str:
        return {
            LISTING: f"listing {self.plugins} plugins of a container",
            DOWNLOAD: f"download of {self.downloaded.archive_mb} MB, {self.downloading} clients at once",
            INSTALL: f"install of {self.installed.tree_mb} MB into a container",
            HEARTBEATS: f"heartbeats, {self.beating} clients at once",
        }[work]


FULL = Sizes(
    plugins=30,
    downloaded=PluginSizes(noise_mb=10, text_mb=30),  # half of the archive each
    downloading=16,
    installed=PluginSizes(noise_mb=60, text_mb=30),
    beating=64,
    times={  # a second or more each, but for the reference: what it does takes that long
        LISTING: {REFERENCE: 1, OURS: 8},
        DOWNLOAD: {REFERENCE: 16, OURS: 160, NGINX: 160},
        INSTALL: {REFERENCE: 1, OURS: 1},
        HEARTBEATS: {REFERENCE: 2000, OURS: 10_000, CACHED: 4000},
    },
)
SMALL = Sizes(
    plugins=6,
    downloaded=PluginSizes(noise_mb=1, text_mb=3),
    downloading=4,
    installed=PluginSizes(noise_mb=6, text_mb=3),
    beating=16,
    times={
        LISTING: {REFERENCE: 1, OURS: 1},
        DOWNLOAD: {REFERENCE: 4, OURS: 40, NGINX: 40},
        INSTALL: {REFERENCE: 1, OURS: 1},
        HEARTBEATS: {REFERENCE: 160, OURS: 800, CACHED: 160},
    },
)
