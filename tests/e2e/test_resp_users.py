# SPDX-License-Identifier: BSD-3-Clause
"""Users of the Redis face: what they may do, and what is said when they may not."""
import hashlib
import re
import signal

import pytest

from daemon import cli, until
from resp_client import RespError
from resp_helpers import PLAIN, plain


def said(client, *words):
    client.raw(client.encode(*words))
    return plain(client.reply())


def user(daemon, name, *rules):
    """A connection as a new user with these rules."""
    admin = daemon.resp()
    assert admin("ACL", "SETUSER", name, "on", ">secret", *rules) == "OK"
    client = daemon.resp()
    assert client("AUTH", name, "secret") == "OK"
    return client


def test_commands_are_allowed_by_category_and_name(freshet):
    client = user(freshet(PLAIN), "ana", "~*", "&*", "+@read", "-mget", "+set", "+client|id", "+acl|whoami")
    assert client("ACL", "WHOAMI") == b"ana"
    assert client("SET", "k", "v") == "OK" and client("GET", "k") == b"v"
    assert isinstance(client("CLIENT", "ID"), int)
    for words in (["MGET", "k"], ["DEL", "k"], ["CLIENT", "LIST"], ["CONFIG", "GET", "*"]):
        name = "|".join(words[:2]).lower() if words[0] in ("CLIENT", "CONFIG") else words[0].lower()
        assert said(client, *words) == f"-NOPERM User ana has no permissions to run the '{name}' command"


def test_keys_are_allowed_by_pattern_and_direction(freshet):
    daemon = freshet(PLAIN)
    client = user(daemon, "ana", "~own:*", "%R~in:*", "%W~out:*", "+@all")
    daemon.resp()("SET", "in:1", "x")
    assert client("SET", "own:1", "v") == "OK" and client("GET", "own:1") == b"v"
    assert client("GET", "in:1") == b"x" and client("SETEX", "out:1", "100", "v") == "OK"
    denied = "-NOPERM No permissions to access a key"
    for words in (["GET", "other"], ["SET", "in:1", "v"], ["GET", "out:1"], ["MGET", "own:1", "other"],
                  ["COPY", "own:1", "other"], ["ZUNION", "2", "own:z", "other"]):
        assert said(client, *words) == denied, words
    assert client.pipeline(["MULTI"], ["GET", "own:1"])[1] == "QUEUED"
    assert said(client, "GET", "other") == denied
    assert said(client, "EXEC") == "-EXECABORT Transaction discarded because of previous errors."


def test_channels_are_allowed_by_pattern(freshet):
    client = user(freshet(PLAIN), "ana", "~*", "+@all", "&news:*")
    assert client("PUBLISH", "news:1", "x") == 0
    denied = "-NOPERM No permissions to access a channel"
    assert said(client, "PUBLISH", "other", "x") == denied
    assert said(client, "SUBSCRIBE", "news:1", "other") == denied
    assert said(client, "PSUBSCRIBE", "news:?") == denied  # must be the very pattern
    assert client("PSUBSCRIBE", "news:*") == [b"psubscribe", b"news:*", 1]


def test_a_change_of_rules_holds_from_the_next_command_on(freshet):
    daemon = freshet(PLAIN.replace("workers: 2", "workers: 3"))
    client, admin = user(daemon, "ana", "~*", "&*", "+@all"), daemon.resp()
    assert client("SET", "k", "v") == "OK"
    admin("ACL", "SETUSER", "ana", "-set")
    assert said(client, "SET", "k", "v").startswith("-NOPERM")
    assert client("GET", "k") == b"v"
    assert admin("ACL", "DELUSER", "ana", "nosuch") == 1
    client.raw(client.encode("GET", "k"))
    assert client.at_end()


def test_the_default_user_can_be_restricted_and_given_a_password(freshet):
    daemon = freshet(PLAIN)
    admin = user(daemon, "admin", "~*", "&*", "+@all")
    old = daemon.resp()
    assert old("PING") == "PONG"
    admin("ACL", "SETUSER", "default", ">other")
    stranger = daemon.resp()
    assert said(stranger, "GET", "k") == "-NOAUTH Authentication required."
    assert said(stranger, "AUTH", "wrong") == "-WRONGPASS invalid username-password pair or user is disabled."
    assert stranger("AUTH", "other") == "OK" and stranger("GET", "k") is None
    assert old("GET", "k") is None
    admin("ACL", "SETUSER", "default", "-@all", "+get")
    assert said(old, "SET", "k", "v") == "-NOPERM User default has no permissions to run the 'set' command"


