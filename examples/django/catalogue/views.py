# SPDX-License-Identifier: BSD-3-Clause
"""Cached the way everybody does it: get, and on a miss query and set. No signal handlers, no delete_pattern."""
import django_rq
from django.core.cache import cache
from django.http import Http404, JsonResponse

from . import jobs
from .models import Product

SHOWN = ("id", "sku", "name", "category", "price_cents")


def product_list(request, category):
    key = f"product_list_{category}"
    products = cache.get(key)
    answer = "hit"
    if products is None:
        answer = "miss"
        products = list(Product.objects.filter(category=category, active=True).order_by("id").values(*SHOWN))
        cache.set(key, products)
    return JsonResponse({"cache": answer, "products": products})


def product_detail(request, product_id):
    key = f"product_{product_id}"
    product = cache.get(key)
    if product is None:
        product = Product.objects.filter(pk=product_id).values(*SHOWN).first()
        if product is None:
            raise Http404(f"no product {product_id}")
        cache.set(key, product)
    return JsonResponse(product)


def basket(request, product_id=None):
    """What the visitor wants; kept in the session."""
    wanted = request.session.get("basket", [])
    if product_id is not None:
        request.session["basket"] = wanted = wanted + [product_id]
    return JsonResponse({"basket": wanted})


def order(request):
    """Hands the basket to the queue: the payment's callback, the receipt."""
    job = django_rq.get_queue("default").enqueue(jobs.receipt, request.session.get("basket", []))
    return JsonResponse({"job": job.id})
