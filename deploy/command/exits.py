"""What the exit code of a container commonly means, said alike by every verb."""

MEANINGS = {
    0: "ended by itself",
    125: "Docker could not run it",
    126: "its program cannot be run",
    127: "its program was not found",
    130: "interrupted",
    134: "aborted itself",
    137: "killed: out of memory, or by hand",
    139: "crashed: segmentation fault",
    143: "told to stop",
}

NO_CRASH = frozenset({0, 130, 143})
"""Its program ended well, or somebody ended it."""
