"""Configuration of the documentation: ``sphinx-build -W --keep-going -b html docs docs/_build/html``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from snnbench import __version__

project = "snnbench"
author = "The snnbench developers"
project_copyright = "The snnbench developers, Apache-2.0"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.mathjax",
    "numpydoc",
    "from_code",
]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
default_role = "code"  # single backticks in docstrings name code
nitpicky = False

# The examples are doctests with an output; nothing else in the pages is run.
doctest_test_doctest_blocks = "default"
doctest_global_setup = """
import numpy as np
import torch
from snnbench.algorithm import *
from snnbench.space import *
"""

html_theme = "furo"
html_title = f"snnbench {version}"
html_theme_options = {"navigation_with_keys": True}
