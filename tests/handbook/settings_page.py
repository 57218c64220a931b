"""docs/handbook/settings.md, made of the settings themselves."""

from dataclasses import fields
from typing import Any

from shared.settings import Settings

_HEAD = """\
# Settings

Settings are environment variables. On a host they stand in /etc/healthsweep/healthsweep.env, one `NAME=value`
a line, and count after `systemctl restart healthsweep.target`. The two secrets are files of their own,
/etc/healthsweep/credentials/DATABASE_URL and ADMIN_TOKEN. `bash deploy/run` takes all from its environment.

- On a host systemd listens for the api, so PORT is not read, and BIND_ADDRESS is for the sweeper's
  metrics alone: `systemctl edit healthsweep-api.socket` changes the address.
- An empty variable counts as unset.
- Durations are seconds, or carry a unit: `500ms`, `15`, `2m`, `90d`.
- Sizes are bytes, or carry a unit: `64KiB`, `2GiB`.
- Lists have commas between their words.
- A value that is refused ends the service with exit status 78, and `settings.invalid` says which one and why.
- Secrets can also come from the file that `NAME_FILE` names, or from systemd's credentials.

This says what is in force, with secrets hidden:

```sh
healthsweep config
```

This page is made from the code, and a test keeps it so.

| variable | default | what it is | it |
|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    host = Settings.load({"HEALTHSWEEP_HOME": "/var/lib/healthsweep"})
    rows = [
        f"| `{setting.name.upper()}` | {_shown(getattr(host, setting.name))} | {setting.metadata['about']} "
        f"| {_rule(setting.metadata['parse'])} |\n"
        for setting in fields(Settings)
    ]
    return _HEAD + "".join(rows)


def _shown(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "`on`" if value else "`off`"
        case float() if value.is_integer():
            return f"`{value:.0f}`"
        case frozenset():
            return f"`{','.join(sorted(value))}`" if value else ""
    return f"`{value}`"


def _rule(parse: Any) -> str:
    """What a value must be, in the words in which any other is refused."""
    try:
        parse("\0")
    except ValueError as exc:
        return str(exc)
    return "can be any text"
