-- SPDX-License-Identifier: BSD-3-Clause
-- One price list. Depends on the rows of that list alone.
SELECT product_id, min_quantity, price_cents
  FROM price
 WHERE price_list_id = :price_list_id
 ORDER BY product_id, min_quantity
