import importlib.util

import pytest

NEEDED = ("torch", "triton")


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in NEEDED),
    reason="the extra `gpu` is not installed: kernels for cards are not tested",
)
def test_the_extra_is_installed() -> None:
    assert all(importlib.import_module(name) for name in NEEDED)
