#!/usr/bin/env bash
# Runs the tests of the ledger and of the API on a PostgreSQL of their own: a new cluster in a temporary folder, on
# loopback, gone afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
folder=$(mktemp -d)
chmod 755 "$folder"
as=()
if [ "$(id -u)" = 0 ]; then # the server refuses to run as root
  chown postgres "$folder"
  as=(setpriv --reuid=postgres --regid=postgres --init-groups)
fi
trap '"${as[@]}" "$bin/pg_ctl" -D "$folder/data" -m immediate -s stop || true; rm -rf "$folder"' EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cd "$folder"
"${as[@]}" "$bin/initdb" -D "$folder/data" -U sitewarden --auth=trust --encoding=UTF8 --no-locale -N >/dev/null
"${as[@]}" "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w -s \
  -o "-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories=$folder -c max_connections=300 -c fsync=off" start
cd - >/dev/null

export SITEWARDEN_TEST_POSTGRES="postgres://sitewarden@127.0.0.1:$port/postgres?sslmode=disable"
cargo test --locked --features postgres --lib --test it -- ledger:: api:: "$@"
