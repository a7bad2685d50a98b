"""Which proxy calls of services go through."""

import pytest

from linegate.proxies import proxy_for

SERVICE = "https://service.example/v1"


def test_the_environment_names_the_proxy_and_who_is_reached_without(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.plant:3128")
    assert proxy_for(SERVICE) == "http://proxy.plant:3128"
    assert proxy_for("http://service.example/v1") is None, "of another scheme"
    monkeypatch.setenv("NO_PROXY", "service.example")
    assert proxy_for(SERVICE) is None
    assert proxy_for("https://other.example/") == "http://proxy.plant:3128"
    monkeypatch.delenv("NO_PROXY")
    assert proxy_for(SERVICE) == "http://proxy.plant:3128", "as it is now"
