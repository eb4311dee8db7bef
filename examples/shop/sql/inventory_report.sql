-- SPDX-License-Identifier: BSD-3-Clause
-- What came in, what went out, and what the rest is worth.
SELECT p.id AS product_id, p.name, s.quantity, s.quantity * p.cost_cents AS value_cents,
       coalesce(sum(t.quantity) FILTER (WHERE t.kind = 'purchase'), 0) AS bought,
       coalesce(-sum(t.quantity) FILTER (WHERE t.kind = 'sale'), 0) AS sold,
       coalesce(sum(t.quantity) FILTER (WHERE t.kind = 'adjustment'), 0) AS adjusted
  FROM stock_level s
  JOIN product p ON p.id = s.product_id
  LEFT JOIN inventory_transaction t ON t.product_id = p.id AND t.happened_on BETWEEN :from AND :to
 WHERE s.business_id = :business_id
 GROUP BY p.id, p.name, s.quantity, p.cost_cents
 ORDER BY p.name, p.id
