# SPDX-License-Identifier: BSD-3-Clause
from django.db import models


class Product(models.Model):
    """The shop's own table (examples/shop/schema.sql)."""

    id = models.IntegerField(primary_key=True)
    business_id = models.IntegerField()
    sku = models.TextField(unique=True)
    name = models.TextField()
    category = models.TextField()
    price_cents = models.BigIntegerField()
    active = models.BooleanField()

    class Meta:
        managed = False
        db_table = "product"
