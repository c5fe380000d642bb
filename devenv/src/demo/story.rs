//! The chapters.

use devenv::simulator::Drift;
use devenv::{Operator, Result};

use super::Stage;
use super::check::{Finished, same};
use super::shell::{Shell, say};

/// Part of the fleet that changes between the first run and the second.
const DRIFT: f64 = 0.03;
/// Towers that vanish then: more than the default delete guard lets pass (5 % of 718, or 10).
const VANISHED: usize = 60;

/// What the story leaves to a person.
pub(super) struct Told {
    /// Still at work.
    pub(super) operator: Operator,
    /// Stations that are gone from the listing and kept in the table.
    gone: usize,
}

/// Tells everything, and leaves the operator running.
pub(super) async fn tell(stage: &Stage) -> Result<Told> {
    let shell = &stage.shell;
    let operator = install(stage).await?;
    connect(shell).await?;
    first(stage).await?;
    let drift = second(stage).await?;
    let gone = what_if(stage, drift.removed).await?;
    cleanup(shell, gone).await?;
    refused(shell).await?;
    by_the_clock(shell).await?;
    looking_back(shell).await?;
    Ok(Told { operator, gone })
}

async fn install(stage: &Stage) -> Result<Operator> {
    let shell = &stage.shell;
    shell.chapter("1. Kinds, rights, operator");
    shell.show("kubectl apply --server-side -f crds/").await?;
    shell
        .show("kubectl wait --for=condition=Established -f crds/")
        .await?;
    shell
        .show(&format!("kubectl create namespace {}", devenv::NAMESPACE))
        .await?;
    // Helm tells of the link to crds/ on its standard error, which is nothing to a person who installs.
    let rights = devenv::RIGHTS.replace(" --show-only", " \\\n    --show-only");
    shell
        .show(&format!(
            "{rights} 2>/dev/null |\n    kubectl apply --server-side -f -"
        ))
        .await?;
    let operator = Operator::start(&stage.program, &stage.plane, &stage.log, &[]).await?;
    say(&format!(
        "No node runs pods here, so `tarana-operator run` is a process of this machine (pid {}). It shows a token of that service\n\
         account to Kubernetes and has no other rights. Its log: {}",
        operator.pid(),
        operator.log().display()
    ));
    let account = format!(
        "--as=system:serviceaccount:{}:{}",
        devenv::NAMESPACE,
        devenv::ACCOUNT
    );
    shell
        .show_anyhow(&format!(
            "kubectl auth can-i patch taranasyncs --subresource=status {account}"
        ))
        .await?;
    shell
        .show_anyhow(&format!("kubectl auth can-i update secrets {account}"))
        .await?;
    Ok(operator)
}

async fn connect(shell: &Shell) -> Result<()> {
    shell.chapter("2. A connection: where base stations come from, and where they go");
    shell
        .show(
            "kubectl create secret generic tcs \\\n    \
             --from-literal=username=operator@example.com --from-literal=password='correct horse'",
        )
        .await?;
    shell
        .show("kubectl create secret generic database --from-literal=url=\"$DATABASE_URL\"")
        .await?;
    shell.show(&connection("default", "tcs")).await?;
    shell
        .show("kubectl wait --for=condition=Ready tconn/default --timeout=60s")
        .await?;
    shell.show("kubectl get tconn -o wide").await
}

async fn first(stage: &Stage) -> Result<()> {
    let shell = &stage.shell;
    shell.chapter("3. The first run fills the table");
    let run = finish(shell, "first", &[]).await?;
    run.ended("Completed", "Completed")?;
    let fetched = stage.tcs.base_nodes().len();
    run.counts(&[
        ("fetched", fetched),
        ("updated", 0),
        ("unchanged", 0),
        ("deleted", 0),
        ("withheld", 0),
    ])?;
    run.counts(&[("inserted", fetched - run.count("skipped"))])?;
    shell.show("kubectl get tsync").await?;
    shell
        .show(&psql(
            "select market, count(*) as stations, sum(device_status) as online\n    \
             from tarana_base_stations group by market order by stations desc",
        ))
        .await?;
    say("The records that could not be used are told one by one, and their stations count as present:");
    shell
        .show(&psql(
            "select e->>'message' as message\n    \
             from tarana_sync_logs, jsonb_array_elements(errors) e where name = 'first' limit 3",
        ))
        .await?;
    let rows = shell.query("select count(*) from tarana_base_stations").await?;
    same("the number of rows", &rows, &run.count("inserted").to_string())
}

