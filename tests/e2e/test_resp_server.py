# SPDX-License-Identifier: BSD-3-Clause
"""The server seen through the Redis face: CLIENT PAUSE, SLOWLOG, LATENCY, MONITOR, CONFIG."""
import re
import threading

import pytest

from daemon import until
from resp_client import RespError
from resp_helpers import PLAIN, plain


def refusal(client, *words):
    with pytest.raises(RespError) as caught:
        client(*words)
    return str(caught.value)


def info(client, section="everything"):
    return dict(line.split(":", 1) for line in client("INFO", section).decode().split("\r\n") if ":" in line)


# --- CLIENT PAUSE -------------------------------------------------------------------------------------

def test_a_write_pause_holds_writers_and_lets_readers_through(freshet):
    daemon = freshet(PLAIN)
    admin, others = daemon.resp(), [daemon.resp() for _ in range(4)]
    admin("SET", "k", "old")
    admin("CLIENT", "PAUSE", "100000000", "WRITE")
    for i, client in enumerate(others):
        client.raw(client.encode("SET", f"k{i}", "new") + client.encode("GET", f"k{i}"))
    until(lambda: info(admin)["blocked_clients"] == "4", "four writers to wait")
    assert admin("GET", "k") == b"old" and admin("MGET", "k0", "k1", "k2", "k3") == [None] * 4
    assert admin("CLIENT", "UNPAUSE") == "OK"
    for client in others:
        assert [client.reply(), client.reply()] == ["OK", b"new"]
    assert info(admin)["blocked_clients"] == "0"


def test_a_full_pause_holds_everybody_until_its_time_is_over(freshet):
    daemon = freshet(PLAIN)
    admin, other = daemon.resp(), daemon.resp()
    admin("CLIENT", "PAUSE", "100000000")
    other.raw(other.encode("PING"))
    admin.raw(admin.encode("GET", "k"))
    other.socket.settimeout(0.2)
    with pytest.raises(TimeoutError):
        other.socket.recv(10)
    other.socket.settimeout(30)
    fresh = daemon.resp()
    fresh.close()  # one that goes away while the others wait
    second = freshet(PLAIN).resp()
    second.raw(second.encode("CLIENT", "PAUSE", "50") + second.encode("PING"))
    assert [second.reply(), second.reply()] == ["OK", "PONG"]


def test_a_transaction_is_held_as_a_whole_and_only_if_it_writes(freshet):
    daemon = freshet(PLAIN)
    admin, reader, writer = daemon.resp(), daemon.resp(), daemon.resp()
    admin.pipeline(["MULTI"], ["SET", "k", "1"], ["CLIENT", "PAUSE", "100000000", "WRITE"], ["SET", "k", "2"])
    assert admin("EXEC") == ["OK", "OK", "OK"]
    reader.pipeline(["MULTI"], ["GET", "k"])
    assert reader("EXEC") == [b"2"]
    writer.pipeline(["MULTI"], ["SET", "k", "3"])
    writer.raw(writer.encode("EXEC"))
    reader.raw(reader.encode("PUBLISH", "c", "x"))
    until(lambda: info(admin)["blocked_clients"] == "2", "EXEC and PUBLISH to wait")
    admin("CLIENT", "UNPAUSE")
    assert writer.reply() == ["OK"] and reader.reply() == 0


def test_a_second_pause_cannot_make_the_first_shorter(freshet):
    daemon = freshet(PLAIN)
    admin, other = daemon.resp(), daemon.resp()
    admin("CLIENT", "PAUSE", "100000000", "WRITE")
    admin("CLIENT", "PAUSE", "10", "WRITE")
    other.raw(other.encode("SET", "k", "v"))
    until(lambda: info(admin)["blocked_clients"] == "1", "the writer to wait")
    admin("DEBUG", "CLOCK", "ADVANCE", "5000")
    assert info(admin)["blocked_clients"] == "1"
    admin("DEBUG", "CLOCK", "ADVANCE", "100000000")
    assert other.reply() == "OK"


