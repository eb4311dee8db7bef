-- SPDX-License-Identifier: BSD-3-Clause
-- Revenue summary: by month, with what was paid and how.
WITH sold AS (
    SELECT id, total_cents, date_trunc('month', sold_on::timestamp)::date AS month
      FROM sale
     WHERE business_id = :business_id
       AND sold_on BETWEEN :from AND :to
), paid AS (
    SELECT sold.month,
           sum(y.amount_cents) FILTER (WHERE y.method = 'cash') AS cash,
           sum(y.amount_cents) FILTER (WHERE y.method = 'card') AS card,
           sum(y.amount_cents) FILTER (WHERE y.method = 'transfer') AS transfer
      FROM sold JOIN payment y ON y.sale_id = sold.id
     GROUP BY 1
), revenue AS (
    SELECT month, count(*) AS sales, sum(total_cents) AS cents
      FROM sold
     GROUP BY 1
)
SELECT r.month, r.sales,
       r.cents::bigint AS revenue_cents,
       (r.cents / r.sales)::bigint AS average_cents,
       coalesce(p.cash, 0)::bigint AS cash_cents,
       coalesce(p.card, 0)::bigint AS card_cents,
       coalesce(p.transfer, 0)::bigint AS transfer_cents
  FROM revenue r
  LEFT JOIN paid p USING (month)
 ORDER BY 1
