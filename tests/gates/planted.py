"""What is planted to see the static gate: consumers that are welcome, and those that are not."""

from typing import NamedTuple


class Planted(NamedTuple):
    """What a third consumer, `worker`, or an existing file would say; ASK opens a function around it."""

    name: str
    text: str
    file: str = "worker/work.py"


ASK = "async def ask(engine, workspace_id, docker, log):\n    "
TRY = f"from shared.running import *\nfrom shared.errors import *\n{ASK}try:\n        return "
THEN = "await container_state(engine, workspace_id, short_name_is_unique=True)\n    "


WELCOME = (
    Planted("from", f"from shared.running import container_state\n{ASK}await container_state(engine)"),
    Planted("from, as", f"from shared.running import container_state as c\n{ASK}await c(engine)"),
    Planted("module", f"import shared.running\n{ASK}await shared.running.container_state(engine)"),
    Planted("module, as", f"import shared.running as r\n{ASK}await r.container_state(engine)"),
    Planted("from package", f"from shared import running\n{ASK}await running.container_state(engine)"),
    Planted(
        "alias", f"from shared import running\nquestion = running.container_state\n{ASK}await question()"
    ),
    Planted("star", f"from shared.running import *\n{ASK}await container_state(engine)"),
    Planted("handed on", f"from worker.names import anything\n{ASK}await anything(engine)"),
    Planted("relative", f"from .names import anything\n{ASK}await anything(engine)"),
    Planted("inside", f"{ASK}from shared.running import container_state as c\n    await c(engine)"),
    Planted("lets it through", f"{TRY}{THEN}finally:\n        log.info('worker.asked')"),
    Planted(
        "another question of the engine's",
        f"from shared.errors import *\n{ASK}try:\n        await engine.restart()\n    "
        "except EngineError as e:\n        log.warning('x.y', detail=str(e))",
        "api/extra.py",
    ),
    Planted("another error", f"{TRY}{THEN}except WorkspaceIdError:\n        return None"),
    Planted("raises its own", f"{TRY}{THEN}except EngineError as e:\n        raise ValueError from e"),
    Planted("hands it on", f"{TRY}{THEN}except EngineError as e:\n        log.info('x.y')\n        return e"),
    Planted("acts", f"{TRY}{THEN}except EngineError as e:\n        engine.failures.append(e)"),
    Planted(
        "a container's exec", f"{ASK}await docker.containers.container('x').exec('true')", "shared/engine.py"
    ),
    Planted("other paths", f"{ASK}await docker._query(f'containers/{{docker}}/start')", "shared/engine.py"),
    Planted("a soft list", f"{TRY}{THEN}except EngineError:\n        return None, 'unknown'", "api/soft.py"),
)


ASKS_ITSELF = (
    Planted("the engine's method", f"{ASK}await engine.inspect_container_state('ws-1')"),
    Planted("the engine's list", f"{ASK}await engine.list_container_states()"),
    Planted(
        "a wrapper", f"{ASK}await peek(engine)\nasync def peek(e): await e.inspect_container_state('ws')"
    ),
    Planted("a wrapper elsewhere", f"{ASK}await engine.inspect_container_state('ws-1')", "worker/a/peek.py"),
    Planted("an alias of the method", f"{ASK}peek = engine.inspect_container_state\n    await peek('ws-1')"),
    Planted("getattr", f"{ASK}await getattr(engine, 'inspect_container_state')('ws-1')"),
    Planted("getattr, in pieces", f"{ASK}await getattr(engine, 'inspect_' + 'container_state')('ws-1')"),
    Planted("methodcaller", f"import operator\n{ASK}operator.methodcaller('list_container_states')(engine)"),
    Planted("its own method", f"{ASK}...\nclass Own:\n    async def inspect_container_state(self): ..."),
    Planted("in the sweeper", f"{ASK}await engine.inspect_container_state('ws-1')", "sweeper/look.py"),
    Planted("a door beside the door", f"{ASK}await engine.inspect_container_state('x')", "shared/engine.py"),
    Planted("twice where it may", f"{ASK}await engine.inspect_container_state('x')", "shared/running.py"),
    Planted("show", f"{ASK}await docker.containers.container('ws-1').show()"),
    Planted("show in the engine", f"{ASK}await docker.containers.container('x').show()", "shared/engine.py"),
    Planted("get", f"{ASK}await docker.containers.get('ws-1')"),
    Planted("list", f"{ASK}await docker.containers.list(all=True)"),
    Planted("list under another name", f"{ASK}them = docker.containers\n    await them.list(all=True)"),
    Planted("show by name", f"{ASK}await getattr(docker, 'show')()"),
    Planted("into the engine", f"{ASK}await engine._docker.system.info()"),
    Planted("aiodocker", f"import aiodocker\n{ASK}..."),
    Planted("aiodocker inside", f"{ASK}from aiodocker import Docker"),
    Planted("aiodocker by name", f"import importlib\n{ASK}importlib.import_module('aiodocker')"),
    Planted("a path", f"{ASK}await docker.get('/containers/json')"),
    Planted("a path with a query", f"{ASK}await docker.get('http://d/v1.41/containers/json?all=1')"),
    Planted("a path with a name", f"{ASK}await docker.get(f'/containers/{{workspace_id}}/json')"),
    Planted("a path in pieces", f"PREFIX = '/containers/'\n{ASK}await docker.get(PREFIX + 'ws-1' + '/json')"),
    Planted("a path by format", f"{ASK}await docker.get('/containers/%s/json' % workspace_id)"),
    Planted("a path in deploy", f"{ASK}docker('GET', f'/containers/{{docker}}/json')", "deploy/images.py"),
    Planted("a path in the engine", f"{ASK}await docker._query_json('containers/json')", "shared/engine.py"),
    Planted("the command", f"import subprocess\n{ASK}subprocess.run(['docker', 'inspect', 'ws-1'])"),
    Planted(
        "the command, async", f"import asyncio as a\n{ASK}a.create_subprocess_exec('podman', 'ps', '-a')"
    ),
    Planted("the command, in a shell", f"import os\n{ASK}os.system(f'docker -H x inspect {{docker}}')"),
)


