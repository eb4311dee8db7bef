-- SPDX-License-Identifier: BSD-3-Clause
-- One business in one period: the page that may never be old.
WITH sold AS (
    SELECT id, total_cents
      FROM sale
     WHERE business_id = :business_id
       AND sold_on BETWEEN :from AND :to
)
SELECT r.sales, r.revenue_cents, c.cost_cents,
       r.revenue_cents - c.cost_cents AS margin_cents,
       p.paid_cents,
       r.revenue_cents - p.paid_cents AS owed_cents
  FROM (SELECT count(*) AS sales, coalesce(sum(total_cents), 0)::bigint AS revenue_cents
          FROM sold) r,
       (SELECT coalesce(sum(l.quantity * l.unit_cost_cents), 0)::bigint AS cost_cents
          FROM sold JOIN sale_line l ON l.sale_id = sold.id) c,
       (SELECT coalesce(sum(y.amount_cents), 0)::bigint AS paid_cents
          FROM sold JOIN payment y ON y.sale_id = sold.id) p
