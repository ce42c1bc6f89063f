"""The optimizers, one file per algorithm or family. Installed as snnbench.algorithms."""
