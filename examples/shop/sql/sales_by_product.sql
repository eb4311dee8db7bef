-- SPDX-License-Identifier: BSD-3-Clause
SELECT l.product_id, p.name, sum(l.quantity) AS quantity,
       sum(l.quantity * l.unit_price_cents)::bigint AS revenue_cents,
       sum(l.quantity * (l.unit_price_cents - l.unit_cost_cents))::bigint AS margin_cents
  FROM sale s
  JOIN sale_line l ON l.sale_id = s.id
  JOIN product p ON p.id = l.product_id
 WHERE s.business_id = :business_id
   AND s.sold_on BETWEEN :from AND :to
 GROUP BY l.product_id, p.name
 ORDER BY revenue_cents DESC, l.product_id
 LIMIT :limit
