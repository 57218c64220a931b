"""The few requests that put an image and a container into an engine, without a registry or Docker's command.

The demo and the tests are set up this way. Nothing here asks for a state: that is for shared/engine.
"""

import http.client
import io
import json
import shutil
import socket
import subprocess
import tarfile
from pathlib import Path
from urllib.parse import urlencode

from deploy.places import StartError

IMAGE = "healthsweep/busybox"
FOREVER = ["/bin/sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"]


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, *, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def answers(host: str, *, seconds: float) -> bool:
    """Whether an engine at `host` (`unix://...` or `tcp://...`) answers at all."""
    try:
        status, _ = _request(host, "GET", "/_ping", seconds=seconds)
    except (OSError, http.client.HTTPException):
        return False
    return status == http.client.OK


def import_image(host: str) -> None:
    """Make the image `IMAGE:latest` out of this machine's busybox."""
    query = urlencode({"fromSrc": "-", "repo": IMAGE, "tag": "latest"})
    status, answer = _request(host, "POST", f"/images/create?{query}", body=_busybox_tree())
    if status != http.client.OK or '"error"' in answer:  # an import's failure comes after its 200
        raise StartError(f"the engine at {host} refuses an image: {answer}")


def start_container(host: str, name: str, *, image: str = IMAGE) -> None:
    """Start the container `name`, which is made if it is missing; without network, because none is needed."""
    settings = {"Image": image, "Cmd": FOREVER, "HostConfig": {"NetworkMode": "none"}}
    body = json.dumps(settings).encode()
    made, answer = _request(host, "POST", f"/containers/create?name={name}", body=body)
    if made in (http.client.CREATED, http.client.CONFLICT):  # conflict: it is there already
        started, answer = _request(host, "POST", f"/containers/{name}/start")
        if started in (http.client.NO_CONTENT, http.client.NOT_MODIFIED):
            return
    raise StartError(f"the engine at {host} refuses the container {name}: {answer}")


def _request(
    host: str, method: str, path: str, *, body: bytes = b"", seconds: float = 60.0
) -> tuple[int, str]:
    scheme, _, place = host.partition("://")
    connect = _UnixConnection if scheme == "unix" else http.client.HTTPConnection
    connection = connect(place, timeout=seconds)
    kind = "application/json" if body.startswith(b"{") else "application/x-tar"
    try:
        connection.request(method, path, body, {"Content-Type": kind})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace").strip()
    finally:
        connection.close()


def _busybox_tree() -> bytes:
    """A root file system: busybox and a link for each of its programs."""
    busybox = shutil.which("busybox")
    if busybox is None or _is_dynamic(busybox):
        raise StartError("the image needs a static busybox (package busybox-static)")
    names = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    tree = io.BytesIO()
    with tarfile.open(fileobj=tree, mode="w") as archive:
        for directory in ("bin", "etc", "tmp", "proc", "sys", "dev"):
            archive.addfile(_member(directory, tarfile.DIRTYPE))
        archive.add(Path(busybox).resolve(), "bin/busybox")
        for name in sorted(set(names) - {"busybox"}):
            link = _member(f"bin/{name}", tarfile.SYMTYPE)
            link.linkname = "busybox"
            archive.addfile(link)
    return tree.getvalue()


def _member(name: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode = kind, 0o755
    return member


def _is_dynamic(program: str) -> bool:
    return subprocess.run(["ldd", program], capture_output=True, check=False).returncode == 0
