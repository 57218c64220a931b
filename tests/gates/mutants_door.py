"""The door to Docker, broken: refusals, silence and noise, the two names, the list."""

from collections.abc import Iterator

from tests.gates.mutants import Mutant

_RUNNING, _ENGINE = "shared/running.py", "shared/engine.py"
_TABLE = "tests/shared/test_running.py::test_"
_MALFORMED = "tests/shared/test_running_malformed.py::test_"
_NAMES = "tests/shared/test_running_names.py::test_"
_DOOR = "tests/shared/test_engine.py::test_"
_LIST = "tests/shared/test_snapshot.py::test_"

_OF_404 = "if about_one and response.status == 404 and _says_no_such_container(body):"
_REFUSED = 'raise EngineError("refused", detail, status=response.status)'


def _refusals() -> Iterator[Mutant]:
    """Each status but 404 that says `No such container`: believed."""
    for status in (400, 401, 403, 409, 500, 503):
        believed = _OF_404.replace("== 404", f"in (404, {status})")
        test = f"{_TABLE}refused[{status}-the words]"
        yield Mutant(f"{status} is believed", _ENGINE, _OF_404, believed, test)


DOOR = (
    *_refusals(),
    Mutant(
        "a refusal is missing", _ENGINE, _REFUSED, "raise ContainerMissing", f"{_TABLE}refused[500-no body]"
    ),
    Mutant(
        "the transient branch is merged into not running",
        _RUNNING,
        "    except ContainerMissing:\n",
        "    except (ContainerMissing, EngineError):\n",
        f"{_TABLE}refused[500-a text]",
    ),
    Mutant(
        "redirects are followed",
        _ENGINE,
        "if response.status < 300 or",
        "if response.status < 400 or",
        f"{_TABLE}a_redirect_is_refused[307]",
    ),
    *(
        Mutant(
            f"{row} is missing",
            _ENGINE,
            "    if isinstance(exc, aiohttp.ClientError | OSError):\n"
            '        return EngineError("unreachable", _root(exc))',
            "    if isinstance(exc, aiohttp.ClientError | OSError):\n        raise ContainerMissing",
            f"{_TABLE}unreachable[{row}]",
        )
        for row in ("half a body", "half a 404")
    ),
    *(
        Mutant(
            f"{row} is missing",
            _ENGINE,
            "        if exc.status == _CANNOT_CONNECT:\n",
            "        if exc.status == _CANNOT_CONNECT:\n            raise ContainerMissing\n",
            f"{_TABLE}{test}[{row}]",
        )
        for test, row in (
            ("nobody_there_is_unreachable", "refused"),
            ("nobody_there_is_unreachable", "no socket"),
            ("unreachable", "EOF"),
            ("unreachable", "reset"),
        )
    ),
    *(
        Mutant(
            f"{row} is missing",
            _ENGINE,
            "    if isinstance(exc, _UNREADABLE):\n",
            "    if isinstance(exc, _UNREADABLE):\n        raise ContainerMissing\n",
            f"{_TABLE}malformed[{row}]",
        )
        for row in ("JSON without its end", "HTML that is called JSON")
    ),
    Mutant(
        "what is hardly HTTP is missing",
        _ENGINE,
        "    if isinstance(exc, aiohttp.ClientResponseError):\n",
        "    if isinstance(exc, aiohttp.ClientResponseError):\n        raise ContainerMissing\n",
        f"{_MALFORMED}what_is_hardly_http",
    ),
    Mutant(
        "a timeout is missing",
        _ENGINE,
        'raise EngineError("timeout", "no answer in time") from exc',
        "raise ContainerMissing from exc",
        f"{_TABLE}timeout[never]",
    ),
    Mutant(
        "the deadline is late",
        _ENGINE,
        "asyncio.timeout(self._timeout if",
        "asyncio.timeout(3 * self._timeout if",
        f"{_TABLE}timeout[a late answer]",
    ),
    Mutant(
        "each name has a deadline of its own",
        _RUNNING,
        "    async with engine.deadline():\n",
        "    if True:\n",
        f"{_NAMES}the_deadline_covers_both_names",
    ),
    Mutant(
        "a cancellation is a timeout",
        _ENGINE,
        "        except TimeoutError as exc:\n",
        "        except (TimeoutError, asyncio.CancelledError) as exc:\n",
        f"{_TABLE}cancelled",
    ),
    Mutant(
        "the version is asked for once and for all",
        _ENGINE,
        'self._docker.api_version = "auto"',
        "pass",
        f"{_DOOR}another_engine_at_the_same_place_is_asked_for_its_version[newer]",
    ),
    # Names
    Mutant(
        "a shared short name is asked for",
        _RUNNING,
        "    if short_name_is_unique:\n",
        "    if True:\n",
        f"{_NAMES}a_short_name_that_others_share_is_never_asked_for",
    ),
    Mutant(
        "the short name is asked for after any no",
        _RUNNING,
        "                return _read(name, await engine.inspect_container_state(name))\n",
        "                answer = _read(name, await engine.inspect_container_state(name))\n"
        "                if isinstance(answer, Running):\n                    return answer\n",
        f"{_NAMES}its_no_is_an_answer_too[exited]",
    ),
    Mutant(
        "the short name is never asked for",
        _RUNNING,
        "    if short_name_is_unique:\n",
        "    if False:\n",
        f"{_NAMES}the_short_name_follows_a_definite_404",
    ),
    Mutant(
        "an unknown about the short name is missing",
        _RUNNING,
        "                continue\n",
        "                continue\n            except EngineError:\n"
        "                if name == names[0]:\n                    raise\n",
        f"{_NAMES}unknown_by_the_short_name_is_unknown_although_the_full_one_is_missing[500 with the words]",
    ),
    Mutant(
        "the short name is a character longer",
        "shared/ids.py",
        "[:12]",
        "[:13]",
        f"{_NAMES}the_short_name_follows_a_definite_404",
    ),
    # The list
    Mutant(
        "a list's 404 is about a container",
        _ENGINE,
        "if about_one and",
        "if",
        f"{_LIST}no_such_container_is_no_answer_to_another_question[/version]",
    ),
    Mutant(
        "the list is read in another way",
        _RUNNING,
        "return _classify(name, status, container_id, {})",
        'return NotRunning(name, "exited")',
        f"{_LIST}list_and_inspect_agree[running-full name]",
    ),
    Mutant(
        "a list that is none is an empty one",
        _RUNNING,
        'raise EngineError("malformed", "a container list that is no array of objects")',
        "answer = []",
        f"{_LIST}a_list_that_is_none_is_malformed_and_never_empty[null]",
    ),
)
