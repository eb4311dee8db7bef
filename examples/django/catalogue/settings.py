# SPDX-License-Identifier: BSD-3-Clause
"""A Django project as it was before freshet. What is specific to freshet: the address in LOCATION."""
import os

LOCATION = os.environ.get("CATALOGUE_REDIS", "redis://127.0.0.1:6380")

SECRET_KEY = os.environ.get("CATALOGUE_SECRET", "for the example only")
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "catalogue.urls"
WSGI_APPLICATION = "catalogue.wsgi.application"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.sessions", "django_rq", "catalogue"]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ.get("PGDATABASE", "shop"),
        "HOST": os.environ.get("PGHOST", ""),
        "PORT": os.environ.get("PGPORT", ""),
        "USER": os.environ.get("PGUSER", ""),
    }
}


def redis_cache(db, prefix):
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": f"{LOCATION}/{db}",
        "KEY_PREFIX": prefix,
        "TIMEOUT": 900,
        "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"},
    }


CACHES = {"default": redis_cache(1, "erp_cache"), "sessions": redis_cache(2, "session")}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
SESSION_CACHE_ALIAS = "sessions"
RQ_QUEUES = {"default": {"URL": f"{LOCATION}/0"}}