def test_scripts_have_the_rights_of_who_runs_them(freshet):
    client = user(freshet(PLAIN), "ana", "~*", "&*", "+@all", "-del")
    assert client("EVAL", "return redis.call('SET', 'k', 'v')", "0") == "OK"
    assert "has no permissions to run the 'del' command" in said(client, "EVAL", "return redis.call('DEL', 'k')", "0")


def test_passwords_are_kept_and_given_as_digests(freshet):
    daemon = freshet(PLAIN)
    admin = daemon.resp()
    digest = hashlib.sha256(b"from a digest").hexdigest()
    admin("ACL", "SETUSER", "ana", "on", "#" + digest, ">" + "x" * 200)
    assert dict(zip(*[iter(admin("ACL", "GETUSER", "ana"))] * 2))[b"passwords"] == [
        digest.encode(), hashlib.sha256(b"x" * 200).hexdigest().encode()]
    for length in (55, 56, 63, 64, 65, 119, 120):
        admin("ACL", "SETUSER", "ana", ">" + "p" * length)
        assert daemon.resp()("AUTH", "ana", "p" * length) == "OK"
    assert daemon.resp()("AUTH", "ana", "from a digest") == "OK"
    assert said(daemon.resp(), "AUTH", "ana", "wrong").startswith("-WRONGPASS")
    admin("ACL", "SETUSER", "ana", "off")
    assert said(daemon.resp(), "AUTH", "ana", "from a digest").startswith("-WRONGPASS")


def test_the_policy_s_password_is_the_default_user_s(freshet):
    daemon = freshet(PLAIN + "auth: { password: sesame }\n")
    client = daemon.resp()
    assert said(client, "PING") == "-NOAUTH Authentication required."
    assert client("AUTH", "default", "sesame") == "OK"
    assert hashlib.sha256(b"sesame").hexdigest().encode() in client("ACL", "LIST")[0]


MODIFIERS = ["+foo", "foo", "+@foo", "#zz", "<nope", "!" + "a" * 64, "%X~a", "~a b", "&a b", "", "%~x",
             "+config|get|x", "-config|nosuch", "+@all", "-@all", "allkeys", "~x", "resetkeys", "~x", "%R~y", "%W~y",
             "allchannels", "&c", "resetchannels", "&c", "&d", "+get", "-get", "+@read", "+config|get", "-config",
             "+client", "-client|id", ">p", "<p", ">q", "nopass", "resetpass", "on", "off", "reset", "+GET"]


def test_rules_are_read_and_told_as_redis_does(freshet, redis_server):
    ours, theirs = freshet(PLAIN).resp(), redis_server.resp()
    for modifier in MODIFIERS:
        results = []
        for client in (ours, theirs):
            reply = said(client, "ACL", "SETUSER", "u", modifier)
            line = [row for row in client("ACL", "LIST") if row.startswith(b"user u ")]
            # 7.2 tells of sanitize-payload, and of rules as they were given; 7.0 does neither
            results.append((reply, [re.sub(rb" sanitize-payload| [+-]@all.*", b"", row) for row in line]))
        assert results[0] == results[1], modifier


@pytest.mark.parametrize("rules, told", [
    ("+@all -@hash -@slow +hget", "+@all -@hash -@slow +hget"),
    ("+@all -@hash -@slow +hget -@hash", "+@all -@slow +hget -@hash"),
    ("+@all -@hash -@slow +hget -@hash +@hash", "+@all -@slow +hget +@hash"),
    ("-@string -@slow +@all", "+@all"),
    ("-@all +@HASH +@hash +@HaSh", "-@all +@hash"),
    ("-@all +HGET +hget +hGeT", "-@all +hget"),
    ("-@all +@hash +@slow +@set +@set +@slow +@hash", "-@all +@set +@slow +@hash"),
    ("-@all +hget -hset +hset -hget", "-@all +hset -hget"),
    ("-@all +client|list +client|list +config|get +config +acl|list -acl", "-@all +client|list +config -acl"),
    ("-@all +select|0 +select|0 +debug|segfault +debug", "-@all +select|0 +debug"),
    ("-@all -@dangerous", "-@all -@dangerous"),
    ("-@all +config +config|get -config|set +config", "-@all +config"),
    ("-@all +memory|doctor", "-@all +memory|doctor"),
    ("+@all +client|id", "+@all +client|id"),
])
def test_rules_are_kept_as_they_were_given(freshet, rules, told):
    """As 7.2 does: nothing is left out because other rules say the same now; the next release may have more commands."""
    admin = freshet(PLAIN).resp()
    assert admin("ACL", "SETUSER", "u", *rules.split()) == "OK"
    assert dict(zip(*[iter(admin("ACL", "GETUSER", "u"))] * 2))[b"commands"].decode() == told


