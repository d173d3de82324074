"""The commit of a git checkout is read as git itself tells it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from engine.core.version import read_commit


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_the_commit_is_read_from_a_branch_packed_refs_a_work_tree_and_a_detached_head(tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    assert read_commit(folder) == ""
    git(folder, "init", "--quiet")
    assert read_commit(folder) == "", "nothing is committed"
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "First")
    commit = git(folder, "rev-parse", "HEAD").strip()[:10]
    assert read_commit(folder) == commit
    git(folder, "worktree", "add", "--quiet", "-b", "other", str(tmp_path / "beside"))
    assert read_commit(tmp_path / "beside") == commit
    git(folder, "pack-refs", "--all")
    assert read_commit(folder) == commit
    assert read_commit(tmp_path / "beside") == commit
    git(folder, "checkout", "--quiet", "--detach")
    assert read_commit(folder) == commit
