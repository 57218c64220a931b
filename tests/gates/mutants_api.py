"""The api, broken: the external guard, its place, its failing open, the third outcome, the one question."""

from tests.gates.mutants import Mutant

_TARGET, _HANDLERS = "api/target.py", "api/handlers/plugins.py"
_CONTRADICTIONS = "api/contradictions.py"
_LASTING = "tests/api/test_contradictions.py::test_"
_TARGETS = "tests/api/test_targets.py::test_"
_OPEN = "tests/api/test_targets_lookup.py::test_the_guard_fails_open_and_says_so"
_TOLD_BEFORE = f"{_TARGETS}it_is_told_so_before_the_"
_SICK = f"{_TARGETS}a_sick_engine_is_not_the_workspaces_doing[502]"
_SWAP = "tests/gates/test_swap.py::test_every_consumer_follows_the_shared_function"
_WIRE = "tests/gates/test_wire.py::test_the_api_"
_STATIC = "tests/gates/test_static.py::test_nobody_else_asks_docker_and_nobody_swallows_the_answer"

_GUARD = 'guarded = await self._targets.refuse_external(workspace_id, "{}")\n'
_NO_GUARD = 'from api.target import Guarded; guarded = Guarded("")\n'
_BODY = "asked = parse_install(await self._body(request))\n"
_INDENT = " " * 8
_QUESTION = "state = await container_state(self._engine, workspace_id, short_name_is_unique=unique)\n"
_OWN_INSPECT = """found = await self._engine.inspect_container_state(f"ws-{workspace_id}")
            runs = isinstance(found, dict) and found["State"]["Running"]
            state = Running("ws", str(found["Id"])) if runs else NotRunning("ws", "exited")
"""

API = (
    # The external guard
    *(
        Mutant(
            f"the guard of {action} is deleted",
            _HANDLERS,
            _GUARD.format(action),
            _NO_GUARD,
            f"{_TARGETS}an_external_workspace_is_told_what_to_do_instead[external]",
        )
        for action in ("install", "uninstall")
    ),
    Mutant(
        "the guard stands behind the parsing",
        _HANDLERS,
        f"{_GUARD.format('install')}{_INDENT}{_BODY}",
        f"{_BODY}{_INDENT}{_GUARD.format('install')}",
        f"{_TOLD_BEFORE}body_is_looked_at[no json]",
    ),
    Mutant(
        "the guard stands behind the body",
        _HANDLERS,
        f"{_GUARD.format('install')}{_INDENT}{_BODY}",
        f"body = await self._body(request)\n{_INDENT}{_GUARD.format('install')}"
        f"{_INDENT}asked = parse_install(body)\n",
        f"{_TOLD_BEFORE}body_is_there",
    ),
    Mutant(
        "the guard stands behind the name",
        _HANDLERS,
        f'{_GUARD.format("uninstall")}{_INDENT}name = parse_plugin_name(request.match_info["name"])\n',
        f'name = parse_plugin_name(request.match_info["name"])\n{_INDENT}{_GUARD.format("uninstall")}',
        f"{_TOLD_BEFORE}name_is_looked_at[a b]",
    ),
    Mutant(
        "Docker is asked about what external workspaces have",
        _HANDLERS,
        "        if self._targets.is_external(runtime):\n",
        "        if False:\n",
        f"{_WIRE}asks_nothing_about_external_workspaces",
    ),
    # It fails open
    Mutant(
        "a look-up that fails refuses",
        _TARGET,
        "detail=str(exc))\n            return None",
        "detail=str(exc))\n            raise",
        _OPEN,
    ),
    Mutant(
        "who cannot be looked up is external",
        _TARGET,
        "return runtime in self._external_runtimes",
        "return runtime is None or runtime in self._external_runtimes",
        _OPEN,
    ),
    Mutant(
        "who cannot be looked up is not told so",
        _TARGET,
        "if self.runtime is None else {}",
        "if False else {}",
        _OPEN,
    ),
    # The third outcome
    Mutant(
        "an unknown refuses as not running",
        _TARGET,
        "raise EngineUnavailable(**guarded.hint) from exc",
        'raise ContainerNotRunning(state="missing", **guarded.hint) from exc',
        _SICK,
    ),
    Mutant(
        "an unknown lists as not running",
        _TARGET,
        'return None, "unknown"',
        'return None, "not_running"',
        f"{_SWAP}[api-unknown]",
    ),
    Mutant(
        "an unknown lists as not running, seen by the static gate",
        _TARGET,
        'return None, "unknown"',
        'return None, "not_running"',
        _STATIC,
    ),
    Mutant(
        "an unknown is a no of the one question",
        _TARGET,
        "                answer=answer,\n            )\n            raise\n",
        '                answer=answer,\n            )\n            state = NotRunning("ws", "missing")\n',
        _SICK,
    ),
    Mutant(
        "a container that does not run is Docker's doing",
        _TARGET,
        "raise ContainerNotRunning(state=answer.reason, **guarded.hint)",
        "raise EngineUnavailable(**guarded.hint)",
        f"{_SWAP}[api-not running]",
    ),
    # The one question
    Mutant("the api inspects by itself", _TARGET, _QUESTION, _OWN_INSPECT, _STATIC),
    Mutant(
        "the api inspects by itself, and believes the flag",
        _TARGET,
        _QUESTION,
        _OWN_INSPECT,
        f"{_TARGETS}a_container_that_does_not_run_is_the_workspaces_doing[paused]",
    ),
    Mutant(
        "a shared short name is asked for by the api",
        _TARGET,
        "short_name_is_unique=unique)",
        "short_name_is_unique=True)",
        "tests/api/test_targets_lookup.py::TestShortNames::test_it_is_nobodys_where_two_could_have_it[online]",
    ),
    Mutant(
        "an install fetches before it asks",
        _HANDLERS,
        "                await self._targets.container(workspace_id, guarded)\n"
        "                if not await self._store.is_allowed(",
        "                if not await self._store.is_allowed(",
        f"{_WIRE}asks_once_before_anything_is_fetched[full name]",
    ),
    # What operators are alarmed by
    Mutant(
        "a contradiction is over when Docker cannot tell",
        _CONTRADICTIONS,
        "case Running():",
        "case Running() | EngineError():",
        f"{_LASTING}while_docker_cannot_tell_it_is_neither_over_nor_older",
    ),
    Mutant(
        "a contradiction grows older while Docker cannot tell",
        _CONTRADICTIONS,
        "each.seen - each.since for",
        "time.monotonic() - each.since for",
        f"{_LASTING}while_docker_cannot_tell_it_is_neither_over_nor_older",
    ),
    Mutant(
        "a refusal that comes during a review is lost",
        _CONTRADICTIONS,
        "known = dict(self._known)",
        "known = self._known",
        f"{_LASTING}what_is_refused_during_a_review_is_kept",
    ),
    Mutant(
        "an external workspace can contradict",
        "api/app.py",
        "settings.external_runtimes | settings.unswept_runtimes",
        "settings.unswept_runtimes",
        f"{_LASTING}an_external_workspace_whose_runtime_could_not_be_looked_up_alarms_nobody",
    ),
)
