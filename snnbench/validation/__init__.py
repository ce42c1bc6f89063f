"""Whether a folder of recorded runs may be published: complete, unaltered, consistent, and reproducible in samples.

Nothing that a record names is executed: problems are loaded by their registered names only.
"""

from snnbench.validation.entry import Options, validate
from snnbench.validation.findings import CHECKS, Finding, Report, Severity
from snnbench.validation.manifest import MANIFEST, write_manifest

__all__ = ["CHECKS", "MANIFEST", "Finding", "Options", "Report", "Severity", "validate", "write_manifest"]
