"""All checks of one folder."""

import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from snnbench.errors import RecordError, UsageError
from snnbench.experiment.packing import ARCHIVE, contents, unpack
from snnbench.experiment.record import find_runs
from snnbench.experiment.suite import Suite
from snnbench.problem import Context
from snnbench.validation.files import survey
from snnbench.validation.findings import Report
from snnbench.validation.manifest import verify
from snnbench.validation.recomputation import recompute
from snnbench.validation.runs import load
from snnbench.validation.together import complete, declarations, duplicates, mixtures
from snnbench.validation.vectors import read_vectors

TOLERANCE = 0.005
"""Of the frozen range: two of 397 test images of `digits`."""


@dataclass(frozen=True)
class Options:
    """How thoroughly a folder is validated.

    Attributes
    ----------
    suite
        What it must be complete for; ``None`` to leave that out.
    sample
        Runs whose recommendation is measured again.
    sample_seed
        Of their choice; ``None`` for one that nobody could know before.
    tolerance
        Largest accepted difference, as a share of the frozen range of an objective.
    trust_code
        Whether problems that a record names as files are executed.
    context
        Folders and display, for problems that have to be prepared.
    """

    suite: Suite | None = None
    sample: int = 0
    sample_seed: int | None = None
    tolerance: float = TOLERANCE
    trust_code: bool = False
    context: Context = field(default_factory=Context)


def validate(folder: Path, options: Options | None = None) -> Report:
    """Check every run in a folder and below it, and all of them together; nothing is changed.

    Parameters
    ----------
    folder
        Of recorded runs, at any depth.
    options
        By default without a suite and without recomputation.

    Returns
    -------
    Report
        Everything that was found, `Report.valid` in short.

    Raises
    ------
    UsageError
        If there is no such folder, or no run in it.

    Notes
    -----
    Archives of `snnbench pack` are unpacked into a temporary folder for this.
    """
    options = options or Options()
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; give one with runs made by `snnbench run`")
    report = Report(folder, options.suite.title if options.suite else None)
    files = survey(folder, report)
    unread = [f for f in report.findings if f.severity == "error" and Path(f.place).name in ("run.json", ARCHIVE)]
    with tempfile.TemporaryDirectory(prefix="snnbench-validate-") as temporary:
        unpacked = Path(temporary)
        packed = [path for path in files if path.name == ARCHIVE]
        left_out = set().union(*(_unpack(folder, path, unpacked, report) for path in packed))
        places = [(folder, path.parent) for path in files if path.name == "run.json"]
        places += [(unpacked, path.relative_to(unpacked)) for path in find_runs(unpacked)]
        if not places and not unread and not packed:
            raise UsageError(f"{folder} holds no runs; give a folder with runs made by `snnbench run`")
        verify(folder, files, report)
        report.runs = len(places) + len(unread)
        loaded = [(root, run) for root, path in places if (run := load(root, path, report)) is not None]
        vectors = [(run, x) for root, run in loaded if (x := read_vectors(run, root, left_out, report)) is not None]
    runs = [run for _, run in loaded]
    report.algorithms = sorted({run.algorithm for run in runs})
    report.problems = sorted({run.problem for run in runs})
    duplicates(runs, report)
    declarations(runs, report)
    mixtures(runs, report)
    if options.suite is not None:
        complete(runs, options.suite, report)
    if options.sample:
        seed = secrets.randbelow(1_000_000) if options.sample_seed is None else options.sample_seed
        recompute(vectors, options.sample, seed, options.tolerance, options.context, options.trust_code, report)
    return report


def _unpack(folder: Path, archive: Path, target: Path, report: Report) -> set[Path]:
    """Unpack an archive where its runs have the paths they would have beside it; files it says were left out."""
    inner = target / archive.parent / "unpacked"
    try:
        said = contents(unpack(folder / archive, inner))
        left_out = {archive.parent / name for name in said["left_out"]}
    except RecordError as error:
        report.add("error", "files", archive, str(error).replace(f"{folder / archive} is ", "", 1))
        return set()
    for path in sorted(inner.iterdir()):
        path.rename(target / archive.parent / path.name)
    inner.rmdir()
    return left_out
