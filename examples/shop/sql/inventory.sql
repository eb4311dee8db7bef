-- SPDX-License-Identifier: BSD-3-Clause
-- What is on the shelves now.
SELECT p.id AS product_id, p.name, p.category, s.quantity, p.reorder_level
  FROM stock_level s
  JOIN product p ON p.id = s.product_id
 WHERE s.business_id = :business_id
 ORDER BY p.name, p.id
