# SPDX-License-Identifier: BSD-3-Clause
"""`freshet check` and `freshet setup-sql` against a real PostgreSQL: what is cached, what is not and why,
what is wrong with a database, and whether what setup-sql prints makes it right."""
import contextlib
import json
import re

import pytest

from daemon import cli

SCHEMA = """
CREATE TABLE category (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE product (id int PRIMARY KEY, name text NOT NULL, category_id int, price bigint, day date,
                      at timestamptz, note text, doc jsonb);
CREATE TABLE price (list_id int, product_id bigint, cents bigint, PRIMARY KEY (list_id, product_id));
ALTER TABLE price REPLICA IDENTITY FULL;
CREATE TABLE journal (id int, entry text);
CREATE UNLOGGED TABLE scratch (id int PRIMARY KEY);
CREATE TABLE sale (id bigint, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE sale_2026 PARTITION OF sale FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE ticket (id serial PRIMARY KEY, body text);
CREATE TABLE hidden (id int PRIMARY KEY, owner text);
CREATE TABLE membership (owner text PRIMARY KEY);
ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON hidden USING (EXISTS (SELECT FROM membership m WHERE m.owner = hidden.owner));
CREATE VIEW product_full AS
    SELECT p.id, p.name, c.name AS category FROM product p LEFT JOIN category c ON c.id = p.category_id;
CREATE VIEW fresh_product AS SELECT * FROM product WHERE at > now();
CREATE MATERIALIZED VIEW best AS SELECT id FROM product;
CREATE TYPE mood AS ENUM ('good', 'bad');

CREATE FUNCTION plain(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT name FROM category WHERE id = $1';
CREATE FUNCTION modern(int) RETURNS text STABLE LANGUAGE sql
    RETURN (SELECT name FROM category WHERE id = $1);
CREATE FUNCTION modern_today() RETURNS date STABLE LANGUAGE sql RETURN CURRENT_DATE;
CREATE FUNCTION procedural(int) RETURNS text STABLE LANGUAGE plpgsql AS
    'BEGIN RETURN (SELECT to_char(price, ''999'') FROM product WHERE id = $1); END';
CREATE FUNCTION ages(int) RETURNS bool STABLE LANGUAGE sql AS 'SELECT at < NOW () FROM product WHERE id = $1';
CREATE FUNCTION today_text() RETURNS date STABLE LANGUAGE sql AS $$SELECT 'today'::date$$;
CREATE FUNCTION calls_ages(int) RETURNS bool STABLE LANGUAGE sql AS 'SELECT ages($1)';
CREATE FUNCTION dynamic(text) RETURNS bigint STABLE LANGUAGE plpgsql AS
    'DECLARE n bigint; BEGIN EXECUTE $1 INTO n; RETURN n; END';
CREATE FUNCTION by_view() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM fresh_product';
CREATE VIEW "Loud" AS SELECT now();
CREATE FUNCTION by_loud() RETURNS timestamptz STABLE LANGUAGE sql AS 'SELECT * FROM "Loud"';
CREATE FUNCTION by_policy() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM hidden';
CREATE FUNCTION catching() RETURNS bigint STABLE LANGUAGE plpgsql AS
    'BEGIN RETURN (SELECT count(*) FROM product); EXCEPTION WHEN others THEN RETURN 0; END';
CREATE FUNCTION raising() RETURNS bigint STABLE LANGUAGE plpgsql AS
    'BEGIN RAISE EXCEPTION ''no''; END';
CREATE FUNCTION by_sequence() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT last_value FROM ticket_id_seq';
CREATE FUNCTION parallel(int) RETURNS text STABLE PARALLEL SAFE LANGUAGE sql AS
    'SELECT name FROM category WHERE id = $1';
CREATE FUNCTION dice() RETURNS int LANGUAGE sql AS 'SELECT 4';
CREATE FUNCTION constant(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION volatile_state(int, int) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT $1 + $2';
CREATE AGGREGATE odd_sum (int) (sfunc = volatile_state, stype = int, initcond = '0');
CREATE FUNCTION slow_eq(int, int) RETURNS bool VOLATILE LANGUAGE sql AS 'SELECT $1 = $2';
CREATE OPERATOR === (leftarg = int, rightarg = int, function = slow_eq);
"""

