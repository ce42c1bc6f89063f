"""Templates to pages. Whatever was recorded is escaped; only drawings that this package makes are marked safe."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from snnbench import __version__
from snnbench.report.plots import Plot, svg
from snnbench.report.text import duration, number, percent, size

TEMPLATES = Path(str(resources.files("snnbench.report"))) / "templates"


@cache
def environment() -> Environment:
    """The templates, with autoescape on for every one of them, and with strict names."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"number": number, "duration": duration, "percent": percent, "size": size, "value": shown}
    made.globals |= {"version": __version__, "nan": float("nan")}
    return made


def render(template: str, **values: Any) -> str:
    """A page."""
    return environment().get_template(template).render(**values)


@dataclass(frozen=True)
class Figure:
    """A plot inside a page.

    Attributes
    ----------
    title, caption
        As of the plot.
    drawing
        Its SVG, which is not escaped: the plots escape what they write.
    """

    title: str
    caption: str
    drawing: Markup


def figures(plots: Iterable[Plot], prefix: str) -> list[Figure]:
    """Plots for a page; their ids begin with a prefix that no other plots of the page have."""
    return [Figure(plot.title, plot.caption, Markup(svg(plot, f"{prefix}{i}"))) for i, plot in enumerate(plots)]


def asset(name: str) -> str:
    """The text of a style sheet, script or picture that comes with the templates."""
    return (TEMPLATES / "assets" / name).read_text(encoding="utf-8")


def shown(value: Any) -> str:
    """A recorded value as people read it: short lists in one line, nothing for nothing.

    Examples
    --------
    >>> shown([1, 0.25]), shown(None), shown(True), shown({})
    ('1, 0.25', 'none', 'yes', 'none')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list | tuple):
        return ", ".join(shown(item) for item in value) or "none"
    if isinstance(value, dict):
        return "; ".join(f"{key}: {shown(item)}" for key, item in value.items()) or "none"
    return "none" if value is None or value == "" else str(value)
