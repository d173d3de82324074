from __future__ import annotations

from pathlib import Path

import pytest

from engine.core.settings import BadSetting, Settings, from_environment, misspelt_variables


def test_nothing_set_means_the_defaults():
    settings = from_environment({})
    assert settings == Settings()
    assert (settings.data, settings.host, settings.port) == (Path("data"), "127.0.0.1", 8080)
    assert settings.base_url == "http://localhost:8080"


def test_the_environment_is_read_and_the_command_line_wins():
    settings = from_environment(
        {"FLOWPORT_DATA": "/srv/flowport", "FLOWPORT_PORT": "9000", "FLOWPORT_PLAN": "Pro"}, port=9001, host=None
    )
    assert (settings.data, settings.port, settings.plan) == (Path("/srv/flowport"), 9001, "pro")


def test_variables_that_nothing_reads_are_found_with_what_may_be_meant():
    of_kubernetes = {"FLOWPORT_API_PORT": "tcp://10.0.0.1:80", "FLOWPORT_API_SERVICE_HOST": "10.0.0.1"}
    known = {"FLOWPORT_PORT": "9000", "FLOWPORT_API_KEY": "fp_live_x", "FLOWPORT_TEST_JOBS": "1", "PATH": ""}
    assert misspelt_variables(of_kubernetes | known) == []
    assert misspelt_variables({"FLOWPORT_SECRET_KEY": "", "FLOWPORT_QQQQQQQQQQQQQQQQQ": ""}) == [
        ("FLOWPORT_QQQQQQQQQQQQQQQQQ", ""),
        ("FLOWPORT_SECRET_KEY", "FLOWPORT_SECRET_KEY_FILE"),
    ]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://localhost:8080"),
        ("127.0.0.1", "http://localhost:8080"),
        ("10.1.2.3", "http://10.1.2.3:8080"),
        ("fd00::5", "http://[fd00::5]:8080"),
    ],
)
def test_links_name_a_host_that_can_be_opened(host, url):
    assert from_environment({"FLOWPORT_HOST": host}).base_url == url


