"""Spiking networks on a CPU with a compiler, by table lookup or event by event: the same bits, several times faster."""

from snnbench.snn.native.events import EventDriven
from snnbench.snn.native.library import available
from snnbench.snn.native.sew import forward, suits

__all__ = ["EventDriven", "available", "forward", "suits"]
