-- SPDX-License-Identifier: BSD-3-Clause
SELECT sold_on AS day, count(*) AS sales, sum(total_cents)::bigint AS total_cents
  FROM sale
 WHERE business_id = :business_id
   AND sold_on BETWEEN :from AND :to
 GROUP BY sold_on
 ORDER BY sold_on
