#!/bin/bash
# Records `previous/`: what a release leaves in a cluster and a database. See README.md.
#   tests/it/upgrade/record.sh CHECKOUT      a checkout of that release, which is built (`make ui`, `cargo build --workspace`)
set -euo pipefail
release=$(realpath "$1")
out=$(realpath "$(dirname "$0")")/previous
scratch=$(mktemp -d)
cd "$release"

target/debug/devenv up > "$scratch/env" 2> "$scratch/devenv.log" &
servers=$!
operator=
stop() {
  [ -z "$operator" ] || kill "$operator" 2> "$scratch/kill.log" || true
  kill "$servers"
  wait
  rm -rf "$scratch"
}
trap stop EXIT
until grep -q PATH= "$scratch/env"; do
  kill -0 "$servers" || { cat "$scratch/devenv.log"; exit 1; }
  read -rt 0.2 <> <(:) || true
done
. "$scratch/env"

# All objects are in a namespace of their own. `devenv up` has created the connection and its Secrets in another one.
move() {
  kubectl -n default get "$1" "$2" -o json | python3 -c '
import json, sys
o = json.load(sys.stdin)
o.pop("status", None)
o["metadata"] = {"name": sys.argv[1], "namespace": "upgrade"}
json.dump(o, sys.stdout)' "${3:-$2}" | kubectl create -f -
}
kubectl create namespace upgrade
move secret tcs
move secret database
move tconn default
move tconn default wrong
kubectl -n default delete tconn default

TARANA_LEADER_ELECT=false TARANA_ADMIN_LISTEN='' TARANA_METRICS_LISTEN='' target/debug/tarana-operator run 2> "$scratch/operator.log" &
operator=$!
k() { kubectl -n upgrade "$@"; }
sync() { # name, spec
  k create -f - <<< "{\"apiVersion\":\"tarana.dev/v1alpha1\",\"kind\":\"TaranaSync\",\"metadata\":{\"name\":\"$1\"},\"spec\":$2}"
}
run() {
  sync "$1" "$2"
  k wait --for=condition=Finished "tsync/$1" --timeout=2m
}

# A small region, so that the dump stays small.
k patch tconn default --type=merge -p '{"spec":{"api":{"includeRegionIds":[1075]}}}'
k wait --for=condition=Ready tconn/default --timeout=2m
run first '{}'
psql "$DATABASE_URL" -Xqc "
  UPDATE tarana_base_stations SET hostname = 'outdated', network_profile_id = 7, bandwidth_mhz = 40
      WHERE serial_number IN (SELECT serial_number FROM tarana_base_stations ORDER BY serial_number LIMIT 5);
  INSERT INTO tarana_base_stations (serial_number, hostname, site_name, market, lat, lng, region, region_id)
      VALUES ('S999F0000000001', 'gone', 'Dismantled', 'Lowveld', -25.4, 31.0, 'Lowveld', 1075);
  INSERT INTO tarana_sync_logs (status, started_at, completed_at, created_at)      -- of the replaced function
      VALUES ('completed', now() - interval '9 days', now() - interval '9 days', now() - interval '9 days');"
run what-if '{"dryRun":true,"deleteStale":true}'
run cleanup '{"deleteStale":true,"trigger":{"actor":"thandi@example.com"}}'

# A run that fails.
k create secret generic wrong --from-literal=username=nobody --from-literal=password=wrong
k patch tconn wrong --type=merge -p '{"spec":{"api":{"credentialsSecretRef":{"name":"wrong"}}}}'
k wait --for='jsonpath={.status.conditions[?(@.type=="Ready")].reason}=AuthenticationFailed' tconn/wrong --timeout=1m
run failed '{"connectionRef":{"name":"wrong"}}'

# A slot that ran. The status is that of a schedule which has existed for ten minutes.
k create -f - <<< '{"apiVersion":"tarana.dev/v1alpha1","kind":"TaranaSyncSchedule","metadata":{"name":"frequent"},"spec":{"schedule":"*/5 * * * *"}}'
k wait --for=condition=Ready tss/frequent --timeout=1m
k patch tss frequent --subresource=status --type=merge -p "{\"status\":{\"notBefore\":\"$(date -ud '-10 min' +%FT%TZ)\"}}"
k wait --for=condition=LastSyncSucceeded tss/frequent --timeout=2m

# One run is cancelled before it starts, another one waits. The connection is resumed when the operator is gone.
k patch tconn default --type=merge -p '{"spec":{"suspend":true}}'
sync cancelled '{}'
k wait --for='jsonpath={.status.conditions[?(@.type=="Ready")].reason}=ConnectionSuspended' tsync/cancelled --timeout=1m
k patch tsync cancelled --type=merge -p '{"spec":{"cancel":true}}'
k wait --for=condition=Finished tsync/cancelled --timeout=1m
sync waiting '{}'
k wait --for='jsonpath={.status.conditions[?(@.type=="Ready")].reason}=ConnectionSuspended' tsync/waiting --timeout=1m
kill "$operator"
wait "$operator"
operator=
k patch tconn default --type=merge -p '{"spec":{"suspend":false}}'
# Of the events, some are delivered: another program reads the outbox of this release.
psql "$DATABASE_URL" -Xqc "UPDATE tarana_sync_outbox SET delivered_at = now() WHERE id = (SELECT min(id) FROM tarana_sync_outbox)"

mkdir -p "$out/crds"
cp crds/*.yaml "$out/crds/"
cp migrations/roles/operator.sql "$out/"
k get tconn,tss,tsync -o yaml > "$out/objects.yaml"
{
  echo "cluster_uid=$(kubectl get namespace kube-system -o jsonpath='{.metadata.uid}')"
  echo "tcs_url=$TCS_URL"
  echo "commit=$(git rev-parse --short HEAD)"
} > "$out/recorded"
# Without the random tokens of \restrict, which older programs do not know.
pg_dump "$DATABASE_URL" --no-owner --no-privileges | grep -v '^\\\(un\)\?restrict ' > "$out/schema.sql"
