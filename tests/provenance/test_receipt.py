"""What is unknown is left out of a receipt; what older receipts do not say is unknown."""

import json
from dataclasses import replace

from freehold.core.events import ServedBy
from freehold.core.exchange import ModelId
from freehold.provenance.receipt import decode, encode
from tests.store.drafts import claims

OURS = ServedBy(
    provider="freehold",
    model="m",
    model_id=ModelId("ab" * 32),
    seed=7,
    kernels="vnni",
    kv_type="q8",
    libraries="numpy 2.4.6",
    context_tokens=8192,
    watermark="cd" * 32,
)


def predicate(statement: bytes) -> dict[str, object]:
    found: dict[str, object] = json.loads(statement)["predicate"]
    return found


def test_what_computed_an_answer_comes_back_and_what_is_unknown_is_left_out() -> None:
    ours = replace(claims("xc_1"), served=OURS, tokens_digest="11" * 32, content_digest="22" * 32)
    assert decode(encode(ours, None), ours.salt) == (ours, None)
    remote = replace(claims("xc_1"), served=ServedBy(provider="p", model="m"))
    said = predicate(encode(remote, None))
    unknown = ("model_id", "template_digest", "build", "seed", "response_id")
    assert said["served"] == {"provider": "p", "model": "m", **dict.fromkeys(unknown)}
    assert not {"tokens_digest", "content_digest"} & said.keys()
    assert decode(encode(remote, None), remote.salt) == (remote, None)
