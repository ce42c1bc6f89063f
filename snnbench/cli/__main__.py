"""``python -m snnbench.cli``."""

from snnbench.cli import main

raise SystemExit(main())
