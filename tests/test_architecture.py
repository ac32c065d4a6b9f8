"""Rules of the rooms that import-linter cannot see."""

from collections.abc import Iterator

from django.apps import apps
from django.db.models import Field, Model

# Low to high, as in docs/architecture.md. A model may point into its own room or a lower one.
ROOMS = (
    {"contenttypes", "auth", "sessions", "admin", "django_q"},
    {"ops"},
    {"access"},
    {"orders"},
    {"workflow", "feeds", "search"},
    {"api", "backoffice"},
)


def level_of(app_label: str) -> int:
    return next(level for level, labels in enumerate(ROOMS) if app_label in labels)


def relations() -> Iterator[tuple[type[Model], str, type[Model]]]:
    for model in apps.get_models(include_auto_created=True):
        for field in model._meta.get_fields():
            if isinstance(field, Field) and isinstance(field.related_model, type):
                yield model, field.name, field.related_model


def test_every_app_with_models_has_a_room() -> None:
    known = set().union(*ROOMS)
    assert {model._meta.app_label for model in apps.get_models()} <= known


def test_foreign_keys_point_down_the_rooms() -> None:
    """A key given as a string is no import, and ties the apps together all the same."""
    upward = [
        f"{model._meta.label}.{name} -> {related._meta.label}"
        for model, name, related in relations()
        if model._meta.app_label != related._meta.app_label
        and level_of(related._meta.app_label) >= level_of(model._meta.app_label)
        and level_of(model._meta.app_label) > 0
    ]
    assert upward == []