# --- SLOWLOG ------------------------------------------------------------------------------------------

def test_slow_commands_are_kept_and_cut_as_redis_cuts_them(freshet, redis_server):
    ours, theirs = freshet(PLAIN).resp(), redis_server.resp()
    seen = []
    for client in (ours, theirs):
        client("CONFIG", "SET", "slowlog-log-slower-than", "0")
        client("SLOWLOG", "RESET")
        client("CLIENT", "SETNAME", "me")
        client("SET", "k", "x" * 300)
        client("MSET", *[f"a{i}" for i in range(60)])
        client.raw(client.encode("AUTH", "secret") + client.encode("AUTH", "u", "secret") +
                   client.encode("HELLO", "2", "AUTH", "u", "secret") +
                   client.encode("CONFIG", "SET", "requirepass", "secret", "nosuch", "1"))
        errors = [client.reply() for _ in range(4)]
        assert all(isinstance(e, RespError) for e in errors)
        client("CONFIG", "SET", "slowlog-log-slower-than", "-1")
        entries = client("SLOWLOG", "GET", "-1")
        assert client("SLOWLOG", "LEN") == len(entries)
        assert [e[0] for e in entries] == list(range(entries[0][0], entries[0][0] - len(entries), -1))
        seen.append([(e[3], e[5]) for e in entries])
        assert client("SLOWLOG", "RESET") == "OK" and client("SLOWLOG", "LEN") == 0
    assert seen[0] == seen[1]
    assert b"secret" not in repr(seen[0]).encode()


def test_the_slow_log_keeps_the_newest_only(freshet):
    client = freshet(PLAIN).resp()
    client("CONFIG", "SET", "slowlog-max-len", "3", "slowlog-log-slower-than", "0")
    for i in range(6):
        client("GET", f"k{i}")
    client("CONFIG", "SET", "slowlog-log-slower-than", "-1")
    assert [e[3][1] for e in client("SLOWLOG", "GET")][:2] == [b"k5", b"k4"]
    assert client("SLOWLOG", "LEN") == 3 and len(client("SLOWLOG", "GET", "2")) == 2


def test_only_what_is_slow_enough_is_kept(freshet):
    client = freshet(PLAIN).resp()
    client("CONFIG", "SET", "slowlog-log-slower-than", "150000")
    client("GET", "k")
    client("DEBUG", "SLEEP", "0.2")
    entries = client("SLOWLOG", "GET")
    assert [e[3] for e in entries] == [[b"DEBUG", b"SLEEP", b"0.2"]]
    assert entries[0][2] >= 200_000


def test_a_command_that_waited_is_slow_or_wrong_in_the_end(freshet):
    daemon = freshet(PLAIN)
    admin, client = daemon.resp(), daemon.resp()

    def wait():
        client.raw(client.encode("BLPOP", "l", "0"))
        until(lambda: info(admin, "clients")["blocked_clients"] == "1", "the client to wait")
    client("CLIENT", "SETNAME", "waiter")
    number = client("CLIENT", "ID")
    admin("CONFIG", "SET", "slowlog-log-slower-than", "0")
    admin("SLOWLOG", "RESET")
    wait()
    assert b"BLPOP" not in [e[3][0] for e in admin("SLOWLOG", "GET", "-1")]
    admin("RPUSH", "l", "v")
    assert client.reply() == [b"l", b"v"]
    until(lambda: ([b"BLPOP", b"l", b"0"], b"waiter") in [(e[3], e[5]) for e in admin("SLOWLOG", "GET", "-1")], "its entry")
    admin("CONFIG", "RESETSTAT")
    wait()
    admin("CLIENT", "UNBLOCK", number, "ERROR")
    assert str(client.reply()) == "UNBLOCKED client unblocked via CLIENT UNBLOCK"
    told = info(admin)
    assert told["errorstat_UNBLOCKED"] == "count=1" and told["total_error_replies"] == "1"
    assert re.search("calls=1,.*rejected_calls=0,failed_calls=1", told["cmdstat_blpop"])


