-- SPDX-License-Identifier: BSD-3-Clause
-- Fills the example shop with the same data every time: for psql, after schema.sql.
--
--   psql -v days=30 -f generate.sql     a month instead of two years
--
-- The last day is 2026-10-31 whatever the date of today. Every "random" choice is a hash of what it is
-- about, so a shorter history is the end of the longer one.
\if :{?days}
\else
    \set days 730
\endif
\set last_day '''2026-10-31'''
SET synchronous_commit = off;
SET client_min_messages = warning;
-- Right by construction: foreign keys need no check, and stock levels are summed once, at the end.
SET session_replication_role = replica;

-- 0 <= pick < 1, the same for the same words.
CREATE FUNCTION pg_temp.pick(about text) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN
    ('x' || left(md5(about), 8))::bit(32)::bigint::float8 / 4294967296.0;

BEGIN;

INSERT INTO business VALUES
    (1, 'water', 'Clearwater Refilling'), (2, 'laundry', 'Bubbles Laundry'), (3, 'retail', 'Corner Store');

INSERT INTO app_user VALUES
    (1, NULL, 'owner', 'Ana Reyes', 'owner'), (2, 1, 'water', 'Ben Cruz', 'manager'),
    (3, 2, 'laundry', 'Carla Diaz', 'manager'), (4, 3, 'retail', 'Dan Lim', 'manager'),
    (5, 3, 'till', 'Ella Santos', 'clerk');

-- 500 products: how many each business has, and words to name them with.
CREATE TEMP TABLE assortment AS SELECT * FROM (VALUES
    (1, 'WAT', 1, 40, 2000, false,
     '{Slim,Round,Sparkling,Alkaline,Mineral}'::text[],
     '{Refill 19 l,Refill 10 l,Bottle 500 ml,Bottle 1 l,Gallon,Cap pack,Dispenser,Pump}'::text[],
     '{refill,bottled,containers,equipment}'::text[]),
    (2, 'LAU', 41, 140, 6500, true,
     '{Express,Regular,Delicate,Hotel,Baby}'::text[],
     '{Wash,Wash and fold,Blanket wash,Curtain wash,Shoe wash,Dry clean,Suit clean,Carpet clean,Sofa clean,Gown clean,Detergent,Softener,Bleach,Stain pen,Starch,Laundry bag,Hanger set,Lint roller,Clothes line,Clothes pegs}'::text[],
     '{wash,dry clean,detergents,supplies}'::text[]),
    (3, 'RET', 141, 500, 4500, false,
     '{Classic,Fresh,Family,Mini,Spicy,Sweet,Organic,Golden,Instant,Premium,Light,Dark}'::text[],
     '{Rice 1 kg,Rice 5 kg,Noodles,Sugar,Salt,Sardines,Corned beef,Soy sauce,Vinegar,Cooking oil,Coffee,Tea,Milk,Cola,Juice,Crackers,Biscuits,Chocolate,Candy,Chips,Soap,Shampoo,Toothpaste,Tissue,Candles,Batteries,Matches,Notebook,Pens,Tape}'::text[],
     '{staples,kitchen,drinks,snacks,household,sundries}'::text[])
) a (business_id, prefix, first_id, last_id, price_top, services, kinds, things, categories);

INSERT INTO product
SELECT id, business_id, prefix || '-' || lpad(id::text, 4, '0'),
       kinds[1 + n % cardinality(kinds)] || ' ' || lower(things[1 + n / cardinality(kinds)]),
       categories[1 + n / cardinality(kinds) * cardinality(categories) / cardinality(things)],
       CASE WHEN service THEN 'kg' ELSE 'piece' END,
       price, (price * (0.55 + 0.2 * pg_temp.pick('cost' || id)))::bigint,
       NOT service, CASE WHEN service THEN 0 ELSE 5 + (pg_temp.pick('reorder' || id) * 20)::int END
  FROM (SELECT a.*, id, id - first_id AS n,
               100 + 25 * (pg_temp.pick('price' || id) ^ 2 * price_top / 25)::bigint AS price,
               services AND (id - first_id) / cardinality(kinds) < 10 AS service
          FROM assortment a, generate_series(first_id, last_id) AS id) p;

