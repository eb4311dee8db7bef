# SPDX-License-Identifier: BSD-3-Clause
from django.urls import path

from . import views

urlpatterns = [
    path("products/<str:category>", views.product_list),
    path("product/<int:product_id>", views.product_detail),
    path("basket", views.basket),
    path("basket/<int:product_id>", views.basket),
    path("order", views.order),
]
