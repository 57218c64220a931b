"""docs/api.md is true: its curls are run from top to bottom, and what is shown is what is answered.

Ids, tokens and times differ from run to run and count as equal. In a `text` block each line must be in the
answer or its headers, up to an ellipsis.
"""

import json
import re
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from tests.api.stage import Stage, staged
from tests.support.api import Answer
from tests.support.engine import DockerEngine
from tests.support.processes import CHECKOUT

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VARIES = [
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "TIME"),
    (re.compile(r'"[A-Za-z0-9_-]{43}"'), '"TOKEN"'),
    (re.compile(r'"[0-9a-f]{16}"'), '"REQUEST"'),
    (re.compile(r'"[0-9a-f]{32}"'), '"ETAG"'),
    (re.compile(r'"(prefix|last_used_at)": [^,}]+'), r'"\1": "VARIES"'),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "URL"),
]


@dataclass
class Curl:
    """A command, and the blocks that show what it answers."""

    command: str
    shown: list[tuple[str, str]] = field(default_factory=list)


def curls() -> list[Curl]:
    found: list[Curl] = []
    for language, content in BLOCK.findall((CHECKOUT / "docs" / "api.md").read_text()):
        if language == "sh" and content.startswith("curl "):
            found.append(Curl(content.replace("\\\n", " ")))
        elif language in ("json", "text"):
            found[-1].shown.append((language, content))
    return found


async def test_every_curl_answers_what_is_shown(
    docker: DockerEngine, database_url: str, short_directory: Path
) -> None:
    async with staged(database_url, short_directory, DOCKER_HOST=docker.host) as stage:
        plugins = Path(stage.api.environment["HEALTHSWEEP_HOME"]) / "plugins"
        shutil.copytree(CHECKOUT / "docs" / "plugins", plugins, dirs_exist_ok=True)
        variables = {"URL": "", "ADMIN_TOKEN": stage.api.admin_token}
        for curl in curls():
            method, path, answer = await run(stage, Template(curl.command).substitute(variables))
            assert curl.shown, f"nothing is shown for {curl.command}"
            for language, content in curl.shown:
                check(curl.command, answer, language, content)
            if (method, path) == ("POST", "/workspaces"):
                name = "EXT" if "connection" in answer.json else "ID"
                variables[name] = answer.json["id"]
                if name == "EXT":
                    variables["EXT_TOKEN"] = answer.json["connection"]["auth_token"]
                else:
                    await docker.container(f"ws-{answer.json['id']}")
            elif method == "POST" and path.endswith("/tokens"):
                variables["TOKEN"] = answer.json["auth_token"]
            elif path.endswith("/tokens?limit=50&offset=0"):
                variables["TOKEN_ID"] = answer.json["tokens"][0]["id"]


async def run(stage: Stage, command: str) -> tuple[str, str, Answer]:
    """What curl would do: its method, its path, and the answer."""
    words = iter(shlex.split(command)[1:])
    method, path, body, headers = "", "", None, {}
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d":
                body = next(words).encode()
            case "-o" | "-D":
                next(words)
            case "-s" | "-i":
                pass
            case _:
                assert not path, f"two addresses in {command}"
                path = word
    method = method or ("POST" if body else "GET")
    return method, path, await stage.api.call(method, path, body, headers=headers)


def check(command: str, answer: Answer, language: str, shown: str) -> None:
    if language == "json":
        assert same(json.loads(shown)) == same(answer.json), command
        return
    head = [f"HTTP/1.1 {answer.status} OK", *(f"{name}: {value}" for name, value in answer.headers.items())]
    told = neutral("\n".join([*head, answer.body.decode(errors="replace")]))
    for line in shown.splitlines():
        assert neutral(line).partition("…")[0] in told, f"{command} does not answer {line}"


def same(value: Any) -> Any:
    """The value without what varies."""
    return json.loads(neutral(json.dumps(value)))


def neutral(text: str) -> str:
    for pattern, word in VARIES:
        text = pattern.sub(word, text)
    return text


def test_every_difference_is_pinned_by_a_test_that_there_is() -> None:
    rows = [
        line
        for line in (CHECKOUT / "docs" / "differences.md").read_text().splitlines()
        if line.startswith("| ") and not line.startswith("| before")
    ]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row)
        assert named, f"no test pins {row}"
        for file, test in named:
            assert re.search(rf"def {test}\(", (CHECKOUT / "tests" / "api" / file).read_text()), test