-- Two lists a business, 200 prices a list. Small assortments have prices by quantity instead.
INSERT INTO price_list
SELECT 2 * b.id - 1 + n, b.id, ('{standard,wholesale}'::text[])[1 + n]
  FROM business b, generate_series(0, 1) n;
INSERT INTO price
SELECT row_number() OVER (ORDER BY l.id, n), l.id, p.id, 1 + 5 * tier,
       (p.price_cents * (1 - 0.03 * tier - CASE l.name WHEN 'wholesale' THEN 0.1 ELSE 0 END))::bigint
  FROM price_list l
  JOIN assortment a USING (business_id),
       generate_series(0, 199) n,
       LATERAL (SELECT first_id + n % (last_id - first_id + 1) AS product_id,
                       n / (last_id - first_id + 1) AS tier) at
  JOIN product p ON p.id = at.product_id;

-- 200 customers: 80, 60, 60. Every fourth buys wholesale.
INSERT INTO customer
SELECT id, business_id, 2 * business_id - (pg_temp.pick('list' || id) > 0.25)::int,
       ('{Maria,Jose,Liza,Mark,Grace,Paolo,Joy,Ramon,Nina,Carlo,Tess,Luis}'::text[])[1 + (pg_temp.pick('first' || id) * 12)::int % 12]
       || ' ' || ('{Garcia,Mendoza,Flores,Torres,Ramos,Castillo,Aquino,Navarro,Salazar,Villanueva}'::text[])[1 + (pg_temp.pick('last' || id) * 10)::int % 10],
       '+63 9' || lpad((pg_temp.pick('phone' || id) * 999999999)::bigint::text, 9, '0')
  FROM (SELECT id, CASE WHEN id <= 80 THEN 1 WHEN id <= 140 THEN 2 ELSE 3 END AS business_id
          FROM generate_series(1, 200) id) c;

-- The rhythm: sales on a usual day, by weekday (Sunday first), by hour of the day (cumulative), and how
-- many of the buyers are known.
CREATE TEMP TABLE rhythm AS SELECT * FROM (VALUES
    (1, 31, '{0.7,1.1,0.9,0.9,1.0,1.1,1.3}'::float8[], '{7,8,9,10,11,13,15,16,17,18}'::int[],
     '{.14,.30,.42,.50,.56,.62,.70,.80,.92,1}'::float8[], 0.60, 1, 80),
    (2, 22, '{0.4,1.3,0.8,0.8,0.9,1.1,1.7}'::float8[], '{8,9,10,12,14,16,17,18,19}'::int[],
     '{.20,.36,.46,.52,.60,.70,.84,.95,1}'::float8[], 0.55, 81, 140),
    (3, 63, '{1.2,0.9,0.9,0.9,1.0,1.2,1.4}'::float8[], '{6,7,8,10,12,13,15,17,18,19,20}'::int[],
     '{.06,.16,.26,.32,.44,.52,.58,.70,.86,.95,1}'::float8[], 0.15, 141, 200)
) r (business_id, usual, weekday, hours, until, known, first_customer, last_customer);

CREATE TEMP TABLE new_sale AS
WITH s AS MATERIALIZED ( -- so that each draw is made once
    SELECT r.*, d::date AS day, n, d::date || '/' || r.business_id || '/' || n AS seed,
           pg_temp.pick('hour' || d::date || '/' || r.business_id || '/' || n) AS at
      FROM generate_series(:last_day::timestamp - make_interval(days => :days - 1), :last_day, '1 day') d,
           rhythm r,
           LATERAL generate_series(1, (r.usual * r.weekday[1 + extract(dow FROM d)::int]
                                       * CASE extract(month FROM d)::int WHEN 12 THEN 1.25 WHEN 4 THEN 1.15 ELSE 0.97 END
                                       * (0.85 + 0.3 * pg_temp.pick('day' || d::date || r.business_id)))::int) n)
