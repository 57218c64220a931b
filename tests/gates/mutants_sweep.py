"""The sweeper, broken: the third outcome, the one question, graces, the brake."""

from tests.gates.mutants import Mutant

_LOOK, _SWEEP = "sweeper/look.py", "sweeper/sweep.py"
_GATES = "tests/gates/test_"
_SWEEPER = "tests/sweeper/test_"
_MISSING = 'NotRunning("ws", "missing")'
_QUESTION = """await container_state(
                        self._engine, workspace.id, short_name_is_unique=workspace.short_name_is_unique
                    )
"""

SWEEP = (
    # The third outcome
    Mutant(
        "an unknown is written as offline",
        _LOOK,
        "                    return workspace, unknown",
        f"                    return workspace, {_MISSING}",
        f"{_GATES}swap.py::test_every_consumer_follows_the_shared_function[sweeper-unknown]",
    ),
    Mutant(
        "an unknown is written as offline, seen by the static gate",
        _LOOK,
        "                    return workspace, unknown",
        f"                    return workspace, {_MISSING}",
        f"{_GATES}static.py::test_nobody_else_asks_docker_and_nobody_swallows_the_answer",
    ),
    Mutant(
        "an unknown decides",
        _SWEEP,
        "                continue  # nothing is known, and the grace stays",
        '                offline.append(Verdict(workspace=workspace, reason="missing"))\n'
        "                continue",
        f"{_GATES}swap.py::test_every_consumer_follows_the_shared_function[sweeper-unknown]",
    ),
    Mutant(
        "an engine without a list has no containers",
        _LOOK,
        "            return unknown\n        metrics",
        "            return Snapshot({})\n        metrics",
        f"{_SWEEPER}unknown.py::test_a_faulty_engine_is_said_on_its_edges[502]",
    ),
    Mutant(
        "a word of the list that nobody knows is a no",
        _SWEEP,
        "    except EngineError as unknown:\n        return unknown",
        f"    except EngineError:\n        return {_MISSING}",
        f"{_SWEEPER}unknown.py::test_a_word_of_the_list_that_nobody_knows_is_no_answer",
    ),
    # The one question
    Mutant(
        "the sweeper inspects by itself",
        _LOOK,
        f"return workspace, {_QUESTION}",
        'found = await self._engine.inspect_container_state(f"ws-{workspace.id}")\n'
        '                    runs = isinstance(found, dict) and found["State"]["Running"]\n'
        f'                    return workspace, Running("ws", "1") if runs else {_MISSING}\n',
        f"{_GATES}static.py::test_nobody_else_asks_docker_and_nobody_swallows_the_answer",
    ),
    Mutant(
        "the sweeper asks twice",
        _LOOK,
        f"return workspace, {_QUESTION}",
        f"{_QUESTION}                    return workspace, {_QUESTION}",
        f"{_GATES}wire.py::test_a_sweep_asks_by_the_shared_function_only",
    ),
    Mutant(
        "everybody is asked about",
        _SWEEP,
        'return workspace.status in ("online", "degraded")',
        "return True",
        f"{_GATES}wire.py::test_a_sweep_asks_about_nobody_whose_status_is_right",
    ),
    Mutant(
        "the list's word is enough",
        _LOOK,
        f"return workspace, {_QUESTION}",
        "return workspace, (await container_snapshot(self._engine)).state(\n"
        "                        workspace.id, short_name_is_unique=workspace.short_name_is_unique\n"
        "                    )\n",
        f"{_GATES}swap.py::test_every_consumer_follows_the_shared_function[sweeper-unknown]",
    ),
    Mutant(
        "external ones are looked up",
        _SWEEP,
        "if local := [w for w in fleet.workspaces if w.runtime not in external]:",
        "if local := fleet.workspaces:",
        f"{_GATES}wire.py::test_external_workspaces_cause_no_request_at_all",
    ),
    Mutant(
        "one that becomes external in its grace is asked about",
        _SWEEP,
        "if w.runtime not in external and may_become",
        "if may_become",
        f"{_SWEEPER}external.py::test_one_that_becomes_external_in_its_grace_is_not_asked_about",
    ),
    # Graces
    Mutant(
        "offline without a grace",
        _SWEEP,
        '{"offline": now + self._settings.offline_grace,',
        '{"offline": now,',
        f"{_SWEEPER}graces.py::test_the_second_look_for_offline_comes_when_the_grace_ends",
    ),
    Mutant(
        "online at the first look",
        _SWEEP,
        '                    self._graces[workspace.id] = Grace("online", second_look, first_look=answer)\n',
        "                    online.append(Verdict.of(workspace, answer))\n",
        f"{_SWEEPER}graces.py::test_online_takes_two_looks_a_grace_apart",
    ),
    *(
        Mutant(
            f"{case} is the same container",
            _SWEEP,
            "if answer == grace.first_look:",
            "if grace.first_look is not None:",
            f"{_SWEEPER}graces.py::test_a_restart_between_the_looks_starts_over[{case}]",
        )
        for case in ("restarted", "recreated")
    ),
    Mutant(
        "an unknown ends the grace",
        _SWEEP,
        "                continue  # nothing is known, and the grace stays",
        "                del self._graces[workspace.id]\n                continue",
        f"{_SWEEPER}graces.py::test_an_unknown_answer_keeps_the_grace",
    ),
    Mutant(
        "a grace starts anew with each sweep",
        _SWEEP,
        "elif grace is not None and grace.target == target:",
        "elif False:",
        f"{_SWEEPER}graces.py::test_a_grace_is_not_prolonged_by_the_sweeps_within_it",
    ),
    # The brake
    Mutant(
        "the brake at six", _SWEEP, "BRAKE_AT = 5", "BRAKE_AT = 6", f"{_SWEEPER}brake.py::test_five_are_held"
    ),
    Mutant(
        "the brake at four", _SWEEP, "BRAKE_AT = 5", "BRAKE_AT = 4", f"{_SWEEPER}brake.py::test_four_are_not"
    ),
    Mutant(
        "the brake only counts",
        _SWEEP,
        "holding = none_seen and many",
        "holding = many",
        f"{_SWEEPER}brake.py::test_a_container_that_is_there_and_dead_was_seen",
    ),
    Mutant(
        "the brake holds nobody",
        _SWEEP,
        'return self._holding and grace.target == "offline"',
        "return False",
        f"{_SWEEPER}brake.py::test_graces_that_run_are_counted_and_held",
    ),
    Mutant(
        "the brake lets go of fewer than five",
        _SWEEP,
        "candidates >= BRAKE_AT or (self._holding and candidates > 0)",
        "candidates >= BRAKE_AT",
        f"{_SWEEPER}brake.py::test_it_holds_until_one_is_seen",
    ),
    Mutant(
        "force does not lift the brake",
        _SWEEP,
        "none_seen and many and not force",
        "none_seen and many",
        f"{_SWEEPER}brake.py::test_force_lifts_it_for_one_sweep",
    ),
    # The manager's watchdog
    Mutant(
        "who has nothing to do is taken for hung",
        "shared/systemd.py",
        "        await asyncio.sleep(watchdog_s() / 2)\n        alive()\n",
        "        await asyncio.sleep(watchdog_s() / 2)\n",
        "tests/shared/test_systemd.py::test_who_has_nothing_to_do_is_not_taken_for_hung",
    ),
    Mutant(
        "who is not watched feeds all the same",
        "shared/systemd.py",
        ' or os.environ.get("WATCHDOG_PID", _own_pid()) != _own_pid()',
        "",
        "tests/shared/test_systemd.py::test_who_is_not_watched_says_nothing[WATCHDOG_PID]",
    ),
)
