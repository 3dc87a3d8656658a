"""`manage.py dev` that asks TESTKEY_LAB_URL as it stands, and starts no lab of its own there."""

from __future__ import annotations

import os
import sys
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "testkey.settings")
django.setup()

from probes.management.commands import dev  # noqa: E402


class Command(dev.Command):
    def choose_lab(self, options: dict[str, Any]) -> int:
        return 0


if __name__ == "__main__":
    Command().run_from_argv(["manage.py", "dev", *sys.argv[1:]])