SELECT row_number() OVER (ORDER BY day, business_id, n) AS id, s.*,
       day + make_interval(hours => hours[1 + (SELECT count(*) FROM unnest(until) u WHERE u <= at)::int],
                           mins => (pg_temp.pick('minute' || seed) * 60)::int % 60) AS sold_at,
       CASE WHEN pg_temp.pick('known' || seed) < known
            THEN first_customer + ((last_customer - first_customer + 1) * pg_temp.pick('who' || seed) ^ 1.7)::int
                 % (last_customer - first_customer + 1) END AS customer_id,
       1 + (3.4 * pg_temp.pick('lines' || seed) ^ 1.3)::int AS line_count
  FROM s;

CREATE TEMP TABLE new_line AS
SELECT s.id AS sale_id, line_no, s.business_id, s.day, p.id AS product_id,
       1 + (5 * pg_temp.pick('quantity' || seed || '/' || line_no) ^ 4)::int AS quantity,
       CASE WHEN c.price_list_id % 2 = 0 THEN (p.price_cents * 0.9)::bigint ELSE p.price_cents END AS price,
       p.cost_cents AS cost, p.tracks_stock
  FROM new_sale s
  JOIN assortment a USING (business_id)
  LEFT JOIN customer c ON c.id = s.customer_id
 CROSS JOIN LATERAL generate_series(1, s.line_count) line_no
  -- A few products sell most: the square of an even draw, in an order of its own.
  JOIN product p ON p.id = a.first_id
       + (((a.last_id - a.first_id + 1) * pg_temp.pick('product' || seed || '/' || line_no) ^ 2)::int * 7)
       % (a.last_id - a.first_id + 1);

INSERT INTO sale (id, business_id, customer_id, user_id, sold_on, sold_at, total_cents)
SELECT s.id, business_id, customer_id, 1 + business_id, day, s.sold_at AT TIME ZONE 'UTC', total
  FROM new_sale s
  JOIN (SELECT sale_id AS id, sum(quantity * price) AS total FROM new_line GROUP BY 1) t USING (id)
 ORDER BY id;
INSERT INTO sale_line SELECT sale_id, line_no, product_id, quantity, price, cost FROM new_line ORDER BY 1, 2;

-- Known customers pay one sale in five later, and one in twenty-five not yet.
INSERT INTO payment (sale_id, method, amount_cents, paid_on)
SELECT id, ('{cash,cash,cash,card,transfer}'::text[])[1 + (pg_temp.pick('method' || id) * 5)::int % 5], total_cents,
       least(:last_day::date, sold_on + CASE WHEN customer_id IS NOT NULL AND pg_temp.pick('late' || id) < 0.2
                                             THEN 1 + (pg_temp.pick('days' || id) * 30)::int ELSE 0 END)
  FROM sale
 WHERE customer_id IS NULL OR pg_temp.pick('owed' || id) > 0.04
 ORDER BY id;

-- What a month sells is bought on the month's first day, over a reserve bought once.
INSERT INTO inventory_transaction (business_id, product_id, kind, quantity, sale_id, happened_on)
SELECT business_id, product_id, kind, quantity, sale_id, day
  FROM (SELECT business_id, product_id, 'purchase' AS kind, sum(quantity)::int AS quantity, NULL::bigint AS sale_id,
               greatest(date_trunc('month', day)::date, :last_day::date - (:days - 1)) AS day, 0 AS n
          FROM new_line WHERE tracks_stock GROUP BY 1, 2, 6
         UNION ALL
        SELECT business_id, id, 'purchase', 2 + (reorder_level * 6 * pg_temp.pick('reserve' || id))::int, NULL,
               :last_day::date - (:days - 1), 0
          FROM product WHERE tracks_stock
         UNION ALL
        SELECT business_id, product_id, 'sale', -quantity, sale_id, day, line_no FROM new_line WHERE tracks_stock) t
 ORDER BY day, n, sale_id, product_id;
INSERT INTO stock_level
SELECT product_id, business_id, sum(quantity) FROM inventory_transaction GROUP BY 1, 2 ORDER BY 1;

SELECT setval(pg_get_serial_sequence('sale', 'id'), max(id)) FROM sale \g /dev/null
COMMIT;
ANALYZE;
