import pytest

from freehold.core.errors import InvalidKey, NotAllowed
from freehold.dashboard.sessions import MAX_SESSIONS, Sessions
from tests.dashboard.serving import ADMIN, CLIENT, Keys


def test_only_an_admin_key_opens_a_session() -> None:
    sessions = Sessions(Keys(), lifetime_s=60, clock=lambda: 0.0)
    assert sessions.resume(sessions.open(ADMIN)).name == "owner"
    with pytest.raises(NotAllowed):
        sessions.open(CLIENT)
    with pytest.raises(InvalidKey):
        sessions.open("")


def test_the_oldest_session_makes_room() -> None:
    sessions = Sessions(Keys(), lifetime_s=60, clock=lambda: 0.0)
    first = sessions.open(ADMIN)
    later = [sessions.open(ADMIN) for _ in range(MAX_SESSIONS)]
    with pytest.raises(InvalidKey):
        sessions.resume(first)
    assert sessions.resume(later[0]).is_admin


@pytest.mark.parametrize("cookie", ["", "guess", "\udcff", "é" * 5000])
def test_any_cookie_that_was_not_given_is_refused(cookie: str) -> None:
    sessions = Sessions(Keys(), lifetime_s=60, clock=lambda: 0.0)
    sessions.open(ADMIN)
    with pytest.raises(InvalidKey):
        sessions.resume(cookie)
