"""The truth table, broken row by row: every word, what cannot be read, what a 404 means."""

from collections.abc import Iterator

from tests.gates.mutants import Mutant

_RUNNING, _ENGINE = "shared/running.py", "shared/engine.py"
_TABLE = "tests/shared/test_running.py::test_"

_WORDS = {
    "created": "created",
    "exited": "exited",
    "paused": "paused",
    "restarting": "restarting",
    "removing": "removing",
    "dead": "dead",
    "stopped": "exited",
    "stopping": "exited",
    "initialized": "created",
}
_OF_404 = "if about_one and response.status == 404 and _says_no_such_container(body):"


def _words() -> Iterator[Mutant]:
    """Each word of `State.Status`: with another reason, and as good as running."""
    for word, reason in _WORDS.items():
        row, test = f'    "{word}": "{reason}",\n', f"{_TABLE}not_running[{word}-{reason}]"
        other = "dead" if reason != "dead" else "removing"
        yield Mutant(f"{word} is {other}", _RUNNING, row, f'    "{word}": "{other}",\n', test)
        running = f'if status in ("running", "{word}"):'
        yield Mutant(f"{word} runs", _RUNNING, 'if status == "running":', running, test)


TABLE = (
    *_words(),
    Mutant(
        "running is no word", _RUNNING, 'if status == "running":', 'if status == "up":', f"{_TABLE}running"
    ),
    Mutant(
        "the flag Running decides",
        _RUNNING,
        'if status == "running":',
        'if word == "running" or state.get("Running"):',
        f"{_TABLE}status_decides_and_not_the_flags[paused, Running true]",
    ),
    Mutant(
        "another word is a no",
        _RUNNING,
        'raise EngineError("malformed", f"unknown container state {status!r:.40}")',
        'return NotRunning(name, "dead")',
        f"{_TABLE}malformed[another word]",
    ),
    Mutant(
        "Status missing is a no",
        _RUNNING,
        "    if not isinstance(status, str) or status not in _REASONS:",
        '    if status is None:\n        return NotRunning(name, "dead")\n'
        "    if not isinstance(status, str) or status not in _REASONS:",
        f"{_TABLE}malformed[Status missing]",
    ),
    *(
        Mutant(
            f"{row} is missing",
            _RUNNING,
            'raise EngineError("malformed", "an inspect without a State object")',
            'return NotRunning(name, "missing")',
            f"{_TABLE}malformed[{row}]",
        )
        for row in ("State missing", "State null", "State a text", "null", "empty array")
    ),
    Mutant(
        "running without an id",
        _RUNNING,
        "if not isinstance(container_id, str) or not _CONTAINER_ID.fullmatch(container_id):",
        "if False:",
        f"{_TABLE}malformed[running without Id]",
    ),
    Mutant(
        "running without StartedAt",
        _RUNNING,
        '_text(state.get("StartedAt"))',
        "None",
        f"{_TABLE}running",
    ),
    Mutant(
        "an exit code where nothing ended",
        _RUNNING,
        "if status in _ENDED else None",
        "",
        f"{_TABLE}what_has_not_ended_has_no_exit_code[paused]",
    ),
    Mutant(
        "no exit code",
        _RUNNING,
        "_REASONS[status], exit_code,",
        "_REASONS[status], None,",
        f"{_TABLE}an_end_has_its_exit_code_and_its_time[exited]",
    ),
    # What a 404 means
    Mutant(
        "only dockerd's 404", _ENGINE, '("message", "cause")', '("message",)', f"{_TABLE}missing[cause alone]"
    ),
    Mutant(
        "only Podman's 404", _ENGINE, '("message", "cause")', '("cause",)', f"{_TABLE}missing[message alone]"
    ),
    Mutant("only lower case", _ENGINE, "in text.lower()", "in text", f"{_TABLE}missing[dockerd]"),
    *(
        Mutant(
            f"a 404 is a 404: {row}",
            _ENGINE,
            _OF_404,
            "if about_one and response.status == 404:",
            f"{_TABLE}any_other_404_is_refused[{row}]",
        )
        for row in ("page not found", "HTML", "no body", "no message", "a gateway")
    ),
    Mutant(
        "any text of a 404 counts",
        _ENGINE,
        "    except (ValueError, RecursionError):\n        return []",
        "    except (ValueError, RecursionError):\n        return [body.decode()]",
        f"{_TABLE}any_other_404_is_refused[HTML with the words]",
    ),
    Mutant(
        "a missing anything counts",
        _ENGINE,
        '"no such container" in text.lower()',
        '"no such" in text.lower()',
        f"{_TABLE}any_other_404_is_refused[no such image]",
    ),
)
