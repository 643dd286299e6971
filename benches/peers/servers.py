"""The two servers that hold the blobs: `presync loopback`, and Azurite, the emulator of the blob service."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas

CONTAINER = "media"
# The account that Azurite comes with, and its published key. The loopback server takes any credential.
AZURITE_ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
# What Azurite says in front of its address.
AZURITE_LISTENS = "successfully listens on "
# Azurite has one thread, so more do not help.
TRANSFERS = 4
START_TIMEOUT_S = 60


@dataclass(frozen=True)
class Server:
    """A running server with the blobs in its container `media`."""

    name: str
    account: str
    endpoint: str
    #: Its process.
    pid: int

    @property
    def container_url(self) -> str:
        """The URL of the container."""
        return f"{self.endpoint}/{CONTAINER}"

    @property
    def connection_string(self) -> str:
        """What `AZURE_STORAGE_CONNECTION_STRING` holds."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={self.account};AccountKey={KEY};BlobEndpoint={self.endpoint};"
        )

    @property
    def sas_url(self) -> str:
        """The container's URL with a SAS that lists and reads, for a day."""
        permission = ContainerSasPermissions(read=True, list=True)
        expiry = datetime.now(UTC) + timedelta(days=1)
        sas = generate_container_sas(self.account, CONTAINER, account_key=KEY, permission=permission, expiry=expiry)
        return f"{self.container_url}?{sas}"

    def container(self) -> ContainerClient:
        """A client of the container."""
        return ContainerClient.from_connection_string(self.connection_string, CONTAINER)


@contextmanager
def loopback(presync: Path, blobs: int, scratch: Path) -> Iterator[Server]:
    """Runs `presync loopback` with blobs in its usual mix, small enough for Azurite to hold them in memory."""
    shape = {"blobs": blobs, "image_size": [20_000, 200_000], "video_size": [50_000, 200_000]}
    config = scratch / "loopback.json"
    config.write_text(json.dumps({"containers": {CONTAINER: {"shape": shape}}}))
    with _serving([str(presync), "loopback", "--config", str(config)]) as (pid, line):
        yield Server("loopback", "loopback", json.loads(line)["url"], pid)


@contextmanager
def azurite(root: Path) -> Iterator[Server]:
    """Runs Azurite in memory on a free port, with an empty container."""
    packages = root / "tests/azurite"
    # The SDK speaks newer versions of the API than Azurite knows.
    command = [str(packages / "node_modules/.bin/node"), str(packages / "serve.mjs"), "--skipApiVersionCheck"]
    with _serving(command, until=AZURITE_LISTENS) as (pid, line):
        address = line.split(AZURITE_LISTENS)[1].strip()
        server = Server("Azurite", AZURITE_ACCOUNT, f"{address}/{AZURITE_ACCOUNT}", pid)
        server.container().create_container()
        yield server


@contextmanager
def _serving(command: list[str], until: str = "") -> Iterator[tuple[int, str]]:
    """Runs a server until the block ends; gives its process and the line in which it says where it listens."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            with ThreadPoolExecutor(1) as reader:
                lines = iter(process.stdout.readline, "")
                found = reader.submit(lambda: next((line for line in lines if until in line), None))
                try:
                    line = found.result(START_TIMEOUT_S)
                except TimeoutError:
                    process.kill()
                    line = None
            if line is None:
                raise RuntimeError(f"{command[0]} does not say where it listens")
            yield process.pid, line
        finally:
            # Both servers end when their stdin does.
            process.communicate()


def download(server: Server, folder: Path) -> None:
    """Copies every blob of the server to the folder."""
    container = server.container()

    def get(name: str) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(container.download_blob(name).readall())

    with ThreadPoolExecutor(TRANSFERS) as pool:
        list(pool.map(get, container.list_blob_names()))


def upload(folder: Path, server: Server) -> None:
    """Uploads every file of the folder, and reads each once, so that the server is no longer cold."""
    container = server.container()

    def put(path: Path) -> None:
        name, content = path.relative_to(folder).as_posix(), path.read_bytes()
        container.upload_blob(name, content)
        if container.download_blob(name).readall() != content:
            raise RuntimeError(f"{server.name} does not give back {name} as it was")

    with ThreadPoolExecutor(TRANSFERS) as pool:
        list(pool.map(put, (path for path in folder.rglob("*") if path.is_file())))


def stats(server: Server) -> dict:
    """What the loopback server has been asked for since the last reset."""
    with urllib.request.urlopen(_control(server, "stats"), timeout=START_TIMEOUT_S) as response:
        return json.load(response)


def reset(server: Server) -> None:
    """Lets the loopback server count from 0 again."""
    request = urllib.request.Request(_control(server, "reset"), method="POST")
    urllib.request.urlopen(request, timeout=START_TIMEOUT_S).close()


def _control(server: Server, what: str) -> str:
    return urlsplit(server.endpoint)._replace(path=f"/_loopback/{what}").geturl()
