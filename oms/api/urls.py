"""
The API's routes. Written without a trailing slash: the boundary drops it from every request.

An address that is not here is answered 404 in JSON by the boundary.
"""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
