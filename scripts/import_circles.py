# ruff: noqa: INP001 - a script, not a package
"""Prints every import cycle between modules of this repository, including imports inside functions and for type
checking.

Run it with `make circles`. It exits with 1 when there is a cycle.
"""

from __future__ import annotations

import graphlib
import sys

import grimp

PACKAGES = ("api", "engine", "storage", "ui")


def circles(*packages: str) -> list[list[str]]:
    """Returns import cycles, each as a list that starts and ends with the same module.

    Removing one import of each returned cycle leaves no cycle.
    """
    graph = grimp.build_graph(*packages, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    found = []
    while True:
        try:
            graphlib.TopologicalSorter(imports).prepare()
        except graphlib.CycleError as error:
            circle = error.args[1][::-1]  # the sorter lists an imported module before the module that imports it
            found.append(circle)
            imports[circle[0]].remove(circle[1])
        else:
            return found


def main() -> int:
    """Prints the cycles and their number; returns the exit code."""
    found = circles(*PACKAGES)
    for circle in found:
        print(" -> ".join(circle))  # noqa: T201 - what the command is for
    print(f"{len(found)} circles")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
