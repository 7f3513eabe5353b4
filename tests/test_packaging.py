"""The built wheel is whole: it works outside the checkout, with nothing of the checkout in sight."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install` would put into site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("freehold-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(site: Path, code: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=site.parent,
        env={**os.environ, "PYTHONPATH": str(site), "FREEHOLD_HOME": str(site.parent / "home")},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_wheel_holds_what_is_not_python_too(unpacked: Path) -> None:
    source = ROOT / "src" / "freehold"
    expected = {path.relative_to(source) for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    packed = {path.relative_to(unpacked / "freehold") for path in (unpacked / "freehold").rglob("*") if path.is_file()}
    assert packed == expected


def test_the_command_works_from_the_wheel(unpacked: Path) -> None:
    where = run(unpacked, "import freehold; print(freehold.__file__)")
    assert str(unpacked) in where.stdout
    command = "from freehold.cli import main; main()"
    assert run(unpacked, command, "--help").returncode == 0
    checked = run(unpacked, command, "guard", "check", stdin="the key is AKIA" + "QZ3MR7XKD2VWTN5B")
    assert checked.returncode == 1, checked.stderr
    assert "aws-access-key" in checked.stdout
