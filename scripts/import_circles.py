# ruff: noqa: INP001 - a script, not a package
"""Prints every circle of imports between modules of this repository; imports inside functions and for types count too.

Run it with `make circles`. It ends with 1 when there is a circle.
"""

from __future__ import annotations

import graphlib
import sys

import grimp

PACKAGES = ("api", "engine", "storage", "ui")


def circles(*packages: str) -> list[list[str]]:
    """Circles of modules, each from a module back to itself, so that cutting one import of each leaves none."""
    graph = grimp.build_graph(*packages, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    found = []
    while True:
        try:
            graphlib.TopologicalSorter(imports).prepare()
        except graphlib.CycleError as error:
            circle = error.args[1][::-1]  # the sorter lists what is imported before what imports it
            found.append(circle)
            imports[circle[0]].remove(circle[1])
        else:
            return found


def main() -> int:
    """Prints the circles and their number."""
    found = circles(*PACKAGES)
    for circle in found:
        print(" -> ".join(circle))  # noqa: T201 - what the command is for
    print(f"{len(found)} circles")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
