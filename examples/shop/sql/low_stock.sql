-- SPDX-License-Identifier: BSD-3-Clause
-- What should be ordered, the most urgent first.
SELECT p.id AS product_id, p.sku, p.name, s.quantity, p.reorder_level
  FROM stock_level s
  JOIN product p ON p.id = s.product_id
 WHERE s.business_id = :business_id
   AND p.active
   AND s.quantity <= p.reorder_level
 ORDER BY s.quantity - p.reorder_level, p.id
