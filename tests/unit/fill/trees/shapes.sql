-- SPDX-License-Identifier: BSD-3-Clause
-- name: pk_bound
SELECT * FROM product WHERE id = $1
-- name: pk_bound_flipped
SELECT name FROM product WHERE $1 = id AND price > 3
-- name: pk_bound_other_width
SELECT name FROM product WHERE id = $1::bigint
-- name: pk_bound_numeric
SELECT name FROM product WHERE id = $1::numeric
-- name: pk_bound_const
SELECT name FROM product WHERE id = 7
-- name: pk_bound_or
SELECT name FROM product WHERE id = $1 OR name = 'x'
-- name: pk_bound_not
SELECT name FROM product WHERE NOT (id = $1)
-- name: pk_in_list
SELECT name FROM product WHERE id IN ($1, $2)
-- name: pk_any
SELECT name FROM product WHERE id = ANY ($1::int[])
-- name: pk_range
SELECT name FROM product WHERE id >= $1 AND id <= $1
-- name: pk_in_having
SELECT max(price) FROM product GROUP BY id HAVING id = $1
-- name: pk_bound_aggregate
SELECT count(*), max(price) FROM product WHERE id = $1
-- name: pk_bound_uuid
SELECT name FROM customer WHERE id = $1
-- name: pk_bound_varchar
SELECT cents FROM voucher WHERE code = $1
-- name: pk_bound_varchar_cast
SELECT cents FROM voucher WHERE code = $1::varchar
-- name: pk_bound_varchar_truncated
SELECT cents FROM voucher WHERE code = $1::varchar(3)
-- name: pk_bound_collate
SELECT cents FROM voucher WHERE code = $1 COLLATE "C"
-- name: pk_bound_date
SELECT cents FROM day_total WHERE day = $1
-- name: composite_pk
SELECT cents FROM price WHERE product_id = $2 AND list_id = $1
-- name: composite_pk_half
SELECT cents FROM price WHERE list_id = $1
-- name: composite_pk_one_param
SELECT cents FROM price WHERE list_id = $1 AND product_id = $1
-- name: pk_bound_join
SELECT p.name, c.name FROM product p JOIN category c ON c.id = p.category_id WHERE p.id = $1
-- name: pk_bound_left_join
SELECT p.name, c.name FROM product p LEFT JOIN category c ON c.id = p.category_id WHERE p.id = $1
-- name: pk_bound_on_clause
SELECT p.name FROM category c LEFT JOIN product p ON p.category_id = c.id AND p.id = $1
-- name: pk_bound_self_join
SELECT a.name FROM product a JOIN product b ON a.price < b.price WHERE a.id = $1
-- name: pk_bound_subselect_same
SELECT name FROM product WHERE id = $1 AND price > (SELECT avg(price) FROM product)
-- name: pk_bound_subselect_other
SELECT name, (SELECT count(*) FROM price x WHERE x.product_id = product.id) FROM product WHERE id = $1
-- name: pk_in_subquery
SELECT * FROM (SELECT name FROM product WHERE id = $1) s
-- name: column_bound
SELECT name FROM product WHERE category_id = $1 AND price > $2
-- name: whole_table
SELECT * FROM product ORDER BY name LIMIT 10
-- name: view
SELECT * FROM product_full ORDER BY name
-- name: view_pk
SELECT * FROM product_full WHERE id = $1
-- name: view_with_now
SELECT count(*) FROM recent_sale
-- name: cte
WITH c AS (SELECT * FROM category) SELECT p.name FROM product p JOIN c ON c.id = p.category_id
-- name: cte_recursive
WITH RECURSIVE r AS (SELECT id, category_id FROM product WHERE id = $1 UNION SELECT p.id, p.category_id FROM product p JOIN r ON r.id = p.category_id) SELECT * FROM r
-- name: cte_modifying
WITH d AS (DELETE FROM note WHERE id = $1 RETURNING *) SELECT * FROM d
-- name: subselect
SELECT name FROM product WHERE category_id IN (SELECT id FROM category WHERE name = $1)
-- name: exists_subselect
SELECT name FROM category c WHERE EXISTS (SELECT 1 FROM product p WHERE p.category_id = c.id)
-- name: lateral
SELECT c.name, x.name FROM category c, LATERAL (SELECT name FROM product p WHERE p.category_id = c.id LIMIT 1) x
-- name: removed_join
SELECT p.name FROM product p LEFT JOIN category c ON c.id = p.category_id
-- name: where_false
SELECT name FROM product WHERE false
-- name: union_two
SELECT name FROM product UNION ALL SELECT name FROM category
-- name: union_pk
SELECT name FROM product WHERE id = $1 UNION SELECT name FROM category WHERE id = $1
-- name: outer_join
SELECT p.name FROM product p FULL JOIN category c ON c.id = p.category_id
-- name: aggregates
SELECT category_id, count(*), sum(price), json_agg(name ORDER BY name) FROM product GROUP BY 1
-- name: window
SELECT name, rank() OVER (PARTITION BY category_id ORDER BY price DESC) FROM product
-- name: grouping_sets
SELECT category_id, sum(price), grouping(category_id) FROM product GROUP BY GROUPING SETS ((category_id), ())
-- name: expressions
SELECT CASE WHEN price > 1 THEN 'a' ELSE 'b' END, coalesce(name, 'x'), nullif(name, 'y'), greatest(price, 2), name IS NULL, (price > 1) IS TRUE, ARRAY[id, 2], ROW(id, name), (id, price) < (3, 4::bigint), name IS DISTINCT FROM 'z', (ARRAY[1,2])[1] FROM product
-- name: to_char
SELECT to_char(at, 'YYYY-MM-DD'), date_trunc('day', at), extract(hour FROM at), at::date, at + interval '1 day' FROM sale
-- name: stable_safe
SELECT json_build_object('n', name), concat(name, id), format('%s', name), row_to_json(product) FROM product
-- name: cast_text_to_date
SELECT $1::text::date FROM product
-- name: cast_int_to_text
SELECT id::text FROM product
-- name: function_immutable
SELECT shout(name) FROM product WHERE id = $1
-- name: function_stable
SELECT category_name(category_id) FROM product WHERE id = $1
-- name: function_volatile
SELECT roll(), name FROM product
-- name: random
SELECT name FROM product ORDER BY random()
-- name: now
SELECT name, now() FROM product
-- name: current_date
SELECT name FROM customer WHERE since = current_date
-- name: current_timestamp
SELECT current_timestamp(3), name FROM product
-- name: current_user
SELECT current_user, name FROM product
-- name: current_schema
SELECT current_schema, name FROM product
-- name: age
SELECT age(since) FROM customer
-- name: clock_in_order_by
SELECT name FROM customer ORDER BY abs(since - current_date)
-- name: partitioned
SELECT count(*) FROM sale
-- name: partition_leaf
SELECT count(*) FROM sale_2026
-- name: inherited
SELECT name FROM base_item WHERE id = $1
-- name: unlogged
SELECT v FROM scratch WHERE id = $1
-- name: matview
SELECT * FROM best_seller
-- name: system_catalog
SELECT relname FROM pg_class
-- name: information_schema
SELECT table_name FROM information_schema.tables
-- name: for_update
SELECT * FROM product WHERE id = $1 FOR UPDATE
-- name: for_share_in_subselect
SELECT * FROM (SELECT * FROM product FOR SHARE) s
-- name: nextval
SELECT nextval('ticket')
-- name: sequence_read
SELECT last_value FROM ticket
-- name: tablesample
SELECT name FROM product TABLESAMPLE SYSTEM (10)
-- name: set_returning
SELECT g, p.name FROM generate_series(1, 3) g, product p WHERE p.id = $1
-- name: values
SELECT * FROM (VALUES (1), (2)) v(x)
-- name: no_table
SELECT 1 + $1::int
-- name: xml
SELECT xmlelement(name a, name) FROM product
-- name: rls
SELECT body FROM secret WHERE id = $1
-- name: insert
INSERT INTO note (product_id, body) VALUES ($1, $2) RETURNING id
-- name: insert_select
INSERT INTO note (product_id, body) SELECT id, name FROM product WHERE category_id = $1
-- name: insert_identity
INSERT INTO sale (customer_id, total) VALUES ($1, $2)
-- name: upsert
INSERT INTO category VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET name = excluded.name
-- name: update
UPDATE product SET price = $2 WHERE id = $1
-- name: delete_using
DELETE FROM price USING product WHERE product.id = price.product_id AND product.name = $1
-- name: merge
MERGE INTO product p USING category c ON p.category_id = c.id WHEN MATCHED THEN UPDATE SET name = c.name WHEN NOT MATCHED THEN DO NOTHING
-- name: utility
SHOW timezone
-- name: odd_alias
SELECT p.name AS ":relid 99 } (now)" FROM product AS ":rtekind 0 {QUERY" (a, name) JOIN category p ON true WHERE p.id = $1
