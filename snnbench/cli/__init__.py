"""The command line: one module per verb."""


def main() -> int:
    """Entry point."""
    return 0
