from freehold.core.events import TokenLogprob
from freehold.guard.logprobs import LogprobQueue


def test_others_at_a_tokens_place_are_sent_where_they_are_plain_tokens() -> None:
    others = [" internationalisation", "================", "x1", "ghp_aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z5A"]
    top = tuple((token, token.encode(), -1.0) for token in others)
    hidden = ("x", b"ghp_aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z5A", -1.0)
    queue = LogprobQueue()
    queue.add("a", (TokenLogprob(token="a", token_bytes=b"a", logprob=-0.1, top=(*top, hidden)),))
    (entry,) = queue.release(1, hidden=False)
    assert entry.top == top[:3]
