"""Where everything is mounted."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from oms.ops.health import healthz, livez

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("api/", include("oms.api.urls")),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("healthz", healthz, name="healthz"),
    path("livez", livez, name="livez"),
]