async fn second(stage: &Stage) -> Result<Drift> {
    let shell = &stage.shell;
    shell.chapter("4. A day later: the second run writes what differs and nothing else");
    let drift = stage.tcs.drift(DRIFT);
    say(&format!(
        "Meanwhile, at the vendor: {} stations changed, {} is new, {} is gone.",
        drift.changed.len(),
        drift.added.len(),
        drift.removed.len()
    ));
    let run = finish(shell, "second", &[]).await?;
    run.ended("Completed", "Completed")?;
    let unchanged =
        stage.tcs.base_nodes().len() - drift.changed.len() - drift.added.len() - run.count("skipped");
    run.counts(&[
        ("inserted", drift.added.len()),
        ("updated", drift.changed.len()),
        ("unchanged", unchanged),
        ("deleted", 0),
    ])?;
    shell.show("kubectl get tsync -o wide").await?;
    shell
        .show(&psql(
            "select op, serial, what.key as \\\"column\\\", before->>what.key as was, what.value as became\n    \
             from tarana_sync_changes c join tarana_sync_logs l on l.id = c.run, jsonb_each_text(after::jsonb) what\n    \
             where l.name = 'second' and op = 'update' and what.value is distinct from before->>what.key\n    \
             order by serial limit 6",
        ))
        .await?;
    Ok(drift)
}

/// Returns how many rows are stale now.
async fn what_if(stage: &Stage, removed: Vec<String>) -> Result<usize> {
    let shell = &stage.shell;
    shell.chapter("5. Towers vanish: a dry run tells what a run with deleteStale would do");
    let gone = [removed, stage.tcs.vanish(VANISHED)].concat();
    say(&format!(
        "Meanwhile, at the vendor: {VANISHED} more stations are gone from the listing. Torn down, or a fault of the listing?"
    ));
    // A station whose record was never usable has no row to lose.
    let rows = format!(
        "select count(*) from tarana_base_stations where serial_number in ('{}')",
        gone.join("','")
    );
    let gone = shell.query(&rows).await?.parse().unwrap_or_default();
    let run = finish(shell, "what-if", &["dryRun: true", "deleteStale: true"]).await?;
    run.ended("Completed", "Completed")?;
    run.is("DeletesWithheld")?;
    run.counts(&[
        ("withheld", gone),
        ("deleted", 0),
        ("inserted", 0),
        ("updated", 0),
    ])?;
    say("The plan is stored, and nothing else is:");
    shell
        .show(&psql(
            "select c.op, c.applied, count(*), min(before->>'region') as first_region, min(before->>'site_name') as first_site\n    \
             from tarana_sync_changes c join tarana_sync_logs l on l.id = c.run\n    \
             where l.name = 'what-if' group by 1, 2",
        ))
        .await?;
    shell
        .show(&psql(
            "select c.seq, c.op, c.serial, before->>'site_name' as site, before->>'market' as market, c.applied\n    \
             from tarana_sync_changes c join tarana_sync_logs l on l.id = c.run\n    \
             where l.name = 'what-if' order by seq limit 5",
        ))
        .await?;
    Ok(gone)
}

async fn cleanup(shell: &Shell, gone: usize) -> Result<()> {
    shell.chapter("6. For real: the delete guard keeps them until a person has looked");
    let before = shell.query("select count(*) from tarana_base_stations").await?;
    let run = finish(shell, "cleanup", &["deleteStale: true"]).await?;
    run.ended("Completed", "Completed")?;
    run.is("DeletesWithheld")?;
    run.counts(&[("withheld", gone), ("deleted", 0)])?;
    let after = shell.query("select count(*) from tarana_base_stations").await?;
    same("the number of rows after a withheld deletion", &after, &before)?;
    shell
        .show(
            "kubectl get tsync/cleanup -o jsonpath='{.status.conditions[?(@.type==\"DeletesWithheld\")].message}{\"\\n\"}'",
        )
        .await
}

async fn refused(shell: &Shell) -> Result<()> {
    shell.chapter("7. Wrong credentials: the run fails at once, and says what to do");
    shell
        .show(
            "kubectl create secret generic typo \\\n    \
             --from-literal=username=operator@example.com --from-literal=password='correct house'",
        )
        .await?;
    shell.show(&connection("wrong", "typo")).await?;
    let run = finish(shell, "refused", &["connectionRef: {name: wrong}"]).await?;
    run.ended("Failed", "AuthenticationFailed")?;
    run.is("Stalled")?;
    shell
        .show("kubectl get tsync/refused -o jsonpath='{.status.conditions[?(@.type==\"Stalled\")].message}{\"\\n\"}'")
        .await
}

