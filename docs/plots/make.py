"""The pictures of docs/plots.md, small: ``python docs/plots/make.py RUNS RUNS_WITH_SEVERAL_OBJECTIVES [PROBLEM]``."""

import sys
from pathlib import Path

from PIL import Image

from snnbench.report.plots import OVERALL, PROBLEM, Material, Plot, coloured, draw, save
from snnbench.stats.results import load_results
from snnbench.stats.selection import select

HERE = Path(__file__).parent
SEVERAL = ("pareto-fronts", "attainment")


def keep(plot: Plot, name: str) -> None:
    """Write a picture with 64 colours, a third of the size."""
    path = HERE / f"{name}.png"
    save(plot, path)
    with Image.open(path) as image:
        image.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path)


def main(folder: str, objectives: str, problem: str = "threshold-digits") -> None:
    """Draw every kind once."""
    runs = select(load_results(folder)).runs
    whole = Material(runs)
    for kind in OVERALL:
        keep(draw(OVERALL, whole, kind)[0], kind if kind not in PROBLEM else f"{kind}-overall")
    one = Material(runs[runs["problem"] == problem], highlight=coloured(runs))
    two = Material(select(load_results(objectives)).runs, "hypervolume")
    for kind in PROBLEM:
        keep(draw(PROBLEM, two if kind in SEVERAL else one, kind)[0], kind)


if __name__ == "__main__":
    main(*sys.argv[1:])
