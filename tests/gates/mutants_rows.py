"""The rows, broken: which are the sweeper's, who counts as silent, what is written and said."""

from tests.gates.mutants import Mutant

_SWEEP, _MARK = "sweeper/sweep.py", "sweeper/mark.py"
_STORE, _WRITE = "sweeper/store.py", "shared/transitions.py"
_SWEEPER = "tests/sweeper/test_"
_RACES = "tests/shared/test_transition_races.py::test_"

ROWS = (
    # Who may be changed
    Mutant(
        "unswept runtimes are swept",
        _STORE,
        "WHERE NOT workspace.runtime = ANY ($1::text[])",
        "WHERE $1::text[] IS NOT NULL",
        f"{_SWEEPER}rows.py::test_unswept_runtimes_are_never_written",
    ),
    Mutant(
        "an empty runtime is one of its own",
        _STORE,
        "coalesce(nullif(runtime, ''), 'langgraph')",
        "coalesce(runtime, 'langgraph')",
        f"{_SWEEPER}rows.py::test_an_empty_runtime_counts_as_langgraph",
    ),
    Mutant(
        "rows that live elsewhere are ours",
        _STORE,
        "            AND instance_id IS NULL\n",
        "",
        f"{_SWEEPER}rows.py::test_rows_that_live_elsewhere_are_not_ours[text]",
    ),
    *(
        Mutant(
            f"{status} is swept",
            _STORE,
            "('online', 'degraded', 'offline')",
            f"('online', 'degraded', 'offline', '{status}')",
            f"{_SWEEPER}table.py::test_other_statuses_are_never_touched[{status}]",
        )
        for status in ("provisioning", "failed", "paused", "hibernated", "removed", "awaiting_agent")
    ),
    Mutant(
        "anybody's offline is healed",
        _SWEEP,
        'workspace.status == "offline" and workspace.offline_reason in HEALED_BY_CONTAINER',
        'workspace.status == "offline"',
        f"{_SWEEPER}table.py::test_a_running_container_heals_nobody_elses_offline",
    ),
    Mutant(
        "a resumed one is not healed",
        _SWEEP,
        '| {"created", "resumed"}',
        '| {"created"}',
        f"{_SWEEPER}table.py::test_a_running_container_heals_an_offline_of_ours[resumed]",
    ),
    Mutant(
        "a degraded one is not marked",
        _SWEEP,
        'workspace.status in ("online", "degraded")',
        'workspace.status == "online"',
        f"{_SWEEPER}table.py::test_a_container_that_does_not_run_takes_online_and_degraded_offline[exited]",
    ),
    *(
        Mutant(
            f"a short name is unique although {other} has it too",
            _STORE,
            "FROM public.workspaces GROUP BY 1",
            f"FROM public.workspaces WHERE {clause} GROUP BY 1",
            f"{_SWEEPER}rows.py::test_a_short_name_that_two_rows_share_is_nobodys[{case}]",
        )
        for other, clause, case in (
            ("a removed one", "status::text <> 'removed'", "langgraph-removed"),
            ("an external one", "runtime <> 'external'", "external-online"),
            ("anybody", "false", "langgraph-online"),
        )
    ),
    # Silence
    *(
        Mutant(
            f"silence counts {what}",
            _STORE,
            text,
            instead,
            f"{_SWEEPER}external.py::test_nobody_is_silent_while_nobody_listens[{case}]",
        )
        for what, text, instead, case in (
            (
                "while nobody listens",
                "make_interval(secs => $4)",
                "make_interval(secs => 3600 * $4)",
                "16 s-1 h-False",
            ),
            ("from before somebody listened", "head.heard_since, $2", "$2", "0 s-0 s-False"),
            ("never, when an api ran once", "api.seen_at < now()", "api.seen_at > now()", "14 s-1 h-True"),
        )
    ),
    Mutant(
        "the deaf judge",
        _SWEEP,
        'may_become(workspace, "offline") and not workspace.deaf',
        'may_become(workspace, "offline")',
        f"{_SWEEPER}external.py::test_nobody_is_silent_while_nobody_listens[16 s-1 h-False]",
    ),
    Mutant(
        "silence counts through our own outage",
        _SWEEP,
        "        if after_outage:\n",
        "        if False:\n",
        f"{_SWEEPER}external.py::test_our_own_outage_counts_as_nobodys_silence",
    ),
    Mutant(
        "everybody is silent",
        _SWEEP,
        "workspace.silent_s <= self._settings.remote_liveness_stale_after",
        "workspace.silent_s <= 0",
        f"{_SWEEPER}external.py::test_a_stale_one_goes_offline_without_a_question[external-online]",
    ),
    # What is written
    *(
        Mutant(
            f"{what} between look and write is overwritten",
            _WRITE,
            "AND workspace.xmin::text = wanted.version",
            "AND wanted.version IS NOT NULL",
            f"{_RACES}{test}",
        )
        for what, test in (
            ("a heartbeat", "a_write_that_is_committed_wins[heartbeat]"),
            ("a status that went there and back", "there_and_back_again_is_a_write_too"),
        )
    ),
    Mutant(
        "what is written between look and write is overwritten",
        _WRITE,
        "WHERE workspace.status::text = wanted.seen AND workspace.xmin::text = wanted.version",
        "WHERE wanted.version IS NOT NULL",
        f"{_SWEEPER}interleavings.py::test_fifty_interleavings",
    ),
    Mutant(
        "a locked row is waited for",
        _WRITE,
        "FOR UPDATE OF workspace SKIP LOCKED",
        "FOR UPDATE OF workspace",
        f"{_RACES}a_write_that_is_under_way_wins_and_is_not_waited_for[pause-committed later]",
    ),
    Mutant(
        "what was not written is said to be",
        _MARK,
        "if verdict.workspace.id not in marked.changed:",
        "if False:",
        f"{_SWEEPER}interleavings.py::test_fifty_interleavings",
    ),
    Mutant(
        "a transition without a notice",
        _WRITE,
        "pg_notify('healthsweep', json",
        "pg_notify('somewhere', json",
        "tests/shared/test_transitions.py::test_the_row_its_history_and_a_notice",
    ),
    Mutant(
        "an observer writes",
        _MARK,
        "        if not self._write:\n",
        "        if False:\n",
        f"{_SWEEPER}observing.py::test_what_would_change_is_said_once_and_not_written",
    ),
)