SWALLOWS = (
    "except EngineError:\n        return None",
    "except EngineError:\n        return",
    "except EngineError as unknown:\n        log.warning('x.y', reason=unknown.reason)\n        return False",
    "except EngineError:\n        return []",
    "except EngineError:\n        return {}",
    "except EngineError:\n        return set()",
    "except EngineError:\n        return workspace_id, None",
    "except EngineError:\n        yield None",
    "except EngineError:\n        state = None\n    return state",
    "except EngineError:\n        if log: return False\n        raise",
    "except EngineError:\n        pass",
    "except EngineError as unknown:\n        log.warning('x.y', reason=unknown.reason)",
    "except (ValueError, EngineError):\n        return None",
    "except HealthsweepError:\n        return None",
    "except Exception:\n        return False",
    "except BaseException:\n        return False",
    "except:\n        return False",
    "finally:\n        return False",
    "except EngineError:\n        return NotRunning('x', 'missing')",
)


OTHER_CLOTHES = (
    Planted(
        "another name", f"from shared import errors as e\n{TRY}{THEN}except e.EngineError:\n        return 0"
    ),
    Planted(
        "the list",
        f"from shared.running import *\n{ASK}try:\n        return await container_snapshot(engine)\n    "
        "except Exception:\n        return []",
    ),
    Planted(
        "around a wrapper",
        f"{TRY}{THEN}except ValueError:\n        raise\nasync def wrapper(engine):\n    try:\n"
        "        return await ask(engine)\n    except Exception:\n        return None",
    ),
    Planted(
        "around somebody's method",
        "from shared.running import *\nfrom shared.errors import *\n"
        "class Asker:\n    async def look(self):\n        return await container_state(self)\n"
        f"{ASK}try:\n        return await engine.asker.look()\n    except EngineError:\n        return None",
    ),
    Planted(
        "two methods of one name",
        "from shared.running import *\nfrom shared.errors import *\n"
        "class One:\n    async def look(self):\n        return await container_state(self)\n"
        "class Other:\n    async def look(self):\n        return 1\n"
        f"{ASK}try:\n        return await engine.look()\n    except EngineError:\n        return None",
    ),
    Planted(
        "suppress",
        f"from shared.running import *\nfrom shared.errors import *\nimport contextlib\n{ASK}"
        "with contextlib.suppress(EngineError):\n        await container_state(engine)",
    ),
)

NAMESAKES = (
    f"async def container_state(*_): ...\n{ASK}await container_state(engine)",
    f"from shared.running import container_state\n{ASK}return 'imported, and never called'",
    f"from shared.running import container_state\n{ASK}await engine.container_state(workspace_id)",
    f"from worker.namesake import container_state\n{ASK}await container_state(engine)",
    "from shared.running import container_state\nasync def ask(container_state): await container_state(1)",
    f"from shared.running import container_state\ncontainer_state = 1\n{ASK}await container_state(engine)",
    f"class running:\n    container_state = print\n{ASK}await running.container_state(engine)",
    "# container_state(engine, workspace_id) is called by somebody else",
)
