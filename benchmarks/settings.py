"""TestKey's own settings, with one more address: an empty answer behind the same middleware."""

from testkey.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.urls"
