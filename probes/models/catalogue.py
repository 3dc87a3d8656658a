"""The catalogue at run time: what admins edit, pages show and detection uses.

Rows are seeded from the catalogue's files (`sow.py`). Each row becomes one of
`probes.terms`'s dataclasses through `as_seed()`; `versions.current()` gives all of them.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from probes import seed
from probes.identity import identity
from probes.keyform import READERS

ROUTES = [("global", _("global")), ("china", _("China"))]
slug_word = RegexValidator(r"^[a-z0-9]+(?:[-_][a-z0-9]+)*$", _("Lower-case letters, digits and single hyphens."))


def empty_list() -> list[Any]:
    return []


def empty_dict() -> dict[str, Any]:
    return {}


def protocols() -> list[tuple[str, str]]:
    """Called by the field, so that a protocol more in the catalogue asks for no migration."""
    return [(name, name) for name in seed.protocols()]


class Seeded(models.Model):
    """A row that the catalogue's files may bring. `edited` rows belong to the admin."""

    SEED_FIELDS: tuple[str, ...] = ()

    enabled = models.BooleanField(_("enabled"), default=True, help_text=_("Disabled rows are used nowhere."))
    edited = models.BooleanField(_("edited here"), default=False, editable=False)
    seeded = models.BooleanField(_("from the catalogue"), default=False, editable=False)

    class Meta:
        abstract = True

    def seed_values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.SEED_FIELDS}

    def clean(self) -> None:
        """The same check as for a catalogue file; the fault is named beside the form."""
        super().clean()
        try:
            self.check_seed()
        except seed.SeedError as error:
            raise ValidationError(str(error)) from None

    def check_seed(self) -> None:
        """Raise SeedError if the row says something that it may not."""


class Capability(Seeded):
    SEED_FIELDS = ("label", "ours", "position")

    slug = models.SlugField(_("slug"), unique=True, validators=[slug_word])
    label = models.CharField(_("label"), max_length=80)
    ours = models.BooleanField(_("TestKey's own"), default=False)
    position = models.PositiveSmallIntegerField(_("position"), default=0)

    class Meta:
        verbose_name = _("capability")
        verbose_name_plural = _("capabilities")
        ordering = ["position", "slug"]

    def __str__(self) -> str:
        return self.label

    def as_seed(self) -> seed.Capability:
        return seed.Capability(slug=self.slug, label=self.label, ours=self.ours)


class Metric(Seeded):
    SEED_FIELDS = ("label", "unit", "capability_id", "position")

    name = models.CharField(_("name"), max_length=60, unique=True, validators=[slug_word])
    label = models.CharField(_("label"), max_length=80)
    unit = models.CharField(_("unit"), max_length=20, blank=True)
    capability = models.ForeignKey(Capability, on_delete=models.PROTECT, related_name="metrics")
    position = models.PositiveSmallIntegerField(_("position"), default=0)

    class Meta:
        verbose_name = _("metric")
        verbose_name_plural = _("metrics")
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.name

    def as_seed(self) -> seed.Metric:
        return seed.Metric(name=self.name, label=self.label, unit=self.unit, capability=self.capability.slug)


