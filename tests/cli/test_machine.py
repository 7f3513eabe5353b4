from freehold.cli import machine


def test_a_cpu_has_a_name_and_only_known_features() -> None:
    assert machine.cpu_model()
    assert set(machine.cpu_features()) <= set(machine.CPU_FEATURES)
