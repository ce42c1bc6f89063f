"""The benchmark problems, one file per family. Installed as snnbench.problems."""
