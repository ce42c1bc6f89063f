"""Table lookup in the place of convolution, on a CPU with a compiler: the same bits, several times faster."""

from snnbench.snn.native.library import available
from snnbench.snn.native.sew import forward, suits

__all__ = ["available", "forward", "suits"]
