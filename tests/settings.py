"""The site's own settings on throw-away folders, so that a test run touches no real data."""

import os
import tempfile

_folder = tempfile.mkdtemp(prefix="testkey-tests-")
os.environ["TESTKEY_DATA_DIR"] = os.path.join(_folder, "data")
os.environ["TESTKEY_KEYS_DIR"] = os.path.join(_folder, "keys")
for _name in [name for name in os.environ if name.startswith("TESTKEY_") and not name.endswith("_DIR")]:
    os.environ.pop(_name, None)
# Playwright's synchronous API keeps an event loop in the main thread.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

# Each of some hundred processes that the tests start would compile us anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

from testkey.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
