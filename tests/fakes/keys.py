"""A key ring with a few plain keys."""

from freehold.core.errors import InvalidKey
from freehold.core.exchange import KeyId, Principal

CLIENT_KEY = "fh_client"
OTHER_KEY = "fh_other"
ADMIN_KEY = "fh_admin"


class PlainKeyRing:
    """Implements `KeyRing`."""

    def __init__(self) -> None:
        self.principals = {
            CLIENT_KEY: Principal(key_id=KeyId("k1"), name="client", team="red"),
            OTHER_KEY: Principal(key_id=KeyId("k2"), name="other"),
            ADMIN_KEY: Principal(key_id=KeyId("k3"), name="admin", is_admin=True),
        }

    def authenticate(self, secret: str) -> Principal:
        if secret not in self.principals:
            raise InvalidKey("no such key")
        return self.principals[secret]

    def by_id(self, key_id: KeyId) -> Principal:
        for principal in self.principals.values():
            if principal.key_id == key_id:
                return principal
        raise InvalidKey("no such key")
