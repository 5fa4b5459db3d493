"""Which addresses are never asked through a proxy: a table of inputs."""

import pytest

from koboshi.proxies import direct, for_httpx, on_loopback

OURS = "127.0.0.1,localhost,::1"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"no_proxy": OURS, "NO_PROXY": OURS}),
        ({"no_proxy": ""}, {"no_proxy": OURS, "NO_PROXY": OURS}),
        ({"NO_PROXY": "corp"}, {"no_proxy": f"corp,{OURS}", "NO_PROXY": f"corp,{OURS}"}),
        ({"no_proxy": ".a, b,,"}, {"no_proxy": f".a,b,{OURS}", "NO_PROXY": f".a,b,{OURS}"}),
        ({"no_proxy": "a", "NO_PROXY": "b"}, {"no_proxy": f"a,{OURS}", "NO_PROXY": f"b,{OURS}"}),
        ({"no_proxy": "", "NO_PROXY": "b"}, {"no_proxy": OURS, "NO_PROXY": f"b,{OURS}"}),
        ({"no_proxy": "*"}, {"no_proxy": "*", "NO_PROXY": "*"}),
        ({"no_proxy": "localhost"}, dict.fromkeys(("no_proxy", "NO_PROXY"), "localhost,127.0.0.1,::1")),
        (
            {"no_grpc_proxy": "g", "no_proxy": "a"},
            {"no_proxy": f"a,{OURS}", "NO_PROXY": f"a,{OURS}", "no_grpc_proxy": f"g,{OURS}"},
        ),
    ],
)
def test_the_users_entries_stay_and_ours_are_added_once(given: dict[str, str], expected: dict[str, str]) -> None:
    """Each spelling keeps its own entries, since clients differ in which one they read."""
    assert direct(given) == expected
    assert direct({**given, **direct(given)}) == expected


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("http://127.0.0.1:24003", True),
        ("http://127.9.8.7", True),
        ("https://localhost:1/x", True),
        ("http://LOCALHOST", True),
        ("http://part.localhost:1", True),
        ("http://[::1]:5000/api", True),
        ("http://mlflow:5000", False),
        ("http://10.0.0.1", False),
        ("http://127.0.0.1.example.com", False),
        ("http://notlocalhost", False),
        ("http://[::1", False),
        ("sqlite:///x", False),
        ("", False),
    ],
)
def test_an_address_is_of_this_machine_or_it_is_not(url: str, ours: bool) -> None:
    """By its host alone."""
    assert on_loopback(url) is ours
    assert bool(for_httpx(url)) is ours
