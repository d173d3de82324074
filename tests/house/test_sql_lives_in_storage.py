"""SQL is written in storage/ alone: what stands outside holds a Session as a type and hands it on."""

import ast
from pathlib import Path

import pytest

from tests.sources import nodes_of, parsed

ROOT = Path(__file__).parents[2]
OUTSIDE = [ROOT / "app.py", *(path for folder in ("api", "engine", "ui") for path in (ROOT / folder).rglob("*.py"))]
#: What may be imported of SQLAlchemy and sqlite3: the type of what a query or action is given, and a version to show.
TYPES = {("sqlalchemy.orm", "Session"), ("sqlite3", "sqlite_version")}
#: Modules of storage that are SQL, not an interface to it. Table classes may be named as types, in an `if TYPE_CHECKING:`.
INNER = ("storage.tables", "storage.statements")
#: Methods of a Session that read or write.
STATEMENTS = {
    "add", "add_all", "bulk_save_objects", "commit", "connection", "delete", "execute", "flush", "get", "get_one",
    "merge", "query", "refresh", "rollback", "scalar", "scalars",
}  # fmt: skip


def faults(nodes):
    """What in these nodes of a syntax tree is SQL, with its line."""
    for_types = {
        inner
        for node in nodes
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    found = []
    for node in nodes:
        match node:
            case ast.Import():
                found += [(node.lineno, one.name) for one in node.names if _is_sql(one.name)]
            case ast.ImportFrom(module=str(module)):
                for one in node.names:
                    allowed = (module, one.name) in TYPES or (node in for_types and module == "storage.tables")
                    if not allowed and (_is_sql(module) or _is_sql(f"{module}.{one.name}")):
                        found.append((node.lineno, f"{module}.{one.name}"))
            case ast.Call(func=ast.Attribute(value=ast.Name(id="session"), attr=method)) if method in STATEMENTS:
                found.append((node.lineno, f"session.{method}"))
            case ast.Call(func=ast.Attribute(attr="import_module") | ast.Name(id="__import__" | "import_module")):
                found += [(node.lineno, one.value) for one in node.args if _is_sql(getattr(one, "value", ""))]
    return found


def _is_sql(name):
    return isinstance(name, str) and any(
        name == module or name.startswith(f"{module}.") for module in ("sqlalchemy", "sqlite3", *INNER)
    )


def parts(source):
    return tuple(ast.walk(ast.parse(source)))


def test_no_sql_is_written_outside_storage():
    found = {path.relative_to(ROOT).as_posix(): faults(nodes_of(path)) for path in OUTSIDE}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import sqlalchemy",
        "import sqlalchemy as sa",
        "import sqlalchemy.orm",
        "import sqlite3",
        "from sqlalchemy import select",
        "from sqlalchemy.orm import Session, joinedload",
        "from sqlalchemy.dialects.sqlite import insert",
        "def work():\n    from sqlalchemy import text",
        "import importlib\nimportlib.import_module('sqlalchemy')",
        "from storage import tables",
        "from storage import statements",
        "import storage.tables",
        "from storage.tables import Job",
        "from storage.statements import Statement",
        "if TYPE_CHECKING:\n    from storage.statements import Statement",
        "if TYPE_CHECKING:\n    pass\nelse:\n    from storage.tables import Job",
        "def work(session):\n    session.execute('delete from jobs')",
        "def work(session):\n    return session.get(kind, 1)",
    ],
)
def test_sql_is_seen_however_it_is_written(source):
    assert len(faults(parts(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "from sqlalchemy.orm import Session",
        "if TYPE_CHECKING:\n    from storage.tables import Flow",
        "from storage.jobs import get_job\nget_job(session, 'ws', 'job')",
        "answers = {}\nanswers.get('x')",
        "tables = 3",
    ],
)
def test_what_is_no_sql_is_left_alone(source):
    assert faults(parts(source)) == []


def test_names_of_queries_say_what_they_do():
    """As CONTRIBUTING.md says: `get_` and `hold_` raise, and None is for `find_`."""
    wrong = [
        f"{path.relative_to(ROOT)}:{query.lineno} {query.name} may return None: call it `find_...`"
        for path in (ROOT / "storage").rglob("*.py")
        for query in parsed(path).body
        if isinstance(query, ast.FunctionDef) and query.name.startswith(("get_", "hold_"))
        if query.returns is not None and "None" in ast.unparse(query.returns)
    ]
    assert wrong == []