LEVELS = ["ok", "note", "warning", "problem"]


class Bench:
    """One database with SCHEMA in it, and policies with routes made of single statements."""

    def __init__(self, database, folder):
        self.database, self.folder = database, folder

    def policy(self, routes=(), invalidate=None, dsn=None, more=None):
        faces = ["http", "resp"] if routes else ["resp"]
        text = {"listen": {face: "127.0.0.1:0" for face in faces},
                "database": {"dsn": dsn or self.database.role_dsn}, **(more or {})}
        if invalidate:
            text["invalidate"] = invalidate
        for i, route in enumerate(routes):
            route = {"sql": route} if isinstance(route, str) else dict(route)
            sql = self.folder / f"{i}.sql"
            sql.write_text(route["sql"])
            text.setdefault("routes", []).append({"match": f"GET /{i}", **route, "sql": str(sql)})
        file = self.folder / "freshet.yaml"
        file.write_text(json.dumps(text))
        return file

    def setup(self, file):
        done = cli("setup-sql", "--dsn", self.database.dsn, file)
        assert done.returncode == 0, done.stderr
        self.database.psql(done.stdout)
        return done.stdout

    def check(self, file, code=0, arguments=()):
        """Subject to (its worst level, its texts)."""
        done = cli("check", *arguments, file)
        assert done.returncode == code, done.stdout + done.stderr
        assert done.stderr == ""
        lines = re.findall(r"^  (ok|note|warning|problem) +(.+?): (.*)$", done.stdout, re.M)
        found = {}
        for level, subject, text in lines:
            if subject in found:
                level = max(level, found[subject][0], key=LEVELS.index)
                text = f"{found[subject][1]}\n{text}"
            found[subject] = (level, text)
        return found

    def verdict(self, sql, code=0):
        """What check says of one GET route, after setup."""
        file = self.policy([sql])
        self.setup(file)
        return self.check(file, code)["GET /0"]


@pytest.fixture(scope="module")
def schema(postgres):
    database = postgres.create()
    database.psql(SCHEMA)
    database.psql("DO $$ BEGIN CREATE ROLE freshet LOGIN REPLICATION;"
                  " EXCEPTION WHEN duplicate_object THEN END $$")
    return database.name


@pytest.fixture
def bench(postgres, schema, tmp_path):
    database = postgres.create(schema)
    yield Bench(database, tmp_path)
    database.close()
    postgres.drop(database)


@pytest.fixture(scope="module")
def verdicts(postgres, schema, tmp_path_factory):
    """Every statement of KEPT and UNKEPT in one policy, checked once."""
    database = postgres.create(schema)
    bench = Bench(database, tmp_path_factory.mktemp("verdicts"))
    statements = list(KEPT) + list(UNKEPT)
    file = bench.policy(statements)
    bench.setup(file)
    found = bench.check(file)
    database.close()
    postgres.drop(database)
    return {sql: found[f"GET /{i}"] for i, sql in enumerate(statements)}


