"""Real faults, played with the real processes, and what they printed meanwhile, kept as data.

    python -m tests.situations --into tests/situations/data             record all of them again
    python -m tests.situations --into /tmp/logs engine_frozen           or one

Each situation is a function with a docstring that says the right verdict: what happened, to whom, whose
fault. `data/NAME.jsonl` is what sweeper, api and command printed, in the order in which it came, as
`deploy/run` or a journal in its `-o cat` form shows it; `data/NAME.journal.jsonl` the same as
`journalctl -o json`. Only the paths and the port of the recording machine are replaced by those of a host.
"""
