-- SPDX-License-Identifier: BSD-3-Clause
-- Sales and payments of one customer in order, with what is owed after each.
SELECT day, kind, sale_id, amount_cents,
       sum(amount_cents) OVER (ORDER BY day, sale_id, kind DESC, entry)::bigint AS owed_cents
  FROM (SELECT sold_on AS day, 'sale' AS kind, id AS sale_id, total_cents AS amount_cents, id AS entry
          FROM sale
         WHERE customer_id = :customer_id
        UNION ALL
        SELECT p.paid_on, 'payment', s.id, -p.amount_cents, p.id
          FROM payment p
          JOIN sale s ON s.id = p.sale_id
         WHERE s.customer_id = :customer_id) AS entries
 ORDER BY day, sale_id, kind DESC, entry