KEPT = {
    "SELECT name FROM product WHERE id = :id": "the row of product with id = :id",
    "SELECT cents FROM price WHERE list_id = :l AND product_id = :p":
        "the row of price with list_id = :l, product_id = :p",
    "SELECT cents FROM price WHERE list_id = :list": "the rows of price with list_id = :list",
    "SELECT p.name, c.name FROM product p JOIN category c ON c.id = p.category_id WHERE p.id = :id":
        "the row of product with id = :id and category",
    "SELECT name FROM product WHERE id = :id OR price > 3": "product",
    "SELECT name FROM product WHERE id IN (:a, :b)": "product",
    "SELECT * FROM product_full": "product and category",
    "SELECT p.name FROM product p LEFT JOIN category c ON c.id = p.category_id": "product and category",
    "SELECT name FROM product WHERE false": "product",
    "WITH c AS (SELECT * FROM category) SELECT * FROM c UNION SELECT id, name FROM product":
        "category and product",
    "SELECT count(*) FROM sale": "sale",
    "SELECT count(*) FROM sale WHERE id = :id AND at = :at": "the row of sale with id = :id, at = :at",
    "SELECT id FROM best": "best",
    "SELECT id FROM hidden": "hidden and membership",
    "SELECT to_char(at, 'YYYY'), date_trunc('day', at), at::date, at + '1 day'::interval FROM product":
        "product",
    "SELECT json_agg(p), concat(name, id), format('%s', at) FROM product p GROUP BY name, id, at": "product",
    "SELECT to_date(note, 'YYYY-MM-DD'), note::int, note::mood FROM product": "product",
    "SELECT name FROM product WHERE day = :day AND note = :note": "product",
    "SELECT current_user, current_database(), name FROM product": "product",
    "SELECT generate_series(day, day + 3, '1 day') FROM product": "product",
    "SELECT plain(1)": "no table, and what its functions read",
    "SELECT plain(id) FROM product WHERE id = :id": "product, and what its functions read",
    "SELECT modern(1)": "no table, and what its functions read",
    "SELECT procedural(1)": "no table, and what its functions read",
    "SELECT constant(1)": "no table, and what its functions read",
    "SELECT raising()": "no table, and what its functions read",
    "SELECT 1 AS one": "no table",
}

UNKEPT = {
    "SELECT now(), name FROM product": "now() reads the clock",
    "SELECT name FROM product WHERE day = current_date": "CURRENT_DATE",
    "SELECT localtimestamp, name FROM product": "CURRENT_DATE and its relatives",
    "SELECT count(*) FROM fresh_product": "now() reads the clock",
    "SELECT name FROM product ORDER BY random()": "random() is VOLATILE",
    "SELECT clock_timestamp(), name FROM product": "clock_timestamp() is VOLATILE",
    "SELECT age(at) FROM product": "age() reads the clock",
    "SELECT name FROM product WHERE :day::text::date = day": "reads a text as date",
    "SELECT (doc ->> 'at')::timestamptz FROM product": "reads a text as timestamp with time zone",
    "SELECT current_setting('work_mem'), name FROM product": "depends on more than the rows",
    "SELECT current_schema, name FROM product": "CURRENT_SCHEMA",
    "SELECT to_tsvector(name) FROM product": "depends on more than the rows",
    "SELECT name FROM product TABLESAMPLE SYSTEM (10)": "TABLESAMPLE",
    "SELECT relname FROM pg_class": "system catalogs",
    "SELECT table_name FROM information_schema.tables": "",
    "SELECT id FROM scratch": "public.scratch: an unlogged table",
    "SELECT entry FROM journal": "public.journal: it has no primary key",
    "SELECT last_value FROM ticket_id_seq": "sequences change without a commit",
    "SELECT xmlelement(name a, name) FROM product": "XMLEXPR, which freshet does not know",
    "SELECT dice()": "public.dice() is VOLATILE",
    "SELECT odd_sum(id) FROM product": "public.volatile_state() is VOLATILE",
    "SELECT name FROM product WHERE id === 3": "public.slow_eq() is VOLATILE",
    "SELECT ages(1)": "public.ages() mentions `now`",
    "SELECT calls_ages(1)": "public.calls_ages() uses function ages",
    "SELECT today_text()": "public.today_text() mentions `today`",
    "SELECT modern_today()": "public.modern_today() mentions `current_date`",
    "SELECT dynamic('SELECT 1')": "public.dynamic() mentions `execute`",
    "SELECT by_view()": "public.by_view() uses view fresh_product",
    "SELECT by_loud()": "public.by_loud() uses view Loud",
    "SELECT catching()": "public.catching() mentions `exception`",
    "SELECT by_sequence()": "public.by_sequence() uses sequence ticket_id_seq",
    "SELECT parallel(1)": "ALTER FUNCTION public.parallel PARALLEL RESTRICTED",
    "SELECT by_policy()": "public.by_policy() uses row security of hidden",
}


@pytest.mark.parametrize("sql", KEPT)
def test_cached_answers_depend_on(verdicts, sql):
    assert verdicts[sql] == ("ok", f"cached; depends on {KEPT[sql]}")


