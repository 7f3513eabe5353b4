import os
import subprocess
import sys

from tests.engine.gpu.card import slow


@slow
def test_every_kernel_compiles_for_the_oldest_card() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    ran = subprocess.run([sys.executable, "-m", "tests.engine.gpu.compiled"], env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
