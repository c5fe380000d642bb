//! What to try while the environment is running.

use super::Environment;
use super::steps::Summary;

/// Prints commands to try while the environment is running.
pub(super) fn print_next_steps(environment: &Environment, summary: &Summary) {
    environment.shell.print_heading("Next steps");
    println!(
        "
Everything runs until Ctrl-C. Paste this into another terminal:

{exports}
Then try, for example:

  # The stations are really gone: approve as many deletes as the dry run found.
  kubectl create -f - <<YAML
apiVersion: tarana.dev/v1alpha1
kind: TaranaSync
metadata: {{generateName: approved-}}
spec: {{deleteStale: true, approvedDeletes: {stale}, trigger: {{actor: $USER}}}}
YAML
  kubectl get tsync --watch

  # Correct the password: the operator probes the connection at once.
  kubectl patch secret typo --type merge -p '{{\"stringData\":{{\"password\":\"correct horse\"}}}}'
  kubectl wait --for=condition=Ready tconn/wrong --timeout=30s

  # Let TCS fail three requests: the run retries and completes. Then let the fleet drift for the next run.
  curl -d '[{{\"endpoint\":\"search\",\"times\":3,\"fault\":{{\"kind\":\"status\",\"status\":503}}}}]' $TCS_URL/_sim/script
  kubectl create -f - <<YAML
apiVersion: tarana.dev/v1alpha1
kind: TaranaSync
metadata: {{generateName: retries-}}
spec: {{backoff: {{initialSeconds: 2}}}}
YAML
  curl -d '{{\"fraction\":0.05}}' $TCS_URL/_sim/drift

  # The pages: open $API_URL in a browser, and sign in with this token.
  kubectl create token ann --audience tarana-operator

  # A run over HTTP, and the stream of what it does.
  TOKEN=$(kubectl create token ann --audience tarana-operator)
  curl -H \"Authorization: Bearer $TOKEN\" $API_URL/api/admin/tarana/sync -H 'Content-Type: application/json' -d '{{}}'
  curl -H \"Authorization: Bearer $TOKEN\" $API_URL/api/admin/tarana/sync/status
  curl -H \"Authorization: Bearer $TOKEN\" -N \"$API_URL/api/v1/events?namespace=default\"

  kubectl explain tsync.spec        # every field, with default and effect
  kubectl describe tsync/cleanup    # conditions and Events of one run
  tail -f {log}",
        exports = environment.shell.exports(),
        stale = summary.stale,
        log = summary.operator.log().display()
    );
}
