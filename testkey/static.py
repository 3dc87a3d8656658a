"""How the site's own files are kept and named."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class Named(CompressedManifestStaticFilesStorage):
    """Compressed, and under names that change with what is in them, so that they may be kept for ever.

    That is `collectstatic`'s work, which `dev` does at each start. What it has not seen (all of them in tests and in
    other commands) keeps its name, and whitenoise finds it where it lies.
    """

    def stored_name(self, name: str) -> str:
        found: str = self.hashed_files.get(self.hash_key(self.clean_name(name)), name)
        return found
