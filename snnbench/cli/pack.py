"""``snnbench pack`` and ``snnbench unpack``: runs as one small file."""

import argparse
from pathlib import Path


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verbs."""
    packing = subparsers.add_parser(
        "pack",
        help="put finished runs into one small file",
        description="Write runs.tar.xz with what rankings, plots and `snnbench validate` need of the runs in a folder: "
        "no metrics of single evaluations, no checkpoints, no recommended vectors of more than 8 KiB. rank, plot, "
        "report, publish, export and validate read it like a folder of runs.",
    )
    packing.add_argument("directory", type=Path, nargs="?", default=Path("runs"), metavar="FOLDER", help="(runs)")
    packing.add_argument("--out", type=Path, required=True, metavar="ENTRY", help="folder for the archive")
    packing.set_defaults(run=_pack)
    unpacking = subparsers.add_parser(
        "unpack",
        help="the runs of such a file as folders",
        description="Write the runs of an archive made by `snnbench pack` into a new folder. Nothing but the files of "
        "records is taken out of it.",
    )
    unpacking.add_argument("archive", type=Path, metavar="ARCHIVE", help="runs.tar.xz, or the folder that holds it")
    unpacking.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="new folder for the runs")
    unpacking.set_defaults(run=_unpack)


def _pack(args: argparse.Namespace) -> int:
    from snnbench.experiment.packing import LARGEST_VECTORS, pack

    done = pack(args.directory, args.out)
    print(
        f"{done.path}: {done.runs:,} runs, {done.after / 2**20:.1f} MiB (their records: {done.before / 2**20:.1f} MiB)"
    )
    if done.without_vectors:
        print(f"left out: {done.without_vectors:,} recommendations of more than {LARGEST_VECTORS:,} bytes")
    print("keep the runs where you can: their checksums are in the archive")
    return 0


def _unpack(args: argparse.Namespace) -> int:
    from snnbench.errors import UsageError
    from snnbench.experiment.packing import ARCHIVE, unpack
    from snnbench.experiment.record import find_runs

    archive = args.archive / ARCHIVE if args.archive.is_dir() else args.archive
    if not archive.is_file():
        raise UsageError(f"{archive} does not exist; name a {ARCHIVE} or its folder")
    print(f"{args.out}: {len(find_runs(unpack(archive, args.out))):,} runs")
    return 0
