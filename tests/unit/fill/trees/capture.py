#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Captures the rewritten parse trees of shapes.sql from a real PostgreSQL into trees-<major>.txt.

    capture.py 'host=/tmp/scratch user=postgres dbname=postgres'

Creates the database freshet_trees and the role trees_reader (dropped first if they exist), loads
schema.sql, and prepares every statement as that role, so that row security shows. Output, one
section per shape, after one line that names the relations of the schema:

    oid=name ...
    = name
    sql
    tree, one or more lines
"""
import pathlib
import sys

import psycopg2

HERE = pathlib.Path(__file__).parent


def connect(dsn, **more):
    conn = psycopg2.connect(dsn, **more)
    conn.autocommit = True
    return conn


def main():
    dsn = sys.argv[1]
    admin = connect(dsn).cursor()
    admin.execute("DROP DATABASE IF EXISTS freshet_trees")
    admin.execute("DROP ROLE IF EXISTS trees_reader")
    admin.execute("CREATE DATABASE freshet_trees")
    conn = connect(dsn, dbname="freshet_trees")
    cur = conn.cursor()
    cur.execute((HERE / "schema.sql").read_text())
    cur.execute("SELECT oid, relname FROM pg_class WHERE oid >= 16384"
                " AND relkind IN ('r', 'p', 'm', 'v', 'S') ORDER BY oid")
    names = " ".join(f"{oid}={name}" for oid, name in cur.fetchall())
    cur.execute("SET ROLE trees_reader; SET debug_print_rewritten = on; SET debug_pretty_print = off;"
                "SET client_min_messages = log")
    out = [names + "\n"]
    for shape in (HERE / "shapes.sql").read_text().split("-- name: ")[1:]:
        name, sql = shape.split("\n", 1)
        sql = sql.strip()
        del conn.notices[:]
        cur.execute(sql if name == "utility" else f"PREPARE s AS {sql}; DEALLOCATE s")
        trees = [n for n in conn.notices if "rewritten parse tree:" in n]
        tree = trees[0 if name == "utility" else 1]
        out.append(f"= {name}\n{sql}\n" + tree.split("DETAIL:  ", 1)[1].rstrip("\n") + "\n")
    major = conn.server_version // 10000
    (HERE / f"trees-{major}.txt").write_text("".join(out))
    conn.close()
    admin.execute("DROP DATABASE freshet_trees")
    admin.execute("DROP ROLE trees_reader")


main()
