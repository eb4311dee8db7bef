-- SPDX-License-Identifier: BSD-3-Clause
-- The stock of one product. Depends on that row alone.
SELECT product_id, quantity
  FROM stock_level
 WHERE product_id = :product_id
