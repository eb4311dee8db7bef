# SPDX-License-Identifier: BSD-3-Clause
"""What Redis has and freshet has not: an error that begins as clients expect and says what is missing."""
import pytest

from daemon import ROOT
from resp_client import RespError
from resp_helpers import PLAIN


@pytest.mark.parametrize("words, why", [
    (["BITOP", "AND", "a", "b"], "of bitmaps there are GETBIT, SETBIT and BITCOUNT only"),
    (["BITFIELD_RO", "a"], "of bitmaps there are"), (["pfadd", "a", "b"], "no HyperLogLog"),
    (["GEOADD", "a", 1, 2, "b"], "no geo indexes"),
    (["FCALL_RO", "f", 0], "no functions"), (["FAILOVER"], "does not replicate"),
    (["ASKING"], "is no cluster"),
], ids=lambda v: v[0] if isinstance(v, list) else None)
def test_error_says_what_is_missing(freshet, words, why):
    with pytest.raises(RespError) as caught:
        freshet(PLAIN).resp()(*words)
    assert str(caught.value).startswith(f"ERR unknown command '{words[0]}', with args beginning with: ")
    assert why in str(caught.value)


def test_functions_are_none_and_none_can_be_loaded(freshet):
    client = freshet(PLAIN).resp()
    with pytest.raises(RespError, match="ERR functions are not in freshet: use scripts"):
        client("FUNCTION", "LOAD", "REPLACE", "#!lua name=lib\nredis.register_function('f', function() end)")
    assert client("FUNCTION", "RESTORE", client("FUNCTION", "DUMP")) == "OK"
    assert client("FUNCTION", "LIST") == []


def test_differences_name_each_of_them():
    page = (ROOT / "docs/redis-differences.md").read_text()
    for name in ("BITOP", "HyperLogLog", "geo", "consumer groups", "functions", "replication", "cluster", "modules"):
        assert name in page, name