async fn by_the_clock(shell: &Shell) -> Result<()> {
    shell.chapter("8. By the clock: a schedule, what it will do, and what it did");
    shell
        .show("tarana-operator preview '0 0 * * *' --time-zone Africa/Johannesburg --count 2")
        .await?;
    shell
        .show(
            "kubectl apply -f - <<YAML\n\
             apiVersion: tarana.dev/v1alpha1\n\
             kind: TaranaSyncSchedule\n\
             metadata: {name: every-minute}\n\
             spec: {schedule: \"* * * * *\"}\n\
             YAML",
        )
        .await?;
    shell
        .show(
            "kubectl wait tss/every-minute --for=jsonpath='{.status.lastSync.phase}'=Completed --timeout=90s",
        )
        .await?;
    shell.show("kubectl get tss").await?;
    shell
        .show("kubectl get tsync -l tarana.dev/schedule=every-minute -o wide")
        .await?;
    shell
        .show("kubectl patch tss/every-minute --type merge -p '{\"spec\":{\"suspend\":true}}'")
        .await?;
    let runs =
        "select count(*) > 0 from tarana_sync_logs where trigger_type = 'cron' and status = 'completed'";
    same("a run by the clock has completed", &shell.query(runs).await?, "t")
}

async fn looking_back(shell: &Shell) -> Result<()> {
    shell.chapter("9. Looking back");
    shell.show("kubectl get tconn,tss,tsync -A").await?;
    shell.show("kubectl events").await?;
    shell
        .show(&psql(
            "select name, status, reason, attempt, stations_fetched as fetched, inserted as new,\n           \
             updated as changed, unchanged, deleted, skipped, withheld, dry_run, duration_ms as ms\n    \
             from tarana_sync_logs order by created_at",
        ))
        .await?;
    let rows = shell
        .query("select string_agg(name || ' ' || status, ', ' order by created_at) from tarana_sync_logs where trigger_type = 'manual'")
        .await?;
    same(
        "the log",
        &rows,
        "first completed, second completed, what-if completed, cleanup completed, refused failed",
    )
}

/// Creates a run with these lines in its spec, waits for its end, and returns it.
async fn finish(shell: &Shell, name: &str, spec: &[&str]) -> Result<Finished> {
    let spec = if spec.is_empty() {
        "spec: {}".to_owned()
    } else {
        format!("spec:\n  {}", spec.join("\n  "))
    };
    shell
        .show(&format!(
            "kubectl create -f - <<YAML\n\
             apiVersion: tarana.dev/v1alpha1\n\
             kind: TaranaSync\n\
             metadata: {{name: {name}}}\n\
             {spec}\n\
             YAML"
        ))
        .await?;
    shell
        .show(&format!(
            "kubectl wait --for=condition=Finished tsync/{name} --timeout=60s"
        ))
        .await?;
    Ok(Finished::new(name, shell.object(&format!("tsync/{name}")).await?))
}

fn connection(name: &str, secret: &str) -> String {
    format!(
        "kubectl apply --server-side -f - <<YAML\n\
         apiVersion: tarana.dev/v1alpha1\n\
         kind: TaranaConnection\n\
         metadata: {{name: {name}}}\n\
         spec:\n  \
           api:\n    \
             url: $TCS_URL\n    \
             credentialsSecretRef: {{name: {secret}}}\n  \
           database:\n    \
             secretRef: {{name: database}}\n\
         YAML"
    )
}

fn psql(sql: &str) -> String {
    format!("psql \"$DATABASE_URL\" -c \"\n    {sql}\"")
}

/// What a person may try while all is up.
pub(super) fn what_next(stage: &Stage, told: &Told) {
    stage.shell.chapter("What next");
    println!(
        "
All stays up until Ctrl-C. In another terminal, first:

{exports}
Then, for example:

  # You have looked: the stations are gone. Approve as many deletions as the dry run found.
  kubectl create -f - <<YAML
apiVersion: tarana.dev/v1alpha1
kind: TaranaSync
metadata: {{generateName: approved-}}
spec: {{deleteStale: true, approvedDeletes: {gone}, trigger: {{actor: $USER}}}}
YAML
  kubectl get tsync --watch

  # Correct the password: the connection is tried again at once.
  kubectl patch secret typo --type merge -p '{{\"stringData\":{{\"password\":\"correct horse\"}}}}'
  kubectl wait --for=condition=Ready tconn/wrong --timeout=30s

  # Let TCS fail for three calls, and see a run that copes. Then let time pass there, for the next one.
  curl -d '[{{\"endpoint\":\"search\",\"times\":3,\"fault\":{{\"kind\":\"status\",\"status\":503}}}}]' $TCS_URL/_sim/script
  kubectl create -f - <<YAML
apiVersion: tarana.dev/v1alpha1
kind: TaranaSync
metadata: {{generateName: copes-}}
spec: {{backoff: {{initialSeconds: 2}}}}
YAML
  curl -d '{{\"fraction\":0.05}}' $TCS_URL/_sim/drift

  kubectl explain tsync.spec        # every field, with default and effect
  kubectl describe tsync/cleanup    # conditions and Events of one run
  tail -f {log}",
        exports = stage.shell.exports(),
        gone = told.gone,
        log = told.operator.log().display()
    );
}
