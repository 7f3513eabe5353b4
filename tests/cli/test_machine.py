import os

from freehold.cli import machine


def test_what_a_process_may_use_is_within_what_the_machine_has() -> None:
    assert 1 <= machine.cores() <= (os.cpu_count() or 1)


def test_a_cpu_has_a_name_and_only_known_features() -> None:
    assert machine.cpu_model()
    assert set(machine.cpu_features()) <= set(machine.CPU_FEATURES)
