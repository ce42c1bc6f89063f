"""Figures as files and inside pages: the same bytes every time."""

import io
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from snnbench.errors import UsageError
from snnbench.experiment.disk import replacing
from snnbench.report.plots.base import Plot
from snnbench.report.plots.style import INK, style

FORMATS = ("svg", "png", "pdf")
_METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
_COORDINATES = re.compile(rb'(?<= d=")[A-Za-z0-9 .\n-]*(?=")')
_LONG = re.compile(rb"-?\d+\.\d{3,}")
_REFERENCE = re.compile(r"url\(#([^)]*)\)")


def save(plot: Plot, path: Path) -> None:
    """Write a plot, complete or not at all.

    Parameters
    ----------
    plot
        What is written.
    path
        Its suffix says how: ``.svg`` (text stays text), ``.png`` (150 dots per inch) or ``.pdf``.

    Raises
    ------
    UsageError
        For another suffix.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise UsageError(f"{path}: plots are written as {', '.join(FORMATS)}")
    content = _rendered(plot, kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(content)


def svg(plot: Plot, prefix: str) -> str:
    """A plot as an element of an HTML page.

    Parameters
    ----------
    plot
        What is drawn. Its text alternative becomes the element's description.
    prefix
        Put before every id, so that several figures fit in one page.

    Returns
    -------
    str
        ``<svg role="img" ...>``, transparent, as wide as there is room; text and axes have the colour of the text
        around it.
    """
    root = ElementTree.fromstring(_rendered(plot, "svg", transparent=True))
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for name, value in list(element.attrib.items()):
            del element.attrib[name]
            element.set(name.rpartition("}")[2], _own(name, value, prefix))
    for child in list(root):
        # What the file says of itself, and a style sheet that would hold for the whole page.
        if child.tag == "metadata" or child.find("style") is not None:
            root.remove(child)
    _named(root, plot, prefix)
    root.set("xmlns", "http://www.w3.org/2000/svg")
    # As large as drawn where there is room, else as wide as the page.
    width = root.attrib.pop("width", "100%")
    root.attrib.pop("height", None)
    root.set("style", f"width:100%;max-width:{width};height:auto;stroke-linejoin:round;stroke-linecap:butt")
    return ElementTree.tostring(root, encoding="unicode")


def _rendered(plot: Plot, kind: str, transparent: bool = False) -> bytes:
    buffer = io.BytesIO()
    with style():
        plot.figure.savefig(buffer, format=kind, dpi=150, metadata=_METADATA[kind], transparent=transparent)
    return _COORDINATES.sub(_rounded, buffer.getvalue()) if kind == "svg" else buffer.getvalue()


def _rounded(path: re.Match[bytes]) -> bytes:
    """A path in hundredths of a point, which is finer than anybody sees and half the size."""
    return _LONG.sub(lambda n: f"{float(n[0]):.2f}".rstrip("0").rstrip(".").encode(), path[0])


def _own(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return f"{prefix}-{value}"
    if name.endswith("href") and value.startswith("#"):
        return f"#{prefix}-{value[1:]}"
    return _REFERENCE.sub(rf"url(#{prefix}-\1)", value).replace(INK, "currentColor")


def _named(root: ElementTree.Element, plot: Plot, prefix: str) -> None:
    title, described = ElementTree.Element("title"), ElementTree.Element("desc")
    title.text, described.text = plot.title, plot.alt
    title.set("id", f"{prefix}-title")
    described.set("id", f"{prefix}-desc")
    root.insert(0, title)
    root.insert(1, described)
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}-title")
    root.set("aria-describedby", f"{prefix}-desc")
