"""``python -m benchmarks NAME [--record] [ARGUMENTS]``."""

from __future__ import annotations

import argparse
import importlib
import sys

from benchmarks.figure import record

NAMES = (
    "job",
    "overhead",
    "lr",
    "lr_scale",
    "homolr",
    "secureboost",
    "binning",
    "dsl",
    "pickup",
    "chain",
    "queue",
    "deaths",
    "ending",
    "chaos",
    "crypto",
    "maps",
    "quality",
    "psi",
    "ids",
    "secagg",
    "engines",
    "transport",
    "airflows",
)


def main() -> int:
    """Run one benchmark and print its figures as they are known."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--record", action="store_true", help="keep the figures and write README.md anew")
    options, rest = parser.parse_known_args()
    figures = []
    for figure in importlib.import_module(f"benchmarks.{options.name}").run(rest):
        print(figure.line(), flush=True)
        figures.append(figure)
    if options.record:
        record(options.name, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