# --- LATENCY ------------------------------------------------------------------------------------------

def test_latency_notes_slow_moments_once_it_is_asked_to(freshet):
    client = freshet(PLAIN).resp()
    client("DEBUG", "SLEEP", "0.01")
    assert client("LATENCY", "LATEST") == [] and b"disabled" in client("LATENCY", "DOCTOR")
    client("CONFIG", "SET", "latency-monitor-threshold", "5")
    assert b"no latency spike was observed" in client("LATENCY", "DOCTOR")
    client("DEBUG", "SLEEP", "0.02")
    (name, at, last, worst), = [e for e in client("LATENCY", "LATEST") if e[0] == b"command"]
    assert last == worst >= 20
    assert client("LATENCY", "HISTORY", "command") == [[at, last]]
    assert client("LATENCY", "GRAPH", "command").startswith(b"command - high %d ms" % worst)
    assert b"1. command: 1 latency spikes" in client("LATENCY", "DOCTOR")
    assert client("LATENCY", "RESET", "command", "nosuch") == 1
    assert client("LATENCY", "HISTORY", "command") == []
    assert refusal(client, "LATENCY", "GRAPH", "command") == "ERR No samples available for event 'command'"


def test_histograms_count_every_call(freshet):
    client = freshet(PLAIN).resp()
    for _ in range(50):
        client("SET", "k", "v")
    client("DEBUG", "SLEEP", "0.003")
    found = client("LATENCY", "HISTOGRAM", "set", "debug", "nosuch")
    assert found[0::2] == [b"set", b"debug"]
    assert found[1][:2] == [b"calls", 50] and found[1][3][-1] == 50
    assert found[3][3][0] >= 3000
    client("CONFIG", "RESETSTAT")
    assert client("LATENCY", "HISTOGRAM", "set") == []


# --- MONITOR ------------------------------------------------------------------------------------------

def test_a_monitor_sees_every_worker_s_commands_and_no_secrets(freshet):
    daemon = freshet(PLAIN.replace("workers: 2", "workers: 3"))
    monitor, clients = daemon.resp(), [daemon.resp(db=i) for i in range(4)]
    assert monitor("MONITOR") == "OK"
    for i, client in enumerate(clients):
        client("SET", f"key {i}", b'\x00"\\\n\xff')
    one = clients[0]
    one.pipeline(["MULTI"], ["GET", "a"], ["EXEC"], ["AUTH", "u", "hush"], ["HELLO", "2", "AUTH", "u", "hush"],
                 ["CONFIG", "GET", "save"], ["PING"])
    lines = []
    while not lines or '"PING"' not in lines[-1]:
        lines.append(monitor.reply())
    assert all(re.fullmatch(r'\d+\.\d{6} \[\d+ 127\.0\.0\.1:\d+\] ".*', line) for line in lines)
    shown = [line.split("] ", 1)[1] for line in lines]
    for i in range(4):
        assert f'"SET" "key {i}" "\\x00\\"\\\\\\n\\xff"' in shown
    assert shown[4:] == ['"MULTI"', '"GET" "a"', '"EXEC"', '"AUTH" "(redacted)" "(redacted)"',
                         '"HELLO" "2" "AUTH" "(redacted)" "(redacted)"', '"PING"']
    assert monitor("RESET") == "RESET"
    one("SET", "k", "v")
    assert monitor("ECHO", "alone") == b"alone"


# --- CONFIG -------------------------------------------------------------------------------------------

