# SPDX-License-Identifier: BSD-3-Clause
from django.db.models import Sum

from .models import Product


def receipt(product_ids):
    """What the basket costs, in cents."""
    return Product.objects.filter(pk__in=product_ids).aggregate(Sum("price_cents"))["price_cents__sum"] or 0
