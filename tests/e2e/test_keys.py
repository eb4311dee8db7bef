# SPDX-License-Identifier: BSD-3-Clause
"""Redis keys that follow the database: the same promise for keys that an application sets itself.

Space `cache` is database 1 with prefix erp_cache:*: (Django's key version); templates apply behind it.
"""
import pytest

from daemon import shop_policy, until

PREFIX = "erp_cache:1:"


def fill(redis, key, value="old", *options):
    """As a cache client does: a miss, then a SET. The SET takes the stamp of the miss."""
    def kept():
        redis("GET", key)
        redis("SET", key, value, *options)
        return redis("GET", key) == value.encode()
    until(kept, f"{key} to be kept")


@pytest.mark.parametrize("key, statement", [
    ("product_7", "UPDATE product SET price_cents = 1 WHERE id = 7"),
    ("product_7", "UPDATE product SET price_cents = price_cents + 1"),
    ("product_7", "DELETE FROM price WHERE product_id = 7; UPDATE product SET id = 9007 WHERE id = 7"),
    ("product_7", "TRUNCATE product CASCADE"),
    ("product_list_1", "UPDATE product SET price_cents = 1 WHERE id = 450"),
    ("product_search_soap", "INSERT INTO product SELECT 9001, 1, 'X', 'X', 'x', 'x', 1, 1, true, 0"),
    ("stock_level_150", "INSERT INTO inventory_transaction (business_id, product_id, kind, quantity, "
                        "happened_on) VALUES (3, 150, 'purchase', 5, '2026-11-01')"),
    ("daily_sales_1_2026-11-01", "INSERT INTO sale (business_id, sold_on, sold_at, total_cents) "
                                 "VALUES (1, '2026-11-01', '2026-11-01', 1)"),
    ("sales_by_product_x", "UPDATE product SET name = name || '' WHERE id = 9"),
])
def test_matching_key_becomes_a_miss(served, shop, key, statement):
    redis = served.resp(db=1)
    fill(redis, PREFIX + key)
    shop.psql(f"SET session_replication_role = replica; {statement}")
    until(lambda: redis("GET", PREFIX + key) is None, f"{key} to become a miss")
    assert redis("EXISTS", PREFIX + key) == 0
    assert redis("TTL", PREFIX + key) == -2


def test_other_keys_stay(served, shop):
    redis, queue = served.resp(db=1), served.resp(db=0)
    kept = [PREFIX + "product_8", PREFIX + "stock_level_7", PREFIX + "anything", "product_7"]
    for key in [PREFIX + "product_7", *kept]:
        fill(redis, key)
    queue("SET", PREFIX + "product_7", "a job")
    shop.execute("UPDATE product SET price_cents = 1 WHERE id = 7")
    until(lambda: redis("GET", PREFIX + "product_7") is None, "the miss")
    assert [redis("GET", key) for key in kept] == [b"old"] * len(kept)
    assert queue("GET", PREFIX + "product_7") == b"a job"


def test_value_read_before_the_commit_is_not_kept(served, shop):
    """The refill race: miss, commit, SET of what was read before. Redis would keep it until its TTL."""
    redis, key, fence = served.resp(db=1), PREFIX + "product_7", PREFIX + "product_8"
    fill(redis, fence)
    assert redis("GET", key) is None
    shop.execute("UPDATE product SET price_cents = 1 WHERE id IN (7, 8)")
    until(lambda: redis("GET", fence) is None, "the commit to be applied")
    assert redis("SET", key, "read before the commit") == "OK"
    assert redis("GET", key) is None


def test_filled_again_after_the_commit(served, shop):
    """A client that misses after the commit may keep what it read then."""
    redis, key = served.resp(db=1), PREFIX + "product_list_2"
    fill(redis, key)
    shop.execute("UPDATE product SET price_cents = 1 WHERE id = 100")
    until(lambda: redis("GET", key) is None, "the miss")
    text = served.explain("key", key)
    assert "product_list_*" in text


def test_explain_names_the_template(served, shop):
    redis, key = served.resp(db=1), PREFIX + "product_7"
    fill(redis, key)
    text = served.explain("key", key)
    assert "product_{id}" in text and "cache" in text


def test_explain_looks_where_a_template_matches(shop, freshet):
    """Without --db: not in the first database with followed keys, but where the prefix fits."""
    daemon = freshet(shop_policy(shop.role_dsn, spaces="""
  first: { db: 0, memory: 64MB }
  cache: { db: 1, memory: 64MB, prefix: "erp_cache:*:" }"""))
    assert "space: cache (db 1)" in daemon.explain("key", PREFIX + "product_7")
    assert "space: first (db 0)" in daemon.explain("key", "product_7")
    assert "space: first (db 0)" in daemon.explain("key", "nothing")


def test_log_names_a_template_that_cannot_be_followed(shop, freshet):
    """The daemon serves on; nobody has to find out by measuring that these keys are never stored."""
    daemon = freshet(shop_policy(shop.role_dsn, invalidate="""
  no_such_table: ["thing_{id}"]
  product: ["product_{id}"]""")).following()
    until(lambda: "key template thing_{id}: its keys are not stored" in daemon.log_text(), "the warning")
    assert "key template product_{id}" not in daemon.log_text()


def test_followed_keys_keep_their_ttl(served):
    redis, key = served.resp(db=1), PREFIX + "product_7"
    fill(redis, key, "old", "EX", 100)
    assert 0 < redis("TTL", key) <= 100


def test_session_space_has_its_default_ttl(served):
    redis = served.resp(db=2)
    redis("SET", "session:abc", "x")
    assert 7100 < redis("TTL", "session:abc") <= 7200
