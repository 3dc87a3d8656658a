import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from probes.lab import recorded
from probes.lab.server import Lab, Server, as_canary


class Command(BaseCommand):
    help = "Stand in for all providers: answer on 127.0.0.1 with recorded answers."
    requires_system_checks: list[str] = []  # it touches no row and no setting

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=9000)
        parser.add_argument("--delay", type=int, default=0, metavar="MS", help="Answer each call so much later.")
        # For `proof`. A file, since the key may stand neither among arguments nor in the environment.
        parser.add_argument("--canary", type=Path, metavar="FILE", help="One more key: JSON of key, as, names.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            records = recorded.read_all()
        except ValueError as error:
            raise CommandError(str(error)) from None
        if options["canary"]:
            records = as_canary(records, json.loads(options["canary"].read_text(encoding="utf-8")))
        with Server(Lab(records, options["delay"]), options["port"]) as server:
            if options["verbosity"] > 0:
                self.stdout.write(f"The lab answers on http://127.0.0.1:{server.server_port}")
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                return
