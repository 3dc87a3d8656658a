"""What is stored: the catalogue, for five minutes a check's sealed keys and findings, and counts of models seen."""

from probes.models.access import Admission, ApiToken, Operator
from probes.models.catalogue import (
    CATALOGUE_MODELS,
    AIModel,
    Capability,
    Gateway,
    KeyShape,
    Metric,
    Probe,
    Provider,
)
from probes.models.detection import Check, Detection, Finding, Heartbeat, State, hash_token
from probes.models.seen import SeenModel
from probes.models.versions import CatalogueState, Listing, current, forget

__all__ = [
    "CATALOGUE_MODELS",
    "AIModel",
    "Admission",
    "ApiToken",
    "Capability",
    "CatalogueState",
    "Check",
    "Detection",
    "Finding",
    "Gateway",
    "Heartbeat",
    "KeyShape",
    "Listing",
    "Metric",
    "Operator",
    "Probe",
    "Provider",
    "SeenModel",
    "State",
    "current",
    "forget",
    "hash_token",
]