@pytest.mark.parametrize("sql", UNKEPT)
def test_uncached_answers_say_why(verdicts, sql):
    level, text = verdicts[sql]
    assert level == "warning" and text.startswith("not cached: ") and UNKEPT[sql] in text


@pytest.mark.parametrize("sql, why", {
    "SELECT nothing FROM product": 'column "nothing" does not exist',
    "SELECT * FROM nowhere": 'relation "nowhere" does not exist',
    "SELECT :x AS a WHERE :x IS NULL": "could not determine data type",
    "INSERT INTO category VALUES (:id, 'x')": "it writes, and GET routes run read-only",
    "WITH d AS (DELETE FROM category RETURNING 1) SELECT * FROM d": "it writes",
    "SELECT * FROM product FOR UPDATE": "FOR UPDATE",
    "SELECT nextval('ticket_id_seq')": "moves a sequence",
}.items())
def test_a_statement_that_cannot_work_is_a_problem(bench, sql, why):
    file = bench.policy([sql])
    found = bench.check(file, 1)["GET /0"]
    assert found[0] == "problem" and why in found[1]


def test_ttl_routes_are_kept_whatever_they_read(bench):
    assert bench.verdict({"sql": "SELECT now()", "consistency": "ttl"})[0] == "note"


def test_setup_makes_a_bare_database_right(bench):
    bench.database.execute("REVOKE ALL ON SCHEMA public FROM public")
    file = bench.policy(["SELECT * FROM product_full WHERE id = :id", "SELECT plain(:c::int)",
                         {"match": "POST /x", "sql": "INSERT INTO ticket (body) VALUES (:b) RETURNING id"}],
                        {"price": ["price_{list_id}"]})
    cli("check", file)  # the role may not even look into the schema: no matter, but no crash
    bench.setup(file)
    found = bench.check(file)
    assert {level for level, _ in found.values()} == {"ok"}
    assert bench.setup(file) == bench.setup(file)  # again and again
    assert bench.check(file) == found


def test_the_publication_holds_exactly_the_tables_that_are_read(bench):
    file = bench.policy(["SELECT * FROM product_full", "SELECT count(*) FROM sale", "SELECT by_view()",
                         {"sql": "SELECT id FROM hidden", "consistency": "ttl"},
                         {"match": "POST /x", "sql": "INSERT INTO ticket (body) VALUES (:b)"}],
                        {"price": ["price_*"]})
    bench.setup(file)
    bench.setup(bench.policy(["SELECT 1"], {"price": ["price_*"]}))
    assert members(bench) == {"price"}
    bench.setup(bench.policy(["SELECT id FROM hidden", "SELECT plain(1)"]))
    assert members(bench) == {"hidden", "membership", "category"}
    bench.setup(file := bench.policy(["SELECT * FROM product_full", "SELECT count(*) FROM sale",
                                      "SELECT by_view()", {"match": "POST /x", "sql": "DELETE FROM ticket"}]))
    assert members(bench) == {"product", "category", "sale_2026"}
    bench.database.execute("CREATE TABLE sale_2027 PARTITION OF sale"
                           " FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')")
    assert "sale_2027" in members(bench)


def members(bench):
    return {name for (name,) in bench.database.execute(
        "SELECT tablename FROM pg_publication_tables WHERE pubname = 'freshet'")}


def test_tables_without_identity_are_left_out_with_advice(bench):
    text = bench.setup(bench.policy(["SELECT entry FROM journal", "SELECT id FROM category"]))
    assert members(bench) == {"category"}
    assert "Left out: public.journal (no replica identity)" in text
    assert "ALTER TABLE public.journal REPLICA IDENTITY FULL" in text
    bench.database.execute("INSERT INTO journal VALUES (1, 'a')")
    assert bench.database.execute("UPDATE journal SET entry = 'b'") == 1


def test_a_publication_for_all_tables_is_replaced(bench):
    bench.database.execute("CREATE PUBLICATION freshet FOR ALL TABLES")
    file = bench.policy(["SELECT id FROM category"])
    found = bench.check(file, 1)
    assert "FOR ALL TABLES" in found["publication"][1]
    assert "refuses every UPDATE" in found["journal"][1]
    bench.setup(file)
    assert members(bench) == {"category"}


