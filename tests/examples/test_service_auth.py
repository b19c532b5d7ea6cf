"""Accounts of the reference service, under both frameworks: tokens, cookies, and what is kept."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, NamedTuple

import pytest

from examples.service import asgi, wsgi
from examples.service.accounts import Accounts
from examples.service.development import generated_values
from socialflow_core.config.settings import load
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.servers.valkey import Valkey
from socialflow_core.wiring import Core
from tests.examples.loopback import served, served_wsgi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.examples.loopback import Answer, Server

ANN = {"email": "ann@example.com", "password": "a good password"}
GUARDED = {
    "/api/auth/me": "GET",
    "/api/auth/sessions": "GET",
    "/api/analytics/summary": "GET",
    "/api/tts": "POST",
}


class Place(NamedTuple):
    """The service somewhere, and somebody who is known there."""

    server: Server

    def post(self, what: str, told: object, **headers: str) -> Answer:
        """Send JSON to an endpoint of `/api/auth`."""
        body = json.dumps(told).encode()
        headers = {"Content_Type": "application/json"} | headers
        return self.server(f"/api/auth/{what}", method="POST", body=body, **headers)

    def me(self, **headers: str) -> int:
        """The status of asking who one is."""
        return self.server("/api/auth/me", "GET", None, **headers).status


@contextmanager
def started(kind: str, **environ: str) -> Iterator[Place]:
    """The service, with its limits out of the way."""
    values = generated_values() | {"RATE_LIMIT_AUTH": "1000/1m"} | environ
    with Core(load(environ=values, env_file=None)) as core:
        if kind == "asgi":
            serving = served(asgi.application(core, Accounts()))
        else:
            serving = served_wsgi(wsgi.application(core, Accounts()))
        with serving as server:
            yield Place(server)


@pytest.fixture(params=["asgi", "wsgi"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """The service under either framework, with Ann registered."""
    with started(request.param) as place:
        assert place.post("register", ANN).status == 201
        yield place


def told(answer: Answer) -> dict[str, str]:
    """What an answer says."""
    said = json.loads(answer.body)
    assert isinstance(said, dict)
    return said


def jar_of(answer: Answer) -> SimpleCookie:
    """The cookies that an answer sets, with what is said about them."""
    jar: SimpleCookie = SimpleCookie()
    for name, value in answer.headers:
        if name.lower() == "set-cookie":
            jar.load(value)
            assert jar[value.partition("=")[0]]["httponly"]
            assert jar[value.partition("=")[0]]["samesite"] == "Strict"
    return jar


def cookies(answer: Answer) -> dict[str, str]:
    """The same by name."""
    return {name: morsel.value for name, morsel in jar_of(answer).items()}


def shown(jar: dict[str, str]) -> str:
    """What a browser sends that keeps these."""
    return "; ".join(f"{name}={value}" for name, value in jar.items())


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "no address", "password": "a good password"},
        {"email": "a@b\x00", "password": "a good password"},
        {"email": "\ud800@b", "password": "a good password"},
        {"email": "bob@example.com", "password": "short"},
        {"email": "ann@example.com", "password": "another password"},
        {"email": "bob@example.com"},
    ],
)
def test_who_cannot_register_is_told_why(place: Place, wrong: dict[str, str]) -> None:
    """No address, a short password, an account that is there, nothing at all."""
    answer = place.post("register", wrong)
    assert (answer.status, told(answer)["code"]) == (400, "BAD_REQUEST")
    assert told(answer)["message"]


def test_a_refresh_token_is_good_once(place: Place) -> None:
    """Its successor is; shown again after that, it ends the session of whoever stole it."""
    first = told(place.post("login", ANN))
    second = told(place.post("refresh", {"refreshToken": first["refreshToken"]}))
    assert place.me(Authorization=f"Bearer {second['token']}") == 200
    third = told(place.post("refresh", {"refreshToken": second["refreshToken"]}))
    again = place.post("refresh", {"refreshToken": first["refreshToken"]})
    assert again.status == 401
    assert place.me(Authorization=f"Bearer {third['token']}") == 401


def test_cookies_do_what_headers_do(place: Place) -> None:
    """Whatever is asked: the same answers, to cookies that scripts cannot read."""
    token = told(place.post("login", ANN | {"cookies": False}))["token"]
    jar = cookies(place.post("login", ANN | {"cookies": True}))
    by_header, by_cookie = {"Authorization": f"Bearer {token}"}, {"Cookie": shown(jar)}
    for path, method in GUARDED.items():
        assert place.server(path, method).status == 401
        ways = [place.server(path, method, None, **way) for way in (by_header, by_cookie)]
        assert ways[0].status == ways[1].status == (503 if method == "POST" else 200)
        assert set(told(ways[0])) == set(told(ways[1]))
    again = place.post("refresh", {}, Cookie=shown(jar))
    assert list(told(again)) == ["success"]
    renewed = cookies(again)
    assert all(renewed[name] != value for name, value in jar.items())
    assert place.me(Cookie=shown(renewed)) == 200
    assert place.me(Cookie=f"refresh_token={renewed['refresh_token']}") == 401
    gone = jar_of(place.post("logout", {}, Cookie=shown(renewed)))
    assert {(each.value, each["max-age"], each["path"]) for each in gone.values()} == {
        ("", "0", "/")
    }
    assert set(gone) == set(jar)
    assert place.me(Cookie=shown(renewed)) == 401
    assert place.post("refresh", {}, Cookie=shown(renewed)).status == 401
    assert place.me(**by_header) == 200  # another session


def test_all_that_is_shown_is_logged_out(place: Place) -> None:
    """Each may be of another session: the body, both cookies, and the header."""
    pairs = [told(place.post("login", ANN)) for _ in range(4)]
    one, two, three, four = pairs
    jar = {"refresh_token": two["refreshToken"], "access_token": four["token"]}
    header = {"Authorization": f"Bearer {three['token']}"}
    answer = place.post(
        "logout", {"refreshToken": one["refreshToken"]}, Cookie=shown(jar), **header
    )
    assert answer.status == 200
    for pair in pairs:
        assert place.me(Authorization=f"Bearer {pair['token']}") == 401
        assert place.post("refresh", {"refreshToken": pair["refreshToken"]}).status == 401


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_a_browser_forgets_its_cookies_even_if_a_store_is_away(kind: str) -> None:
    """The answer says that it is not certain; here the token is refused even so."""
    with Valkey() as valkey, started(kind, REDIS_URL=valkey.url) as place:
        place.post("register", ANN)
        jar = cookies(place.post("login", ANN | {"cookies": True}))
        valkey.kill()
        answer = place.post("logout", {}, Cookie=shown(jar))
        assert (answer.status, answer.all("Retry-After")) == (503, ["1"])
        assert cookies(answer) == dict.fromkeys(jar, "")
        assert place.me(Cookie=shown(jar)) == 401


def test_whoever_shows_nothing_made_no_mistake(place: Place) -> None:
    """RFC 6750, 3.1: no error is named; and to log out without a token is no fault at all."""
    for answer in (place.post("refresh", {}), place.server("/api/auth/me")):
        assert (answer.status, answer.all("WWW-Authenticate")) == (401, ["Bearer"])
    assert place.post("logout", {}).status == 200


def test_a_cookie_lasts_as_long_as_its_token(place: Place) -> None:
    """Not longer, so that a browser shows none in vain, and not shorter."""
    jar = jar_of(place.post("login", ANN | {"cookies": True}))
    lasting = {name: int(morsel["max-age"]) for name, morsel in jar.items()}
    assert 890 <= lasting["access_token"] <= 900
    assert 604_790 <= lasting["refresh_token"] <= 604_800


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_whoever_logs_out_late_is_logged_out(kind: str) -> None:
    """By the refresh cookie, or the refresh token of the body, when the access token is over."""
    with started(kind, JWT_EXPIRES_IN="1s") as place:
        place.post("register", ANN)
        first = cookies(place.post("login", ANN | {"cookies": True}))
        second = told(place.post("login", ANN))
        late = shown(first)
        wait_until(lambda: place.me(Cookie=late) == 401, "the access token is over")
        assert place.post("logout", {}, Cookie=late).status == 200
        assert place.post("refresh", {}, Cookie=late).status == 401
        body = {"refreshToken": second["refreshToken"]}
        assert place.post("logout", body).status == 200
        assert place.post("refresh", body).status == 401


def test_in_production_no_other_host_can_set_them(valkey: Valkey) -> None:
    """By their names' prefixes; and cookies without those are not looked at."""
    with started("wsgi", APP_ENV="production", REDIS_URL=valkey.url) as place:
        place.post("register", ANN)
        jar = jar_of(place.post("login", ANN | {"cookies": True}))
        assert set(jar) == {"__Host-access_token", "__Host-refresh_token"}
        for morsel in jar.values():
            assert (morsel["secure"], morsel["path"], morsel["domain"]) == (True, "/", "")
        token = jar["__Host-access_token"].value
        assert place.me(Cookie=f"access_token={token}") == 401
        assert place.me(Cookie=f"access_token=x; __Host-access_token={token}") == 200
        tossed = f"a=b; \xa0__Host-access_token=x; __Host-access_token={token}"
        assert place.me(Cookie=tossed) == 200


