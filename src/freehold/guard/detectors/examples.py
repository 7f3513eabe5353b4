"""Makes examples of tokens, so that none stands in the source for a scanner to find."""

import hashlib
import string

BASE62 = string.ascii_letters + string.digits
LOWER = string.ascii_lowercase + string.digits
UPPER = string.ascii_uppercase + string.digits
BASE32 = string.ascii_uppercase + "234567"
HEX = "0123456789abcdef"
URL_SAFE = BASE62 + "-_"


def sample(length: int, alphabet: str = BASE62) -> str:
    """`length` characters that look random and are always the same. They begin and end with a letter or digit."""
    stream = hashlib.shake_256(f"{alphabet}/{length}".encode()).digest(2 * length)
    chars = [alphabet[(stream[2 * i] << 8 | stream[2 * i + 1]) % len(alphabet)] for i in range(length)]
    chars[0] = chars[0] if chars[0].isalnum() else alphabet[0]
    chars[-1] = chars[-1] if chars[-1].isalnum() else alphabet[0]
    return "".join(chars)
