"""Forms of catalogue rows: what is changed here is marked `edited`, and natural keys stay as they are."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.forms.formsets import DELETION_FIELD_NAME


class JSONText(forms.JSONField):
    """JSON as people read it. The order of keys counts: a provider's first origin is its default."""

    def __init__(self, **kwargs: Any) -> None:
        # Django would repeat a field with a callable default as a hidden one, and doubles what is posted.
        super().__init__(**{**kwargs, "show_hidden_initial": False})

    def prepare_value(self, value: Any) -> Any:
        text = super().prepare_value(value)
        return text if text is value else _by_line(value)

    def to_python(self, value: Any) -> Any:
        """An emptied field is the default. NaN and infinity are Python's, not JSON's."""
        try:
            value = super().to_python(value)
            json.dumps(value, allow_nan=False)
        except (ValueError, RecursionError):
            raise ValidationError(self.error_messages["invalid"], code="invalid", params={"value": "…"}) from None
        return self.initial() if value is None and callable(self.initial) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return not self.disabled and json.dumps(initial) != json.dumps(self.to_python(data))
        except ValidationError:
            return True


def _by_line(value: Any) -> str:
    """A line for each rule, each metric, each name: what one compares stands one below the other."""
    if value and isinstance(value, dict):
        return "{\n" + ",\n".join(f"{_one_line(name)}: {_one_line(part)}" for name, part in value.items()) + "\n}"
    if value and isinstance(value, list):
        return "[\n" + ",\n".join(_one_line(part) for part in value) + "\n]"
    return _one_line(value)


def _one_line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


class PriceInput(forms.NumberInput):
    """A price as people write it: 1.5, not 1.500000."""

    def format_value(self, value: Any) -> str | None:
        text = super().format_value(value)
        return text.rstrip("0").rstrip(".") if text and "." in text else text


JSON_AS_TEXT: dict[type[models.Field[Any, Any]], dict[str, Any]] = {
    models.JSONField: {
        "form_class": JSONText,
        "widget": forms.Textarea(attrs={"rows": 6, "class": "vLargeTextField", "spellcheck": "false"}),
    }
}


class SeededForm(forms.ModelForm):
    """Saving a change makes the row the admin's own: loading the catalogue then leaves it alone."""

    def save(self, commit: bool = True) -> Any:
        if self.has_changed():
            self.instance.edited = True
        return super().save(commit)


class PartForm(SeededForm):
    """A shape or a probe within its sender's page."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "name" in self.fields:
            self.fields["name"].disabled = True


class PartFormSet(forms.BaseInlineFormSet):
    def _construct_form(self, i: int, **kwargs: Any) -> Any:
        """The part knows its sender as it is being saved: no query for each row, and the new origins count."""
        form = super()._construct_form(i, **kwargs)  # type: ignore[misc]
        setattr(form.instance, self.fk.name, self.instance)
        return form

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        if form.instance.seeded and DELETION_FIELD_NAME in form.fields:
            form.fields[DELETION_FIELD_NAME].disabled = True


class ProbeFormSet(PartFormSet):
    """A variable may name a metric of a probe that is saved together with this one."""

    def full_clean(self) -> None:
        if self.is_bound:
            together = {name for form in self.forms for name in _metrics_read(form)}
            for form in self.forms:
                form.instance.read_together = together
        super().full_clean()


def _metrics_read(form: Any) -> set[str]:
    """As posted; a fault in it is named later, by the form's own check."""
    metrics = form.instance.metrics
    if "metrics" in form.fields:
        try:
            metrics = form.fields["metrics"].to_python(form["metrics"].data)
        except ValidationError:
            return set()
    if DELETION_FIELD_NAME in form.fields and form[DELETION_FIELD_NAME].data and not form.instance.seeded:
        return set()
    rows = metrics if isinstance(metrics, list) else []
    return {row["name"] for row in rows if isinstance(row, dict) and isinstance(row.get("name"), str)}