def test_missing_pieces_are_named(bench):
    bench.database.execute("GRANT SELECT ON category TO freshet")
    file = bench.policy(["SELECT id FROM category", "SELECT count(*) FROM sale", "SELECT id FROM best"],
                        {"category": ["category_{id}"], "nowhere": ["x_{id}"], "price": ["p_{nothing}"]})
    found = bench.check(file, 1)
    assert found["publication"] == ("problem",
                                    '"freshet" does not exist: run what `freshet setup-sql` prints')
    assert found["event trigger"][0] == "warning"
    assert found["public.category"][0] == "warning"
    assert "publication does not exist" in found["GET /0"][1]
    assert "may not SELECT sale" in found["GET /1"][1]
    assert "a REFRESH is seen only with freshet's event trigger" in found["GET /2"][1]
    assert found["category_{id}"][0] == "problem"
    assert "no such table" in found["x_{id}"][1]
    bench.setup(bench.policy([], {"category": ["category_{id}"], "price": ["p_{nothing}"]}))
    assert "not a column" in bench.check(bench.folder / "freshet.yaml", 1)["p_{nothing}"][1]


def test_a_coarse_template_is_a_warning(bench):
    file = bench.policy([], {"product": ["product_{id}", "by_category_{category_id}"]})
    bench.setup(file)
    found = bench.check(file)
    assert found["product_{id}"] == ("ok", "table product, by id (integer)")
    assert found["by_category_{category_id}"][0] == "warning"
    assert "voids the whole template" in found["by_category_{category_id}"][1]


def test_a_template_that_repeats_the_prefix_is_a_warning(bench):
    file = bench.policy([], {"product": ["app:1:product_{id}"]},
                        more={"spaces": {"cache": {"db": 0, "prefix": "app:*:"}}})
    bench.setup(file)
    level, text = bench.check(file)["app:1:product_{id}"]
    assert level == "warning" and 'write "product_{id}"' in text


@contextlib.contextmanager
def stream(database):
    """The logical messages of what happens inside, in order."""
    database.execute("SELECT pg_create_logical_replication_slot('watch', 'test_decoding')")
    notes = []
    yield notes
    notes += [data.split("content:", 1)[1] for (data,) in database.execute(
        "SELECT data FROM pg_logical_slot_get_changes('watch', NULL, NULL) WHERE data LIKE 'message%'")]
    database.execute("SELECT pg_drop_replication_slot('watch')")


DDL = [
    ("ALTER TABLE product ADD COLUMN more int DEFAULT 3", ["table product"]),
    ("REFRESH MATERIALIZED VIEW best", ["matview best"]),
    ("CREATE OR REPLACE VIEW product_full AS SELECT 1 AS id, ''::text AS name, ''::text AS category",
     ["all"]),
    ("CREATE POLICY p ON product USING (true)", ["all"]),
    ("ALTER TABLE sale DETACH PARTITION sale_2026", ["table sale"]),
    ("CREATE TABLE sale_2027 PARTITION OF sale FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')",
     ["table sale", "table sale_2027"]),
    ("CREATE TABLE extra (id int PRIMARY KEY, v text)", ["table extra"]),
    ("CREATE SCHEMA s CREATE TABLE product (id int)", ["all"]),
    ("ALTER TYPE mood ADD VALUE 'odd'", ["all"]),
    ("DROP FUNCTION plain(int)", ["all"]),
    ("ALTER PUBLICATION freshet DROP TABLE category", ["all"]),
    ("CREATE INDEX ON product (name)", []),
    ("CREATE TEMP TABLE t (id serial PRIMARY KEY, v text); DROP TABLE t", []),
    ("CREATE TEMP VIEW v AS SELECT 1", []),
    ("COMMENT ON TABLE product IS 'x'", []),
    ("CREATE SEQUENCE q; DROP SEQUENCE q", []),
    ("TRUNCATE category", []),
    ("BEGIN; ALTER TABLE product ADD COLUMN gone int; ROLLBACK", []),
    ("SET session_replication_role = replica; ALTER TABLE product ADD COLUMN y int", ["table product"]),
]


