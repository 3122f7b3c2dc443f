"""Where programs are given credentials in a shell's command: a table, one row a way.

All texts of a row are regular expressions that have to match in full. What is in no row and has no telling name looks
like any other word, and is shown.
"""

from __future__ import annotations

import re

from msgspec import Struct

# Parts of a value: what group 1 holds is secret. Each is anchored or bounded, so none takes more than linear time.
_ALL = r"(?s)\A(.+)"
_BEHIND_COLON = r"(?s)\A[^:]*:(.+)"
_BEHIND_EQUALS = r"(?s)\A(?:[^=]*=)?(.+)"
_OF_LINES_BEHIND_COLON = r"(?m)(?:^|\\n)[^:\n\\]*:((?:(?!\\n).)+)"
_HASH_OF_USER = r"(?m)^[^:\n]*:([^:\n]{3,})"
_HEADER = (
    r"(?is)\A(?:(?:proxy-)?authorization|(?:set-)?cookie|[\w-]{0,60}(?:token|key|secret|auth|session|passw)[\w-]{0,60})"
    r"\s*:\s*(?:(?:bearer|basic|token|digest|negotiate|apikey)\s+)?(.+)"
)


class Form(Struct, frozen=True, kw_only=True):
    """A way in which programs are given a credential."""

    programs: str
    """Their names, without directory."""
    verbs: tuple[str, ...] = ()
    """Words that come before it, in this order, others between them."""
    options: str | None = None
    """Options whose value it is: the group named ``value``, what follows ``=``, or else the next word."""
    words: slice | None = None
    """Which of the words behind the verbs are credentials, options left out."""
    given: bool = False
    """Whether it comes by standard input."""
    part: str = _ALL
    """What of the value is secret."""


_ENGINES = r"docker|podman|nerdctl|buildah|skopeo|crane|oras|helm|regctl|apptainer|singularity"
_SETTERS = (
    r"aws|npm|yarn|pnpm|bun|conda|mamba|micromamba|pip[\d.]*|uv|git|poetry|composer|dvc|gcloud|az|heroku|jf|jfrog"
    r"|rclone|pdm|hatch|bundle|gh|glab|wandb|huggingface-cli|hf|fly|flyctl|netlify|vercel|snow|databricks"
)
_SETTING = (
    r"(?i:(?:.*[^a-z])?[a-z]*(?:token|secret|passw(?:or)?d|passphrase|credential|(?<!signing)key|(?<!always-)auth|pwd"
    r"|pass)s?(?:_id)?)"
)
# What is no cookie is the name of a file with cookies.
_COOKIE = r"(?s)\A(?:[^=]*=|(?![^=]*[./]))(.+)"
_CURL = r"-[aBfgGiIjJklLnNOpqRsSvV#046]*"

