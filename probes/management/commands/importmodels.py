from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from probes import seed, sow
from probes.models import AIModel


class Command(BaseCommand):
    help = "Bring the catalogue's models and prices into the database; rows that an admin edited are kept and reported."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Show what would change, and change nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            sown = sow.sow(seed.read_catalogue(), dry=options["dry_run"], only=AIModel)
        except seed.SeedError as error:
            raise CommandError(str(error)) from None
        for word, names in (("new", sown.created), ("changed", sown.updated), ("kept", sown.conflicts)):
            for name in names:
                self.stdout.write(f"{word} {name}")
        self.stdout.write(f"{len(sown.created)} new, {len(sown.updated)} changed, {len(sown.conflicts)} kept")
