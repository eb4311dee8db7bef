-- SPDX-License-Identifier: BSD-3-Clause
-- What a business sells, by name; `category` and a part of the name (`q`) narrow it.
SELECT id, sku, name, category, unit, price_cents
  FROM product
 WHERE business_id = :business_id
   AND active
   AND (:category::text IS NULL OR category = :category)
   AND (:q::text IS NULL OR strpos(lower(name), lower(:q)) > 0)
 ORDER BY name, id
 LIMIT :limit
