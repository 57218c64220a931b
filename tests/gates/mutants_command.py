"""Mistakes of `healthsweep why` and `healthsweep doctor`, by which an operator would be misled."""

from tests.gates.mutants import Mutant

_CASE, _REMARKS = "deploy/command/why/case.py", "deploy/command/why/remarks.py"
_ENGINE = "deploy/command/doctor/on_engine.py"
_WHY, _DOCTOR = "tests/deploy/test_why.py::test_", "tests/deploy/test_doctor.py::test_"

COMMAND = (
    Mutant(
        "why makes a no of what Docker could not say",
        _CASE,
        "        return unknown\n",
        '        return NotRunning(str(unknown), "missing")\n',
        f"{_WHY}docker_could_not_answer[online]",
    ),
    Mutant(
        "why asks for a short name that two could have",
        _CASE,
        "short_name_is_unique=facts.short_name_is_unique",
        "short_name_is_unique=True",
        f"{_WHY}a_short_name_that_two_could_have_is_nobodys",
    ),
    Mutant(
        "why takes a workspace whose runtime it cannot read for one with a container",
        _CASE,
        '        return "unreadable"\n',
        '        return "container"\n',
        f"{_WHY}a_runtime_that_cannot_be_read",
    ),
    Mutant(
        "why says that a container heals what silence or another program did",
        _REMARKS,
        "    if case.healed_by_container:\n",
        "    if True:\n",
        f"{_WHY}offline_for_another_reason_waits_for_a_heartbeat",
    ),
    Mutant(
        "why calls an agent silent while nobody listens",
        _REMARKS,
        '    if case.facts.deaf:\n        says = "its agent was not heard',
        '    if False:\n        says = "its agent was not heard',
        f"{_WHY}external_and_silent",
    ),
    Mutant(
        "doctor finds any one container enough to call a wrong engine the right one",
        _ENGINE,
        "    if len(missing) < len(fleet) or not wanted:\n",
        "    if len(missing) <= len(fleet) or not wanted:\n",
        f"{_DOCTOR}an_engine_that_is_not_the_fleets",
    ),
)
