-- SPDX-License-Identifier: BSD-3-Clause
-- One product. Depends on that product's row alone.
SELECT id, business_id, sku, name, category, unit, price_cents, tracks_stock, reorder_level, active
  FROM product
 WHERE id = :id
