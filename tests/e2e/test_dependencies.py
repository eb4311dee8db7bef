# SPDX-License-Identifier: BSD-3-Clause
"""What an answer depends on, seen from outside: a change voids exactly the answers that read what it
touched, also through functions, views, partitions, materialized views and row security."""
import json

import pytest

from daemon import Freshet, cli, until

SCHEMA = """
CREATE TABLE category (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE product (id int PRIMARY KEY, name text NOT NULL, category_id int);
CREATE TABLE price (list_id int, product_id int, cents bigint, PRIMARY KEY (list_id, product_id));
ALTER TABLE price REPLICA IDENTITY FULL;
CREATE TABLE voucher (code varchar(20) PRIMARY KEY, cents int);
CREATE TABLE sale (id int, on_day date, cents int, PRIMARY KEY (id, on_day)) PARTITION BY RANGE (on_day);
CREATE TABLE sale_2026 PARTITION OF sale FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE sale_2027 PARTITION OF sale FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
CREATE TABLE secret (id int PRIMARY KEY, owner text);
CREATE TABLE membership (owner text PRIMARY KEY);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON secret USING (EXISTS (SELECT FROM membership m WHERE m.owner = secret.owner));
CREATE TABLE log (id int, at timestamptz PRIMARY KEY);
CREATE TABLE fence (id int PRIMARY KEY, n bigint);
CREATE VIEW product_full AS
    SELECT p.id, p.name, c.name AS category FROM product p LEFT JOIN category c ON c.id = p.category_id;
CREATE FUNCTION category_name(int) RETURNS text STABLE LANGUAGE plpgsql AS
    'BEGIN IF $1 > 0 THEN RETURN (SELECT name FROM category WHERE id = $1); END IF; RETURN ''none''; END';
CREATE FUNCTION sold() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT sum(cents) FROM sale';
INSERT INTO category VALUES (1, 'one'), (2, 'two');
INSERT INTO product VALUES (1, 'a', 1), (2, 'b', 2);
INSERT INTO price VALUES (1, 1, 10), (1, 2, 20), (2, 1, 30);
INSERT INTO voucher VALUES ('A', 1), ('B', 2);
INSERT INTO sale VALUES (1, '2026-05-05', 5), (2, '2027-05-05', 7);
INSERT INTO secret VALUES (1, 'me'), (2, 'you');
INSERT INTO membership VALUES ('me');
INSERT INTO log VALUES (1, '2026-01-01');
INSERT INTO fence VALUES (1, 0);
CREATE MATERIALIZED VIEW best AS SELECT id, name FROM product;
"""

ROUTES = {
    "one": "SELECT name FROM product WHERE id = :id",
    "list": "SELECT cents FROM price WHERE list_id = :list ORDER BY 1",
    "pair": "SELECT cents FROM price WHERE list_id = :list AND product_id = :product",
    "voucher": "SELECT cents FROM voucher WHERE code = :code",
    "joined": "SELECT p.name, c.name AS c FROM product p LEFT JOIN category c ON c.id = p.category_id"
              " WHERE p.id = :id",
    "view": "SELECT id, name, category FROM product_full ORDER BY id",
    "removed": "SELECT p.name FROM product p LEFT JOIN category c ON c.id = p.category_id ORDER BY 1",
    "function": "SELECT category_name(:id::int) AS name",
    "sold": "SELECT sold() AS cents",
    "sale": "SELECT sum(cents) AS cents FROM sale",
    "leaf": "SELECT sum(cents) AS cents FROM sale_2026",
    "best": "SELECT id, name FROM best ORDER BY id",
    "secret": "SELECT id FROM secret ORDER BY id",
    "log": "SELECT count(*) AS n FROM log WHERE at < :at",
    "fence": "SELECT n FROM fence WHERE id = :id",
}

PATHS = {
    "product 1": "/one?id=1", "product 2": "/one?id=2", "no product": "/one?id=9",
    "list 1": "/list?list=1", "list 2": "/list?list=2",
    "pair 1 1": "/pair?list=1&product=1", "pair 1 2": "/pair?list=1&product=2",
    "voucher A": "/voucher?code=A", "voucher B": "/voucher?code=B",
    "joined 1": "/joined?id=1", "joined 2": "/joined?id=2",
    "view": "/view", "removed": "/removed",
    "function 1": "/function?id=1",
    "sold": "/sold", "sale": "/sale", "leaf": "/leaf", "best": "/best", "secret": "/secret",
    "log": "/log?at=2026-06-01",
}

