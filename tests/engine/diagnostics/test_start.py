"""What a server or worker refuses to start with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.core.settings import BadSetting, from_environment
from engine.diagnostics.start import require_usable


@pytest.mark.parametrize("serves", [True, False], ids=["server", "worker"])
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FLOWPORT_OUTBOUND_ALLOW", "0.0.0.0/0"),
        ("FLOWPORT_OUTBOUND_ALLOW", "nas.lan, 10.0.0.1/8"),
        ("FLOWPORT_WEBHOOK_ALLOW", "*.com"),
        ("FLOWPORT_OUTBOUND_PROXY", "http://ann:canary@proxy:badport"),
        ("FLOWPORT_OUTBOUND_PROXY", "http://proxy:99999"),
        ("FLOWPORT_OUTBOUND_PROXY", "http://:3128"),
        ("FLOWPORT_OUTBOUND_PROXY", "http://"),
        ("FLOWPORT_OUTBOUND_PROXY", "http://ann:1#canary@proxy:3128"),
        ("FLOWPORT_OUTBOUND_PROXY", "http://ann:1?canary@proxy:3128"),
    ],
)
def test_what_leaves_the_server_is_read_before_the_start(variable: str, value: str, *, serves: bool) -> None:
    with pytest.raises(BadSetting, match=variable) as refused:
        require_usable(from_environment({variable: value}), serves=serves)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FLOWPORT_OUTBOUND_ALLOW", "nas.lan, 10.0.0.0/8, *.internal:9000"),
        ("FLOWPORT_WEBHOOK_ALLOW", "10.0.0.5"),
        ("FLOWPORT_OUTBOUND_PROXY", "http://ann:secret@proxy:3128/"),
        ("FLOWPORT_OUTBOUND_PROXY", "https://[fd00::1]:3128"),
        ("FLOWPORT_OUTBOUND_PROXY", "http://proxy"),
        ("FLOWPORT_OUTBOUND_ALLOW", ""),
    ],
)
def test_what_can_be_used_is_no_reason_to_refuse(variable: str, value: str) -> None:
    require_usable(from_environment({variable: value}), serves=True)


@pytest.mark.parametrize("serves", [True, False], ids=["server", "worker"])
def test_a_folder_whose_path_is_no_text_is_refused(tmp_path: Path, *, serves: bool) -> None:
    data = tmp_path / os.fsdecode(b"a\xffb")
    with pytest.raises(BadSetting, match=r"is not UTF-8.*a\\xffb\. Rename it"):
        require_usable(from_environment({"FLOWPORT_DATA": str(data)}), serves=serves)
    require_usable(from_environment({"FLOWPORT_DATA": str(tmp_path / "a\\xffb ä")}), serves=serves)


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff"], ids=["missing", "empty", "blank", "no text"])
@pytest.mark.parametrize("variable", ["FLOWPORT_METRICS_TOKEN_FILE", "FLOWPORT_BACKUP_PASSPHRASE_FILE"])
def test_a_server_needs_what_is_in_the_files_of_its_environment_and_a_worker_does_not(
    tmp_path: Path, variable: str, content: bytes | None
) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    settings = from_environment({variable: str(file)})
    with pytest.raises(BadSetting, match=variable):
        require_usable(settings, serves=True)
    require_usable(settings, serves=False)


def test_a_passphrase_in_a_file_is_as_long_as_one_from_the_page(tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("abc\n")
    settings = from_environment({"FLOWPORT_BACKUP_PASSPHRASE_FILE": str(tmp_path / "passphrase")})
    with pytest.raises(BadSetting, match="FLOWPORT_BACKUP_PASSPHRASE_FILE"):
        require_usable(settings, serves=True)


def test_a_passphrase_in_a_variable_is_as_long_as_one_from_the_page() -> None:
    require_usable(from_environment({"FLOWPORT_BACKUP_PASSPHRASE": "8 signs!"}), serves=True)
    with pytest.raises(BadSetting, match="FLOWPORT_BACKUP_PASSPHRASE has 6 characters") as refused:
        require_usable(from_environment({"FLOWPORT_BACKUP_PASSPHRASE": "canary"}), serves=True)
    assert "canary" not in str(refused.value)
