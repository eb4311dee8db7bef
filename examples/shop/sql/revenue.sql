-- SPDX-License-Identifier: BSD-3-Clause
-- Revenue summary: by month, with what was paid and how.
SELECT date_trunc('month', s.sold_on::timestamp)::date AS month,
       count(*) AS sales,
       sum(s.total_cents)::bigint AS revenue_cents,
       (sum(s.total_cents) / count(*))::bigint AS average_cents,
       coalesce(sum(p.cash), 0)::bigint AS cash_cents,
       coalesce(sum(p.card), 0)::bigint AS card_cents,
       coalesce(sum(p.transfer), 0)::bigint AS transfer_cents
  FROM sale s
  LEFT JOIN (SELECT sale_id,
                    sum(amount_cents) FILTER (WHERE method = 'cash') AS cash,
                    sum(amount_cents) FILTER (WHERE method = 'card') AS card,
                    sum(amount_cents) FILTER (WHERE method = 'transfer') AS transfer
               FROM payment
              GROUP BY sale_id) p ON p.sale_id = s.id
 WHERE s.business_id = :business_id
   AND s.sold_on BETWEEN :from AND :to
 GROUP BY 1
 ORDER BY 1
