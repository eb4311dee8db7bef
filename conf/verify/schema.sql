-- SPDX-License-Identifier: BSD-3-Clause
-- The tables of `freshet verify`. The checker fills them itself; it writes nothing else.
DROP SCHEMA IF EXISTS verify CASCADE;
CREATE SCHEMA verify;

-- A plain table: the stream has the old key of a changed row, but no other old value.
CREATE TABLE verify.item (
    id  integer PRIMARY KEY,
    grp integer NOT NULL,
    v   bigint NOT NULL
);
CREATE INDEX ON verify.item (grp);

-- No primary key; the stream has whole old rows.
CREATE TABLE verify.part (
    id  integer NOT NULL,
    grp integer NOT NULL,
    v   bigint NOT NULL
);
ALTER TABLE verify.part REPLICA IDENTITY FULL;
CREATE INDEX ON verify.part (id);

-- Over a thousand rows, all of them changed in one transaction now and then.
CREATE TABLE verify.crowd (
    id  integer PRIMARY KEY,
    grp integer NOT NULL,
    v   bigint NOT NULL
);

-- Where scenes are played: nobody else writes here.
CREATE TABLE verify.stage (
    id  integer PRIMARY KEY,
    grp integer NOT NULL,
    v   bigint NOT NULL
);

-- A lock on it holds the routes that call pass(), in the middle of their statement.
CREATE TABLE verify.gate (
    id integer PRIMARY KEY
);
INSERT INTO verify.gate VALUES (1);
CREATE FUNCTION verify.pass(who integer) RETURNS integer STABLE LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT id FROM verify.gate) + who;
END $$;
