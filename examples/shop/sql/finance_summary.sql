-- SPDX-License-Identifier: BSD-3-Clause
-- One business in one period: the page that may never be old.
SELECT count(*) AS sales,
       coalesce(sum(s.total_cents), 0)::bigint AS revenue_cents,
       coalesce(sum(c.cost_cents), 0)::bigint AS cost_cents,
       coalesce(sum(s.total_cents) - sum(c.cost_cents), 0)::bigint AS margin_cents,
       coalesce(sum(p.paid_cents), 0)::bigint AS paid_cents,
       coalesce(sum(s.total_cents - coalesce(p.paid_cents, 0)), 0)::bigint AS owed_cents
  FROM sale s
  JOIN (SELECT sale_id, sum(quantity * unit_cost_cents) AS cost_cents
          FROM sale_line
         GROUP BY sale_id) c ON c.sale_id = s.id
  LEFT JOIN (SELECT sale_id, sum(amount_cents) AS paid_cents
               FROM payment
              GROUP BY sale_id) p ON p.sale_id = s.id
 WHERE s.business_id = :business_id
   AND s.sold_on BETWEEN :from AND :to
