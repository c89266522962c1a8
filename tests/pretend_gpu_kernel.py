"""A kernel with a pretend GPU, for PYTHONSTARTUP: `make pretend-gpu` executes and
compares the chapters in it. Sums are off by the usual error of float32, so that nothing
printed outside of the brackets may depend on bits."""

import contextlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.pretend_gpu import fast_precision, pretend_gpu

# A card with bfloat16, or, where the CPU would take long to pretend it, one without.
_fast = fast_precision() == "bfloat16"
_pretended = contextlib.ExitStack()  # to the kernel's end
_pretended.enter_context(
    pretend_gpu(noise=1e-6, capability=(8, 0) if _fast else (7, 5))
)
