"""AirLLM's side of a comparison: `python -m bench.airllm_side FOLDER`, run by the interpreter of an environment that has it.

Its model is made here, by the library that it reads it with: a random Llama in bfloat16, tied, of the shape that is handed over.
It runs as its documentation has it for a machine without a card, prefetching on.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import airllm
import torch
import transformers
from tokenizers import Tokenizer, models

from bench.sides import read_bytes, serve


class AirLlm:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._model: Any = None

    def make(self, shape: dict[str, int]) -> dict[str, Any]:
        """Write the model, unless it is there."""
        config = transformers.LlamaConfig(
            vocab_size=shape["vocabulary"],
            hidden_size=shape["embedding"],
            intermediate_size=shape["ffn"],
            num_hidden_layers=shape["layers"],
            num_attention_heads=shape["heads"],
            num_key_value_heads=shape["kv_heads"],
            tie_word_embeddings=True,
            torch_dtype="bfloat16",
        )
        wanted = json.dumps(shape, sort_keys=True)
        stamp = self._folder / "shape.json"
        if not stamp.exists() or stamp.read_text() != wanted:
            self._folder.mkdir(parents=True, exist_ok=True)
            torch.manual_seed(1)
            transformers.LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(self._folder)
            words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(shape["vocabulary"])}, unk_token="w0"))
            transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w0").save_pretrained(self._folder)
            stamp.write_text(wanted)
        return {"bytes": sum(path.stat().st_size for path in self._folder.glob("*.safetensors"))}

    def load(self) -> dict[str, Any]:
        self._model = airllm.AutoModel.from_pretrained(str(self._folder), device="cpu", prefetching=True)
        return {}

    def decode(self, tokens: int, seed: int) -> dict[str, Any]:
        """The first token takes a pass of its own, which is counted: it has no other kind."""
        before, began_s = read_bytes(), time.perf_counter()
        self._model.generate(torch.tensor([[seed + 100]]), max_new_tokens=tokens, use_cache=True)
        return {"token_s": (time.perf_counter() - began_s) / tokens, "read_bytes": (read_bytes() - before) / tokens}


if __name__ == "__main__":
    serve(AirLlm(Path(sys.argv[1])))
