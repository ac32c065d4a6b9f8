from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class BackofficeConfig(AppConfig):
    default = True
    name = "oms.backoffice"
    label = "backoffice"
    verbose_name = "Back office"
    default_auto_field = "django.db.models.BigAutoField"


class BackofficeAdminConfig(admin_apps.AdminConfig):
    """Makes `django.contrib.admin.site` ours; stands in INSTALLED_APPS for `django.contrib.admin`."""

    default = False
    default_site = "oms.backoffice.site.BackofficeSite"
