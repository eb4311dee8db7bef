-- SPDX-License-Identifier: BSD-3-Clause
SELECT id, name, phone, price_list_id
  FROM customer
 WHERE business_id = :business_id
   AND active
 ORDER BY name, id