FORMS = (
    # Registries.
    Form(programs=rf"{_ENGINES}|oc|cf|az|conan|npm-cli-login", verbs=("login",), options=r"-p(?P<value>.*)"),
    Form(programs=_ENGINES, verbs=("login",), given=True),
    Form(programs=_ENGINES, options=r"--(?:src-|dest-)?creds", part=_BEHIND_COLON),
    Form(programs=r"conan", verbs=("user",), options=r"-p(?P<value>.*)"),
    Form(programs=r"twine", options=r"-p(?P<value>.*)"),
    Form(programs=r"anaconda", options=r"-t(?P<value>.*)"),
    Form(programs=r"conda|anaconda", verbs=("token", "set"), words=slice(0, None)),
    # Settings.
    Form(programs=_SETTERS, verbs=(r"config|configure|set|modify", _SETTING), words=slice(0, 1)),
    Form(
        programs=r"poetry|composer",
        verbs=("config", r"(?:pypi-token|github-oauth|gitlab-token|bearer)\..+"),
        words=slice(0, None),
    ),
    Form(programs=r"poetry|composer", verbs=("config", r"http-basic\..+"), words=slice(1, None)),
    Form(programs=r"bundle", verbs=("config", r".+\..+"), words=slice(0, None), part=_BEHIND_COLON),
    Form(programs=r"kaggle", verbs=("config", "set"), options=r"-v(?P<value>.*)|--value"),
    Form(programs=r"mc", verbs=(r"alias|host", r"set|add"), words=slice(2, None)),
    # Logins by a plain word, and by standard input.
    Form(
        programs=r"vault|wandb|cargo|ngrok|huggingface-cli|hf",
        verbs=(r"login|authtoken|add-authtoken",),
        words=slice(0, None),
        part=_BEHIND_EQUALS,
    ),
    Form(programs=r"vault", verbs=(r"put|patch|write",), words=slice(1, None), part=_BEHIND_EQUALS),
    Form(programs=r"vault|wandb|cargo|huggingface-cli|hf|gh|glab|npm|pulumi|flyctl", verbs=("login",), given=True),
    Form(programs=r"gh|glab", verbs=("secret", "set"), options=r"-b(?P<value>.*)|--body"),
    Form(programs=r"gh|glab|flyctl|gcloud", verbs=(r"secrets?", r".+"), given=True),
    Form(programs=r"doctl", verbs=("auth", "init"), options=r"-t(?P<value>.*)"),
    Form(programs=r"cf", verbs=("auth",), words=slice(1, None)),
    Form(programs=r"gcloud", verbs=("activate-refresh-token",), words=slice(1, None)),
    # Databases and directories.
    Form(programs=r"(?:mysql|mariadb)(?:-?[a-z]+)?", options=r"-p(?P<value>.+)"),
    Form(programs=r"mongo(?:sh|dump|restore|export|import|stat|top|files)?", options=r"-p(?P<value>.*)"),
    Form(programs=r"(?:redis|keydb|valkey)-cli", options=r"-a(?P<value>.*)"),
    Form(programs=r"sqlcmd|bcp|isql|tsql", options=r"-P(?P<value>.*)"),
    Form(programs=r"ldap(?:search|add|modify|delete|passwd|whoami|compare|modrdn)", options=r"-[xZLvn]*w(?P<value>.*)"),
    Form(programs=r"ldappasswd", options=r"-[as](?P<value>.*)"),
    Form(programs=r"rabbitmqctl", verbs=(r"add_user|change_password|authenticate_user",), words=slice(1, None)),
    # Users, keys, archives.
    Form(programs=r"sshpass", options=r"-p(?P<value>.+)"),
    Form(programs=r"sshpass", verbs=("-p",), words=slice(0, 1)),
    Form(programs=r"useradd|usermod|groupadd|groupmod", options=r"-[mMrUNloaDfk]*p(?P<value>.*)"),
    Form(programs=r"chpasswd|chgpasswd|newusers", given=True, part=_OF_LINES_BEHIND_COLON),
    Form(programs=r"passwd|smbpasswd|vncpasswd|kinit|cryptsetup", given=True),
    Form(programs=r"sudo", verbs=(r"-[a-zA-Z]*S[a-zA-Z]*|--stdin",), given=True),
    Form(programs=r"openssl|htpasswd|mkpasswd", verbs=(r"--?stdin|-i|-s",), given=True),
    Form(programs=r"openssl", verbs=("passwd",), words=slice(-1, None)),
    Form(programs=r"openssl", verbs=("enc",), options=r"-[kK]"),
    Form(programs=r"openssl", options=r"-pass(?:in|out)?", part=r"(?s)\Apass:(.+)"),
    Form(programs=r"htpasswd", verbs=(r"-[a-zA-Z]*b[a-zA-Z]*",), words=slice(-1, None)),
    Form(programs=r"mkpasswd", words=slice(-1, None)),
    Form(programs=r"x11vnc", verbs=("-storepasswd",), words=slice(0, 1)),
    Form(programs=r"wpa_passphrase", words=slice(1, None)),
    Form(programs=r"ssh-keygen", options=r"-[NP](?P<value>.*)"),
    Form(programs=r"zip|unzip", options=r"-[a-zA-Z]*P(?P<value>.*)"),
    Form(programs=r"7z[arz]?|rar|unrar", options=r"-p(?P<value>.+)"),
    # Transfers.
    Form(programs=r"curl|wget", options=rf"{_CURL}[uU](?P<value>.*)|--(?:proxy-)?user", part=_BEHIND_COLON),
    Form(programs=r"curl|wget|git", options=rf"{_CURL}H(?P<value>.*)|--(?:proxy-)?header", part=_HEADER),
    Form(programs=r"curl", options=rf"{_CURL}b(?P<value>.*)|--cookie", part=_COOKIE),
    Form(programs=r"git", verbs=(r"config", r"(?i:http\.(?:.+\.)?extraheader)"), words=slice(0, None), part=_HEADER),
    Form(programs=r"https?|xh", options=r"-a(?P<value>.*)|--auth", part=r"(?s)\A(?:[^:]*:)?(.+)"),
    Form(programs=r"https?|xh", words=slice(0, None), part=_HEADER),
    Form(programs=r"smbclient|rpcclient", options=r"-U(?P<value>.*)|--user", part=r"(?s)\A[^%]*%(.+)"),
    Form(programs=r"lftp", options=r"-u(?P<value>.*)|--user", part=r"(?s)\A[^,]*,(.+)"),
    Form(programs=r"ncftp(?:get|put|ls)?", options=r"-p(?P<value>.*)"),
    Form(programs=r"kubectl|oc", verbs=("create", "secret"), options=r"--from-literal", part=_BEHIND_EQUALS),
)

FILES = (
    (r"(?:.*/)?etc/(?:passwd|g?shadow)", _HASH_OF_USER),
    (r"(?:.*/)?\.pgpass", r"(?m)^.*:(.+)"),
    (r"(?:.*/)?\.?htpasswd[^/]*", _OF_LINES_BEHIND_COLON),
    (r"(?i:(?:.*/)?(?!etc/|passwd)[^/]*(?:token|secret|passw(?:or)?d|passphrase|api[_-]?key)(?:\.txt)?)", _ALL),
    (r"(?:.*/)?id_(?:rsa|dsa|ecdsa|ed25519)", _ALL),
)
"""Files by path, and what is secret of a text that is written to one."""

WRAPPERS = re.compile(
    r"sudo|doas|env|exec|time|nohup|command|builtin|eval|xargs|gosu|su-exec|setpriv|runuser|chroot|timeout|nice|ionice"
    r"|stdbuf|python[\d.]*|uv|uvx|npx|pipx|pdm|hatch|rye|conda|mamba|micromamba|poetry|if|then|elif|else|while|until|do|!"
    r"|docker|podman|nerdctl|ssh|busybox|tini|dumb-init"
)
"""Programs, and words of the shell, whose own words are a command."""

WRITERS = re.compile(r"echo|printf|yes|cat")
"""Programs that write what they are told."""