class Sender(Seeded):
    """What provider and gateway have in common."""

    slug = models.SlugField(_("slug"), max_length=60, unique=True, validators=[slug_word])
    name = models.CharField(_("name"), max_length=80, unique=True)
    auth = models.CharField(_("auth scheme"), max_length=30, choices=[(name, name) for name in seed.AUTH_SCHEMES])
    headers = models.JSONField(_("fixed headers"), default=empty_dict, blank=True)
    links = models.JSONField(_("links"), default=empty_dict, blank=True)
    rules = models.JSONField(_("rules"), default=empty_list, blank=True, help_text=_("After each probe's own."))
    rule_sets = models.JSONField(_("rule sets"), default=empty_list, blank=True)
    not_exposed = models.JSONField(_("not exposed"), default=empty_list, blank=True)
    fingerprints = models.JSONField(_("fingerprints"), default=empty_list, blank=True)
    checked_on = models.DateField(_("facts checked on"))

    class Meta:
        abstract = True
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Provider(Sender):
    SEED_FIELDS = (
        *("name", "auth", "headers", "links", "rules", "rule_sets", "not_exposed", "fingerprints", "checked_on"),
        *("route", "protocol", "concurrency", "unprovable", "retired", "origins", "own_hosts", "regions"),
        *("models_from", "denials"),
    )

    route = models.CharField(_("market"), max_length=10, choices=ROUTES, default="global")
    protocol = models.CharField(_("protocol"), max_length=20, default="own", choices=protocols)
    concurrency = models.PositiveSmallIntegerField(_("requests at once"), default=256)
    unprovable = models.CharField(_("why no free call proves a key"), max_length=300, blank=True)
    denials = models.JSONField(
        _("denials"), default=empty_list, blank=True, help_text=_("What its own answers never show, as fingerprints.")
    )
    models_from = models.JSONField(_("names in the model data sets"), default=empty_dict, blank=True)
    retired = models.CharField(_("what became of it"), max_length=300, blank=True)
    own_hosts = models.JSONField(
        _("own hosts"), default=empty_list, blank=True, help_text=_("Endings of hosts that customers get from it.")
    )
    regions = models.JSONField(
        _("regions"), default=empty_list, blank=True, help_text=_("Names of origins that know different keys.")
    )
    origins = models.JSONField(
        _("origins"),
        default=empty_list,
        blank=True,
        help_text=_("Where keys are sent: pairs of name and address. The first is the default."),
    )

    class Meta(Sender.Meta):
        verbose_name = _("provider")
        verbose_name_plural = _("providers")
        permissions = [("change_key_destination", "Can change where keys are sent (origins, auth scheme)")]

    def as_seed(self, **parts: Any) -> seed.Provider:
        """parts: key_shapes, probes and models, where the caller has them already."""
        table = self.seed_values()
        return seed.build(seed.Provider, table, self.slug, slug=self.slug, **parts)

    def clean(self) -> None:
        if isinstance(self.origins, dict):  # as a file has them; rows keep pairs, whose order lasts
            self.origins = [list(pair) for pair in self.origins.items()]
        super().clean()

    def check_seed(self) -> None:
        # Its probes are rows of their own: whether one of them proves a key is not asked here.
        table = self.seed_values() | {"unprovable": self.unprovable or "see its probes"}
        seed.check_sender(seed.build(seed.Provider, table, self.slug, slug=self.slug), self.slug)


class Gateway(Sender):
    SEED_FIELDS = (
        "name",
        "auth",
        "headers",
        "links",
        "rules",
        "rule_sets",
        "not_exposed",
        "fingerprints",
        "checked_on",
    )

    class Meta(Sender.Meta):
        verbose_name = _("gateway")
        verbose_name_plural = _("gateways")

    def as_seed(self, **parts: Any) -> seed.Gateway:
        return seed.build(seed.Gateway, self.seed_values(), self.slug, slug=self.slug, **parts)

    def check_seed(self) -> None:
        seed.check_sender(seed.build(seed.Gateway, self.seed_values(), self.slug, slug=self.slug), self.slug)