def test_the_public_address_wins_and_has_no_slash_at_its_end():
    assert (
        from_environment({"FLOWPORT_PUBLIC_URL": "https://flows.example.com/"}).base_url == "https://flows.example.com"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FLOWPORT_LOCAL_SERVERS", "11434,x"),
        ("FLOWPORT_PORT", "http"),
        ("FLOWPORT_PORT", "0"),
        ("FLOWPORT_PLAN", "gold"),
        ("FLOWPORT_PORT", "²"),
        ("FLOWPORT_LOCAL_SERVERS", "²"),
        ("FLOWPORT_PUBLIC_URL", "flows.io"),
        ("FLOWPORT_PUBLIC_URL", "https://"),
        ("FLOWPORT_PUBLIC_URL", "https://:8080"),
        ("FLOWPORT_PUBLIC_URL", "https://flows.io/prefix"),
        ("FLOWPORT_PUBLIC_URL", "https://flows.io?a"),
        ("FLOWPORT_PUBLIC_URL", "https://flows.io:99999"),
        ("FLOWPORT_PUBLIC_URL", "https://flows.io:0"),
        ("FLOWPORT_PUBLIC_URL", "https://flows io"),
        ("FLOWPORT_PUBLIC_URL", "https://ann@flows.io"),
        ("FLOWPORT_PUBLIC_URL", "https://[::1"),
        ("FLOWPORT_ALLOWED_ORIGINS", "flows.io"),
        ("FLOWPORT_ALLOWED_ORIGINS", "https://a.example, *"),
        ("FLOWPORT_ALLOWED_ORIGINS", "https://a.example:99999"),
        ("FLOWPORT_TRUSTED_PROXIES", "nginx"),
        ("FLOWPORT_TRUSTED_PROXIES", "*, 10.0.0.1"),
        ("FLOWPORT_TRUSTED_PROXIES", "10.0.0.1:80"),
        ("FLOWPORT_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("FLOWPORT_OUTBOUND_PROXY", "proxy:3128"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name, value):
    with pytest.raises(BadSetting, match=name):
        from_environment({name: value})


def test_addresses_are_kept_as_browsers_send_them():
    settings = from_environment(
        {
            "FLOWPORT_PUBLIC_URL": "https://Büro.Example:443/",
            "FLOWPORT_ALLOWED_ORIGINS": "http://Flows.lan:80, https://flows.lan:8443/path",
        }
    )
    assert settings.public_url == "https://xn--bro-hoa.example"
    assert settings.allowed_origins == ("http://flows.lan", "https://flows.lan:8443")


def test_lists_are_split_at_commas():
    settings = from_environment(
        {"FLOWPORT_ALLOWED_ORIGINS": "https://a.example/, https://b.example", "FLOWPORT_TRUSTED_PROXIES": "private"}
    )
    assert settings.allowed_origins == ("https://a.example", "https://b.example")
    assert settings.trusted_proxies == ("private",)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://flowport:canary-12@db.example.com:5432/flowport",
        "postgres://flowport:canary-12@db.example.com/flowport?sslmode=require",
        "postgresql://flowport:p%40ss@/flowport?host=/run/postgresql",
    ],
)
def test_the_address_of_a_postgres_database_is_taken_and_its_password_is_not_in_what_settings_print(address):
    settings = from_environment({"FLOWPORT_DATABASE_URL": address, "FLOWPORT_SECRET_KEY_FILE": "/run/key"})

    assert settings.database_url == address.replace("postgres://", "postgresql://")
    assert "canary" not in repr(settings)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mysql://flowport:canary@db/flowport", "begins with mysql://"),
        ("canary-password", "has no :// in it"),
        ("postgresql://flowport:canary/9@db.example.com/flowport", "cannot be read"),
        ("postgresql://flowport:9/canary@db.example.com/flowport", "cannot be read"),
        ("postgresql://flowport:canary@9@db.example.com/flowport", "cannot be read"),
        ("postgresql://flowport:9#canary@db.example.com/flowport", "cannot be read"),
        ("postgresql://flowport:9@db.example.com:canary/flowport", "cannot be read"),
    ],
)
def test_another_address_is_refused_without_showing_it(address, said):
    with pytest.raises(BadSetting, match=said) as refused:
        from_environment({"FLOWPORT_DATABASE_URL": address})

    assert "canary" not in str(refused.value)
    assert "canary" not in repr(refused.value.__cause__)


def test_a_shared_database_needs_a_shared_key():
    with pytest.raises(BadSetting, match="FLOWPORT_SECRET_KEY_FILE must be set too"):
        from_environment({"FLOWPORT_DATABASE_URL": "postgresql://db.example.com/flowport"})


def test_a_network_that_does_not_begin_with_its_first_address_is_told_with_it() -> None:
    with pytest.raises(BadSetting, match=r"10\.0\.0\.1/8.*Write 10\.0\.0\.0/8\.$"):
        from_environment({"FLOWPORT_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.1/8"})


@pytest.mark.parametrize(
    ("text", "trusted"),
    [
        ("PRIVATE", ("private",)),
        ("*", ("*",)),
        ("10.0.0.0/8, FC00::/7,10.0.0.5", ("10.0.0.0/8", "fc00::/7", "10.0.0.5")),
        (" , ", ()),
        (" ", Settings().trusted_proxies),
    ],
)
def test_trusted_proxies_are_addresses_networks_or_a_word(text: str, trusted: tuple[str, ...]) -> None:
    assert from_environment({"FLOWPORT_TRUSTED_PROXIES": text}).trusted_proxies == trusted


def test_a_refused_proxy_is_not_shown_since_it_may_hold_a_password() -> None:
    with pytest.raises(BadSetting) as refused:
        from_environment({"FLOWPORT_OUTBOUND_PROXY": "ann:canary@proxy:3128"})
    assert "canary" not in str(refused.value)
