"""Where things are in a published site: paths made of what is published, so that links stay when runs are added.

Every part of a path is a `slug`: nothing recorded can lead out of the site, or look like another page.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

LONGEST = 80
_RESERVED = {"con", "prn", "aux", "nul", "index"}


def slug(text: str) -> str:
    """A text as one part of a path, different for different texts on every file system.

    Lower-case letters, digits, ``.``, ``_`` and ``-`` stay; where anything else was, or the name would be special,
    eight digits of the text's SHA-256 follow.

    Examples
    --------
    >>> slug("cma-es"), slug("../CMA ES")
    ('cma-es', 'cma-es-1204d8a0')
    """
    kept = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip(".-_")[:LONGEST]
    # Reserved names are those that Windows keeps for devices, whatever their suffix, and that of a folder's own page.
    if kept and kept == text and kept.partition(".")[0] not in _RESERVED:
        return kept
    return (kept + "-" if kept else "") + digest(text)


def digest(text: str) -> str:
    """Eight hexadecimal digits that stand for a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def task_slug(row: Mapping[str, Any]) -> str:
    """A task's name: problem, version, objectives, budget, and eight digits for settings that are not the standard's.

    Examples
    --------
    >>> task_slug({"problem": "p", "version": 1, "objectives": "error,energy", "budget": 800, "variant": ""})
    'p-v1-error-energy-800'
    """
    # Joined by what no slug of one part can hide: different tasks have different names.
    parts = [slug(str(row["problem"])), f"v{slug(str(row['version']))}"]
    parts += [slug(name) for name in str(row["objectives"]).split(",")]
    parts += [slug(str(row["budget"]))] + ([digest(str(row["variant"]))] if row["variant"] else [])
    return "-".join(parts)


def task_page(name: str) -> str:
    """The page of a task, from the site's root."""
    return f"problems/{name}.html"


def algorithm_page(name: str) -> str:
    """The page of an algorithm, from the site's root."""
    return f"algorithms/{slug(name)}.html"


def run_folder(problem: str, algorithm: str, leaf: str) -> str:
    """The folder of a run, from the site's root: the layout of ``snnbench run --out SITE/runs``."""
    return f"runs/{slug(problem)}/{slug(algorithm)}/{slug(leaf)}"