def test_every_category_is_told_as_it_was_given(freshet):
    admin = freshet(PLAIN).resp()
    for category in admin("ACL", "CAT"):
        for rules in (b"+@all -@" + category, b"-@all +@" + category):
            admin("ACL", "SETUSER", "u", "reset", *rules.split())
            assert dict(zip(*[iter(admin("ACL", "GETUSER", "u"))] * 2))[b"commands"] == rules


def test_one_first_argument_of_a_command_is_allowed(freshet):
    daemon = freshet(PLAIN)
    client = user(daemon, "ana", "-@all", "+select|0", "+debug|object", "+acl|whoami")
    assert client("SELECT", "0") == "OK"
    assert said(client, "SELECT", "1") == "-NOPERM User ana has no permissions to run the 'select' command"
    assert said(client, "DEBUG", "Object", "nosuch") == "-ERR no such key"
    assert "'debug'" in said(client, "DEBUG", "SEGFAULT")
    admin = daemon.resp()
    admin("ACL", "SETUSER", "ana", "-select")
    assert "'select'" in said(client, "SELECT", "0")
    admin("ACL", "SETUSER", "ana", "+select|1", "+select|5", "-@fast")
    assert "'select'" in said(client, "SELECT", "1")
    for rule, why in (("+config|get|x", "Allowing first-arg of a subcommand is not supported"),
                      ("+get|a|b", "Unknown command or category name in ACL"), ("+get|", "Syntax error"),
                      ("-select|0", "Unknown command or category name in ACL"),
                      ("+config|nosuch", "Unknown command or category name in ACL")):
        assert said(admin, "ACL", "SETUSER", "ana", rule) == f"-ERR Error in ACL SETUSER modifier '{rule}': {why}"


def test_new_users_hear_what_acl_pubsub_default_says(freshet, redis_server):
    ours, theirs = freshet(PLAIN).resp(), redis_server.resp()
    for client in (ours, theirs):
        client("CONFIG", "SET", "acl-pubsub-default", "allchannels")
        client("ACL", "SETUSER", "new")
        client("ACL", "SETUSER", "other", "resetchannels")
    script = (["SETUSER", "new", "&c"], ["SETUSER", "other", "reset"], ["SETUSER", "third", "reset", "resetchannels"])
    assert [said(ours, "ACL", *words) for words in script] == [said(theirs, "ACL", *words) for words in script]
    for name in ("new", "other", "third"):
        told = [dict(zip(*[iter(client("ACL", "GETUSER", name))] * 2))[b"channels"] for client in (ours, theirs)]
        assert told[0] == told[1]
    for client in (ours, theirs):
        client("CONFIG", "SET", "acl-pubsub-default", "resetchannels")
        client("ACL", "DELUSER", "new", "other", "third")


# What each may do with %R~read*, %W~write* and %RW~rw*: as acl-v2.tcl of Redis's own suite.
DRYRUNS = """get read|set write v|set read v|set rw v GET|set write v GET|append write a|append read a|copy read write
    copy write read|copy read read|hexists read f|hexists write f|hexists nothing f|hstrlen read f|sismember write f
    sintercard 2 read read|sintercard 2 write read|zcount read 0 1|zcount write 0 1|zintercard 2 read nothing
    touch read|touch write|touch nothing|exists read|exists write|type write|ttl write|expire write 1|expire read 1
    persist write|persist read|sort read STORE write|sort read STORE read|sort write STORE write|eval x 1 rw1|eval x 1 read
    eval_ro x 1 read|eval x 0 read|eval x 3 rw rw|eval x 3 rw read|lmove read write LEFT LEFT|lmove rw rw LEFT LEFT
    lmpop 1 read LEFT|lmpop 1 rw LEFT|rename read write|rename rw write|zunionstore write 1 read|zunionstore read 1 read
    getset rw v|getset write v|getdel write|getdel rw|getex read|getex rw|incr write|incr rw|lpush write a|lpush read a
    lpop write|lpop rw|spop rw|spop write|srem write a|zadd write 1 a|zincrby write 1 a|xadd write * a b|xread STREAMS read 0
    xread STREAMS write 0|dump read|restore write 0 x|object encoding read|memory usage write|del write|del read|mget read rw
    mget read write|watch write|setrange write 0 a|bitcount read|bitcount write|strlen write|llen write|scard write
    migrate h 1 rw 0 1|migrate h 1 read 0 1|migrate h 1  0 1 KEYS rw|migrate h 1  0 1 KEYS read|lcs read read|lcs read write"""