SETTABLE = {
    "slowlog-log-slower-than": "77", "slowlog-max-len": "5", "latency-monitor-threshold": "100", "timeout": "70",
    "tracking-table-max-keys": "10", "hash-max-listpack-entries": "7", "zset-max-ziplist-value": "9",
    "notify-keyspace-events": "AKE", "lua-time-limit": "100", "maxmemory-samples": "3", "hz": "20",
    "lazyfree-lazy-user-del": "yes", "list-max-listpack-size": "-1", "repl-backlog-size": "20mb",
    "client-output-buffer-limit": "normal 1mb 2 3 replica 4 5 6 pubsub 100000 0 0", "acl-pubsub-default": "AllChannels",
    "latency-tracking": "no", "latency-tracking-info-percentiles": "0.0 50.0 100.0", "maxmemory-clients": "5%",
    "client-query-buffer-limit": "2mb", "sanitize-dump-payload": "CLIENTS", "slave-priority": "7", "masterauth": "",
    "hash-max-listpack-value": "1kb", "stream-node-max-bytes": "4kb", "oom-score-adj-values": "1 2 3", "activedefrag": "NO",
    "shutdown-timeout": "3", "cluster-node-timeout": "1", "repl-diskless-load": "swapdb", "save": "",
}


def test_settings_are_told_again_as_they_were_set(freshet, redis_server):
    ours, theirs = freshet(PLAIN).resp(), redis_server.resp()
    for name, value in SETTABLE.items():
        told = []
        for client in (ours, theirs):
            before = client("CONFIG", "GET", name)[1]
            assert client("CONFIG", "SET", name, value) == "OK"
            told.append(client("CONFIG", "GET", name)[1])
            client("CONFIG", "SET", name, before)
            assert client("CONFIG", "GET", name)[1] == before
        assert told[0] == told[1], name


def test_old_names_are_the_same_setting(freshet):
    client = freshet(PLAIN).resp()
    for old, new in (("zset-max-ziplist-value", "zset-max-listpack-value"), ("slave-priority", "replica-priority"),
                     ("lua-time-limit", "busy-reply-threshold")):
        client("CONFIG", "SET", old, "9")
        assert client("CONFIG", "GET", new) == [new.encode(), b"9"]
    both_names = client("CONFIG", "GET", "*of")
    assert sorted(both_names[::2]) == [b"replicaof", b"slaveof"]


def test_every_setting_can_be_set_to_what_it_is(freshet):
    """As Redis's own suite does; settings that it hides are told by their names alone."""
    client = freshet(PLAIN).resp()
    told = client("CONFIG", "GET", "*")
    settings = dict(zip(told[::2], told[1::2]))
    assert len(settings) * 2 == len(told) > 300 and b"key-load-delay" not in settings
    for name, value in settings.items():
        assert client("CONFIG", "SET", name, value) == "OK", name
    assert client("CONFIG", "GET", "*") == told
    assert client("CONFIG", "GET", "Key-Load-Delay") == [b"Key-Load-Delay", b"0"]


def test_settings_of_the_policy_say_what_to_do_instead(freshet):
    client = freshet(PLAIN).resp()
    for name, value, what in (("save", "900 1", "keep: durable"), ("appendonly", "yes", "keep: durable"),
                              ("masterauth", "secret", "does not replicate"), ("daemonize", "yes", "policy file")):
        said = refusal(client, "CONFIG", "SET", "hz", "50", name, value)
        assert said.startswith(f"ERR CONFIG SET failed (possibly related to argument '{name}') - can't set immutable config: ")
        assert what in said and client("CONFIG", "GET", "hz")[1] == b"10"


OOM = "OOM command not allowed when used memory > 'maxmemory'."


