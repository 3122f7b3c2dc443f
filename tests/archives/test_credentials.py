"""Credentials in RUN lines are taken out, each alone; what is none stays."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprocheck.archives.credentials import masked

X = "hunter2"

# Each way in which a program is given a credential; the same text is shown with asterisks in its place.
LOST = [
    # Registries.
    "docker login -u me -p {} h",
    "docker login -p{} h",
    "docker login --password {}",
    "docker login --password={} h",
    "sudo docker login -u $(whoami) -p {} h",
    "sudo docker login -u `whoami` -p {} h",
    "docker --config /x login -u me --password '{}' h && docker pull h/x",
    "echo {} | docker login -u me --password-stdin h",
    "printf '%s' me | cat; echo '{}' | docker login --password-stdin",
    "podman login h <<< {}",
    "skopeo copy --src-creds me:{} docker://a oci:b",
    "skopeo copy --dest-creds=me:{} docker://a oci:b",
    "twine upload -u me -p {} dist/*",
    "python3 -m twine upload -u __token__ -p {} dist/*",
    "az acr login -n x -u me -p {}",
    # Settings.
    "aws configure set aws_access_key_id {} --profile x",
    "aws configure set aws_secret_access_key {} && aws s3 cp s3://b/x .",
    "aws configure set aws_session_token '{}'",
    "npm config set //registry.npmjs.org/:_authToken {}",
    "npm config set //registry.npmjs.org/:_authToken={}",
    "npm config set '//registry.npmjs.org/:_authToken' \"{}\"",
    "npm config set _auth {}",
    "npm config set _auth={}",
    "npm set //h/:_password {}",
    "yarn config set npmAuthToken {}",
    "conda config --set anaconda_token {}",
    "conda token set {}",
    "poetry config pypi-token.pypi {}",
    "poetry config http-basic.private me {}",
    "composer config --global github-oauth.github.com {}",
    "bundle config set --local gems.example.org me:{}",
    'git config --global http.extraheader "AUTHORIZATION: basic {}"',
    'git config http.https://example.org/.extraheader "PRIVATE-TOKEN: {}"',
    "git -c http.extraheader='Authorization: bearer {}' clone https://h/x",
    "dvc remote modify mine password {}",
    "kaggle config set -n key -v {}",
    "mc alias set s3 https://h {0} {0}",
    # Logins.
    "vault login {}",
    "vault login -method=token token={}",
    "vault kv put secret/x key={}",
    "wandb login --relogin {}",
    "cargo login {}",
    "ngrok config add-authtoken {}",
    "huggingface-cli login --token {}",
    "huggingface-cli login --token={} --add-to-git-credential",
    "hf auth login --token {}",
    "echo {} | hf auth login",
    "gh auth login --with-token <<< {}",
    "gh auth login --with-token <<<'{}'",
    "echo '{}' | gh auth login --with-token",
    "gh secret set NAME -b {}",
    "python3 -c \"from huggingface_hub import login; login('{}')\"",
    "python3 -c \"import os; os.environ['API_TOKEN'] = '{}'\"",
    # Users, keys, archives.
    "echo 'root:{}' | chpasswd",
    "echo root:{} | sudo chpasswd",
    "echo -e 'root:{0}\\nme:{0}' | chpasswd -e",
    "(echo root:{0}; echo me:{0}) | chpasswd",
    "chpasswd <<< 'root:{}'",
    "chpasswd <<EOF\nroot:{0}\nme:{0}\nEOF\npip install x",
    "cat <<EOF | chpasswd\nroot:{}\nEOF",
    "printf 'root:{}' | chpasswd",
    "printf 'root:%s\\n' {} | chpasswd",
    "echo {} | passwd --stdin",
    "echo {} | passwd --stdin me && make",
    "echo -e '{}' | passwd root",
    "yes {} | passwd root",
    "echo {} | tee /dev/stderr | passwd --stdin root",
    "echo {} | sudo -S make",
    "useradd -m -p {} me",
    "useradd -mp '{}' me",
    "usermod -p $(openssl passwd -1 {}) me",
    'usermod --password "$(openssl passwd -6 {})" me',
    "echo 'me:{}:0:0::/:/bin/sh' >> /etc/passwd",
    "echo 'me:{}:19000::::::' | tee -a /etc/shadow",
    "sshpass -p {} ssh -p 22 me@h",
    "sshpass -p{} scp a me@h:b",
    "ssh-keygen -t rsa -N {} -f x",
    "openssl req -passout pass:{} -out x",
    "openssl enc -d -aes-256-cbc -k {} -in x",
    "htpasswd -bc /etc/htpasswd me {}",
    "wpa_passphrase net {}",
    "unzip -P {} x.zip",
    "7z x -p{} x.7z",
    "gpg --batch --passphrase {} -d x",
    # Databases.
    "mysql -uroot -p{} -e 'select 1'",
    "mysqldump -h h -p'{}' x",
    "mysql --password={} x",
    "mongo -u me -p {} h",
    "redis-cli -a {} ping",
    "sqlcmd -U sa -P {}",
    "ldapsearch -x -D cn=me -w {} -b x",
    "rabbitmqctl add_user me {}",
    "psql -c \"ALTER USER me WITH PASSWORD '{}'\"",
    "mysql -e \"CREATE USER me IDENTIFIED BY '{}'\"",
    "echo 'requirepass {}' >> /etc/redis.conf",
    "PGPASSWORD={} psql -h h",
    "echo h:5432:x:me:{} > ~/.pgpass",
    # Transfers.
    'curl -H "Authorization: Bearer {}" https://h/x',
    "curl -sSLH 'Authorization: token {}' https://h/x",
    "curl -H 'Authorization: {}' https://h/x",
    "curl -H Authorization:\\ Bearer\\ {} https://h/x",
    "curl --header 'Cookie: {}' https://h/x",
    "curl -H 'X-Api-Key: {}' https://h/x",
    'curl --cookie "session={}" https://h/x',
    "curl --cookie=session='{}' https://h/x",
    "curl -sSLb session={} https://h/x",
    "curl -b {} https://h/x",
    "GITHUB_PAT={} make",
    "export GH_PAT='{}'; make",
    "AZURE_DEVOPS_EXT_PAT={} az devops login",
    "tool --pat {}",
    "echo 'pat: {}' > x",
    "curl -u me:{} https://h/x",
    "curl -fsSLu me:{} https://h/x",
    "curl -ume:{} https://h/x",
    "curl --user 'me:{}' https://h/x",
    "curl --proxy-user=me:{} https://h/x",
    "curl https://h/x -d '{{\"password\": \"{}\"}}'",
    'curl https://h/x -d "{{\\"token\\": \\"{}\\"}}"',
    "wget --password={} https://h/x",
    "wget --http-password {} https://h/x",
    "wget --header='Authorization: Bearer {}' https://h/x",
    "wget --header 'PRIVATE-TOKEN: {}' https://h/x",
    "lftp -u me,{} h",
    "smbclient -U me%{} //h/x",
    "http -a me:{} https://h/x",
    "kubectl create secret generic x --from-literal=k={}",
    # Names.
    "KAGGLE_USERNAME=me KAGGLE_KEY={} kaggle datasets download x",
    "export TOKEN={}",
    "export A=1 DB_PASS='{}' B=2",
    'ENV_TOKEN="{}" make',
    "make -Dsonar.token={} -j4",
    "tool --api-key  '{}' x",
    "tool --ACCESS_KEY={} x",
    # Files.
    "echo 'machine h login me password {}' > ~/.netrc",
    "echo machine h login me password {} > ~/.netrc",
    "printf 'machine h\\nlogin me\\npassword {}' > ~/.netrc",
    "cat > ~/.netrc <<EOF\nmachine h\nlogin me\npassword {}\nEOF",
    "cat <<'EOF' > ~/.pypirc\n[pypi]\nusername = __token__\npassword = {}\nEOF\npip install x",
    "cat <<-EOF >> ~/.npmrc\n\t//registry.npmjs.org/:_authToken={}\n\tEOF",
    "echo '//registry.npmjs.org/:_authToken={}' > .npmrc",
    "echo {} > ~/.huggingface/token",
    "mkdir -p /run && echo '{}' | tee /run/secrets/db_password",
    "echo '{{\"auths\": {{\"h\": {{\"auth\": \"{}\"}}}}}}' > ~/.docker/config.json",
    "echo 'x x/root_password password {}' | debconf-set-selections",
    # Commands in commands.
    'bash -c "docker login -p {} h"',
    "bash -lc 'set -e; echo \"root:{}\" | chpasswd'",
    'su - me -c "bash -c \'mysql -p{} x\'"',
    "bash <<EOF\nvault login {}\nEOF",
    "x=$(curl -u me:{} https://h/x)",
    'echo "$(sshpass -p {} ssh h)"',
    "if true; then docker login -p {}; fi",
    "true && ( docker login -p {} )",
    "! sudo -u me env A=1 mysql -p{} x",
    "# don't\ndocker login -p {} h",
    "echo it's; docker login -p {} h",
    # A value that goes on behind what looks like its end.
    "PASSWORD='{}&{}' make",
]  # fmt: skip


@pytest.mark.parametrize("form", LOST)
def test_a_credential_is_taken_out_and_nothing_else(form: str) -> None:
    written = form.format(X) if "{}&{}" not in form else form.format(X, X)
    shown = masked(written)
    assert X not in shown
    assert shown == form.replace("{}&{}", "{}").format("***")


SHAPES = [
    "ghp_" + "a1B2" * 9,
    "gho_" + "a1B2" * 9,
    "github_pat_" + "11AAAAAAA0" * 8,
    "glpat-" + "aB3-_" * 4,
    "hf_" + "aBcDe" * 7,
    "sk-" + "aB3x" * 12,
    "sk-proj-" + "aB3_-" * 9,
    "xoxb-" + "123456789012-abc",
    "xoxp-" + "123456789012-abc",
    "AKIA" + "IOSFODNN7EXAMPL3",
    "AIza" + "Sy-_a" * 7,
    "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxIn0." + "c2lnbmF0dXJl",
    "npm_" + "aB3x" * 9,
    "pypi-AgE" + "IcHlwaS5vcmc" * 4,
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE" + "a1B2" * 9 + "\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----\\nb3Bl" + "a1B2" * 9,
    "hvs." + "aB3x" * 6,
    "dckr_pat_" + "aB3x" * 6,
]


@pytest.mark.parametrize("token", SHAPES)
@pytest.mark.parametrize("around", ["./login {}", "echo 'x\\n{}' > x", "X={} y", 'f("{}")', "a:{}"])
def test_a_token_of_a_known_shape_is_taken_out_anywhere(token: str, around: str) -> None:
    shown = masked(around.format(token))
    assert token[-12:] not in shown
    assert shown.startswith(around.partition("{")[0])


KEPT = [
    "pip install -p x",
    "pip install --no-cache-dir -r requirements.txt torch==1.13.1+cu117 'numpy<2'",
    "apt-get update && apt-get install -y password-store passwd sudo libsecret-1-0=0.20.4 liboauth0=1.0 pwgen keyutils",
    "apt-get install -y libsecret-1-0:amd64 mysql-client -t stable",
    "yes | apt-get install passwd",
    "mkdir -p /x",
    "cp -p a b && rm -rf /root/.netrc",
    "ssh -p 22 h",
    "docker run -p 80:80 -u 1000:1000 x",
    "nmap -p- h",
    "passwd -d root",
    "passwd root",
    "groupadd -g 1000 me && useradd -m -u 1000 -g 1000 -s /bin/bash me",
    "mysql -p x < y.sql",
    "mysql -u root x",
    "curl -fsSLo x https://h/x -H 'Accept: text/html'",
    "curl -oubuntu.iso https://h/x",
    "curl -c cookies.txt -b cookies.txt https://h/x",
    "curl -b /root/jar -b $COOKIE -b session=$COOKIE https://h/x",
    "PATH=/opt/x:$PATH COMPAT=1 make --pattern x --path y",
    "curl -fsSL https://h/key.asc | gpg --dearmor -o /usr/share/keyrings/x.gpg",
    "curl -sSL https://install.python-poetry.org | python3 -",
    "echo 'deb [signed-by=/usr/share/keyrings/x.gpg] https://h stable main' | sudo tee /etc/apt/sources.list.d/x.list",
    "echo 'CREATE TABLE x' | su postgres -c psql",
    "echo 'me:x:1000:1000::/home/me:/bin/sh' >> /etc/passwd",
    "echo 'me ALL=(ALL) NOPASSWD: ALL' >> /etc/sudoers",
    "git config --global user.email me@h && git config --global credential.helper store",
    "git config --global user.signingkey ABC",
    "npm config set always-auth true",
    "npm config set strict-ssl false && npm install -g yarn token-types",
    "conda config --set channel_priority strict && conda install -y tokenizers=0.13 keyring=23",
    "pip config set global.index-url https://h/simple",
    "poetry config virtualenvs.create false && poetry install",
    'echo "$TOKEN" | docker login -u me --password-stdin h',
    "docker login -u me -p $TOKEN h",
    'docker login -u me -p "${TOKEN}" h',
    'curl -H "Authorization: Bearer $TOKEN" https://h/x',
    "{ echo 'key = '$KEY; echo 'secret = '\"${X}\"; } > x",
    "cat > x <<EOF\ntoken = $TOKEN\nEOF",
    "bash -c 'docker login -p $TOKEN'",
    "openssl req -new -x509 -nodes -out x.pem",
    "openssl enc -base64 -A -d -in x",
    "for k in A B; do gpg --recv-keys $k || gpg --recv-key C; done",
    "python3 -c 'print(1)' <<EOF\nx\nEOF",
    "pip install 'x[auth]' -c constraints.txt; echo 'a  b'\t;\n\tmake",
    "wget -qO- https://h/x.tar.gz | tar -xz --strip-components=1 -C /opt",
    "jupyter lab --generate-config -y",
    "echo done > /tmp/x && cat /tmp/x | sort -u",
    "echo 'password required pam_permit.so' >> /etc/pam.d/x",
    "sed -i 's/#PermitRootLogin yes/PermitRootLogin no/' /etc/ssh/sshd_config",
    "pip install flask-some-very-long-name-1 risk-assessment-tool2-x glib-networking-tests",
    "echo a=$((1<<2)) && echo ${X:-a b}",
    "case $x in a) echo b;; esac",
    "unterminated 'quote and \"another",
]


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_credential_stays(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("docker login -p '$ecret' h", "docker login -p '***' h"),
        ("echo 'token = $ecret' > x", "echo 'token = ***' > x"),
        ("cat <<'E'\ntoken = $ecret\nE", "cat <<'E'\ntoken = ***\nE"),
        ("docker login -p \\$ecret", "docker login -p \\***"),
        ("docker login -p ${X:-hunter2}", "docker login -p ***"),
        ('echo "password: p&ss;w0rd" > x', 'echo "password: ***" > x'),
        ("TOKEN='a b' make", "TOKEN='***' make"),
        ("TOKEN=a\"b\"'c' make", "TOKEN=*** make"),
    ],
)
def test_what_a_shell_would_make_of_quotes(written: str, shown: str) -> None:
    assert masked(written) == shown


LINES = [
    "KEY_", "KEY=", 'TOKEN=\\"', "a;", "a|", "docker login -p x|", "curl -u a:b ", "sudo docker login ", "'a b' ",
    '"a b" ', '\\"', '"', "'", "$(", "`", "(", "{ ", "<<E ", "<<E\n", "<<<a ", "> token ", "echo a|", "--key-",
    "--a", "- ", "eyJ", "eyJaaaaaaaa.", "sk-", "-----BEGIN PRIVATE KEY-----", "password ", "Basic ", "a:b ",
    "login a passwd ",
    "a ", "aaaa", "=", "[", "token-token", "Authorization: ", "'\"$(", "npm config set ", 'bash -c "', "\\", "x=1 ",
]  # fmt: skip


LONG = ["KEY_", "curl -u a:b ", "docker login -p x|"]


@pytest.mark.parametrize(("pieces", "size"), [*((piece, 1 << 17) for piece in LINES), *((p, 1 << 20) for p in LONG)])
def test_a_long_line_takes_linear_time(pieces: str, size: int) -> None:
    text = pieces * (size // len(pieces))
    begun = time.process_time()
    masked(text)
    assert time.process_time() - begun < size / (1 << 20) * 20 + 1


@pytest.mark.parametrize(
    ("opened", "closed"), [("(", ")"), ("(", ")|a"), ("{ a;", "}|b "), ("$(a ", ")"), ("a <<E ", "\nE")]
)
def test_what_is_nested_deeply_takes_linear_time(opened: str, closed: str) -> None:
    times = (1 << 17) // len(opened + closed)
    begun = time.process_time()
    masked(opened * times + closed * times)
    assert time.process_time() - begun < 5


@given(st.text(alphabet=st.sampled_from("ab \n'\"\\$`(){}<>|;&=:-_*#"), max_size=60))
def test_any_text_is_read_and_once_is_enough(text: str) -> None:
    shown = masked(text)
    assert masked(shown) == shown


@given(
    st.lists(
        st.sampled_from(
            ["docker", "login", "-p", "curl", "-u", "a:b", "echo", "|", "chpasswd", " ", "'", '"', "\\", "TOKEN=", "$x"]
        )
    )
)
def test_outside_of_credentials_every_character_stays(pieces: list[str]) -> None:
    text = "".join(pieces)
    position = 0
    for part in masked(text).split("***"):
        found = text.find(part, position)
        assert found >= 0
        position = found + len(part)
