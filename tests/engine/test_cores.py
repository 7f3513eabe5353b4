import os
from pathlib import Path

import pytest

from freehold.engine.cores import usable_cores


def write(root: Path, name: str, text: str) -> None:
    path = root / "sys/fs/cgroup" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))


def test_without_a_quota_all_allowed_cores_count(tmp_path: Path) -> None:
    assert usable_cores(tmp_path) == 8
    write(tmp_path, "cpu.max", "max 100000\n")
    write(tmp_path, "cpu/cpu.cfs_quota_us", "-1\n")
    write(tmp_path, "cpu/cpu.cfs_period_us", "100000\n")
    assert usable_cores(tmp_path) == 8


@pytest.mark.parametrize(("quota", "cores"), [("250000 100000\n", 2), ("50000 100000\n", 1), ("6400000 100000\n", 8)])
def test_a_quota_counts_in_whole_cores(tmp_path: Path, quota: str, cores: int) -> None:
    write(tmp_path, "cpu.max", quota)
    assert usable_cores(tmp_path) == cores


def test_version_1_quotas_count_too(tmp_path: Path) -> None:
    write(tmp_path, "cpu/cpu.cfs_quota_us", "300000\n")
    write(tmp_path, "cpu/cpu.cfs_period_us", "100000\n")
    assert usable_cores(tmp_path) == 3
