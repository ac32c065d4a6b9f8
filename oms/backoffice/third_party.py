"""Admin pages of other packages, registered again in our theme: theirs show inputs without borders."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from django_q.admin import FailAdmin, QueueAdmin, TaskAdmin
from django_q.admin import ScheduleAdmin as DjangoQScheduleAdmin
from django_q.models import Failure, OrmQ, Schedule, Success
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from oms.backoffice.roles import actor_of
from oms.ops.audit import record_audit

for _model in (User, Group, Schedule, Success, Failure, OrmQ):
    admin.site.unregister(_model)


class AuditedModelAdmin(ModelAdmin):
    """Repeats in the audit log what Django notes about each edit, a new password included."""

    audited_as = ""

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._record(request, obj, "added", message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._record(request, obj, "changed", message)
        return super().log_change(request, obj, message)

    def _record(self, request: HttpRequest, obj: Any, act: str, message: Any) -> None:
        record_audit(
            actor=actor_of(request),
            action=f"{self.audited_as}.{act}",
            object_type=self.audited_as,
            object_id=str(obj),
            details={"what": message},
        )


@admin.register(User)
class UserAdmin(DjangoUserAdmin, AuditedModelAdmin):
    audited_as = "user"
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "full_name", "email", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser", "groups")

    @admin.display(description="Name")
    def full_name(self, user: User) -> str:
        return user.get_full_name()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        fields = tuple(super().get_readonly_fields(request, obj))
        if obj:
            # Timelines and the audit log call people by this name.
            fields = (*fields, "username")
        if not request.user.is_superuser:
            # Who manages people must not make a superuser, of themselves or of others.
            fields = (*fields, "is_superuser", "user_permissions")
        return fields

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_change_permission(request, obj)
        return allowed and not (obj and obj.is_superuser and not request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Timelines and the audit log name people for good. Who leaves is made inactive.
        return False


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, AuditedModelAdmin):
    audited_as = "group"


class SuperusersWrite(ModelAdmin):
    """
    A schedule names any function, and so runs any code: only superusers write here.

    Others may look. Tasks of the workflow need no resubmitting: its sweep repeats them.
    """

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser) and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return super().get_actions(request) if request.user.is_superuser else {}


@admin.register(Schedule)
class ScheduleAdmin(DjangoQScheduleAdmin, SuperusersWrite):
    list_filter = ("schedule_type", "cluster")


@admin.register(Success)
class SuccessAdmin(TaskAdmin, SuperusersWrite):
    pass


@admin.register(Failure)
class FailureAdmin(FailAdmin, SuperusersWrite):
    pass


@admin.register(OrmQ)
class OrmQAdmin(QueueAdmin, SuperusersWrite):
    list_display = ("id", "key", "name", "func", "lock", "task_id")
