"""`make image-check` says what a machine lacks to build and start the image. Building it takes minutes and root."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import image_check


@pytest.mark.parametrize(
    ("system", "user", "buildah", "said"),
    [
        ("Linux", 0, True, []),
        ("Linux", 0, False, ["apt-get install buildah"]),
        ("Linux", 1000, True, ["sudo make image-check"]),
        ("Darwin", 501, False, ["containers need Linux", "sudo make image-check", "apt-get install buildah"]),
    ],
)
def test_what_is_missing_is_named(system: str, user: int, buildah: bool, said: list[str]):
    found = image_check.missing(system, user, {"buildah": buildah})
    assert len(found) == len(said)
    assert all(words in sentence for words, sentence in zip(said, found, strict=True))


def test_a_machine_without_buildah_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert image_check.main([]) == 2
    assert "The image cannot be tried here.\n" in capsys.readouterr().out


def test_the_base_image_is_that_of_the_dockerfile():
    assert image_check.base_name().startswith("python:3.")
