"""There is no import cycle between modules, including imports inside functions and for type checking."""

import textwrap

from scripts.import_circles import PACKAGES, circles


def test_no_module_imports_itself_by_way_of_others():
    assert circles(*PACKAGES) == []


def test_a_circle_is_found_also_when_a_function_closes_it(tmp_path, monkeypatch):
    package = tmp_path / "ring_of_three"
    package.mkdir()
    for name, text in {
        "__init__": "",
        "one": "from ring_of_three.two import x",
        "two": """
            from typing import TYPE_CHECKING
            if TYPE_CHECKING:
                from ring_of_three import three
        """,
        "three": """
            def work():
                import ring_of_three.one
        """,
        "four": "from ring_of_three import one",
    }.items():
        (package / f"{name}.py").write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(tmp_path)
    (circle,) = circles("ring_of_three")
    assert circle[0] == circle[-1]
    assert {f"ring_of_three.{name}" for name in ("one", "two", "three")} == set(circle)
    start = circle.index("ring_of_three.one", 0, 3)
    assert circle[start + 1] == "ring_of_three.two", "each imports the next"
