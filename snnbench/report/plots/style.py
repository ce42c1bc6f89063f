"""How plots look: one style, colours that colour-blind people can tell apart, labels that do not overlap."""

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnbench.report.plots.base import Material, clean
from snnbench.report.text import number

INK = "#242424"
"""Text and axes; in pages it becomes the colour of the text around the figure."""
GREY = "#8c8c8c"
"""Algorithms without a colour of their own; readable on white and on black."""

# Okabe and Ito's palette as seaborn's "colorblind" adapts it, less black and yellow, which light or dark pages swallow.
COLOURS = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#56b4e9", "#ca9161")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (8, 2)),
                           (0, (2, 2)))  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_RC: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica", "sans-serif"],
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "axes.facecolor": "none",
    "figure.facecolor": "white",
    "savefig.facecolor": "auto",
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    # A name in a record is text, whatever is in it.
    "text.parse_math": False,
    "text.usetex": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "snnbench",
    "pdf.fonttype": 42,
    "path.simplify": True,
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw and save within this; the caller's settings come back afterwards."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        # Names in scripts that the font lacks are right in SVG, and boxes elsewhere.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        yield


def figure(width: float = 7.2, height: float = 3.9, **layout: Any) -> tuple[Any, Any]:
    """A figure of so many inches that pyplot knows nothing of, and its axes."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    return made, made.subplots(**layout)


def settle(made: Any) -> None:
    """Lay a figure out for good: its parts are at the same places in all formats, and found only once."""
    engine = made.get_layout_engine()
    if engine is not None:
        engine.execute(made)
        made.set_layout_engine("none")


@dataclass(frozen=True)
class Look:
    """How an algorithm is drawn: colour, line style, marker, whether it has its own colour, and how far in front."""

    colour: str
    dash: Any
    marker: str
    own: bool
    order: float

    @property
    def line(self) -> dict[str, Any]:
        """Arguments of a line."""
        width, alpha = (1.7, 1.0) if self.own else (0.9, 0.6)
        return {"color": self.colour, "linestyle": self.dash, "lw": width, "alpha": alpha, "zorder": self.order}


def chosen(material: Material) -> list[str]:
    """Algorithms with a colour of their own: those to highlight; else all, or the best by rank if they are too many."""
    if material.highlight:
        return list(material.highlight)
    many = len(material.algorithms) > len(COLOURS)
    return material.order[: len(COLOURS) - 1] if many else material.algorithms


def looks(material: Material) -> dict[str, Look]:
    """How each algorithm is drawn.

    Those of `chosen` have a colour, which depends on their place in it only; the others are grey.
    """
    found = {name: Look(GREY, "-", ".", False, 2.0) for name in material.order}
    for i, name in enumerate(chosen(material)):
        if name not in found:
            continue
        k = i % len(COLOURS)
        found[name] = Look(COLOURS[k], DASHES[(k + i // len(COLOURS)) % len(DASHES)], MARKERS[k], True, 4.0 - 0.01 * i)
    return found


def spread(wanted: Sequence[float] | np.ndarray, gap: float, low: float, high: float) -> np.ndarray:
    """Positions at least `gap` apart and as near as possible to those wanted (least squares), in the order given.

    Within [low, high] if they fit there, else centred on it.

    Examples
    --------
    >>> spread([0.5, 0.5, 0.9], 0.1, 0.0, 1.0).round(2).tolist()
    [0.45, 0.55, 0.9]
    """
    aims = np.asarray(wanted, np.float64)
    order = np.argsort(aims, kind="stable")
    steps = gap * np.arange(len(aims))
    # Isotonic regression by pooling adjacent violators: [mean, count] of blocks.
    blocks: list[tuple[float, int]] = []
    for value in aims[order] - steps:
        blocks.append((float(value), 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, n), (b, m) = blocks[-2:]
            blocks[-2:] = [((a * n + b * m) / (n + m), n + m)]
    level = np.concatenate([np.full(n, mean) for mean, n in blocks]) if blocks else np.empty(0)
    room = high - gap * max(0, len(aims) - 1)
    level = np.clip(level, low, room) if room >= low else np.full(len(level), (low + room) / 2.0)
    found = np.empty_like(aims)
    found[order] = level + steps
    return found


def label_ends(axes: Any, ends: Mapping[str, float], drawn: Mapping[str, Look], rest: str = "") -> None:
    """Names at the right end of their lines instead of a legend, moved apart where they would overlap.

    Parameters
    ----------
    axes
        With its limits set; names are put right of it.
    ends
        Height at which each algorithm's line ends, in data units; those without a colour of their own are not named.
    drawn
        From `looks`.
    rest
        What the grey lines are called; placed last.
    """
    axes.figure.get_layout_engine().execute(axes.figure)  # gives the axes their height
    points = axes.get_window_extent().height / axes.figure.dpi * 72.0
    named = [name for name in ends if drawn[name].own]
    low, high = axes.transData.inverted().transform(axes.transAxes.transform([(0, 0), (0, 1)]))[:, 1]
    scale = axes.yaxis.get_transform().transform
    share = [(scale(ends[n]) - scale(low)) / (scale(high) - scale(low)) for n in named]
    heights = np.clip([float(s) if np.isfinite(s) else 1.0 for s in share], 0.0, 1.0)
    size = 8.0
    bottom = 1.4 * size / points if rest else 0.0
    placed = spread(heights, 1.25 * size / points, bottom, 1.0)
    for name, at, y in zip(named, heights, placed, strict=True):
        look = drawn[name]
        axes.plot([1.0, 1.02], [at, y], transform=axes.transAxes, color=look.colour, lw=0.8, clip_on=False)
        axes.plot([1.02, 1.06], [y, y], transform=axes.transAxes, clip_on=False, **look.line)
        # The colour is in the line: as text it would be too pale for some to read.
        axes.text(1.07, y, clean(name), transform=axes.transAxes, fontsize=size, va="center")
    if rest:
        axes.text(1.07, 0.0, rest, transform=axes.transAxes, color=GREY, fontsize=size, va="center")


def others(drawn: Mapping[str, Look]) -> str:
    """What the grey ones are called."""
    grey = sum(not look.own for look in drawn.values())
    return f"{grey} other{'s' * (grey > 1)}" if grey else ""


def legend(made: Any, drawn: Mapping[str, Look], markers: bool = True, lines: bool = True) -> None:
    """Names right of the axes, in the order given; those without a colour as one entry."""
    from matplotlib.lines import Line2D

    shape: dict[str, Any] = {"ms": 5, "mew": 0}
    named = {clean(name): look for name, look in drawn.items() if look.own}
    named |= {others(drawn): look for look in drawn.values() if not look.own}
    handles = []
    for name, look in named.items():
        kept = look.line | ({} if lines else {"linestyle": "none"})
        handles.append(Line2D([], [], marker=look.marker if markers else "", label=name, **shape, **kept))
    made.legend(handles=handles, loc="outside right upper", handlelength=3.4 if lines else 1.0)


def plain_ticks(axis: Any) -> None:
    """Ticks in plain numbers, since names are not parsed for mathematics and neither are these."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axis.set_minor_formatter(NullFormatter())


def evaluations_axis(axes: Any, budget: int, logarithmic: bool) -> None:
    """The horizontal axis of evaluations."""
    if logarithmic:
        axes.set_xscale("log")
    axes.set_xlim(1 if logarithmic else 0, max(budget, 2))
    plain_ticks(axes.xaxis)
    axes.set_xlabel("evaluations")


def grid_points(budget: int, logarithmic: bool, most: int = 200) -> np.ndarray:
    """At most `most` evaluations from 1 to the budget, as they are seen on the axis."""
    spaced = np.geomspace(1, budget, most) if logarithmic else np.linspace(1, budget, most)
    return np.unique(spaced.round().astype(np.int64))
