"""Energy as a named, versioned model over counted operations.

The model prices arithmetic only. It leaves out moving data, which dominates on real hardware (arXiv 2409.08290);
compare operations first and read energies as a weighted sum of them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class EnergyModel:
    """Picojoules per operation.

    Attributes
    ----------
    name
        Name and version, as recorded.
    ac, mac
        Energy of one accumulate and one multiply-accumulate, pJ.
    source
        Where the prices come from.
    """

    name: str
    ac: float
    mac: float
    source: str

    def energy(self, acs: float, macs: float) -> float:
        """Energy in nJ of so many operations."""
        return (acs * self.ac + macs * self.mac) * 1e-3


HOROWITZ_45NM = EnergyModel(
    "horowitz-45nm/1",
    ac=0.9,
    mac=4.6,
    source="45 nm CMOS, 32-bit floating point: addition 0.9 pJ, multiplication 3.7 pJ (Horowitz, ISSCC 2014)",
)