@pytest.mark.parametrize("sql, expected", DDL)
def test_schema_changes_are_put_into_the_stream(bench, sql, expected):
    bench.setup(bench.policy(["SELECT id FROM category"]))
    with stream(bench.database) as notes:
        bench.database.psql(sql)
    named = []
    for note in notes:
        kind, _, oid = note.partition(" ")
        named.append(f"{kind} {bench.database.value('SELECT %s::oid::regclass', (oid,))}" if oid else kind)
    assert sorted(named) == expected


def test_ordinary_roles_may_change_their_schema(bench):
    bench.setup(bench.policy(["SELECT id FROM category"]))
    bench.database.psql("CREATE SCHEMA own; GRANT ALL ON SCHEMA own TO freshet")
    with stream(bench.database) as notes:
        bench.database.psql("SET ROLE freshet; CREATE TABLE own.made (id int, v text); DROP TABLE own.made")
    assert len(notes) == 2 and all(note.startswith("table ") for note in notes)


def test_offline_needs_no_database(bench):
    file = bench.policy(["SELECT 1"], {"category": ["c_{id}"], "public.price": ["p_*"]},
                        dsn="host=/nowhere dbname=x")
    assert cli("check", "--offline", file).returncode == 0
    done = cli("setup-sql", "--offline", file)
    assert done.returncode == 0
    bench.database.psql(done.stdout)
    assert members(bench) == {"category", "price"}


def test_spaces_say_what_they_promise(bench):
    spaces = {"queue": {"db": 0, "memory": "64MB", "keep": "durable", "evict": "never"},
              "cache": {"db": 3, "memory": "1536KB", "ttl": "2h"}}
    file = bench.policy(more={"spaces": spaces, "durable": {"dir": "log", "fsync": "always"}})
    found = bench.check(file, arguments=["--offline"])
    assert found["spaces.queue"] == ("ok", "database 0, 64 MB; never evicts: when it is full its writers get -OOM; "
                                     "durable: survives kill -9; does not follow the database")
    assert found["spaces.cache"] == ("ok", "database 3, 1.5 MB; evicts its own entries when it is full; volatile: "
                                     "empty after a restart; keys set without an expiry live 7200 s; "
                                     "does not follow the database")
    assert found["memory"][1].startswith("65.5 MB in all spaces together")
    assert found["durable.dir"] == ("ok", f"{bench.folder}/log; a reply leaves when the disk has the change")


def test_a_disk_too_small_for_the_log_is_a_warning(bench):
    spaces = {"queue": {"db": 0, "memory": "900GB", "keep": "durable"}}
    file = bench.policy(more={"spaces": spaces, "durable": {"dir": "log", "rewrite_growth": 10000}})
    level, text = bench.check(file, arguments=["--offline"])["durable.dir"]
    assert level == "warning" and "MB free; full durable spaces want about 94003200 MB" in text


def test_a_database_that_is_away_is_a_clear_problem(bench):
    file = bench.policy(["SELECT 1"], dsn="host=/nowhere dbname=x")
    done = cli("check", file)
    assert done.returncode == 1
    assert "Is PostgreSQL running" in done.stdout and "--offline" in done.stdout
    done = cli("setup-sql", file)
    assert done.returncode == 1 and done.stdout == "" and "--dsn" in done.stderr


def test_another_role_can_be_named(bench):
    file = bench.policy(["SELECT id FROM category"])
    done = cli("setup-sql", "--role", 'odd "role"', "--dsn", bench.database.dsn, file)
    assert done.returncode == 0
    bench.database.psql(done.stdout)
    assert bench.database.value("""SELECT has_table_privilege('odd "role"', 'category', 'SELECT')""")
    bench.database.psql('DROP OWNED BY "odd ""role"""; DROP ROLE "odd ""role"""')


@pytest.mark.parametrize("verb", ["check", "setup-sql"])
def test_usage(verb, tmp_path):
    assert cli(verb, "--help").returncode == 0
    assert cli(verb, "--nonsense").returncode == 2
    assert cli(verb, "one.yaml", "two.yaml").returncode == 2
    missing = cli(verb, tmp_path / "missing.yaml")
    assert missing.returncode == 1 and "missing.yaml" in missing.stderr
