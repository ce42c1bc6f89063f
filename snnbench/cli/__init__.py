"""The command line: one module per verb, each with ``add(subparsers)``; nothing heavy is imported before it is used."""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from snnbench import __version__
from snnbench.errors import SnnbenchError, unknown


class Parser(argparse.ArgumentParser):
    """Answers bad usage with one line and exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Print one line and leave."""
        self.exit(2, f"{self.prog}: {message}; see `{self.prog} --help`\n")


def parser() -> Parser:
    """The whole command line."""
    from snnbench.cli import (
        bench,
        conformance,
        data,
        doctor,
        export,
        info,
        listing,
        new,
        pack,
        plot,
        prepare,
        publish,
        rank,
        report,
        resume,
        run,
        status,
        validate,
    )

    main_parser = Parser(
        prog="snnbench",
        description="Benchmarks for gradient-free optimization of spiking neural networks.",
        epilog="Try: snnbench run --algo cade --problem sew-digits",
    )
    main_parser.add_argument("--version", action="version", version=f"snnbench {__version__}")
    verbs = main_parser.add_subparsers(dest="verb", metavar="VERB")
    results = (rank, plot, report, publish, export, pack, validate)
    for module in (run, resume, status, *results, listing, info, new, conformance, prepare, data, bench, doctor):
        module.add(verbs)
    return main_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns
    -------
    int
        0 for success, 1 for a failure, 2 for a request that cannot be met, 130 after Ctrl-C.
    """
    # Threads that wait for each other by spinning cost a hundredfold where something else wants a core. Read by the
    # OpenMP runtime when torch is imported, which nothing has done yet.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    main_parser = parser()
    warnings.formatwarning = _one_line
    try:
        _check_verb(main_parser, arguments)
        args = main_parser.parse_args(arguments)
        if args.verb is None:
            main_parser.print_help()
            return 0
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except SnnbenchError as error:
        print(f"snnbench: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("snnbench: interrupted; the same command continues where it stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe has gone: nobody is left to tell
        sys.stderr.close()
        return 1
    except OSError as error:
        print(f"snnbench: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", file=sys.stderr)
        return 1


def _one_line(message: Warning | str, *_: object, **__: object) -> str:
    """A warning as a user wants it: without the line of source that it came from."""
    return f"snnbench: {message}\n"


def _check_verb(main_parser: Parser, arguments: list[str]) -> None:
    """Name the nearest verbs for an unknown one, which argparse does not."""
    actions = [a for a in main_parser._actions if isinstance(a, argparse._SubParsersAction)]
    verbs = list(actions[0].choices)
    first = arguments[0] if arguments else "--help"
    if not first.startswith("-") and first not in verbs:
        raise unknown("command", first, verbs, "see `snnbench --help`")
