import pytest

from freehold.core.errors import InvalidKey
from freehold.private_node import OneKey


def test_a_private_node_takes_the_key_of_its_program_alone() -> None:
    ring = OneKey("the one")
    assert not ring.authenticate("the one").is_admin
    for other in ("", "the other", "\udcff"):
        with pytest.raises(InvalidKey, match="takes its key alone"):
            ring.authenticate(other)