@pytest.mark.parametrize("what", ["login", "register", "refresh", "logout"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_form_of_another_site_logs_nobody_in(place: Place, what: str, kind: str) -> None:
    """It can send JSON as text, but not say that it is JSON: a browser asks first then."""
    answer = place.post(what, ANN | {"cookies": True}, Content_Type=kind)
    assert (answer.status, told(answer)["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert not cookies(answer)


def test_an_odd_device_can_log_in(place: Place) -> None:
    """What it calls itself is shown to people, as far as it can be."""
    token = told(place.post("login", ANN, User_Agent="a\tb\x7f\xe9" + "c" * 300))["token"]
    answer = place.server("/api/auth/sessions", Authorization=f"Bearer {token}")
    assert json.loads(answer.body)["sessions"][0]["name"] == "ab\xe9" + "c" * 197


def test_sessions_are_listed_by_device(place: Place) -> None:
    """Each login is one, with the name of what logged in."""
    tokens = [
        told(place.post("login", ANN, User_Agent=name))["token"] for name in ("phone", "desk")
    ]
    answer = place.server("/api/auth/sessions", Authorization=f"Bearer {tokens[1]}")
    listed = json.loads(answer.body)["sessions"]
    assert {(each["name"], each["current"]) for each in listed} == {
        ("phone", False),
        ("desk", True),
    }


def test_what_took_long_is_kept_for_each_user(place: Place) -> None:
    """The second answer is the first one, from memory."""
    token = told(place.post("login", ANN))["token"]
    first, second = (
        json.loads(place.server("/api/analytics/summary", Authorization=f"Bearer {token}").body)[
            "summary"
        ]
        for _ in range(2)
    )
    assert (first["source"], second["source"]) == ("computed", "memory")
    assert first["workedOutAt"] == second["workedOutAt"]
    assert place.server("/api/analytics/summary").status == 401
