from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from probes import seed, sow
from probes.models import CatalogueState, Listing


class Command(BaseCommand):
    help = "Bring the catalogue's files into the database; rows that an admin edited are kept and reported."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="Change nothing; exit 1 if file and row differ.")
        parser.add_argument("--force", action="store_true", help="Load even if the files have not changed.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["check"]:
            Listing.renew()  # a dump that was loaded, or SQL by hand, went past it
        files = sow.digest()
        state = CatalogueState.objects.filter(pk=1).first()
        if state and state.files == files and not (options["force"] or options["check"]):
            return
        try:
            catalogue = seed.read_catalogue()
        except seed.SeedError as error:
            raise CommandError(str(error)) from None
        sown = sow.sow(catalogue, files, dry=options["check"])
        for word, names in (("created", sown.created), ("updated", sown.updated)):
            if names:
                self.stdout.write(f"{word} {len(names)} rows" if options["verbosity"] < 2 else f"{word}: {names}")
        for line in sown.conflicts:
            self.stdout.write(f"kept {line}")
        if options["check"] and (sown.created or sown.updated or sown.conflicts):
            raise SystemExit(1)
