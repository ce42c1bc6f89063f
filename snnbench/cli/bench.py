"""``snnbench bench``: candidates per second on this machine, by every way to evaluate them, and by another library."""

import argparse
import dataclasses
import json

from snnbench.errors import UsageError, unknown


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = subparsers.add_parser("bench", help="measure how fast candidates are evaluated here")
    parser.add_argument("--network", metavar="NAMES", help="of these networks, by commas; default: all")
    parser.add_argument("--against", metavar="PEER", help="also run a plain loop of another library: spikingjelly")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda:N (default: auto)")
    parser.add_argument(
        "--precision",
        metavar="NAMES",
        help="of weights, by commas: float32, tf32, bfloat16, float16 (default: float32)",
    )
    parser.add_argument("--rounds", type=int, default=5, help="of which the median is taken (default: 5)")
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from snnbench.bench import CASES, matrix_peak, measure
    from snnbench.bench.timing import peer_precision, threads
    from snnbench.experiment.environment import environment, resolve_device
    from snnbench.report.text import number, size, table
    from snnbench.snn.precision import PRECISIONS

    names = args.network.split(",") if args.network else list(CASES)
    for name in names:
        if name not in CASES:
            raise unknown("network", name, CASES)
    precisions = tuple(args.precision.split(",")) if args.precision else ("float32",)
    for name in precisions:
        if name not in PRECISIONS:
            raise unknown("precision", name, PRECISIONS)
    if args.rounds < 1:
        raise UsageError(f"--rounds {args.rounds}: at least 1")
    device = resolve_device(args.device)
    computed = ("float32", *precisions, *([peer_precision(device)] if args.against else []))
    peaks = {name: matrix_peak(device, name) for name in dict.fromkeys(computed)}
    facts = environment(device)
    hardware = facts["hardware"]
    if not args.json:
        print(
            f"{hardware.get('gpu') or hardware['cpu']}, {device}, {threads(device)} at once, product of matrices "
            + ", ".join(
                f"{peak / 1e9:,.0f} GFLOP/s ({name})"
                for name, peak in peaks.items()
                if device.type == "cuda" or name == "float32"  # a CPU computes all of them in float32
            )
            + f"; median of {args.rounds}"
        )
    found = []
    for name in names:
        case = CASES[name]
        rows = measure(case, device, args.rounds, args.against, precisions)
        found += [dataclasses.asdict(row) | {"share_of_peak": row.dense_flops / peaks[row.precision]} for row in rows]
        if args.json:
            continue
        print(
            f"\n{name}: {case.doc}, {case.parameters:,} weights; {case.candidates} candidates, {case.samples} samples, "
            f"{case.steps} steps"
        )
        header = ["way", "candidates/s", "samples/s", "of peak", "memory", f"x {args.against}" if args.against else ""]
        labels = [row.way if row.precision == "float32" else f"{row.way} {row.precision}" for row in rows]
        cells = [
            [
                label,
                number(1.0 / row.seconds),
                number(row.samples_per_second),
                f"{100 * row.dense_flops / peaks[row.precision]:.0f} %",
                "?" if row.memory is None else size(row.memory),
                "" if row.times is None else f"{row.times:.2f}",
            ]
            for label, row in zip(labels, rows, strict=True)
        ]
        print(table(header, cells), flush=True)
        different = [(labels[i], row.different) for i, row in enumerate(rows) if row.different is not None]
        if different:
            told = ", ".join(f"{count} by {label}" for label, count in different)
            print(f"of {case.samples} predictions, other than {args.against}'s: {told}")
    if args.json:
        facts |= {"device": str(device), "at_once": threads(device), "matrix_peak": peaks, "rounds": args.rounds}
        print(json.dumps(facts | {"rows": found}, indent=2))
    else:
        print("\nof peak: operations as if every neuron fired, against the product of matrices")
    return 0
