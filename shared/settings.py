"""Configuration: the environment, parsed once, typed, within ranges, or refused with the variable's name.

An empty variable counts as unset. Durations are seconds, or carry a unit (`500ms`, `2m`, `90d`). Secrets
are also read from `$CREDENTIALS_DIRECTORY/NAME` (systemd) or from the file that `NAME_FILE` names.
"""

import errno
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import urlsplit

from shared.errors import SettingsError

_CHECKOUT = Path(__file__).resolve().parent.parent
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_MAX_PORT = 65535
_PORTS = re.compile(r":(\d+)(?=,|$)")
_HOSTS = re.compile(r"((\[[^\]]*\]|[^\[\]:,]*)(:\d{1,5})?(,|$))*")
_BYTES = {None: 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _default_home() -> Path:
    return _CHECKOUT / ".run" if (_CHECKOUT / "pyproject.toml").exists() else Path("/var/lib/healthsweep")


def _number(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def _duration(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        match = _DURATION.fullmatch(text)
        seconds = float(match[1]) * _SECONDS[match[2] or "s"] if match else -1
        if not low <= seconds <= high:
            raise ValueError(f"must be a duration from {low} to {high} seconds, such as 15, 500ms or 2m")
        return seconds

    return parse


def _bytes(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        match = re.fullmatch(r"(\d{1,15})\s*([KMG]i)?B?", text)
        number = int(match[1]) * _BYTES[match[2]] if match else -1
        if not low <= number <= high:
            raise ValueError(f"must be a number of bytes from {low} to {high}, such as 2GiB")
        return number

    return parse


def _switch(text: str) -> bool:
    if text.lower() in ("on", "true", "yes", "1"):
        return True
    if text.lower() in ("off", "false", "no", "0"):
        return False
    raise ValueError("must be on or off")


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text.lower()

    return parse


def _words(text: str) -> frozenset[str]:
    return frozenset(word for part in text.split(",") if (word := part.strip()))


def _directory(text: str) -> Path:
    if not text.startswith("/"):
        raise ValueError("must be an absolute path")
    return Path(text)


def _database_url(text: str) -> str:
    # No URL parser: there can be several hosts, and some versions of urlsplit know only one in brackets.
    place = re.match(r"postgres(?:ql)?://([^/?#]*)", text)
    hosts = place[1].rpartition("@")[2] if place else ":"
    if not _HOSTS.fullmatch(hosts) or any(int(port) > _MAX_PORT for port in _PORTS.findall(hosts)):
        raise ValueError("must be a url such as postgresql://user:password@host:5432/database")
    return text


def _docker_host(text: str) -> str:
    port = re.fullmatch(r"unix:///.+|tcp://[^/\s]+:(\d{1,5})/?", text)
    if not port or int(port[1] or 0) > _MAX_PORT:
        raise ValueError("must be unix:///path/to/docker.sock or tcp://host:port")
    return text.rstrip("/")


def _host(text: str) -> str:
    try:
        ip_address(text)
    except ValueError as exc:
        if not re.fullmatch(r"(?!.*\.\.)[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", text):
            raise ValueError("must be an IP address or the name of a host") from exc
    return text


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a url that begins with http:// or https://")
    return text.rstrip("/")


def _addresses(text: str) -> frozenset[str]:
    words = _words(text)
    for word in words:
        try:
            ip_network(word, strict=False)
        except ValueError as exc:
            raise ValueError("must be IP addresses or networks, with commas between") from exc
    return words


def _text(text: str) -> str:
    return text


def _setting(parse: Callable[[str], Any], default: Any, about: str, *, secret: bool = False) -> Any:
    metadata = {"parse": parse, "about": about, "secret": secret}
    factory = default if callable(default) else lambda: default
    return field(default_factory=factory, repr=not secret, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, by the name of its variable in lower case."""

    database_url: str | None = _setting(
        _database_url, None, "PostgreSQL; deploy/run brings its own when unset", secret=True
    )
    docker_host: str = _setting(
        _docker_host, "unix:///var/run/docker.sock", "the Docker Engine, unix:// or tcp://"
    )
    bind_address: str = _setting(_host, "127.0.0.1", "the address that the HTTP ports are bound to")
    port: int = _setting(_number(1, 65535), 8080, "the api's port")
    metrics_port: int = _setting(_number(0, 65535), 9108, "the sweeper's metrics; 0 turns them off")
    public_url: str | None = _setting(_http_url, None, "where agents reach the api, for connection blocks")
    cors_origins: frozenset[str] = _setting(_words, frozenset[str](), "origins that browsers may call from")
    trusted_proxies: frozenset[str] = _setting(
        _addresses, frozenset[str](), "proxies whose X-Forwarded-For is believed"
    )
    rate_limit: int = _setting(_number(0, 1_000_000), 600, "requests per minute and token; 0: no limit")
    admin_token: str | None = _setting(_text, None, "opens the operators' routes; unset: closed", secret=True)
    healthsweep_home: Path = _setting(_directory, _default_home, "data, and the env file of deploy/run")
    sweep_interval: float = _setting(_duration(1, 3600), 15.0, "from one sweep to the next")
    offline_grace: float = _setting(
        _duration(0, 3600), 1.0, "a container must be found dead again after this long"
    )
    online_grace: float = _setting(_duration(0, 3600), 2.0, "a container must run undisturbed for this long")
    engine_timeout: float = _setting(_duration(0.1, 60), 3.0, "for a whole answer of Docker")
    remote_liveness_stale_after: float = _setting(
        _duration(2, 86400 * 30), 180.0, "an external workspace is offline after this long without heartbeat"
    )
    sweep_write: bool = _setting(_switch, True, "off: observe and log only")
    external_runtimes: frozenset[str] = _setting(
        _words, frozenset({"external", "kimi", "kimi-cli"}), "runtimes without a container here"
    )
    unswept_runtimes: frozenset[str] = _setting(
        _words, frozenset({"mock"}), "runtimes whose status is never written"
    )
    plugins_dir: Path = _setting(
        _directory, lambda: _default_home() / "plugins", "the plugin registry; unset: plugins/ of the home"
    )
    plugin_install_body_max_bytes: int = _setting(
        _bytes(1024, 2**30), 65536, "largest body of an install request"
    )
    plugin_install_fetch_timeout: float = _setting(_duration(1, 3600), 300.0, "for fetching a plugin")
    plugin_install_max_dir_bytes: int = _setting(_bytes(1024, 2**40), 104857600, "largest plugin")
    plugin_allow_unpinned: bool = _setting(_switch, False, "admit sources without a tag or a commit")
    github_base_url: str = _setting(_http_url, "https://github.com", "where github:// sources come from")
    cache_max_bytes: int = _setting(_bytes(2**20, 2**44), 2 * 2**30, "the download cache on disk")
    allow_private_agent_urls: bool = _setting(_switch, False, "admit agent urls in RFC 1918 networks")
    history_retention: float = _setting(
        _duration(3600, 86400 * 3650), 86400.0 * 90, "how long transitions are kept"
    )
    log_level: str = _setting(_one_of("debug", "info", "warning", "error"), "info", "the least level shown")
    log_format: str = _setting(_one_of("json", "console"), "json", "console: colours, for people")

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Self:
        """Read every setting from `environ`. Raises SettingsError, with the name of the variable."""
        values: dict[str, Any] = {}
        for setting in fields(cls):
            variable = setting.name.upper()
            text = _read(environ, variable, secret=setting.metadata["secret"])
            if not text:
                continue
            try:
                values[setting.name] = setting.metadata["parse"](text)
            except ValueError as exc:
                raise SettingsError(variable, str(exc)) from exc
        if "healthsweep_home" in values:
            values.setdefault("plugins_dir", values["healthsweep_home"] / "plugins")
        return cls(**values)

    def required_database_url(self) -> str:
        """The database's url. Raises SettingsError where there is none."""
        if self.database_url is None:
            problem = "is not set: name a database, or start the product with `bash deploy/run`"
            raise SettingsError("DATABASE_URL", problem)
        return self.database_url

    def shown(self) -> dict[str, Any]:
        """Every setting by its variable, as plain values, secrets hidden."""
        return {
            setting.name.upper(): _plain(getattr(self, setting.name), secret=setting.metadata["secret"])
            for setting in fields(self)
        }


def about(variable: str) -> str:
    """One line that says what `variable` is for."""
    return cast(str, next(f.metadata["about"] for f in fields(Settings) if f.name.upper() == variable))


def is_set(environ: Mapping[str, str], variable: str) -> bool:
    """Whether `environ` says something of `variable`, in one of the ways in which a setting can be given."""
    directory = environ.get("CREDENTIALS_DIRECTORY")
    given = environ.get(variable, "").strip() or environ.get(f"{variable}_FILE")
    return bool(given or (directory and (Path(directory) / variable).exists()))


def cannot_listen(exc: OSError, port_variable: str) -> SettingsError:
    """The setting that is to blame when nobody can listen at BIND_ADDRESS and the port."""
    of_the_port = exc.errno in (errno.EADDRINUSE, errno.EACCES)
    variable = port_variable if of_the_port else "BIND_ADDRESS"
    return SettingsError(variable, f"cannot be listened on: {exc.strerror}")


def _read(environ: Mapping[str, str], variable: str, *, secret: bool) -> str:
    text = environ.get(variable, "").strip()
    if text or not secret:
        return text
    if named := environ.get(f"{variable}_FILE"):
        return _content(Path(named), f"{variable}_FILE")
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        credential = Path(directory) / variable
        if credential.exists():
            return _content(credential, variable)
    return ""


def _content(path: Path, variable: str) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(variable, f"names a file that cannot be read ({type(exc).__name__})") from exc


def _plain(value: Any, *, secret: bool) -> Any:
    if secret and value is not None:
        return "(set)"
    if isinstance(value, frozenset):
        return ",".join(sorted(value))
    if isinstance(value, Path | str):
        return re.sub(r"//[^/@]*@", "//(set)@", str(value))  # a url's user and password
    return value