def test_maxmemory_limits_the_one_space_of_a_policy_without_spaces(freshet):
    client = freshet(PLAIN).resp()
    client.pipeline(*[["SET", f"k{i}", "x" * 1000] for i in range(10000)])
    assert client("CONFIG", "SET", "maxmemory", "5mb", "hz", "10") == "OK"
    memory = info(client, "memory")
    assert int(memory["used_memory"]) <= 5 << 20 == int(memory["maxmemory"])
    kept = client("DBSIZE")
    assert 1000 < kept < 10000 and int(info(client)["evicted_keys"]) == 10000 - kept
    client("CONFIG", "SET", "maxmemory-policy", "noeviction")
    answers = client.pipeline(*[["SET", f"n{i}", "x" * 1000] for i in range(5000)])
    assert str(answers[-1]).startswith(OOM) and info(client)["maxmemory_policy"] == "noeviction"
    client("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert client("SET", "n", "v") == "OK"
    client("CONFIG", "SET", "maxmemory", "1")
    for words in (["SET", "a", "b"], ["EVAL", "return redis.call('SET', 'a', 'b')", "0"]):
        assert refusal(client, *words).startswith(OOM)
    assert client("DBSIZE") == 0 and client("DEL", "a") == 0
    client("CONFIG", "SET", "maxmemory", "0")
    assert client("SET", "a", "b") == "OK" and client("CONFIG", "GET", "maxmemory")[1] == str(64 << 20).encode()
    client("DEBUG", "VALIDATE")


def test_memory_beyond_the_policy_or_of_several_spaces_is_refused(freshet):
    one = freshet(PLAIN).resp()
    assert "the `memory` of the policy" in refusal(one, "CONFIG", "SET", "hz", "50", "maxmemory", "1gb")
    assert "`evict: never`" in refusal(one, "CONFIG", "SET", "maxmemory-policy", "volatile-lru")
    assert one("CONFIG", "GET", "hz")[1] == b"10"
    some = freshet(PLAIN + "spaces: { a: { db: 0, memory: 16MB, evict: never }, b: { db: 1, memory: 16MB } }\n").resp()
    assert "each space has its own `memory`" in refusal(some, "CONFIG", "SET", "maxmemory", "1mb")
    assert "each space has its own `evict`" in refusal(some, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert some("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "64mb") == "OK"


def test_log_levels_have_redis_s_names_too(freshet):
    client = freshet(PLAIN).resp()
    for name, level in (("verbose", b"debug"), ("warning", b"warn"), ("notice", b"info"), ("debug", b"debug")):
        client("CONFIG", "SET", "loglevel", name)
        assert client("CONFIG", "GET", "loglevel")[1] == level


def percentiles(client, name):
    return info(client, "latencystats").get(f"latency_percentiles_usec_{name}")


def test_latency_is_tracked_as_wanted(freshet):
    client = freshet(PLAIN).resp()
    client("CONFIG", "SET", "latency-tracking", "no")
    client("SET", "a", "b")
    assert percentiles(client, "set") is None and client("LATENCY", "HISTOGRAM", "set") == []
    client("CONFIG", "SET", "latency-tracking", "yes")
    client("SET", "a", "b")
    client("CLIENT", "ID")
    assert re.fullmatch(r"p50=[\d.]+,p99=[\d.]+,p99\.9=[\d.]+", percentiles(client, "set"))
    assert client("LATENCY", "HISTOGRAM", "set")[1][1] == 1
    client("CONFIG", "SET", "latency-tracking-info-percentiles", "0.0 50.0 100.0")
    assert re.fullmatch(r"p0=[\d.]+,p50=[\d.]+,p100=[\d.]+", percentiles(client, "client|id"))
    client("CONFIG", "SET", "latency-tracking-info-percentiles", "")
    assert percentiles(client, "set") is None


def test_denials_are_counted_by_their_reason(freshet):
    daemon = freshet(PLAIN)
    admin, client = daemon.resp(), daemon.resp()
    admin("ACL", "SETUSER", "ana", "on", ">secret", "+get", "+publish", "~own")
    for words in (["AUTH", "nosuch", "x"], ["HELLO", "3", "AUTH", "nosuch", "x"], ["AUTH", "ana", "secret"], ["SET", "own", "v"],
                  ["GET", "other"], ["GET", "own"], ["PUBLISH", "c", "m"], ["GET", "third"]):
        client.raw(client.encode(*words))
        client.reply()
    stats = info(admin, "stats")
    assert [stats[f"acl_access_denied_{what}"] for what in ("auth", "cmd", "key", "channel")] == ["2", "1", "2", "1"]
    admin("CONFIG", "RESETSTAT")
    assert info(admin, "stats")["acl_access_denied_key"] == "0"


NOT_IN_INFO = {  # of forks, snapshots, replicas, I/O threads and an allocator that do not exist here, or that nobody counts
    "clients": """client_recent_max_input_buffer client_recent_max_output_buffer""".split(),
    "memory": """allocator_active allocator_allocated allocator_frag_bytes allocator_frag_ratio allocator_resident
        allocator_rss_bytes allocator_rss_ratio rss_overhead_bytes rss_overhead_ratio""".split(),
    "persistence": """rdb_last_load_keys_expired rdb_last_load_keys_loaded rdb_saves""".split(),
    "stats": """current_active_defrag_time current_eviction_exceeded_time dump_payload_sanitizations
        expire_cycle_cpu_milliseconds expired_stale_perc expired_time_cap_reached_count
        instantaneous_input_repl_kbps instantaneous_output_repl_kbps io_threaded_reads_processed
        io_threaded_writes_processed reply_buffer_expands reply_buffer_shrinks total_active_defrag_time
        total_eviction_exceeded_time total_net_repl_input_bytes total_net_repl_output_bytes
        total_reads_processed total_writes_processed""".split(),
    "cpu": """used_cpu_sys_main_thread used_cpu_user_main_thread""".split(),
}


def test_info_has_the_fields_that_redis_has(freshet, redis_server):
    """Those of the sections that tools read; what freshet cannot have is listed, so that nothing is left out by chance."""
    ours, theirs = freshet(PLAIN).resp(), redis_server.resp()
    sections = ("server", "clients", "memory", "persistence", "stats", "replication", "cpu", "cluster")
    missing = {section: info(theirs, section).keys() - info(ours, section).keys() for section in sections}
    assert {section: sorted(names) for section, names in missing.items() if names} == NOT_IN_INFO


@pytest.mark.parametrize("words", [
    "nosuch 1", "slowlog-max-len abc", "slowlog-max-len", "hz 1 hz 2", "notify-keyspace-events Q",
    "activedefrag maybe", "slowlog-max-len 9 nosuch 1", "client-output-buffer-limit wrong",
    "client-output-buffer-limit pubsub_a_b_c", "client-output-buffer-limit other_1_1_1",
    "maxmemory-clients 200%", "maxmemory-clients abc", "oom-score-adj nosuch", "acl-pubsub-default x", "latency-tracking x",
    "latency-tracking-info-percentiles 10.0_50.0_a", "latency-tracking-info-percentiles 10.0_101", "repl-timeout 0",
    "active-expire-effort 11", "client-query-buffer-limit 1", "client-query-buffer-limit x", "hash-max-listpack-value x",
    "list-compress-depth -1", "hz 3 slowlog-max-len 9 activedefrag maybe", "hz x nosuch 1", "slave-priority 1 replica-priority 2",
])
def test_a_setting_that_is_refused_is_refused_in_redis_s_words(freshet, redis_server, words):
    ours, theirs = freshet(PLAIN).resp(), redis_server.resp()
    words = [word.replace("_", " ") for word in words.split()]
    said = []
    for client in (ours, theirs):
        before = client("CONFIG", "GET", "slowlog-max-len")
        client.raw(client.encode("CONFIG", "SET", *words))
        said.append(plain(client.reply()))
        assert client("CONFIG", "GET", "slowlog-max-len") == before
    assert said[0] == said[1]


@pytest.mark.parametrize("flags", ["", "A", "K", "KE", "Elg", "g$lshzxetd", "AKE", "Km", "KEn", "AKEm", "xe", "$"])
def test_event_classes_are_told_as_redis_tells_them(freshet, redis_server, flags):
    ours, theirs = freshet(PLAIN).resp(), redis_server.resp()
    for client in (ours, theirs):
        client("CONFIG", "SET", "notify-keyspace-events", flags)
    assert ours("CONFIG", "GET", "notify*") == theirs("CONFIG", "GET", "notify*")


def test_an_idle_time_holds_for_connections_opened_from_then_on(freshet):
    daemon = freshet(PLAIN)
    daemon.resp()("CONFIG", "SET", "timeout", "1")
    idle, listener = daemon.resp(), daemon.resp()
    listener("SUBSCRIBE", "c")
    assert idle.at_end()
    assert listener("PING") == [b"pong", b""]


def test_many_threads_of_statistics_and_monitors_at_once(freshet):
    """Nothing is lost while monitors come and go and everybody's figures are read."""
    daemon = freshet(PLAIN.replace("workers: 2", "workers: 4"))
    clients = [daemon.resp() for _ in range(6)]

    def work(client, number):
        for i in range(200):
            client("INCR", "n")
            if i % 20 == number:
                client("INFO", "everything")
                client("LATENCY", "HISTOGRAM")
    threads = [threading.Thread(target=work, args=(c, n)) for n, c in enumerate(clients)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        monitor = daemon.resp()
        monitor("MONITOR")
        monitor.close()
    for thread in threads:
        thread.join()
    assert clients[0]("GET", "n") == b"1200"
    assert clients[0]("LATENCY", "HISTOGRAM", "incr")[1][1] == 1200


def test_info_counts_scripts_and_what_lua_holds(freshet):
    client = freshet(PLAIN).resp()
    client("SCRIPT", "FLUSH")
    client("EVAL", "return 1", "0")
    client("SCRIPT", "LOAD", "return 'another'")
    client("EVAL", "return 1", "0")
    memory = info(client, "memory")
    assert memory["number_of_cached_scripts"] == "2"
    assert int(memory["used_memory_scripts_eval"]) >= len("return 1") + len("return 'another'")
    assert int(memory["used_memory_vm_eval"]) > 10_000
    client("SCRIPT", "FLUSH")
    assert info(client, "memory")["number_of_cached_scripts"] == "0"


def test_info_counts_bytes_read_and_sent_until_they_are_reset(freshet):
    client = freshet(PLAIN).resp()
    before = info(client, "stats")
    client("SET", "k", b"v" * 100_000)
    client("GET", "k")
    after = info(client, "stats")
    for way in "total_net_input_bytes", "total_net_output_bytes":
        assert 100_000 < int(after[way]) - int(before[way]) < 150_000
    client("CONFIG", "RESETSTAT")
    now = info(client, "stats")
    assert int(now["total_net_input_bytes"]) < 1000 and int(now["total_net_output_bytes"]) < 10_000


NO_WRITES = "#!lua flags=no-writes\nreturn 12"


def test_a_pause_of_writes_holds_scripts_that_may_write_and_no_others(freshet):
    daemon = freshet(PLAIN)
    admin, reader = daemon.resp(), daemon.resp()
    plain_one, shebang, publisher, queued = (daemon.resp() for _ in range(4))
    known = admin("SCRIPT", "LOAD", NO_WRITES)
    writing = admin("SCRIPT", "LOAD", "return 'by sha'")
    assert queued.pipeline(["MULTI"], ["EVAL", "return 13", "0"]) == ["OK", "QUEUED"]
    admin("CLIENT", "PAUSE", "600000", "WRITE")
    assert reader("EVAL", NO_WRITES, "0") == 12 and reader("EVALSHA", known.upper(), "0") == 12
    assert reader("EVAL_RO", "return redis.call('GET', KEYS[1])", "1", "k") is None
    assert reader.pipeline(["MULTI"], ["EVAL", NO_WRITES, "0"], ["EXEC"])[2] == [12]
    with pytest.raises(RespError, match="NOSCRIPT"):
        reader("EVALSHA", "f" * 40, "0")
    held = ((plain_one, ["EVAL", "return 1", "0"], 1), (shebang, ["EVALSHA", writing, "0"], b"by sha"),
            (publisher, ["PUBLISH", "news", "x"], 0), (queued, ["EXEC"], [13]))
    for client, words, _ in held:
        client.raw(client.encode(*words))
    until(lambda: b"blocked_clients:4\r" in admin("INFO", "clients"), "four to be held")
    admin("CLIENT", "UNPAUSE")
    assert [client.reply() for client, _, _ in held] == [reply for _, _, reply in held]


def test_a_script_that_only_reads_does_not_publish(freshet):
    client = freshet(PLAIN).resp()
    with pytest.raises(RespError, match="Write commands are not allowed from read-only scripts"):
        client("EVAL_RO", "return redis.call('publish', 'news', 'x')", "0")
    assert client("EVAL", "return redis.call('publish', 'news', 'x')", "0") == 0


@pytest.mark.parametrize("words", [["SAVE"], ["SHUTDOWN"], ["SHUTDOWN", "NOSAVE"]])
def test_what_concerns_the_whole_server_is_not_queued(freshet, words):
    client = freshet(PLAIN).resp()
    assert client.pipeline(["MULTI"], ["SET", "k", "v"]) == ["OK", "QUEUED"]
    with pytest.raises(RespError, match="ERR Command not allowed inside a transaction"):
        client(*words)
    with pytest.raises(RespError, match="EXECABORT"):
        client("EXEC")
    assert client("GET", "k") is None


def test_shutdown_refuses_what_makes_no_sense(freshet):
    client = freshet(PLAIN).resp()
    for words in (["SAVE", "NOSAVE"], ["ABORT", "NOW"], ["SOON"]):
        with pytest.raises(RespError, match="ERR syntax error"):
            client("SHUTDOWN", *words)
    with pytest.raises(RespError, match="ERR No shutdown in progress."):
        client("SHUTDOWN", "ABORT")
    assert client("PING") == "PONG"


def test_requirepass_is_told_only_by_its_name(freshet):
    client = freshet(PLAIN).resp()
    assert b"requirepass" not in client("CONFIG", "GET", "*")
    assert client("CONFIG", "GET", "RequirePass") == [b"RequirePass", b""]


def test_info_counts_writes_until_they_are_saved(freshet):
    """Where nothing is durable; a command that waited counts once, one that was refused does not."""
    daemon = freshet(PLAIN)
    redis, waiting = daemon.resp(), daemon.resp()

    def changes():
        return int(info(redis, "persistence")["rdb_changes_since_last_save"])
    redis("SAVE")
    for blocked, push in ((["BLPOP", "l", 0], ["LPUSH", "l", 1]), (["BLMOVE", "l", "m", "LEFT", "LEFT", 0], ["LPUSH", "l", 1]),
                          (["BZPOPMIN", "z", 0], ["ZADD", "z", 1, "a"])):
        before = changes()
        waiting.raw(waiting.encode(*blocked))
        until(lambda: info(redis, "clients")["blocked_clients"] == "1", "the client to wait")
        redis(*push)
        waiting.reply()
        assert changes() == before + 2
    redis.pipeline(["MULTI"], ["SET", "k", 1], ["GET", "k"], ["LPUSH", "k", 1], ["EXEC"])
    assert changes() == 7
    redis("CONFIG", "RESETSTAT")
    assert changes() == 7
    redis("BGSAVE")
    assert changes() == 0


def test_slow_commands_of_a_script_are_kept_with_the_name_of_who_runs_it(freshet):
    client = freshet(PLAIN).resp()
    client("CLIENT", "SETNAME", "runner")
    client("CONFIG", "SET", "slowlog-log-slower-than", "0")
    client("SLOWLOG", "RESET")
    client("EVAL", "redis.call('PING')", "0")
    script, inner = client("SLOWLOG", "GET", "2")
    assert script[3] == [b"EVAL", b"redis.call('PING')", b"0"] and inner[3] == [b"PING"]
    assert script[4] == inner[4] and script[5] == inner[5] == b"runner"


def test_a_script_that_tells_too_many_keys_has_none(freshet):
    client = freshet(PLAIN).resp()
    assert client("COMMAND", "GETKEYS", "EVAL", "return 1", "2147483647", "k") == []
    assert client("COMMAND", "GETKEYS", "EVAL", "return 1", "1", "k") == [b"k"]
