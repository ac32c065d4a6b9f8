"""Where everything is mounted."""

from django.contrib import admin
from django.urls import include, path

from oms.ops.health import healthz, livez

urlpatterns = [
    path("api/", include("oms.api.urls")),
    path("admin/", admin.site.urls),
    path("healthz", healthz, name="healthz"),
    path("livez", livez, name="livez"),
]