class SenderPart(Seeded):
    """A row of a provider or of a gateway, never of both."""

    provider = models.ForeignKey(Provider, null=True, blank=True, on_delete=models.CASCADE)
    gateway = models.ForeignKey(Gateway, null=True, blank=True, on_delete=models.CASCADE)
    name = models.CharField(_("name"), max_length=60)
    position = models.PositiveSmallIntegerField(_("position"), default=0)

    class Meta:
        abstract = True
        ordering = ["position", "name"]
        constraints = [
            models.UniqueConstraint(fields=["provider", "name"], name="%(class)s_of_provider"),
            models.UniqueConstraint(fields=["gateway", "name"], name="%(class)s_of_gateway"),
            models.CheckConstraint(
                condition=Q(provider__isnull=False, gateway__isnull=True)
                | Q(provider__isnull=True, gateway__isnull=False),
                name="%(class)s_has_one_sender",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider or self.gateway}: {self.name}"


class KeyShape(SenderPart):
    SEED_FIELDS = ("pattern", "kind", "prefix", "refuse", "note", "form", "metrics", "position")

    provider = models.ForeignKey(Provider, null=True, blank=True, on_delete=models.CASCADE, related_name="key_shapes")
    gateway = models.ForeignKey(Gateway, null=True, blank=True, on_delete=models.CASCADE, related_name="key_shapes")
    pattern = models.CharField(_("pattern"), max_length=300, help_text=_("A regular expression for the whole key."))
    kind = models.CharField(
        _("kind"), max_length=12, choices=[("distinctive", _("distinctive")), ("shared", _("shared"))]
    )
    prefix = models.CharField(_("public beginning"), max_length=30, blank=True)
    refuse = models.CharField(_("never sent, because"), max_length=200, blank=True)
    note = models.CharField(_("note"), max_length=200, blank=True)
    form = models.CharField(_("facts in the key"), max_length=30, blank=True, choices=[(n, n) for n in READERS])
    metrics = models.JSONField(_("metrics"), default=empty_list, blank=True)

    class Meta(SenderPart.Meta):
        verbose_name = _("key shape")
        verbose_name_plural = _("key shapes")

    def as_seed(self) -> seed.KeyShape:
        names = ("name", "pattern", "kind", "prefix", "refuse", "note", "form", "metrics")
        return seed.build(seed.KeyShape, {n: getattr(self, n) for n in names}, self.name)

    def check_seed(self) -> None:
        seed.check_key_shape(self.as_seed(), self.name)


class Probe(SenderPart):
    SEED_FIELDS = (
        *("call", "kind", "origin", "headers", "body", "read_only_post", "sends_key", "proves_key", "public"),
        *("spends", "models", "public_models", "pays", "rules", "metrics", "shapes", "position"),
    )

    provider = models.ForeignKey(Provider, null=True, blank=True, on_delete=models.CASCADE, related_name="probes")
    gateway = models.ForeignKey(Gateway, null=True, blank=True, on_delete=models.CASCADE, related_name="probes")
    call = models.CharField(_("call"), max_length=300, help_text=_("Method and path, e.g. GET /v1/models"))
    kind = models.CharField(_("kind"), max_length=60, blank=True, help_text=_("Empty = the name."))
    origin = models.CharField(_("origin"), max_length=40, blank=True, help_text=_("Empty = the first."))
    headers = models.JSONField(_("further headers"), default=empty_dict, blank=True)
    body = models.JSONField(_("body"), null=True, blank=True)
    read_only_post = models.BooleanField(_("a POST that only reads"), default=False)
    sends_key = models.BooleanField(_("sends the key"), default=True)
    proves_key = models.BooleanField(_("proves the key"), default=False)
    public = models.BooleanField(_("answers anyone"), default=False)
    spends = models.CharField(_("spends"), max_length=100, blank=True, help_text=_("Empty = free."))
    pays = models.CharField(_("can pay if"), max_length=300, blank=True)
    rules = models.JSONField(_("rules"), default=empty_list)
    metrics = models.JSONField(_("metrics"), default=empty_list, blank=True)
    public_models = models.CharField(
        _("models of anyone at"),
        max_length=300,
        blank=True,
        help_text=_("The ids among them that are no customer's own; only these are counted as seen."),
    )
    shapes = models.JSONField(_("for key shapes"), default=empty_list, blank=True, help_text=_("Empty = all others."))
    models = models.CharField(_("models at"), max_length=200, blank=True)  # last: it hides the module

    read_together: set[str] | None = None  # what probes read that are saved with this one; None = ask the rows

    class Meta(SenderPart.Meta):
        verbose_name = _("probe")
        verbose_name_plural = _("probes")

    def as_seed(self) -> seed.Probe:
        table = {n: getattr(self, n) for n in self.SEED_FIELDS if n != "position"} | {"name": self.name}
        return seed.build(seed.Probe, table, self.name)

    def check_seed(self) -> None:
        probe = self.as_seed()
        sender = self.provider or self.gateway
        read = self.read_together
        if read is None:
            others = sender.probes.exclude(pk=self.pk) if sender and sender.pk else []
            read = {r["name"] for row in others for r in row.metrics}
        seed.check_probe(probe, self.name, read | {r.name for r in probe.metrics})
        if self.provider and probe.origin and probe.origin not in dict(self.provider.origins):
            raise seed.SeedError(f"origin: unknown word {probe.origin!r}")


LISTS = ("parameters", "input_modalities", "output_modalities")


class AIModel(Seeded):
    SEED_FIELDS = (
        *("name", "context_window", "max_output", "input_price", "output_price", "route_based", "parameters"),
        *("input_modalities", "output_modalities", "position"),
    )

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="models")
    model_id = models.CharField(_("model id"), max_length=200)
    name = models.CharField(_("name"), max_length=200, blank=True)
    context_window = models.PositiveIntegerField(_("context window"), null=True, blank=True)
    max_output = models.PositiveIntegerField(_("max output"), null=True, blank=True)
    input_price = models.DecimalField(
        _("input price"), max_digits=14, decimal_places=6, null=True, blank=True, help_text=_("USD per million tokens")
    )
    output_price = models.DecimalField(_("output price"), max_digits=14, decimal_places=6, null=True, blank=True)
    route_based = models.BooleanField(_("route based"), default=False, help_text=_("The price depends on the route."))
    parameters = models.JSONField(_("parameters"), default=empty_list, blank=True)
    input_modalities = models.JSONField(_("input modalities"), default=empty_list, blank=True)
    output_modalities = models.JSONField(_("output modalities"), default=empty_list, blank=True)
    listed = ""  # the identity under which the market has it until it is saved
    identity = models.SlugField(
        _("identity"),
        max_length=100,
        blank=True,
        help_text=_("Under which it is one model with other sellers' (docs/models.md). Empty = by the rule."),
    )
    position = models.PositiveIntegerField(_("position"), default=0)

    class Meta:
        verbose_name = _("AI model")
        verbose_name_plural = _("AI models")
        ordering = ["position", "model_id"]
        constraints = [models.UniqueConstraint(fields=["provider", "model_id"], name="model_of_provider")]

    def __str__(self) -> str:
        return self.model_id

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.identity = self.identity or identity(self.model_id)
        super().save(*args, **kwargs)
        self.listed = self.identity

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> AIModel:
        row = super().from_db(*args, **kwargs)
        row.listed = row.__dict__.get("identity", "")
        return row

    def as_seed(self) -> seed.AIModel:
        return seed.AIModel(
            id=self.model_id,
            name=self.name or self.model_id,
            context_window=self.context_window,
            max_output=self.max_output,
            input_price=self.input_price,
            output_price=self.output_price,
            route_based=self.route_based,
            parameters=tuple(self.parameters),
            input_modalities=tuple(self.input_modalities),
            output_modalities=tuple(self.output_modalities),
            identity=self.identity,
        )

    def check_seed(self) -> None:
        seed.build(seed.AIModel, {"id": self.model_id} | {n: getattr(self, n) for n in LISTS}, self.model_id)
        seed.check_model(self.as_seed(), self.model_id)


CATALOGUE_MODELS = (Capability, Metric, Provider, Gateway, KeyShape, Probe, AIModel)
