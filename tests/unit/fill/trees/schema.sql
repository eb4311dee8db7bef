-- SPDX-License-Identifier: BSD-3-Clause
-- The tables, views and functions behind the captured parse trees (see capture.py).
CREATE TABLE category (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE product (id int PRIMARY KEY, name text NOT NULL, category_id int REFERENCES category,
                      price bigint NOT NULL, code varchar(20) NOT NULL);
CREATE TABLE price (list_id int, product_id bigint, cents bigint, PRIMARY KEY (list_id, product_id));
CREATE TABLE customer (id uuid PRIMARY KEY, name text NOT NULL, since date, business_id int);
CREATE TABLE voucher (code varchar(20) PRIMARY KEY, cents int);
CREATE TABLE day_total (day date PRIMARY KEY, cents bigint);
CREATE TABLE sale (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL DEFAULT now(),
                   customer_id uuid, total bigint) PARTITION BY RANGE (at);
CREATE TABLE sale_2026 PARTITION OF sale FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE note (id serial PRIMARY KEY, product_id int, body text);
CREATE TABLE base_item (id int PRIMARY KEY, name text);
CREATE TABLE special_item (extra text) INHERITS (base_item);
CREATE UNLOGGED TABLE scratch (id int PRIMARY KEY, v text);
CREATE VIEW product_full AS SELECT p.*, c.name AS category FROM product p LEFT JOIN category c ON c.id = p.category_id;
CREATE VIEW recent_sale AS SELECT * FROM sale WHERE at > now() - interval '1 day';
CREATE MATERIALIZED VIEW best_seller AS SELECT id, name FROM product;
CREATE SEQUENCE ticket;
CREATE FUNCTION category_name(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT name FROM category WHERE id = $1';
CREATE FUNCTION shout(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT upper($1)';
CREATE FUNCTION roll() RETURNS float8 VOLATILE LANGUAGE sql AS 'SELECT random()';
CREATE TABLE secret (id int PRIMARY KEY, owner text, body text);
CREATE TABLE membership (owner text, secret_id int);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON secret USING (EXISTS (SELECT 1 FROM membership m WHERE m.secret_id = secret.id AND m.owner = current_user));
CREATE ROLE trees_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO trees_reader;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO trees_reader;
