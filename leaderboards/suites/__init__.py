"""Suites that come with snnbench, one TOML file each; `snnbench.experiment.suite` reads them."""