def test_rights_to_keys_go_by_what_a_command_does_to_them(freshet, redis_server):
    ours, theirs = freshet(PLAIN).resp(), redis_server.resp()
    differences = []
    for line in re.split(r"\||\n", DRYRUNS):
        told = []
        for client in (ours, theirs):
            client("ACL", "SETUSER", "dry", "reset", "+@all", "%R~read*", "%W~write*", "%RW~rw*")
            told.append(said(client, "ACL", "DRYRUN", "dry", *line.strip().split(" ")))
        told = [re.sub(rb"^(User dry|This user) has", b"", reply) if isinstance(reply, bytes) else reply for reply in told]
        differences += [(line, *told)] if told[0] != told[1] else []
    theirs("ACL", "DELUSER", "dry")
    assert differences == []


@pytest.mark.parametrize("words", [
    "DRYRUN nosuch get a", "DRYRUN u nosuch", "DRYRUN u get", "DRYRUN u get xa", "GENPASS 0", "GENPASS 5000", "SAVE", "LOAD",
    "LOG 1 2", "LOG abc", "CAT nosuch", "CAT a b", "DELUSER default", "GETUSER nosuch", "SETUSER a_b on", "nosuch", "HELP",
    "USERS", "CAT",
])
def test_replies_are_redis_s(freshet, redis_server, words):
    ours, theirs = freshet(PLAIN).resp(), redis_server.resp()
    results = []
    for client in (ours, theirs):
        client("ACL", "SETUSER", "u", "reset", "on", "nopass", "+get", "~x*")
        results.append(said(client, "ACL", *[word.replace("_", " ") for word in words.split()]))
        client("ACL", "DELUSER", "u")
    assert results[0] == results[1]


def test_denials_are_logged_and_counted_once_a_minute(freshet):
    daemon = freshet(PLAIN)
    client, admin = user(daemon, "ana", "~own:*", "&*", "+get"), daemon.resp()
    for _ in range(3):
        said(client, "SET", "k", "v")
    said(client, "GET", "other")
    said(daemon.resp(), "AUTH", "ana", "wrong")
    entries = [dict(zip(*[iter(e)] * 2)) for e in admin("ACL", "LOG")]
    assert [(e[b"reason"], e[b"object"], e[b"count"], e[b"username"]) for e in entries] == [
        (b"auth", b"AUTH", 1, b"ana"), (b"key", b"other", 1, b"ana"), (b"command", b"set", 3, b"ana")]
    assert len(admin("ACL", "LOG", "1")) == 1
    assert admin("ACL", "LOG", "RESET") == "OK" and admin("ACL", "LOG") == []


def test_denials_are_logged_with_where_and_what_they_were(freshet):
    daemon = freshet(PLAIN)
    admin = daemon.resp()
    client = user(daemon, "ana", "~own:*", "+set", "+incr", "+multi", "+exec", "+eval")

    def newest():
        entry = dict(zip(*[iter(admin("ACL", "LOG", "1")[0])] * 2))
        return entry[b"context"], entry[b"object"], re.search(rb" cmd=(\S+) ", entry[b"client-info"])[1]
    said(client, "GET", "own:1")
    assert newest() == (b"toplevel", b"get", b"get")
    client("MULTI")
    said(client, "MGET", "own:1")
    said(client, "EXEC")
    assert newest() == (b"multi", b"mget", b"mget")
    client.pipeline(["MULTI"], ["INCR", "own:2"])
    admin("ACL", "SETUSER", "ana", "-incr")
    assert "'incr'" in str(client("EXEC")[0])
    assert newest() == (b"multi", b"incr", b"exec")
    said(client, "EVAL", "return redis.call('SET', 'other', 'v')", "0")
    assert newest() == (b"lua", b"other", b"eval")


