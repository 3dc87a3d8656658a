"""All settings. The environment is read here and nowhere else (docs/operations.md lists it)."""

import hashlib
import os
import stat
import tempfile
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

from testkey.language import languages

BASE_DIR = Path(__file__).resolve().parent.parent
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def env(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def env_list(name: str) -> list[str]:
    return [part.strip() for part in env(name).split(",") if part.strip()]


def env_int(name: str, default: int) -> int:
    text = env(name, str(default))
    if not text.isdigit():
        raise ImproperlyConfigured(f"{name} must be a whole number, not {text!r}")
    return int(text)


def private_dir(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def own_dir(path: Path) -> Path:
    """A folder that nobody else can have laid ready for us: what is in it is believed."""
    private_dir(path)
    state = path.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid():
        raise ImproperlyConfigured(f"{path} is not a folder of ours; remove it, or set TESTKEY_KEYS_DIR")
    path.chmod(0o700)
    return path


def secret_key(file: Path) -> str:
    """The key in the file, made once with mode 0600."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text(encoding="utf-8").strip()
    with os.fdopen(descriptor, "w") as handle:
        handle.write(get_random_secret_key())
    return file.read_text(encoding="utf-8").strip()


# Where things are

DATA_DIR = private_dir(Path(env("TESTKEY_DATA_DIR", str(BASE_DIR / "data"))).resolve())
PORT = env_int("PORT", 8000)

# Data keys lie outside the data folder and in memory, so that a copy of the folder
# opens nothing. Without /dev/shm the system's temporary folder serves; `dev` says so.
SHM = Path("/dev/shm")  # noqa: S108 (a private folder is made in it)
KEYS_IN_MEMORY = SHM.is_dir() and os.access(SHM, os.W_OK)
_keys_base = SHM if KEYS_IN_MEMORY else Path(tempfile.gettempdir())
_keys_name = f"testkey-{os.getuid()}-{hashlib.sha256(str(DATA_DIR).encode()).hexdigest()[:12]}"
KEYS_URL = env("TESTKEY_KEYS_URL")
KEYS_DIR = Path(env("TESTKEY_KEYS_DIR", str(_keys_base / _keys_name)))
if not KEYS_URL:
    own_dir(KEYS_DIR)

# Who may reach us. Loopback alone = a machine of one's own: plain http, no limits.

ALLOWED_HOSTS = env_list("TESTKEY_ALLOWED_HOSTS") or list(LOOPBACK)
LOCAL = set(ALLOWED_HOSTS) <= set(LOOPBACK)
PROXIES = env_int("TESTKEY_PROXIES", 0)
CSRF_TRUSTED_ORIGINS = [
    f"https://*{h}" if h[0] == "." else f"https://{h}" for h in ALLOWED_HOSTS if not LOCAL and h != "*"
]

# Where the public finds us: canonical addresses, sitemaps and previews name it.
_hosts = [h for h in ALLOWED_HOSTS if h[0] not in ".*"]
PUBLIC_URL = env("TESTKEY_PUBLIC_URL", f"http://127.0.0.1:{PORT}" if LOCAL else f"https://{[*_hosts, 'localhost'][0]}")
PUBLIC_URL = PUBLIC_URL.rstrip("/")

DEBUG = False
SECRET_KEY = env("TESTKEY_SECRET_KEY") or secret_key(DATA_DIR / "secret-key")

# What TestKey does

CHECK_SECONDS = 300  # results burn this long after submit, exactly
KEY_SECONDS = 60  # a key that is being probed lives no longer than this after it was queued
PASTE_BYTES = 1024 * 1024
MAX_KEYS = 1000  # of one check
# Of one who has not signed in: keys of one check, and checks in WINDOW_SECONDS; 0 = any.
ANONYMOUS_KEYS = min(MAX_KEYS, env_int("TESTKEY_ANONYMOUS_KEYS", MAX_KEYS if LOCAL else 5))
ANONYMOUS_LIMIT = env_int("TESTKEY_ANONYMOUS_LIMIT", 0 if LOCAL else 10)
OPERATOR_KEYS = env_int("TESTKEY_OPERATOR_KEYS", 2000)  # of one operator in WINDOW_SECONDS
WINDOW_SECONDS = 600
QUEUE_KEYS = 5000  # that may wait at once, all together: more would die unprobed
LAB_URL = env("TESTKEY_LAB_URL").rstrip("/")
PRIVATE_GATEWAYS = env_list("TESTKEY_PRIVATE_GATEWAYS")

# Django

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "axes",
    "django_q",
    "probes",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "testkey.headers.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "testkey.language.LanguageMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "testkey.urls"
WSGI_APPLICATION = "testkey.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "probes.views.site",
            ],
            "builtins": ["probes.templatetags.site"],
        },
    }
]

DATABASES = {
    "default": dj_database_url.parse(
        env("TESTKEY_DATABASE_URL", f"sqlite:///{DATA_DIR / 'testkey.sqlite3'}"), conn_max_age=None
    )
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Measured (docs/decisions.md): IMMEDIATE alone removes "database is locked", and
    # secure_delete with a truncated write-ahead log leaves no byte of a burned row.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA secure_delete=ON;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    # The file cache culls at 300 entries by default, which would burn checks early.
    "keys": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": KEYS_URL}
    if KEYS_URL
    else {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": KEYS_DIR,
        "OPTIONS": {"MAX_ENTRIES": 1_000_000},
    },
}

Q_CLUSTER = {
    "name": "testkey",
    "orm": "default",
    "workers": 2,
    "queue_limit": 1,
    "bulk": 1,
    "poll": 0.1,
    "timeout": 300,
    "retry": 900,  # more than timeout × (1 + (queue_limit + bulk) / workers)
    "ack_failures": True,
    "max_attempts": 1,
    "save_limit": -1,
    "catch_up": False,
    "recycle": 500,
    "log_level": "WARNING",
    "label": "Queue",
}

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_HTTP_RESPONSE_CODE = 429
AXES_USERNAME_CALLABLE = "testkey.headers.login_name"
AXES_CLIENT_IP_CALLABLE = "testkey.headers.client_address"
AXES_VERBOSE = False
AXES_LOCKOUT_CALLABLE = "probes.account.locked_out"
LOGIN_URL = "sign_in"
LOGIN_REDIRECT_URL = "account"
LOGOUT_REDIRECT_URL = "home"
SESSION_COOKIE_AGE = 12 * 3600  # an operator's: from his sign-in, whatever he does
PASSWORD_RESET_TIMEOUT = 3 * 24 * 3600  # a sign-in link's

# Mail: for sign-in links alone. Without it an admin hands them over.

_mail = urlsplit(env("TESTKEY_MAIL_URL"))
MAIL = bool(env("TESTKEY_MAIL_URL"))
if MAIL and not (_mail.scheme in ("smtp", "smtps") and _mail.hostname and env("TESTKEY_MAIL_FROM")):
    raise ImproperlyConfigured("TESTKEY_MAIL_URL is smtp://user:password@host:587 or smtps://…, with TESTKEY_MAIL_FROM")
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if MAIL else 'dummy'}.EmailBackend"
EMAIL_HOST = _mail.hostname or ""
EMAIL_USE_SSL = _mail.scheme == "smtps"
EMAIL_USE_TLS = _mail.scheme == "smtp" and EMAIL_HOST not in ("localhost", "127.0.0.1", "::1")  # by STARTTLS
EMAIL_PORT = _mail.port or (465 if EMAIL_USE_SSL else 587)
EMAIL_HOST_USER = unquote(_mail.username or "")
EMAIL_HOST_PASSWORD = unquote(_mail.password or "")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env("TESTKEY_MAIL_FROM")

# Bounds on what is posted; uploads stay in memory.
DATA_UPLOAD_MAX_MEMORY_SIZE = FILE_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024  # a paste, URL-encoded
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5000  # a thousand keys under review; a list of 100 models with prices
FILE_UPLOAD_HANDLERS = ["probes.forms.InMemory"]

# With no-referrer, Chromium posts `Origin: null` and Django refuses the burn button.
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = not LOCAL
SESSION_COOKIE_SECURE = not LOCAL
CSRF_COOKIE_SECURE = not LOCAL
SECURE_HSTS_SECONDS = 0 if LOCAL else 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = not LOCAL
SECURE_HSTS_PRELOAD = not LOCAL
if PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
if not LOCAL:
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
SILENCED_SYSTEM_CHECKS = ["axes.W006"]

DEFAULT_EXCEPTION_REPORTER_FILTER = "testkey.headers.NothingToReport"

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = private_dir(DATA_DIR / "static")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "testkey.static.Named"},
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
WHITENOISE_USE_FINDERS = True  # under their plain names, for a minute: previews, and where nothing was collected
WHITENOISE_MAX_AGE = 60

LANGUAGE_CODE = "en"
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGES = languages(LOCALE_PATHS[0])
TIME_ZONE = "UTC"
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "filters": {"no_tokens": {"()": "testkey.headers.NoTokens"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["no_tokens"]},
        "nowhere": {"class": "logging.NullHandler"},
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "django": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        # A missing page is no news; its address may hold a token.
        "django.request": {"handlers": ["console"], "level": "ERROR", "propagate": False},
        # Nor is a request for another host; it would be printed, whatever it is.
        "django.security.DisallowedHost": {"handlers": ["nowhere"], "propagate": False},
        # At DEBUG it prints addresses and headers.
        "urllib3": {"level": "ERROR"},
        "testkey": {"level": "INFO"},
    },
}