PRODUCT = {"view", "removed"}  # whatever changes in product
CHANGES = {
    "UPDATE product SET name = name || '!' WHERE id = 1": {"product 1", "joined 1"} | PRODUCT,
    "UPDATE product SET name = name || '!'": {"product 1", "product 2", "joined 1", "joined 2"} | PRODUCT,
    "INSERT INTO product VALUES (9, 'new')": {"no product"} | PRODUCT,
    "DELETE FROM product WHERE id = 9": {"no product"} | PRODUCT,
    "TRUNCATE product": {"product 1", "product 2", "no product", "joined 1", "joined 2"} | PRODUCT,
    "INSERT INTO product VALUES (1, 'a', 1), (2, 'b', 2)":
        {"product 1", "product 2", "joined 1", "joined 2"} | PRODUCT,
    "UPDATE category SET name = name || '!' WHERE id = 1":
        {"joined 1", "joined 2", "view", "removed", "function 1"},
    "UPDATE price SET cents = cents + 1 WHERE list_id = 1 AND product_id = 1": {"list 1", "pair 1 1"},
    "UPDATE price SET list_id = 2 WHERE list_id = 1 AND product_id = 2": {"list 1", "list 2", "pair 1 2"},
    "DELETE FROM price WHERE list_id = 2": {"list 2"},
    "UPDATE voucher SET cents = 7 WHERE code = 'B'": {"voucher B"},
    "UPDATE voucher SET code = 'C' WHERE code = 'A'": {"voucher A"},
    "UPDATE sale SET cents = cents + 1 WHERE id = 1": {"sold", "sale", "leaf"},
    "UPDATE sale SET cents = cents + 1 WHERE id = 2": {"sold", "sale"},
    "TRUNCATE sale_2026": {"sold", "sale", "leaf"},
    "REFRESH MATERIALIZED VIEW best": {"best"},
    "INSERT INTO membership VALUES ('you')": {"secret"},
    "UPDATE secret SET owner = 'nobody' WHERE id = 1": {"secret"},
    "ALTER TABLE voucher ADD COLUMN note text": {"voucher A", "voucher B"},
    "CREATE OR REPLACE VIEW product_full AS"
    " SELECT p.id, upper(p.name) AS name, c.name AS category"
    "   FROM product p LEFT JOIN category c ON c.id = p.category_id": set(PATHS),
    "ALTER TABLE sale DETACH PARTITION sale_2027": {"sold", "sale", "leaf"},
}


class Bench:
    def __init__(self, database, daemon):
        self.database, self.daemon, self.http, self.n = database, daemon, daemon.http(), 0

    def warm(self):
        for path in PATHS.values():
            until(lambda: self.http.get(path).hit, f"a hit of {path}")

    def pass_fence(self):
        """Everything committed so far has been applied when a later commit has. A read of it would prove nothing: it
        may go past the cache."""
        self.n += 1
        before = self.database.value("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
        self.database.execute("UPDATE fence SET n = %s", (self.n,))
        until(lambda: int(self.daemon.stats()["follow.applied"].split(".")[1], 16) > before, "the fence")


@pytest.fixture(scope="module")
def bench(postgres, tmp_path_factory):
    database = postgres.create()
    database.psql(SCHEMA)
    folder = tmp_path_factory.mktemp("dependencies")
    policy = json.dumps({
        "listen": {"http": "127.0.0.1:0", "admin": "127.0.0.1:0"},
        "database": {"dsn": database.role_dsn},
        "routes": [{"match": f"GET /{name}", "sql": sql} for name, sql in ROUTES.items()],
    })
    file = folder / "setup.yaml"
    file.write_text(policy)
    done = cli("setup-sql", "--dsn", database.dsn, file)
    assert done.returncode == 0, done.stderr
    database.psql(done.stdout)
    daemon = Freshet(folder, policy).start()
    yield Bench(database, daemon)
    code = daemon.stop()
    print(daemon.log_text())
    database.close()
    postgres.drop(database)
    assert code == 0


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_voids_what_reads_it_and_nothing_else(bench, change):
    bench.warm()
    bench.database.psql(change)
    bench.pass_fence()
    fresh = {name for name, path in PATHS.items() if not bench.http.get(path).hit}
    assert fresh == CHANGES[change]


def test_answers_are_those_of_the_database(bench):
    """After all that, and once more after it was read again."""
    for _ in range(2):
        assert bench.http.get("/one?id=1").json() == [{"name": "a"}]
        assert bench.http.get("/view").json()[0]["name"] == "A"
        assert bench.http.get("/list?list=2").json() == []
        assert bench.http.get("/secret").json() == [{"id": 2}]


def test_a_parameter_that_names_the_clock_is_never_kept(bench):
    for _ in range(3):
        assert not bench.http.get("/log?at=now").hit
    until(lambda: bench.http.get("/log?at=2026-06-02").hit, "a hit")


def test_a_function_that_reads_nothing_leaves_nothing_to_watch(bench):
    for _ in range(3):
        assert not bench.http.get("/function?id=0").hit
    bench.database.psql("CREATE OR REPLACE FUNCTION category_name(int) RETURNS text STABLE LANGUAGE sql"
                        " AS 'SELECT ''other'' || name FROM category WHERE id = $1'")
    bench.pass_fence()
    assert bench.http.get("/function?id=1").json() == [{"name": "otherone!"}]


def test_a_new_partition_is_followed_at_once(bench):
    bench.warm()
    bench.database.psql("CREATE TABLE sale_2028 PARTITION OF sale"
                        " FOR VALUES FROM ('2028-01-01') TO ('2029-01-01');"
                        "INSERT INTO sale VALUES (3, '2028-01-01', 100)")
    bench.pass_fence()
    assert bench.http.get("/sale").json() == [{"cents": 100}]
    bench.warm()
    bench.database.psql("UPDATE sale SET cents = 200 WHERE id = 3")
    bench.pass_fence()
    assert bench.http.get("/sale").json() == [{"cents": 200}]
    assert bench.http.get("/sold").json() == [{"cents": 200}]