def test_who_loses_a_right_while_waiting_is_refused_when_it_is_time(freshet):
    daemon = freshet(PLAIN.replace("workers: 2", "workers: 3"))
    admin = daemon.resp()
    for name in ("loses", "keeps"):
        admin("ACL", "SETUSER", name, "on", "nopass", "+@all", "allkeys")
    waiting = [daemon.resp() for _ in range(4)]
    for i, client in enumerate(waiting):
        client("AUTH", ("loses", "keeps")[i % 2], "x")
        client.raw(client.encode("BLPOP", "list", "0"))
        until(lambda: b"blocked_clients:%d\r" % (i + 1) in admin("INFO", "clients"), "it to wait")
    admin("ACL", "SETUSER", "loses", "resetkeys")
    admin("CONFIG", "RESETSTAT")
    admin("RPUSH", "list", "1", "2")
    replies = [plain(client.reply()) for client in waiting]
    denied = "-NOPERM No permissions to access a key"
    assert replies == [denied, [b"list", b"1"], denied, [b"list", b"2"]]
    assert b"errorstat_NOPERM:count=2\r" in admin("INFO", "errorstats")


def test_random_passwords_are_as_long_as_asked(freshet):
    client = freshet(PLAIN).resp()
    assert [len(client("ACL", "GENPASS", *bits)) for bits in ([], ["5"], ["128"])] == [64, 2, 32]
    assert client("ACL", "GENPASS") != client("ACL", "GENPASS")


def test_clients_are_listed_and_killed_by_user(freshet):
    daemon = freshet(PLAIN)
    client, admin = user(daemon, "ana", "~*", "&*", "+@all"), daemon.resp()
    assert b" user=ana " in client("CLIENT", "INFO")
    assert admin("CLIENT", "KILL", "USER", "ana") == 1
    assert client.at_end()
    assert refused(admin, "CLIENT", "KILL", "USER", "nosuch") == "ERR No such user 'nosuch'"
    until(lambda: b"user=ana" not in admin("CLIENT", "LIST"), "the client to be gone")


def refused(client, *words):
    with pytest.raises(RespError) as caught:
        client(*words)
    return str(caught.value)


# --- users of the policy file ------------------------------------------------------------------

FILE = PLAIN + """users:
  ana: { password: secret, rules: "+@all ~a:* &news" }
  eve: { password: secret, rules: "+@all ~* &*" }
"""


def reload(daemon, old, new):
    text = daemon.file.read_text()
    assert old in text
    daemon.file.write_text(text.replace(old, new))
    reloads = daemon.log.read_text().count("reloaded in")
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: daemon.log.read_text().count("reloaded in") == reloads + 1, "the reload")


def as_user(daemon, name, password="secret"):
    client = daemon.resp()
    assert client("AUTH", name, password) == "OK"
    return client


def test_users_of_the_file_have_the_rights_that_it_gives(freshet):
    daemon = freshet(FILE)
    ana = as_user(daemon, "ana")
    assert ana("SET", "a:1", "v") == "OK"
    assert said(ana, "SET", "b:1", "v") == "-NOPERM No permissions to access a key"
    assert daemon.resp()("ACL", "USERS") == [b"default", b"ana", b"eve"]
    with pytest.raises(RespError, match="WRONGPASS"):
        daemon.resp()("AUTH", "ana", "wrong")


def test_a_reload_changes_the_users_of_the_file_and_only_those(freshet):
    daemon = freshet(FILE)
    admin, ana, eve, silent = daemon.resp(), as_user(daemon, "ana"), as_user(daemon, "eve"), as_user(daemon, "eve")
    assert silent("SUBSCRIBE", "news")[0] == b"subscribe"
    admin("ACL", "SETUSER", "own", "on", ">secret", "+@all", "~*")
    own = as_user(daemon, "own")
    reload(daemon, '  eve: { password: secret, rules: "+@all ~* &*" }\n', "")
    reload(daemon, "~a:*", "~b:*")
    assert silent.at_end()  # it did not have to say a word
    assert eve.at_end()
    assert said(ana, "SET", "a:1", "v").startswith("-NOPERM") and ana("SET", "b:1", "v") == "OK"
    assert own("PING") == "PONG" and as_user(daemon, "own")("PING") == "PONG"
    assert admin("ACL", "USERS") == [b"default", b"ana", b"own"]
    reload(daemon, "users:\n", 'users:\n  default: { rules: "-flushall" }\n')
    assert said(admin, "FLUSHALL").startswith("-NOPERM")
    reload(daemon, '  default: { rules: "-flushall" }\n', "")
    assert admin("FLUSHALL") == "OK"


