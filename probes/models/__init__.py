"""What is stored: the catalogue, for five minutes a check's sealed keys and findings, and counts of models seen."""

from probes.models.access import Admission, ApiToken, Operator
from probes.models.catalogue import (
    CATALOGUE_MODELS,
    AIModel,
    Capability,
    CatalogueState,
    Gateway,
    KeyShape,
    Metric,
    Probe,
    Provider,
    current,
    forget,
)
from probes.models.detection import Check, Detection, Finding, Heartbeat, State, hash_token
from probes.models.seen import SeenModel

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
