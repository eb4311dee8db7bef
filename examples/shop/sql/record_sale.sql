-- SPDX-License-Identifier: BSD-3-Clause
-- Body: {"business_id": 1, "customer_id": 7, "lines": [{"product_id": 3, "quantity": 2}]}
SELECT sale_id, day, total_cents, line_count
  FROM record_sale(:business_id, :customer_id, :lines, :method, :sold_on)