def test_a_file_with_a_bad_rule_is_refused_at_start_check_and_reload(freshet, tmp_path):
    daemon = freshet(FILE)
    bad = tmp_path / "bad.yaml"
    for old, new, complaint in (("+@all ~a:*", "+@raed ~a:*", "7:35: users.ana.rules: `+@raed`: there is no such "
                                 "category; did you mean `+@read`?"),
                                ("+@all ~a:*", "+gett", "7:35: users.ana.rules: `+gett`: there is no such command; "
                                 "did you mean `+get`?"),
                                ("+@all ~a:*", "(+get", "users.ana.rules: `(+get`: no rule; write on, off"),
                                ("+@all ~a:*", "(+gett ~a)", "there is no such command")):
        text = FILE.replace("users:", "# a line\nusers:").replace(old, new)
        bad.write_text(text)
        for verb in ("serve", "check"):
            done = cli(verb, bad, *(["--offline"] if verb == "check" else []))
            assert done.returncode == 1 and complaint in done.stderr, (verb, done)
    reloads = daemon.log.read_text().count("refused, nothing was changed")
    daemon.file.write_text(text)
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: daemon.log.read_text().count("refused, nothing was changed") > reloads, "the refusal")
    assert as_user(daemon, "ana")("SET", "a:1", "v") == "OK"


def test_beyond_loopback_users_are_credentials_and_default_is_off(freshet):
    daemon = freshet(FILE.replace("127.0.0.1:0", "0.0.0.0:0"))
    host, port = daemon.addresses("resp")[0].rsplit(":", 1)
    client = daemon.resp()
    assert said(client, "PING").startswith("-NOAUTH")
    assert said(client, "AUTH", "default", "").startswith("-WRONGPASS")
    assert client("AUTH", "ana", "secret") == "OK" and client("PING") == "PONG"


def test_who_is_removed_or_loses_a_channel_is_cut_off_while_silent(freshet):
    daemon = freshet(PLAIN)
    admin = daemon.resp()
    gone, listener, blocked = (user(daemon, n, "~*", "&news*", "+@all") for n in ("gone", "ear", "wait"))
    assert listener("SUBSCRIBE", "news1")[0] == b"subscribe"
    kept = user(daemon, "kept", "&news*", "+@all")
    assert kept("PSUBSCRIBE", "news*")[0] == b"psubscribe"
    blocked.raw(blocked.encode("BLPOP", "nothing", "0"))
    assert admin("ACL", "DELUSER", "gone", "wait") == 2
    assert gone.at_end() and blocked.at_end()
    admin("ACL", "SETUSER", "ear", "resetchannels", "&other")
    assert listener.at_end()
    admin("ACL", "SETUSER", "kept", "-set")
    assert admin("PUBLISH", "news1", "x") == 1
    assert kept.reply() == [b"pmessage", b"news*", b"news1", b"x"]


def test_requirepass_is_the_password_of_default(freshet):
    daemon = freshet(PLAIN)
    admin = daemon.resp()
    assert admin("CONFIG", "GET", "requirepass") == [b"requirepass", b""]
    assert admin("CONFIG", "SET", "requirepass", "new") == "OK"
    assert admin("CONFIG", "GET", "requirepass") == [b"requirepass", b""] and admin("PING") == "PONG"
    client = daemon.resp()
    assert said(client, "GET", "k") == "-NOAUTH Authentication required."
    assert client("AUTH", "new") == "OK"
    assert client("CONFIG", "SET", "requirepass", "") == "OK"
    assert daemon.resp()("PING") == "PONG"


