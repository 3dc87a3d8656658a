from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from probes import coverage, seed
from probes.lab import recorded

PAGE = Path(settings.BASE_DIR) / "docs" / "coverage.md"


class Command(BaseCommand):
    help = "Write docs/coverage.md from the catalogue's files and the recorded answers."

    def handle(self, *args: Any, **options: Any) -> None:
        PAGE.write_text(coverage.table(seed.read_catalogue(), recorded.read_all()), encoding="utf-8")
        self.stdout.write(f"wrote {PAGE.relative_to(settings.BASE_DIR)}")
