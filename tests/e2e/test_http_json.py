# SPDX-License-Identifier: BSD-3-Clause
"""JSON bodies: what was written reaches PostgreSQL digit by digit; what is not JSON is told where."""
import json

import pytest

from daemon import Freshet
from http_wire import assert_problem

ECHO = """
listen: { http: "127.0.0.1:0" }
database: { dsn: "%s" }
routes:
  - match: GET /ready
    sql: "SELECT id FROM product LIMIT 1"
  - match: POST /bigint
    sql: "SELECT :v::bigint AS v"
  - match: POST /numeric
    sql: "SELECT :v::numeric AS v"
  - match: POST /text
    sql: "SELECT :v::text AS v"
  - match: POST /json
    sql: "SELECT :v::json::text AS v"
  - match: POST /jsonb
    sql: "SELECT :v::jsonb::text AS v"
  - match: POST /double
    sql: "SELECT :v::double precision AS v"
"""


@pytest.fixture(scope="module")
def echo(postgres, shop_template, tmp_path_factory):
    """Follows a database, so that the types of the parameters are known."""
    database = postgres.create(shop_template)
    daemon = Freshet(tmp_path_factory.mktemp("echo"), ECHO % database.role_dsn).start()
    yield daemon.following("/ready")
    code = daemon.stop()
    print(daemon.log_text())
    postgres.drop(database)
    assert code == 0


def value(answer):
    """The text of the answer's only value: a JSON reader would round it."""
    assert answer.status == 200, answer
    body = answer.body.decode()
    assert body.startswith('{"v":') and body.endswith("}"), body
    return body[5:-1]


def post(echo, path, text):
    return echo.http().post(path, ('{"v":%s}' % text).encode())


@pytest.mark.parametrize("number", ["0", "-1", "9007199254740993", "999999999999999999",
                                    "9223372036854775807", "-9223372036854775808"])
def test_int64_keeps_every_digit(echo, number):
    assert value(post(echo, "/bigint", number)) == number
    assert value(post(echo, "/bigint", f'"{number}"')) == number


@pytest.mark.parametrize("number", [
    "0.1", "12345678901234567890", "123456789012345678901234567890.123456789012345678901234567890",
    "0.30000000000000004", "99999999999999999999999999999999999999", "-0.000000000000000000001"])
def test_numeric_keeps_every_digit(echo, number):
    assert value(post(echo, "/numeric", number)) == number


def test_exponents_are_numbers(echo):
    assert value(post(echo, "/numeric", "1e3")) == "1000"
    assert value(post(echo, "/numeric", "1.5E-3")) == "0.0015"
    assert value(post(echo, "/double", "1e300")) == "1e+300"


@pytest.mark.parametrize("number", ["9223372036854775808", "-9223372036854775809", "1" * 40])
def test_too_large_for_bigint_is_told_so(echo, number):
    problem = assert_problem(post(echo, "/bigint", number), 400, parameter="v")
    assert "integer" in problem["detail"] or "range" in problem["detail"]


@pytest.mark.parametrize("text", ["1.5", "1e3", "true", "[1]", '{"a":1}', '""'])
def test_what_is_no_integer_is_told_so(echo, text):
    assert "must be an integer" in assert_problem(post(echo, "/bigint", text), 400, parameter="v")["detail"]


def test_too_large_for_double_names_the_parameter(echo):
    assert_problem(post(echo, "/double", "1e400"), 400, parameter="v")


@pytest.mark.parametrize("text", ["123456789012345678901234567890.5", "[1.10, 2e0]",
                                  '{"a": 12345678901234567890, "b": [0.1000]}'])
def test_nested_numbers_keep_every_digit(echo, text):
    assert json.loads(value(post(echo, "/json", text))) == text
    stored = json.loads(value(post(echo, "/jsonb", text)))
    exact = {"parse_float": str, "parse_int": str}
    assert json.loads(stored, **exact) == json.loads(text.replace("2e0", "2"), **exact)


def test_strings_come_unquoted_and_unescaped(echo):
    for said in ("plain", "", 'a"b\\c/\b\f\n\r\t', "€ \U0001f9fa ünïcode", "123"):
        assert json.loads(value(post(echo, "/text", json.dumps(said)))) == said
        assert json.loads(value(post(echo, "/text", json.dumps(said, ensure_ascii=False)))) == said
        assert json.loads(json.loads(value(post(echo, "/jsonb", json.dumps(said))))) == said
    assert value(post(echo, "/text", "null")) == "null"


def test_member_names_may_be_escaped(echo):
    assert value(echo.http().post("/bigint", b'{"\\u0076": 7}')) == "7"


@pytest.mark.parametrize("body,where,what,parameter", [
    (b'{"v":1} x', "line 1, column 9", "follows the end", None),
    (b'{"v":1}{"v":2}', "line 1, column 8", "follows the end", None),
    (b'{"v":1,"v":2}', "line 1, column 8", "twice", "v"),
    (b'{"v":1,"\\u0076":2}', "line 1, column 8", "twice", "v"),
    (b'{"v":{"a":1,\n"a":2}}', "line 2, column 1", "twice", "v"),
    (b'{"x":1,"x":2,"v":1}', "line 1, column 8", "twice", None),
    (b'{"v":"\\ud800"}', "line 1, column 7", "surrogate", "v"),
    (b'{"v":"\\udc00\\ud800"}', "line 1, column 7", "surrogate", "v"),
    (b'{"v":"\xff"}', "line 1, column 7", "UTF-8", "v"),
    (b'{"v":"\xed\xa0\x80"}', "line 1, column 7", "UTF-8", "v"),
    (b'{"v":"\xc0\xaf"}', "line 1, column 7", "UTF-8", "v"),
    (b'{"v":"a\nb"}', "line 1, column 8", "control character", "v"),
    (b'{"v":"a\0b"}', "line 1, column 8", "control character", "v"),
    (b'{\r\n  "v": 01\r\n}', "line 2, column 8", "begins with 0", "v"),
    (b'{"v":NaN}', "line 1, column 6", "value is expected", "v"),
    (b'{"v":1,}', "line 1, column 8", "name in quotes", "v"),
    (b'{"v":1', "line 1, column 7", "ends too early", "v"),
    (b'\xef\xbb\xbf{"v":1}', "line 1, column 1", "value is expected", None),
    (b'{"v":' + b"[" * 300 + b"]" * 300 + b"}", "line 1, column 261", "256 levels", "v"),
    (b"[" * 100000, "line 1, column 257", "256 levels", None),
])
def test_what_is_wrong_is_told_with_its_place(echo, body, where, what, parameter):
    http = echo.http()
    problem = assert_problem(http.post("/jsonb", body), 400)
    assert where in problem["detail"] and what in problem["detail"], problem
    assert problem.get("parameter") == parameter
    assert value(http.post("/bigint", b'{"v":1}')) == "1", "the connection goes on"


@pytest.mark.parametrize("body", [b"[]", b'"v"', b"1", b"null"])
def test_body_that_is_no_object(echo, body):
    assert "one JSON object" in assert_problem(echo.http().post("/bigint", body), 400)["detail"]


def test_nul_in_a_string_is_refused_by_name(echo):
    assert_problem(post(echo, "/text", '"a\\u0000b"'), 400, parameter="v")
    assert_problem(post(echo, "/jsonb", '{"a":"\\u0000"}'), 400)


def test_deep_but_allowed(echo):
    text = "[" * 200 + "]" * 200
    assert json.loads(value(post(echo, "/jsonb", text))) == text