def test_rules_may_name_commands_of_redis_that_are_not_offered(freshet):
    """Rules written for Redis are taken as they are; they allow nothing that is not there."""
    admin = freshet(PLAIN).resp()
    rules = ["+geoadd", "-bitop", "+fcall", "+pfadd", "+bitfield_ro"]
    assert admin("ACL", "SETUSER", "joe", "on", "nopass", "~*", "+get", *rules) == "OK"
    told = admin("ACL", "GETUSER", "joe")
    assert told[told.index(b"commands") + 1] == b"-@all +get +geoadd -bitop +fcall +pfadd +bitfield_ro"
    with pytest.raises(RespError, match="Unknown command or category name in ACL"):
        admin("ACL", "SETUSER", "joe", "+geadd")
    admin("AUTH", "joe", "any")
    with pytest.raises(RespError, match="^ERR unknown command 'GEOADD'"):
        admin("GEOADD", "g", 1, 2, "m")
    assert admin("GET", "k") is None


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("words", [
    ["(+set", "%W~app*)"], ["(+get ~a* %R~b)", "(+@list", "~l*", "&x)"], ["()"], ["(+get", "(+set", "~a)"],
    ["(&* &fail)"], ["(+PING", "(+SELECT", "(+DEL"], ["(+PING", "(+DEL", ")", ")", ")"], ["(on)"], ["(>pass)"], ["(reset)"],
    ["(+get ~x) "], ["("], [")"], ["(+get)", "clearselectors"], ["(+get)", "reset", "(allkeys allcommands allchannels)"],
], ids=" ".join)
def test_selectors_are_read_and_told_as_redis_does(both, protocol, words):
    replies = []
    for client in both(protocol):
        client("ACL", "SETUSER", "joe", "reset", "on", "nopass", "&m:*", "~k")
        told = client.pipeline(["ACL", "SETUSER", "joe", *words], ["ACL", "GETUSER", "joe"])
        line = next(line for line in client("ACL", "LIST") if line.startswith(b"user joe "))
        client("ACL", "DELUSER", "joe")
        replies.append([plain(reply) for reply in told] + [line])
    assert replies[0] == replies[1]


def test_a_selector_allows_by_itself_and_never_together_with_others(freshet):
    daemon = freshet(PLAIN)
    admin, joe = daemon.resp(), daemon.resp()
    admin("ACL", "SETUSER", "joe", "on", "nopass", "+ping", "~root*", "(+get ~a*)", "(+set +append ~b* %R~c*)", "(+publish &ch*)")
    joe("AUTH", "joe", "any")
    assert joe("PING") == "PONG" and joe("GET", "a1") is None and joe("SET", "b1", "v") == "OK" and joe("PUBLISH", "ch1", "x") == 0
    for words, why in ((["GET", "b1"], "access a key"), (["GET", "root1"], "access a key"), (["SET", "a1", "v"], "access a key"),
                       (["SET", "c1", "v"], "access a key"), (["DEL", "b1"], "run the 'del' command"),
                       (["PUBLISH", "other", "x"], "access a channel"), (["SUBSCRIBE", "ch1"], "run the 'subscribe' command"),
                       (["EVAL", "return 1", 0], "run the 'eval' command")):
        with pytest.raises(RespError, match=f"^NOPERM .*{why}"):
            joe(*words)
    admin("ACL", "SETUSER", "joe", "(+mset ~a*)", "(+mset ~a* ~b*)")
    assert admin("ACL", "DRYRUN", "joe", "MSET", "a", 1, "b", 2) == "OK"
    assert b"access the 'c' key" in admin("ACL", "DRYRUN", "joe", "MSET", "a", 1, "b", 2, "c", 3)
    admin("ACL", "SETUSER", "joe", "clearselectors")
    with pytest.raises(RespError, match="^NOPERM .*run the 'get' command"):
        joe("GET", "a1")


def test_a_listener_by_a_selector_stays_until_the_selector_goes(freshet):
    daemon = freshet(PLAIN)
    admin, joe = daemon.resp(), daemon.resp()
    admin("ACL", "SETUSER", "joe", "on", "nopass", "(+subscribe &news)")
    joe("AUTH", "joe", "any")
    assert joe("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
    admin("ACL", "SETUSER", "joe", "+get")
    assert admin("PUBLISH", "news", "1") == 1 and joe.reply() == [b"message", b"news", b"1"]
    admin("ACL", "SETUSER", "joe", "clearselectors")
    assert joe.at_end()


def test_selectors_of_the_file(freshet):
    admin = freshet(PLAIN + 'users: { joe: { password: secret, rules: "+ping (+get ~a*)" } }\n').resp()
    assert admin("ACL", "DRYRUN", "joe", "GET", "a1") == "OK" and admin("ACL", "DRYRUN", "joe", "PING") == "OK"
    assert b"access the 'b1' key" in admin("ACL", "DRYRUN", "joe", "GET", "b1")
