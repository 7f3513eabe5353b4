"""Which libraries compute beside our kernels: a receipt names them, as other versions may give other bits.

NumPy draws the tokens and chooses its loops by the CPU: the exponential of a machine with AVX-512 differs in the last bit from
that of one without. llvmlite compiles the kernels, tokenizers cuts the prompt, jinja2 writes it, and llguidance holds answers to
a form.
"""

from importlib.metadata import version

from numpy.lib import introspect

_NAMES = ("jinja2", "llguidance", "llvmlite", "numpy", "tokenizers")


def libraries() -> str:
    """`numpy 2.4.6 (X86_V4)` and so on, in one line."""
    loops = introspect.opt_func_info(func_name="^exp$", signature="float32")
    chosen = [signature["current"] for signature in loops.get("exp", {}).values()]
    found = {name: f"{name} {version(name)}" for name in _NAMES}
    if chosen:
        found["numpy"] += f" ({chosen[0]})"
    return ", ".join(found.values())
